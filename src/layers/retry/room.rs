//! Bytes that all calls together may keep for another try.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is left of a number of bytes. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<AtomicUsize>);

/// Bytes that are kept, and the room they take.
#[derive(Debug)]
pub(super) struct Kept {
    room: Room,
    bytes: Vec<u8>,
    most: usize,
}

impl Room {
    pub(super) fn of(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// Keeps nothing yet, and so many bytes at most.
    pub(super) fn keep(&self, most: usize) -> Kept {
        Kept { room: self.clone(), bytes: Vec::new(), most }
    }

    #[cfg(test)]
    fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Kept {
    /// Keeps these too, if there is room.
    pub(super) fn add(&mut self, data: &[u8]) -> bool {
        if data.len() > self.most.saturating_sub(self.bytes.len()) {
            return false;
        }
        let taken = self.room.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(data.len()));
        if taken.is_ok() {
            self.bytes.extend_from_slice(data);
        }
        taken.is_ok()
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What is kept from there on.
    pub(super) fn from(&self, at: usize) -> &[u8] {
        self.bytes.get(at..).unwrap_or_default()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.room.0.fetch_add(self.bytes.len(), Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_most_and_all_have_theirs() {
        let room = Room::of(10);
        let (mut one, mut two) = (room.keep(6), room.keep(6));
        assert!(one.add(b"abc") && one.add(b"def") && !one.add(b"g"));
        assert!(!two.add(b"abcde") && two.add(b"abcd") && !two.add(b"e"));
        assert_eq!((one.from(4), one.from(6), one.from(7)), (&b"ef"[..], &b""[..], &b""[..]));
        drop(one);
        assert!(two.add(b"ef"));
        drop(two);
        assert_eq!(room.left(), 10);
    }
}
