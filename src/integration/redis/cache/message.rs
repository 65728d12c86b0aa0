//! How instances tell each other what they purge.

use crate::layers::cache::{Moment, Purge, StorePurge};

/// Places of the ledger, among which marks are spread: as many notes as it has room for. Marks that share one are
/// purged together.
const PLACES: u64 = 1 << 18;
/// The most purges of one message. An instance tells fewer at a time.
const MAX_PURGES: usize = 4096;

/// What was purged.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) moment: Moment,
    pub(super) from: u64,
    pub(super) purges: Vec<StorePurge>,
}

/// The places of marks, as scripts read them.
pub(super) fn places(marks: &[u64]) -> String {
    let places: Vec<_> = marks.iter().map(|mark| (mark % PLACES).to_string()).collect();
    places.join(" ")
}

/// A purge, as scripts and listeners read it.
pub(super) fn item(purge: StorePurge) -> String {
    let how = if purge.how == Purge::Hard { 'h' } else { 's' };
    match purge.mark {
        Some(mark) => format!("{how}{}:{mark:016x}", mark % PLACES),
        None => how.to_string(),
    }
}

/// A message; `None` for what is none.
pub(super) fn read(text: &[u8]) -> Option<Message> {
    let mut words = std::str::from_utf8(text).ok()?.split(' ');
    let era = hex(words.next()?)?;
    let number = words.next()?.parse().ok()?;
    let from = hex(words.next()?)?;
    let purges = words.clone().take(MAX_PURGES).map(read_item).collect::<Option<Vec<_>>>()?;
    (words.count() <= MAX_PURGES).then_some(Message { moment: Moment { era, number }, from, purges })
}

fn read_item(word: &str) -> Option<StorePurge> {
    let (how, rest) = if let Some(rest) = word.strip_prefix('h') {
        (Purge::Hard, rest)
    } else {
        (Purge::Soft, word.strip_prefix('s')?)
    };
    if rest.is_empty() {
        return Some(StorePurge { mark: None, how });
    }
    let (_place, mark) = rest.split_once(':')?;
    Some(StorePurge { mark: Some(hex(mark)?), how })
}

fn hex(word: &str) -> Option<u64> {
    (word.len() == 16).then(|| u64::from_str_radix(word, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_heard() {
        let purges = vec![
            StorePurge { mark: Some(u64::MAX), how: Purge::Hard },
            StorePurge { mark: Some(5), how: Purge::Soft },
            StorePurge { mark: None, how: Purge::Hard },
            StorePurge { mark: None, how: Purge::Soft },
        ];
        let items: Vec<_> = purges.iter().copied().map(item).collect();
        assert_eq!(items[1..], ["s5:0000000000000005", "h", "s"]);
        let text = format!("000000000000000a 7 000000000000000b {}", items.join(" "));
        let moment = Moment { era: 10, number: 7 };
        assert_eq!(read(text.as_bytes()), Some(Message { moment, from: 11, purges }));
        assert_eq!(places(&[5, PLACES + 6, u64::MAX]), "5 6 262143");
    }

    #[test]
    fn what_is_no_message_is_none() {
        for text in [
            "",
            "x",
            "000000000000000a",
            "000000000000000a 7",
            "000000000000000a 7 b",
            "000000000000000a -7 000000000000000b h",
            "000000000000000a 7 000000000000000b x",
            "000000000000000a 7 000000000000000b h5",
            "000000000000000a 7 000000000000000b h5:5",
            "000000000000000a 7 000000000000000b h5:000000000000000g",
            "000000000000000a 7 000000000000000b ",
            "000000000000000a 7 000000000000000b h  s",
            "000000000000000a 99999999999999999999 000000000000000b h",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
        assert_eq!(read(b"\xff"), None);
        let many = format!("000000000000000a 7 000000000000000b{}", " h".repeat(MAX_PURGES + 1));
        assert_eq!(read(many.as_bytes()), None);
    }
}
