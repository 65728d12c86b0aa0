//! Purging in constant time: what is purged is noted, and what was stored before the note is not used.
//!
//! A response remembers the number that stood when its fill began; a note has a later one, or an earlier one. So a purge
//! counts for a fill that is under way, and nothing is searched.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use super::store::Moment;

/// Notes that are kept. Beyond, all are replaced by one that says "everything until now": what was not purged is then
/// fetched once more, and nothing that was purged comes back.
const MAX_NOTES: usize = 65_536;
/// Prefixes are compared one by one.
const MAX_PREFIXES: usize = 256;
/// Places among which the numbers of unsafe requests are spread.
const PLACES: usize = 65_536;

/// How a purge is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a response is used no more, or used as stale; there is no third way")]
pub enum Purge {
    /// What is purged is used no more.
    Hard,
    /// What is purged is stale: it is validated, or served while it is or when the origin fails, as stale responses are.
    Soft,
}

/// What stood when a fill began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Begun {
    /// Here.
    pub(super) number: u64,
    /// In the second tier, as far as it had been heard.
    pub(super) moment: Option<Moment>,
}

/// What has been purged, and what was written to.
#[derive(Debug)]
pub(super) struct Purges {
    /// Grows with every note.
    number: AtomicU64,
    /// The number of the last note of a purge: what was looked at since needs no second look.
    noted: AtomicU64,
    notes: RwLock<Notes>,
    /// The last number of an unsafe request, by what it was for. Two that share a place cost a fill.
    written: Places,
    /// The last number of what other instances purged, which may be a great deal. Two that share a place cost a fill.
    far: Places,
}

/// Numbers by what they are for, or what shares its place.
type Places = Box<[AtomicU64]>;

fn places(are_needed: bool) -> Places {
    (0..if are_needed { PLACES } else { 0 }).map(|_| AtomicU64::new(0)).collect()
}

fn place(places: &Places, mark: u64) -> Option<&AtomicU64> {
    places.get(usize::try_from(mark % PLACES as u64).ok()?)
}

#[derive(Debug, Default)]
struct Notes {
    marks: HashMap<u64, Note>,
    prefixes: Vec<(Box<[u8]>, Note)>,
    all: Note,
}

/// The numbers of the last purges.
#[derive(Debug, Clone, Copy, Default)]
struct Note {
    hard: u64,
    soft: u64,
}

/// What has become of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    Stale,
    Gone,
}

/// What a purge is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aim<'a> {
    Mark(u64),
    Prefix(&'a [u8]),
    All,
}

impl Note {
    fn set(&mut self, how: Purge, number: u64) {
        match how {
            Purge::Hard => self.hard = number,
            Purge::Soft => self.soft = number,
        }
    }

    const fn standing(self, begun: u64) -> Standing {
        if self.hard > begun {
            Standing::Gone
        } else if self.soft > begun {
            Standing::Stale
        } else {
            Standing::Good
        }
    }
}

impl Standing {
    const fn worst(self, other: Self) -> Self {
        match (self, other) {
            (Self::Gone, _) | (_, Self::Gone) => Self::Gone,
            (Self::Stale, _) | (_, Self::Stale) => Self::Stale,
            _ => Self::Good,
        }
    }
}

impl Purges {
    /// None yet; with places for those of other instances, where there are any.
    pub(super) fn new(has_others: bool) -> Self {
        Self {
            number: AtomicU64::new(1),
            noted: AtomicU64::new(0),
            notes: RwLock::default(),
            written: places(true),
            far: places(has_others),
        }
    }

    /// The number for a fill that begins.
    pub(super) fn begin(&self) -> u64 {
        self.number.load(Ordering::SeqCst)
    }

    /// The number of the last purge.
    pub(super) fn noted(&self) -> u64 {
        self.noted.load(Ordering::Acquire)
    }

    /// Purges.
    pub(super) fn note(&self, aim: Aim<'_>, how: Purge) {
        let mut notes = self.notes.write().unwrap_or_else(PoisonError::into_inner);
        let number = self.number.fetch_add(1, Ordering::SeqCst) + 1;
        if notes.marks.len() >= MAX_NOTES || notes.prefixes.len() >= MAX_PREFIXES {
            *notes = Notes::default();
            notes.all.set(Purge::Hard, number);
        }
        match aim {
            Aim::Mark(mark) => notes.marks.entry(mark).or_default().set(how, number),
            Aim::Prefix(prefix) => {
                let held = notes.prefixes.iter_mut().find(|(held, _)| **held == *prefix);
                match held {
                    Some((_, note)) => note.set(how, number),
                    None => {
                        let mut note = Note::default();
                        note.set(how, number);
                        notes.prefixes.push((Box::from(prefix), note));
                    }
                }
            }
            Aim::All => notes.all.set(how, number),
        }
        self.noted.fetch_max(number, Ordering::Release);
    }

    /// Another instance has purged what has this mark.
    pub(super) fn note_far(&self, mark: u64) {
        let number = self.number.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(place) = place(&self.far, mark) {
            place.fetch_max(number, Ordering::SeqCst);
        }
        self.noted.fetch_max(number, Ordering::Release);
    }

    /// What has become of a response with these marks and this path, whose fill began at `begun`.
    pub(super) fn standing(&self, marks: &[u64], path: &[u8], begun: u64) -> Standing {
        let is_far = |mark: &u64| place(&self.far, *mark).is_some_and(|place| place.load(Ordering::SeqCst) > begun);
        if marks.iter().any(is_far) {
            return Standing::Gone;
        }
        let notes = self.notes.read().unwrap_or_else(PoisonError::into_inner);
        let by_mark = marks.iter().filter_map(|mark| notes.marks.get(mark));
        let by_prefix = notes.prefixes.iter().filter(|(prefix, _)| path.starts_with(prefix)).map(|(_, note)| note);
        by_mark
            .chain(by_prefix)
            .chain([&notes.all])
            .fold(Standing::Good, |standing, note| standing.worst(note.standing(begun)))
    }

    /// Notes an unsafe request for a URI: fills of it that have begun are not to be used again.
    pub(super) fn write(&self, uri: u64) {
        let number = self.number.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(place) = place(&self.written, uri) {
            place.fetch_max(number, Ordering::SeqCst);
        }
    }

    /// The number of the last write to the URI, or to one that shares its place.
    pub(super) fn last_write(&self, uri: u64) -> u64 {
        place(&self.written, uri).map_or(0, |place| place.load(Ordering::SeqCst))
    }

    /// Whether somebody wrote to the URI, or to one that shares its place, since `begun`.
    pub(super) fn is_written(&self, uri: u64, begun: u64) -> bool {
        self.last_write(uri) > begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purge_is_for_what_began_before_it() {
        for how in [Purge::Hard, Purge::Soft] {
            let purges = Purges::new(true);
            let before = purges.begin();
            purges.note(Aim::Mark(7), how);
            let after = purges.begin();
            let expected = if how == Purge::Hard { Standing::Gone } else { Standing::Stale };
            assert_eq!(purges.standing(&[3, 7], b"/", before), expected);
            assert_eq!(purges.standing(&[3], b"/", before), Standing::Good);
            assert_eq!(purges.standing(&[3, 7], b"/", after), Standing::Good);
        }
    }

    #[test]
    fn prefixes_and_all() {
        let purges = Purges::new(true);
        let begun = purges.begin();
        purges.note(Aim::Prefix(b"/a/"), Purge::Hard);
        purges.note(Aim::Prefix(b"/a/"), Purge::Hard);
        assert_eq!(purges.standing(&[], b"/a/b", begun), Standing::Gone);
        assert_eq!(purges.standing(&[], b"/a", begun), Standing::Good);
        purges.note(Aim::All, Purge::Soft);
        assert_eq!(purges.standing(&[], b"/a", begun), Standing::Stale);
        assert_eq!(purges.standing(&[], b"/a/b", begun), Standing::Gone, "the worst counts");
        assert_eq!(purges.standing(&[], b"/a/b", purges.begin()), Standing::Good);
    }

    /// One that is said twice is one, and the later of the two counts; of as many as are kept none is forgotten.
    #[test]
    fn each_prefix_is_kept_once() {
        let purges = Purges::new(true);
        let prefix = |number: usize| format!("/{number}/").into_bytes();
        (0..MAX_PREFIXES).for_each(|number| purges.note(Aim::Prefix(&prefix(number)), Purge::Hard));
        let begun = purges.begin();
        assert_eq!(purges.standing(&[], &prefix(1), begun), Standing::Good);
        purges.note(Aim::Prefix(&prefix(1)), Purge::Hard);
        assert_eq!(purges.standing(&[], &prefix(1), begun), Standing::Gone);
        assert_eq!(purges.standing(&[], &prefix(0), begun), Standing::Gone, "all of it: there were too many");
        assert_eq!(purges.notes.read().unwrap().prefixes.len(), 1);
    }

    #[test]
    fn a_prefix_that_is_known_takes_no_place() {
        let purges = Purges::new(true);
        let prefix = |number: usize| format!("/{number}/").into_bytes();
        for number in 0..MAX_PREFIXES - 1 {
            purges.note(Aim::Prefix(&prefix(number)), Purge::Hard);
            purges.note(Aim::Prefix(&prefix(number)), Purge::Soft);
        }
        assert_eq!(purges.notes.read().unwrap().prefixes.len(), MAX_PREFIXES - 1);
        let begun = purges.begin();
        purges.note(Aim::Prefix(&prefix(3)), Purge::Hard);
        assert_eq!(purges.standing(&[], &prefix(3), begun), Standing::Gone);
        assert_eq!(purges.standing(&[], &prefix(4), begun), Standing::Good);
    }

    /// More notes than are kept purge more, never less.
    #[test]
    fn a_flood_of_purges_is_bounded() {
        let purges = Purges::new(true);
        let begun = purges.begin();
        for mark in 0..=MAX_NOTES as u64 {
            purges.note(Aim::Mark(mark), Purge::Hard);
        }
        assert!(purges.notes.read().unwrap().marks.len() <= MAX_NOTES);
        for mark in [0, 1, MAX_NOTES as u64, u64::MAX] {
            assert_eq!(purges.standing(&[mark], b"/", begun), Standing::Gone);
        }
        assert_eq!(purges.standing(&[0], b"/", purges.begin()), Standing::Good);
    }

    #[test]
    fn purges_from_afar() {
        let purges = Purges::new(true);
        let begun = purges.begin();
        purges.note_far(7);
        assert_eq!(purges.standing(&[3, 7], b"/", begun), Standing::Gone);
        assert_eq!(purges.standing(&[7 + PLACES as u64], b"/", begun), Standing::Gone, "who shares a place");
        assert_eq!(purges.standing(&[3], b"/", begun), Standing::Good);
        assert_eq!(purges.standing(&[7], b"/", purges.begin()), Standing::Good);
        assert!(purges.noted() > begun);
    }

    #[test]
    fn writes() {
        let purges = Purges::new(true);
        let begun = purges.begin();
        purges.write(1);
        assert!(purges.is_written(1, begun));
        assert!(purges.is_written(1 + PLACES as u64, begun), "who shares a place fetches once more");
        assert!(!purges.is_written(2, begun));
        assert!(!purges.is_written(1, purges.begin()));
    }
}
