//! What threads synchronise with: a place of its own, so that a model checker can put its own in.

pub(crate) use std::sync::{Mutex, MutexGuard};
