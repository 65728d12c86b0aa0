//! A shared response cache, after RFC 9111.
//!
//! # When to use it
//!
//! In front of answers that several callers get: a hit needs nothing of the handler, and a herd that asks for one thing is
//! one call.
//!
//! ```
//! use tower_rampart::cache::Cache;
//!
//! let cache = Cache::builder().build()?;
//! let layer = cache.layer();
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! Nothing is stored that does not say so: by `Cache-Control`, `Expires`, or a status and a `Last-Modified` by which
//! RFC 9111 lets caches guess. Everything said:
//!
//! ```
//! use std::time::Duration;
//! use http::{HeaderValue, StatusCode};
//! use tower_rampart::cache::{Cache, Policy, Route};
//!
//! let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
//! let cache = Cache::builder()
//!     .bytes(256 << 20)
//!     .entry_bytes(4 << 20)
//!     // The server decides what is good enough, and no client sends plain requests past the cache.
//!     .policy(Policy::Origin)
//!     .add_negative_ttl(StatusCode::NOT_FOUND, Duration::from_secs(5))
//!     .stale_while_revalidate(Duration::from_secs(30))
//!     .stale_if_error(Duration::from_secs(60 * 60))
//!     .private_per_subject(true)
//!     .sort_query()
//!     .drop_query(["utm_*"])
//!     .add_route("/assets/**", Route::new().cache_control(forever))
//!     .add_route("/v1/polls/**", Route::new().ttl(Duration::from_secs(5)).add_tag("polls"))
//!     .add_route("/v1/admin/**", Route::bypass())
//!     .build()?;
//! let layer = cache.layer();
//!
//! // Handlers keep a clone, and purge what they change.
//! cache.purge_tag("polls");
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! A handler speaks for its own response with a [`CacheHint`] in its extensions.
//!
//! # What becomes of a request
//!
//! ```text
//!  gRPC, OPTIONS, PROPFIND, GET with a body,  ┌───────────────────────────────────────────────┐
//!  an upgrade, If-Match, a bypassed route ───▶│ to the origin as it is                        │
//!                                             └───────────────────────────────────────────────┘
//!  POST, PUT, DELETE, an unknown method ─────▶ to the origin; answered 2xx or 3xx, or not at all:
//!                                              target, Location, Content-Location, groups go
//!  GET, HEAD ── stored for these fields? ──no──────────────────────────────┐
//!                 │ yes                                                    │
//!                 ├─ fresh, and the client agrees ──▶ HIT: 200, 206, 304, 416
//!                 ├─ stale, within stale-while-revalidate ──▶ HIT, and one refresh in the background, unless it was
//!                 │                                           chosen by a field that is not lent to one (`Cookie`)
//!                 └─ stale, no-cache, or the client insists ──▶ asked with If-None-Match
//!                                                                          │
//!         somebody asks for the same already? ◀────────────────────────────┘
//!           │ no                 │ yes: wait for its head
//!           ▼                    ├─ it may be shared, and is this variant ──▶ its body, from the first frame
//!         to the origin          ├─ it may not be ──▶ to the origin, and the next burst does not wait
//!           │                    ├─ it is a 5xx ──▶ to the origin, each at once
//!           │                    └─ nobody answered it ──▶ one of those who wait leads
//!           ├─ 304 ──▶ what is stored, updated; for another tag than was asked about: asked for all of it, once
//!           ├─ unreachable, or 5xx ──▶ what is stored, if it may be stale; 504 if it must not
//!           └─ a response ──▶ streamed through; kept when it is whole, may be stored, and was not purged meanwhile
//! ```
//!
//! # What the client sees
//!
//! | | |
//! |---|---|
//! | a hit | the stored response, one `Age`, `Cache-Status: rampart; hit; ttl=57` |
//! | the client has it | 304, from the store too |
//! | a range of what is stored | 206, or 416 |
//! | the whole, or a range, of which a part is stored | the rest alone is asked for; `Cache-Status: rampart; fwd=partial; fwd-status=206; stored` |
//! | went on | `Cache-Status: rampart; fwd=uri-miss; stored`, or `fwd=stale`, `vary-miss`, `request`, `method`, `bypass`, with `fwd-status`, `collapsed`, and why it is not stored |
//! | `only-if-cached`, and it is not | 504, without `Cache-Status`: nothing went on, and nothing stored is in it |
//! | the origin is gone, and what is stored must be validated | 504 |
//! | the origin answers 304 to a tag that is not the one it was asked about, or sends another part than the one it was asked for | 502, if it cannot be asked again: it does so twice, or the request's body is of a type that cannot be made anew (`()` and axum's can, others with an [`EmptyBody`] in the request's extensions). The next request asks for all of it |
//!
//! gRPC passes through untouched.
//!
//! # Whose response it is
//!
//! The key is scheme, host, path and query as they came, but for the host's case and a port that says nothing;
//! `X-Forwarded-Host` and its like where they are, and your own parts; then the fields that `Vary` names, whatever
//! white space stands beside their commas; in lists, as `Accept` is one, without empty members. A request with a field by which some servers see another
//! method, path or host (`X-HTTP-Method-Override`, `X-Original-URL`, `X-Host`) goes past the cache.
//!
//! What a response must say to be stored for everybody: not `private`, no `Set-Cookie`, unless `no-cache="set-cookie"` or
//! `private="set-cookie"` leaves that out; no nonce in its policy, no exceptions of its own from the security headers, nobody
//! known behind the request ([`Identity`](crate::Identity) or `Authorization`) unless it is `public`, `s-maxage` or
//! `must-revalidate`. With [`private_per_subject`](CacheBuilder::private_per_subject) what is a caller's own is kept for that
//! caller. What an inner layer writes into requests cannot be seen from here: name it with
//! [`written_inside`](CacheBuilder::written_inside). A GET with a body over HTTP/2 can look like one without: whoever can see
//! it marks it with [`CacheBypass`]. Hop-by-hop fields and those that `Connection` names must be gone before this layer:
//! what the origin does not get must not choose a variant.
//!
//! # Where RFC 9111 leaves a choice
//!
//! - Any final status is stored that says for how long it is good, but for 428, 429, 431 and 511 (RFC 6585); 412, 416 and 417
//!   where they answer no field of the request; the answer to a POST where it is a 200 and its `Content-Location` the target.
//!   What says nothing is good for a tenth of the time since its `Last-Modified`, a day at most, where its status or `public`
//!   allows a guess.
//! - Of directives and fields that stand there twice the first counts. A number that is none is 0. A quote that nothing
//!   closes hides nothing, and a directive that is said badly (`no-store;`, `public =x`) forbids and does not allow. A response
//!   with more directives than are read is not stored.
//! - Of responses that are for the same request by more and by fewer fields of `Vary` the newer one that names more replaces
//!   the other, and of two that are fresh the one that varies answers.
//! - A 5xx is passed on, unless the response or the request says `stale-if-error`; an origin that cannot be reached is
//!   answered for. What the response says is the most in either case. `s-maxage` forbids what is stale as `proxy-revalidate` does, so beside it `stale-while-revalidate` and
//!   `stale-if-error` say nothing.
//! - A 404, 410, 301 or 308 that is not stored ends what was stored; a 401 or 429 does not, nor does what a request forbids to
//!   store (`no-store`, `Authorization`), or what somebody who is known is answered alone.
//! - Several ranges get the whole. Parts are put together by a strong tag, and a part that is all of it is the whole. Where
//!   a part is stored and more is wanted, what is missing at one end is asked for with `Range` and `If-Range`; an origin
//!   whose content has changed answers with all of it. A path whose parts do not fit is not completed for an hour; where eight
//!   do not, nothing of that origin is. A body that breaks off is not kept.
//!
//! # Purging
//!
//! By tag, group, path, prefix, URI, or all; hard, or soft (what is purged is then stale, and validated). A purge notes a
//! number, which each response is compared with when it is next asked for: it costs the same for one response as for a
//! million, and it counts for what is being fetched when it comes.
//!
//! An unsafe request that succeeds, or that nobody answered, ends what is stored for its URI, whatever else is in the keys:
//! also where it goes past the cache itself, by a route or for want of a part of the key.
//!
//! # Several instances
//!
//! With a [`Store`] behind its memory ([`with_store`](CacheBuilder::with_store)) a cache shares with others what it stores.
//! What one purges, or an unsafe request to one ends, is purged for all: in the store before it can be found again, in the
//! others' memory as soon as they hear of it, and for what any of them is fetching. [`Cache::purges_told`] waits until the
//! store has heard. A purge by prefix is one of everything for the store and for the others.
//!
//! What is not in memory, or not fresh there, is looked for in the store; one instance fetches what is not there either, and
//! the others wait for it for [`fill_lease`](CacheBuilder::fill_lease) at most. A store that fails is a miss: each goes on by
//! itself. Purges are told when it is back, and who may have missed one drops what is in memory; until then others may
//! serve what was purged elsewhere, for as long as it is fresh. What was not told yet when a process ends is not told.
//!
//! # Readiness
//!
//! This layer is always ready. A hit must flow while the origin is saturated, so the inner service is asked whether it is
//! ready when it is needed, in the future, and it is a clone that is asked and called. `ConcurrencyLimit`, `Buffer` and
//! `LoadShed` stand inside it.
//!
//! # Order
//!
//! Inside authentication and authorization: a cache outside of them serves whoever comes. Inside layers that add fields of
//! the moment (security headers with nonces, rate limits); outside of compression if its work is to be stored, and then
//! let it say `Vary`. Outside of retries and a circuit breaker, whose refusals are then answered from what is stale.
//!
//! # Bodies
//!
//! They stream. What is recorded on the way is kept when the whole has come; too long, and storing ends while the body
//! goes on. Several readers go at their own pace as long as it may be kept; beyond, the slowest holds the others up for
//! [`max_wait`](CacheBuilder::max_wait) at most. The body is a [`SharedBody`](crate::SharedBody), whose error says when a shared
//! one broke off.
//!
//! # Cost
//!
//! A hit allocates twice, for the header map, whatever its body is; and once more for each key that has more than the URI in it: a
//! proxy's `X-Forwarded-Host`, a part of yours, the caller. One that goes on is boxed. Memory is bounded by
//! [`bytes`](CacheBuilder::bytes), which counts keys, fields and what keeping them costs; the store
//! ([`quick_cache`](https://docs.rs/quick_cache), S3-FIFO) keeps what is asked for again when a flood of new keys
//! comes.

mod completion;
mod compressible;
mod conditional;
mod core;
mod decline;
mod describe;
mod directives;
mod entry;
mod fetch;
mod flight;
#[cfg(test)]
mod flight_tests;
mod freshness;
mod future;
mod handle;
mod key;
mod layer;
mod memory;
mod memory_store;
mod purge;
mod query;
mod range;
mod record;
mod reuse;
mod route;
mod scan;
mod seal;
mod search;
mod serve;
mod service;
mod settings;
mod status;
mod storable;
mod store;
mod sync;
mod tags;
#[cfg(feature = "test-util")]
pub mod testing;
mod tier;
mod vary;
mod write;

pub use self::future::ResponseFuture;
pub use self::handle::{Cache, CacheStats};
pub use self::layer::{CacheBuilder, CacheLayer};
pub use self::memory_store::MemoryStore;
pub use self::purge::Purge;
pub use self::route::{CacheBypass, CacheHint, EmptyBody, Route};
pub use self::service::CacheService;
pub use self::settings::Policy;
pub use self::store::{
    Claim, Listener, Look, Looked, Moment, News, Put, Record, Store, StoreError, StoreFuture, StorePurge, Turn,
};
