//! A fill that other instances wait for.

use std::sync::Arc;

use super::super::core::Core;
use super::release;

/// The claim on it. Dropped, it is given back.
pub(in super::super) struct Claimed {
    core: Arc<Core>,
    key: [u8; 32],
    token: u64,
    is_declined: bool,
}

impl Claimed {
    pub(super) const fn new(core: Arc<Core>, key: [u8; 32], token: u64) -> Self {
        Self { core, key, token, is_declined: false }
    }

    /// What comes of it is for nobody else.
    pub(in super::super) const fn decline(&mut self) {
        self.is_declined = true;
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        release(&self.core, self.key, self.token, self.is_declined);
    }
}
