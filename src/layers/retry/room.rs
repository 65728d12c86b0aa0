//! Bytes that all calls together may keep for another try.

use crate::spine::byte_pool::{BytePool, HeldBytes};

/// Room for them. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Room(BytePool);

/// Bytes that are kept, and the room they take.
#[derive(Debug)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    /// How much of the room it has: what is allocated, and not what is in it.
    taken: HeldBytes,
    most: usize,
}

impl Room {
    pub(super) fn of(bytes: usize) -> Self {
        Self(BytePool::of(bytes))
    }

    /// Keeps nothing yet, and so many bytes at most.
    pub(super) fn keep(&self, most: usize) -> Kept {
        Kept { bytes: Vec::new(), taken: self.0.hold(), most }
    }

    #[cfg(test)]
    fn left(&self) -> usize {
        self.0.left()
    }
}

impl Kept {
    /// Keeps these too, if there is room.
    pub(super) fn add(&mut self, data: &[u8]) -> bool {
        if data.len() > self.most.saturating_sub(self.bytes.len()) {
            return false;
        }
        let needed = self.bytes.len() + data.len();
        // Twice as much each time, so that small pieces are not copied over and over; or what is needed, where that is too much.
        let doubled = self.taken.bytes().saturating_mul(2).clamp(needed, self.most);
        let has_room = needed <= self.taken.bytes() || self.grow(doubled) || self.grow(needed);
        if has_room {
            self.bytes.extend_from_slice(data);
        }
        has_room
    }

    fn grow(&mut self, to: usize) -> bool {
        let has_grown = self.taken.take(to - self.taken.bytes());
        if has_grown {
            self.bytes.reserve_exact(to - self.bytes.len());
        }
        has_grown
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What is kept from there on.
    pub(super) fn from(&self, at: usize) -> &[u8] {
        self.bytes.get(at..).unwrap_or_default()
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

    /// What is allocated counts, though there is less in it.
    #[test]
    fn nobody_has_more_than_was_taken() {
        let room = Room::of(100);
        let mut kept = room.keep(40);
        for (bytes, left) in [(1, 99), (3, 96), (1, 92), (10, 84), (2, 68), (23, 60)] {
            assert!(kept.add(&vec![0; bytes]) && kept.bytes.capacity() <= 100 - room.left());
            assert_eq!(room.left(), left);
        }
        assert!(!kept.add(b"x"));
        // Where twice as much is not there, what is needed is enough.
        let mut tight = room.keep(70);
        assert!(tight.add(&[0; 40]) && tight.add(&[0; 15]) && room.left() == 5);
        assert!(tight.add(&[0; 5]) && room.left() == 0 && !tight.add(b"x"));
    }
}
