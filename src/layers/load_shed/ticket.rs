//! What a request holds until its response has ended.

use http::Response;

use crate::spine::outcome::ObserveEnd;

/// What a request holds until its response has ended, and learns from it.
pub trait Ticket: ObserveEnd {
    /// The head of a response is there.
    fn responded<B>(&mut self, response: &Response<B>);

    /// The inner service has failed.
    fn failed(&mut self);

    /// Whether it is held for longer than the head.
    fn outlives_head(&self) -> bool;
}
