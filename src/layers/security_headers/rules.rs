//! What happens to the handler's fields, by name.

use std::fmt;

use http::{HeaderMap, HeaderName};

/// What happens to a field of the handler's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Ours replaces it.
    Replace,
    /// It replaces ours.
    Keep,
    /// Both are sent.
    Append,
    /// It is removed.
    Remove,
}

/// The rules, behind a filter: most fields have none, and the filter tells so in a few instructions.
#[derive(Clone)]
pub(super) struct Rules {
    by_name: HeaderMap<Rule>,
    /// A bit for each fingerprint of a name that has a rule.
    filter: [u64; FILTER_WORDS],
}

/// 4096 bits for some 90 names: the list's 78 and a policy's own. Few others pass by chance, and they are looked up.
const FILTER_WORDS: usize = 64;

impl Rules {
    pub(super) fn of(by_name: HeaderMap<Rule>) -> Self {
        let mut rules = Self { filter: [0; FILTER_WORDS], by_name };
        let names: Vec<HeaderName> = rules.by_name.keys().cloned().collect();
        for name in &names {
            rules.mark(name);
        }
        rules
    }

    pub(super) fn insert(&mut self, name: &HeaderName, rule: Rule) {
        self.mark(name);
        self.by_name.insert(name.clone(), rule);
    }

    pub(super) fn get(&self, name: &HeaderName) -> Option<Rule> {
        let (word, bit) = fingerprint(name);
        if self.filter.get(word).is_some_and(|bits| bits & bit != 0) { self.by_name.get(name).copied() } else { None }
    }

    /// How many fields are removed.
    pub(super) fn removed(&self) -> usize {
        self.by_name.values().filter(|rule| **rule == Rule::Remove).count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    fn mark(&mut self, name: &HeaderName) {
        let (word, bit) = fingerprint(name);
        if let Some(bits) = self.filter.get_mut(word) {
            *bits |= bit;
        }
    }
}

/// Word and bit of a name: its length and two letters tell most names apart.
fn fingerprint(name: &HeaderName) -> (usize, u64) {
    let bytes = name.as_str().as_bytes();
    let letter = |byte: Option<&u8>| byte.map_or(0, |byte| usize::from(*byte));
    let mixed = bytes.len() ^ (letter(bytes.last()) << 1) ^ (letter(bytes.get(bytes.len() / 2)) << 5);
    (mixed % FILTER_WORDS, 1 << ((mixed / FILTER_WORDS) % 64))
}

impl Default for Rules {
    fn default() -> Self {
        Self { by_name: HeaderMap::default(), filter: [0; FILTER_WORDS] }
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.by_name.fmt(f)
    }
}
