//! Rate limiting, pacing, and limits on requests in flight.
//!
//! # When to use it
//!
//! Always, at the edge: a limit per client keeps one from taking what belongs to all, and guesses of passwords slow.
//! Once more after authentication, per caller, where plans differ.
//!
//! ```
//! use std::time::Duration;
//! use tower_rampart::rate_limit::{Quota, RateLimit};
//!
//! // A hundred requests a minute for each client, refilled evenly.
//! let layer = RateLimit::per_client_ip(Quota::new(100).per(Duration::from_secs(60))).build()?;
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! Everything said:
//!
//! ```
//! use std::time::Duration;
//! use tower_rampart::key::{ClientIp, ForwardedHeader, IdentityKey, TrustedProxies};
//! use tower_rampart::rate_limit::{OnMissingKey, Overflow, Policy, Quota, RateLimit};
//!
//! let client_ip = ClientIp::new()
//!     .trusted_proxies(TrustedProxies::parse(["10.0.0.0/8"])?)
//!     .header(ForwardedHeader::XForwardedFor);
//! let minute = Duration::from_secs(60);
//!
//! let burst = Policy::new("burst", Quota::new(300).per(minute).burst(50))
//!     .key(IdentityKey)
//!     // Strangers are counted by their address.
//!     .on_missing_key(OnMissingKey::fallback(client_ip.clone()))
//!     .max_keys(200_000)
//!     .overflow(Overflow::Shared);
//! let searches = Policy::new("searches", Quota::new(10).per(minute))
//!     .key((client_ip.clone(), IdentityKey))
//!     .on_missing_key(OnMissingKey::Refuse)
//!     .paths(["/search/**"])
//!     .cost(|request| if request.uri().query().is_some() { 2 } else { 1 });
//! let uploads = Policy::concurrent("uploads", 4).key(client_ip).paths(["/uploads"]);
//!
//! let layer = RateLimit::new()
//!     .add_policy(burst)
//!     .add_policy(searches)
//!     .add_policy(uploads)
//!     .exempt_paths(["/healthz"])
//!     .build()?;
//! // Watch it, or change a quota, while it runs.
//! let handle = layer.handle();
//! assert_eq!(handle.snapshot("burst").map(|policy| policy.keys), Some(0));
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! # Keys and trust
//!
//! A policy counts by whatever its [`key`](Policy::key) says; see [`key`](crate::key). What a client can choose freely
//! (a header, a cookie, a path, an API key nobody has verified) is no key by itself: it takes a new one for each
//! request. Put the address or the [`IdentityKey`](crate::key::IdentityKey) beside it.
//!
//! The address is the socket peer's until you name your proxies. Then exactly one header is read, from the right, and a
//! client that writes into it gains nothing. A proxy that was forgotten shows: the first forwarded header from a peer
//! that is not trusted is reported, with the line to add.
//!
//! Keys are nowhere kept or logged. They are hashed with a secret that each table draws for itself, cut after a
//! kibibyte a part, and known by these 64 bits. Two of a million keys share a bucket with a probability of about one to
//! 40 million.
//!
//! # What the client sees
//!
//! | | |
//! |---|---|
//! | every counted response | `RateLimit-Policy: "default";q=100;w=60` and `RateLimit: "default";r=99;t=1`, a 404 or 500 too; see [`HeaderStyle`] |
//! | the quota is used up | 429 `quota-exceeded`, `Retry-After` rounded up, `violated-policies` |
//! | the request costs more than the burst | 429 without `Retry-After`: waiting does not help |
//! | shut out by [`block_for`](Policy::block_for) | 429 `abnormal-usage-detected` |
//! | too many in flight | 429 without `Retry-After`: nobody knows when |
//! | no room for a new key under [`Overflow::Refuse`], or for one more that waits | 503 `temporary-reduced-capacity` |
//! | no key | 500, 400 or 403; see [`OnMissingKey`] |
//! | on a list | 403 |
//! | gRPC | status 8 (without a key 13, 3 or 7; on a list 7), `grpc-retry-pushback-ms` |
//!
//! `q` is what a rested client may send at once and `w` the time in which that refills; `r` is what is left and `t` how
//! long until there is more.
//!
//! # How it counts
//!
//! A token bucket by GCRA, decided by [`governor`](https://docs.rs/governor); or fixed windows, which let twice the
//! limit through around their edge. Several policies are asked before any is charged, so that a refusal charges nothing.
//! A charge that depends on the response is made before and settled afterwards; one whose client leaves stands, unless
//! [`on_abandoned`](Policy::on_abandoned) says otherwise. What time has already brought back is not refunded again.
//!
//! The table of a policy grows with its keys, up to [`max_keys`](Policy::max_keys). A key whose quota is whole again says nothing
//! and is dropped when its slot is wanted; a key that has used something keeps its slot, so a flood of new keys frees no
//! offender. [`Overflow`] says what becomes of newcomers to a full table.
//!
//! # More than one instance
//!
//! With [`RateLimit::shared_counts`] several instances count as one, in a [`Store`] that all of them ask: the one of the module
//! `redis` (feature `redis`), or one of yours. A request waits for its answer, so the layer is one that can wait. What an
//! instance knows to be refused costs no question. [`SharedCounts::leased`] asks by the batch; [`OnStoreFailure`] says
//! what happens while the store fails. Shared keys are as their extractor writes them, hashed by the store; denied and exempt
//! keys, shares of keys and limits in flight are each instance's own business.
//!
//! # Order
//!
//! By address: before authentication, so that a stranger's guesses cost little. By identity: after it. Outside a
//! response cache, whose hits then carry the fields of the moment and not those that were stored.
//!
//! # Cost
//!
//! One hash, one uncontended lock and one slot of 16 bytes for each policy. An admitted request allocates nothing
//! without fields, and the value of `RateLimit` beside the header map's own growth with them. A table grows to 24
//! bytes for each of `max_keys`, and no further.

mod admission;
mod agreement;
mod bucket;
mod builds;
mod choice;
mod describe;
mod fields;
mod future;
mod handle;
mod layer;
mod limiter;
mod meter;
#[cfg(test)]
mod meter_tests;
mod nesting;
mod place;
mod policy;
mod quota;
mod refusal;
mod rule;
mod service;
mod shard;
#[cfg(test)]
mod shard_tests;
mod shared;
mod sync;
mod table;
#[cfg(test)]
mod table_tests;
mod throttle;
mod window;

pub use self::choice::{Mode, OnAbandoned, OnMissingKey};
pub use self::fields::HeaderStyle;
pub use self::future::ResponseFuture;
pub use self::handle::{PolicySnapshot, RateLimitHandle};
pub use self::layer::{RateLimit, RateLimitLayer};
pub use self::place::Overflow;
pub use self::policy::Policy;
pub use self::quota::{Quota, QuotaBuilder};
pub use self::service::RateLimitService;
#[cfg(feature = "test-util")]
pub use self::shared::testing;
pub use self::shared::{
    Answer, Ask, MemoryStore, OnStoreFailure, Settlement, SharedCounts, Store, StoreError, StoreFuture, StoreVerdict,
};
pub use self::throttle::{ThrottleFuture, ThrottleLayer, ThrottleService};
