//! The orders: of a server's places, and of a client's.

/// The places of a [`Stack`](super::Stack), outermost first.
pub mod places {
    use super::super::place::{After, First};

    /// [`Stack::outermost`](super::super::Stack::outermost).
    pub type Outermost = First;
    /// [`Stack::request_id`](super::super::Stack::request_id).
    pub type RequestId = After<Outermost>;
    /// [`Stack::trace`](super::super::Stack::trace).
    pub type Trace = After<RequestId>;
    /// [`Stack::catch_panic`](super::super::Stack::catch_panic).
    pub type CatchPanic = After<Trace>;
    /// `Stack::security_headers`.
    pub type SecurityHeaders = After<CatchPanic>;
    /// [`Stack::cors`](super::super::Stack::cors).
    pub type Cors = After<SecurityHeaders>;
    /// `Stack::load_shed`.
    pub type LoadShed = After<Cors>;
    /// `Stack::deadline`.
    pub type Deadline = After<LoadShed>;
    /// [`Stack::body_limit`](super::super::Stack::body_limit).
    pub type BodyLimit = After<Deadline>;
    /// `Stack::rate_limit_by_address`.
    pub type RateLimitByAddress = After<BodyLimit>;
    /// [`Stack::before_auth`](super::super::Stack::before_auth).
    pub type BeforeAuth = After<RateLimitByAddress>;
    /// `Stack::auth`.
    pub type Auth = After<BeforeAuth>;
    /// `Stack::rate_limit_by_identity`.
    pub type RateLimitByIdentity = After<Auth>;
    /// `Stack::authz`.
    pub type Authz = After<RateLimitByIdentity>;
    /// [`Stack::after_authz`](super::super::Stack::after_authz).
    pub type AfterAuthz = After<Authz>;
    /// `Stack::validate`.
    pub type Validate = After<AfterAuthz>;
    /// `Stack::cache`.
    pub type Cache = After<Validate>;
    /// [`Stack::compression`](super::super::Stack::compression).
    pub type Compression = After<Cache>;
    /// `Stack::validate_responses`.
    pub type ValidateResponses = After<Compression>;
    /// [`Stack::innermost`](super::super::Stack::innermost).
    pub type Innermost = After<ValidateResponses>;
}

/// The places of an [`UpstreamStack`](super::UpstreamStack), outermost first.
pub mod upstream_places {
    use super::super::place::{After, First};

    /// [`UpstreamStack::outermost`](super::super::UpstreamStack::outermost).
    pub type Outermost = First;
    /// `UpstreamStack::deadline`.
    pub type Deadline = After<Outermost>;
    /// `UpstreamStack::retry`.
    pub type Retry = After<Deadline>;
    /// `UpstreamStack::adaptive_throttle`.
    pub type AdaptiveThrottle = After<Retry>;
    /// `UpstreamStack::circuit_breaker`.
    pub type CircuitBreaker = After<AdaptiveThrottle>;
    /// `UpstreamStack::try_timeout`.
    pub type TryTimeout = After<CircuitBreaker>;
    /// `UpstreamStack::bulkhead`.
    pub type Bulkhead = After<TryTimeout>;
    /// `UpstreamStack::propagate_deadline`.
    pub type PropagateDeadline = After<Bulkhead>;
    /// [`UpstreamStack::innermost`](super::super::UpstreamStack::innermost).
    pub type Innermost = After<PropagateDeadline>;
}
