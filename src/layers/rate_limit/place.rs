//! Who a cell belongs to, where it is, and what happens when there is no place for it.

/// What happens to a new key when the table is full of keys that still count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// All newcomers share one bucket with the policy's quota. Nobody is let off, and the known keys are undisturbed.
    #[default]
    Shared,
    /// The newcomer takes the place of a key that is close to replenished, and its debt. Nobody is let off; the known
    /// key starts anew when it comes back.
    ReplaceNearest,
    /// Newcomers are refused with 503.
    Refuse,
}

/// Where a key's cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the table, under its tag.
    Own,
    /// In the bucket that newcomers share.
    Shared,
}

/// The table had no place, and its policy is to refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// A key, hashed with the table's secret. Never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tag(u64);

impl Tag {
    pub(super) const fn new(hash: u64) -> Self {
        Self(if hash == 0 { 1 } else { hash })
    }

    pub(super) const fn get(self) -> u64 {
        self.0
    }
}
