//! Contenders that do the same work, and one list of what is measured of them: [`works!`].
//!
//! In [`headers`] they put the same security headers on the same response, in [`limits`] they limit the same clients, in
//! [`tokens`] they check the same token, in [`rules`] they decide about the same caller, in [`bodies`] and [`openapi`] they
//! judge the same request, in [`caches`] they have the same response, in [`breakers`] they guard the same handler, in
//! [`pressure`] they bound requests in flight, in [`waits`] they bound a call's time, or make it again. [`stack`] has the ways
//! to put six layers on a router, and [`whole`] six of ours beside the equivalent six of others.
//!
//! Each is a service whose handler has its response ready, so that a measurement sees the layers alone.

use bytes::Bytes;
use http_body_util::Full;
use tokio::runtime::Runtime;

pub mod bodies;
pub mod breakers;
pub mod caches;
pub mod headers;
pub mod limits;
pub mod openapi;
pub mod pressure;
pub mod rules;
pub mod stack;
pub mod tokens;
pub mod waits;
pub mod whole;
mod works;

pub type Body = Full<Bytes>;

/// One request through one contender, with everything before and after it outside of `run`.
pub type Job = Box<dyn Run>;

/// Makes jobs of one contender, which knows all that it has to know.
pub type Jobs = Box<dyn FnMut() -> Job>;

/// What a measurement calls.
pub trait Run {
    /// Passes the request through the contender and keeps the response.
    fn run(&mut self);

    /// How many fields the response has; or 1 if the request was let in, and 0 if it was not.
    fn fields(&self) -> usize;
}

/// The first job.
pub fn first(mut jobs: Jobs) -> Job {
    jobs()
}

/// The thread stays in the runtime: some contenders set timers or spawn, though what is measured waits for nothing.
fn stay_in(runtime: &'static Runtime) {
    std::mem::forget(runtime.enter());
}
