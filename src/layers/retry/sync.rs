//! What the budget synchronises with: a place of its own, so that a model checker can put its own in.

pub(super) use std::sync::Mutex;
pub(super) use std::sync::atomic::{AtomicU64, Ordering};
