//! What goes to a second tier says nothing there, and is known again when it comes back.

use bytes::{Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

/// Hashes and seals with a secret that instances share.
#[derive(Clone)]
pub(super) struct Seal {
    key: [u8; HASH_BYTES],
}

const HASH_BYTES: usize = 32;
/// What a hash is for, so that none stands for another.
const KEY: u8 = 1;
const RECORD: u8 = 2;
const MARK: u8 = 16;
const OUTER: u8 = 128;

impl Seal {
    pub(super) fn new(secret: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"tower-rampart cache 2");
        hash.update(secret);
        Self { key: hash.finalize().into() }
    }

    /// The key under which a store keeps what stands here under another.
    pub(super) fn key(&self, key: &[u8]) -> [u8; HASH_BYTES] {
        self.hash(KEY, &[key])
    }

    /// A name of some kind, as a number.
    pub(super) fn mark(&self, kind: u8, parts: &[&[u8]]) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.hash(MARK | kind, parts);
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// A record as it is put under a key.
    pub(super) fn close(&self, key: &[u8], mut record: BytesMut) -> Bytes {
        let seal = self.hash(RECORD, &[key, &record]);
        record.extend_from_slice(&seal);
        record.freeze()
    }

    /// A record that was put under this key, and is what it was.
    pub(super) fn open(&self, key: &[u8], mut record: Bytes) -> Option<Bytes> {
        let seal = record.split_off(record.len().checked_sub(HASH_BYTES)?);
        let expected = self.hash(RECORD, &[key, &record]);
        // Whatever differs, and wherever: how long it takes says nothing.
        let differs = expected.iter().zip(&seal[..]).fold(0, |all, (one, other)| all | (one ^ other));
        (differs == 0).then_some(record)
    }

    /// Hashed twice, since a hash of this family alone could be gone on with by who does not know the key. All lengths
    /// are hashed too, so that no two lists of parts are the same.
    fn hash(&self, kind: u8, parts: &[&[u8]]) -> [u8; HASH_BYTES] {
        let mut inner = Sha256::new();
        inner.update(self.key);
        inner.update([kind]);
        for part in parts {
            inner.update((part.len() as u64).to_le_bytes());
            inner.update(part);
        }
        let mut outer = Sha256::new();
        outer.update(self.key);
        outer.update([OUTER | kind]);
        outer.update(inner.finalize());
        outer.finalize().into()
    }
}

impl std::fmt::Debug for Seal {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_for_its_key_and_its_secret() {
        let (one, other) = (Seal::new(b"a"), Seal::new(b"b"));
        let closed = one.close(b"key", BytesMut::from(&b"record"[..]));
        assert_eq!(one.open(b"key", closed.clone()), Some(Bytes::from_static(b"record")));
        assert_eq!(one.open(b"kez", closed.clone()), None);
        assert_eq!(other.open(b"key", closed.clone()), None);
        for at in 0..closed.len() {
            let mut bytes = BytesMut::from(&closed[..]);
            bytes[at] ^= 1;
            assert_eq!(one.open(b"key", bytes.freeze()), None, "{at}");
            assert_eq!(one.open(b"key", closed.slice(..at)), None, "{at}");
        }
    }

    #[test]
    fn hashes_are_for_what_they_are_for() {
        let (one, again, other) = (Seal::new(b"a"), Seal::new(b"a"), Seal::new(b"b"));
        assert_eq!((one.key(b"x"), one.mark(0, &[b"x"])), (again.key(b"x"), again.mark(0, &[b"x"])));
        assert_ne!(one.key(b"x"), other.key(b"x"));
        let marks = [
            one.mark(0, &[b"ab"]),
            one.mark(1, &[b"ab"]),
            one.mark(0, &[b"a", b"b"]),
            one.mark(0, &[b"", b"ab"]),
            one.mark(0, &[b"ab", b""]),
            other.mark(0, &[b"ab"]),
        ];
        for (at, mark) in marks.iter().enumerate() {
            assert!(!marks[at + 1..].contains(mark), "{at}");
        }
    }
}
