//! A list of short texts in one piece of memory.

use std::fmt;

/// Texts that never change, in two allocations as long as they are few.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Texts {
    joined: String,
    /// Where each ends.
    ends: Vec<u32>,
}

impl Texts {
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let end = *end as usize;
            let text = self.joined.get(start..end).unwrap_or_default();
            start = end;
            text
        })
    }
}

impl<T: AsRef<str>> FromIterator<T> for Texts {
    /// The texts, as far as four gibibytes reach: nobody who is known has more to say.
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let (mut joined, mut ends) = (String::new(), Vec::new());
        for text in texts {
            let Ok(end) = u32::try_from(joined.len() + text.as_ref().len()) else { break };
            if ends.is_empty() {
                // Enough for the names and claims of most, so that they do not grow one by one.
                joined.reserve(128);
                ends.reserve(16);
            }
            joined.push_str(text.as_ref());
            ends.push(end);
        }
        Self { joined, ends }
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
