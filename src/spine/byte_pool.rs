//! Bytes that all requests together may hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is left of a number of bytes. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct BytePool {
    left: Arc<AtomicUsize>,
}

/// Bytes that somebody holds; given back when they are dropped.
#[derive(Debug)]
pub(crate) struct HeldBytes {
    pool: BytePool,
    bytes: usize,
}

impl BytePool {
    pub(crate) fn of(bytes: usize) -> Self {
        Self { left: Arc::new(AtomicUsize::new(bytes)) }
    }

    /// Holds nothing yet.
    pub(crate) fn hold(&self) -> HeldBytes {
        HeldBytes { pool: self.clone(), bytes: 0 }
    }

    #[cfg(all(test, feature = "retry"))]
    pub(crate) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }
}

impl HeldBytes {
    /// Holds so many bytes more, if that many are left.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let left = &self.pool.left;
        let taken = left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(bytes)).is_ok();
        if taken {
            self.bytes += bytes;
        }
        taken
    }

    /// How many it holds.
    #[cfg(feature = "retry")]
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.pool.left.fetch_add(self.bytes, Ordering::AcqRel);
    }
}
