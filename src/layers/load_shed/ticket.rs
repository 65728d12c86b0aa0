//! What a request holds until its response has ended.

use http::Response;

use crate::spine::outcome::ObserveEnd;

/// What a request holds until its response has ended, and learns from it. It is implemented here alone.
pub trait Ticket: sealed::Sealed + ObserveEnd {
    /// The head of a response is there.
    #[doc(hidden)]
    fn responded<B>(&mut self, response: &Response<B>);

    /// The inner service has failed.
    #[doc(hidden)]
    fn failed(&mut self);

    /// Whether it is held for longer than the head.
    #[doc(hidden)]
    fn outlives_head(&self) -> bool;
}

pub(super) mod sealed {
    #[allow(unnameable_types, reason = "so that nobody else implements what it seals")]
    pub trait Sealed {}
}
