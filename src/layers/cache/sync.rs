//! What requests for one resource synchronise with: a place of its own, so that a model checker can put its own in.

pub(super) use std::sync::atomic::{AtomicUsize, Ordering};
pub(super) use std::sync::{Arc, Mutex, MutexGuard};
