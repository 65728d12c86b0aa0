//! Watches for limiters that are built over and over, each with counts of its own.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use super::rule::Rule;
use crate::spine::event::{self, Origin};

/// Builds of the same policies from which on it is no coincidence.
const SUSPICIOUS: u32 = 100;
/// Different limiters that are watched.
const WATCHED: usize = 64;
const MEND: &str = "the same limiter was built a hundred times, and each counts for itself; build the layer once, \
     outside of what runs for each connection or request, and clone it";

struct Built {
    limiter: u64,
    times: u32,
    said: bool,
}

static BUILT: Mutex<Vec<Built>> = Mutex::new(Vec::new());

/// Notes that a limiter was built.
pub(super) fn note(rules: &[Rule]) {
    let limiter = fingerprint(rules);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(known) = built.iter_mut().find(|known| known.limiter == limiter) else {
        built.push(Built { limiter, times: 1, said: false });
        return built.truncate(WATCHED);
    };
    known.times = known.times.saturating_add(1);
    if known.times >= SUSPICIOUS && !std::mem::replace(&mut known.said, true) {
        drop(built);
        event::fault_once(&AtomicBool::new(false), Origin::RateLimit, "limiter_built_often", MEND);
    }
}

/// A limiter that goes on with another's counts is none of those.
pub(super) fn forget(rules: &[Rule]) {
    let limiter = fingerprint(rules);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = built.iter_mut().find(|known| known.limiter == limiter) {
        known.times = known.times.saturating_sub(1);
    }
}

fn fingerprint(rules: &[Rule]) -> u64 {
    let mut hasher = DefaultHasher::new();
    rules.iter().for_each(|rule| rule.policy.name.hash(&mut hasher));
    hasher.finish()
}
