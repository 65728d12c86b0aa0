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
    let at = built.iter().position(|known| known.limiter == limiter);
    let mut known = at.map_or(Built { limiter, times: 0, said: false }, |at| built.remove(at));
    known.times = known.times.saturating_add(1);
    let is_news = known.times >= SUSPICIOUS && !std::mem::replace(&mut known.said, true);
    // Those that were built last are watched: many that are built once hide none that is built often.
    if built.len() >= WATCHED {
        built.remove(0);
    }
    built.push(known);
    drop(built);
    if is_news {
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

/// What makes it the same limiter: one for each tenant, say, differs in its quota, and in nothing else perhaps.
fn fingerprint(rules: &[Rule]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for rule in rules {
        let policy = &rule.policy;
        (&policy.name, policy.limit, policy.max_keys, policy.block_for, policy.max_wait).hash(&mut hasher);
        policy.paths.iter().for_each(|path| path.as_str().hash(&mut hasher));
    }
    hasher.finish()
}
