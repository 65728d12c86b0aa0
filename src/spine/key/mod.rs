//! Who a request belongs to: client address, identity, header fields, and combinations.
//!
//! # Keys and trust
//!
//! The client is the socket peer. A forwarded header is anybody's word until the peer that sent it is a proxy you run;
//! only then, and only from the one header family you name, [`ClientIp`] reads it, from the right.
//!
//! ```
//! use std::net::SocketAddr;
//! use http::Request;
//! use tower_rampart::RequestView;
//! use tower_rampart::key::{ClientIp, ForwardedHeader, PeerAddr, TrustedProxies};
//!
//! let client_ip = ClientIp::new()
//!     .trusted_proxies(TrustedProxies::parse(["10.0.0.0/8"])?)
//!     .header(ForwardedHeader::XForwardedFor);
//!
//! let peer: SocketAddr = "10.0.0.7:44321".parse()?;
//! let request = Request::get("/")
//!     .extension(PeerAddr::new(peer))
//!     .header("x-forwarded-for", "203.0.113.9, 198.51.100.4")
//!     .body(())?;
//! // The proxy at 10.0.0.7 saw 198.51.100.4; what stands left of it is that client's own claim.
//! assert_eq!(client_ip.resolve(RequestView::of(&request))?.to_string(), "198.51.100.4");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod caller;
mod cidr;
mod client_ip;
mod fields;
mod forwarded;
mod peer;
mod target;

pub use self::caller::{IdentityKey, TenantKey};
pub use self::cidr::{Cidr, TrustedProxies};
pub use self::client_ip::{ClientIp, Ipv6Prefix, MAX_HOPS, NoPeer};
pub use self::fields::{CookieKey, HeaderKey};
pub use self::forwarded::ForwardedHeader;
pub use self::peer::{PeerAddr, PeerAddrLayer, PeerAddrService, SecureTransport};
pub use self::target::{AuthorityKey, GlobalKey, GrpcMethodKey, MethodKey, RouteKey, RouteTemplate};

use std::fmt;
use std::hash::Hasher;
use std::sync::Arc;

use crate::spine::problem::ProblemKind;
use crate::spine::request::RequestView;

/// Turns a request into the key that it is limited, cached or counted under.
///
/// Tuples of extractors are extractors of the combined key; [`from_fn`] makes one of a closure.
///
/// ```
/// use http::HeaderName;
/// use tower_rampart::key::{ClientIp, HeaderKey, IdentityKey};
///
/// let per_client_and_tenant = (ClientIp::new(), HeaderKey::new(HeaderName::from_static("x-tenant")));
/// let per_user = IdentityKey;
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no key extractor",
    label = "does not say whose a request is",
    note = "use `ClientIp::new()`, `IdentityKey`, `HeaderKey::new(name)`, or a tuple of these",
    note = "of a closure make one with `key::from_fn(|request, key| {{ key.part(..); Ok(()) }})`: it writes the key, part by part"
)]
pub trait KeyExtractor: Send + Sync + 'static {
    /// Writes the request's key, part by part.
    ///
    /// # Errors
    ///
    /// [`MissingKey`] when the request has no such thing; what then happens is the layer's explicit choice.
    fn extract(&self, request: RequestView<'_>, key: &mut KeyWriter<'_>) -> Result<(), MissingKey>;
}

/// A key extractor of a closure, which writes the key part by part.
///
/// ```
/// use tower_rampart::key::{self, MissingKey};
///
/// // Everything below one name is one key: `/blue/inbox` and `/blue/sent`.
/// let tenant = key::from_fn(|request, key| {
///     let tenant = request.uri().path().split('/').nth(1).ok_or(MissingKey::new("tenant", "begin the path with one"))?;
///     key.part(tenant.as_bytes());
///     Ok(())
/// });
/// ```
pub const fn from_fn<F>(extract: F) -> FromFn<F>
where
    F: Fn(RequestView<'_>, &mut KeyWriter<'_>) -> Result<(), MissingKey> + Send + Sync + 'static,
{
    FromFn(extract)
}

/// What [`from_fn`] makes.
#[derive(Clone, Copy)]
pub struct FromFn<F>(F);

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn").finish_non_exhaustive()
    }
}

impl<F> KeyExtractor for FromFn<F>
where
    F: Fn(RequestView<'_>, &mut KeyWriter<'_>) -> Result<(), MissingKey> + Send + Sync + 'static,
{
    fn extract(&self, request: RequestView<'_>, key: &mut KeyWriter<'_>) -> Result<(), MissingKey> {
        (self.0)(request, key)
    }
}

impl<K: KeyExtractor + ?Sized> KeyExtractor for Arc<K> {
    fn extract(&self, request: RequestView<'_>, key: &mut KeyWriter<'_>) -> Result<(), MissingKey> {
        K::extract(self, request, key)
    }
}

macro_rules! tuple_extractors {
    ($(($($part:ident),+);)*) => {$(
        impl<$($part: KeyExtractor),+> KeyExtractor for ($($part,)+) {
            #[allow(non_snake_case, reason = "the type parameters name the fields")]
            fn extract(&self, request: RequestView<'_>, key: &mut KeyWriter<'_>) -> Result<(), MissingKey> {
                let ($($part,)+) = self;
                $($part.extract(request, key)?;)+
                Ok(())
            }
        }
    )*};
}

tuple_extractors! {
    (A);
    (A, B);
    (A, B, C);
    (A, B, C, D);
}

/// Where an extractor writes a key. The parts go straight into a keyed hash: nothing is allocated or kept, and
/// `("ab", "c")` is another key than `("a", "bc")`.
pub struct KeyWriter<'a>(&'a mut dyn Hasher);

impl<'a> KeyWriter<'a> {
    /// Bytes of one part that count. A longer part is told apart by its first bytes and its length alone, so that a
    /// huge header costs no more than a small one.
    pub const MAX_PART_BYTES: usize = 1024;

    /// Writes into `hasher`, which should be keyed with a secret when clients choose the parts.
    pub fn new(hasher: &'a mut dyn Hasher) -> Self {
        Self(hasher)
    }

    /// Adds one part.
    #[inline]
    pub fn part(&mut self, bytes: &[u8]) {
        // A short part, an IPv4 address say, goes in as one word with its length in the upper byte, which is zero in
        // the length that stands before a long one.
        if let Some(word) = short_word(bytes) {
            return self.0.write(&word);
        }
        self.0.write(&(bytes.len() as u64).to_le_bytes());
        self.0.write(bytes.get(..Self::MAX_PART_BYTES).unwrap_or(bytes));
    }
}

/// Up to seven bytes and, in the eighth, their number plus one.
#[inline]
fn short_word(bytes: &[u8]) -> Option<[u8; 8]> {
    let mut word = [0; 8];
    word.get_mut(..bytes.len()).filter(|_| bytes.len() < 8)?.copy_from_slice(bytes);
    word[7] = bytes.len() as u8 + 1;
    Some(word)
}

impl fmt::Debug for KeyWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyWriter").finish_non_exhaustive()
    }
}

/// The request lacks what the key is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingKey {
    part: &'static str,
    mend: &'static str,
    problem: ProblemKind,
}

impl MissingKey {
    /// `part` names what is missing, `mend` tells the operator how requests come to have it. It is taken for the
    /// server's fault.
    #[must_use]
    pub const fn new(part: &'static str, mend: &'static str) -> Self {
        Self { part, mend, problem: ProblemKind::Internal }
    }

    /// What a layer refuses with that cannot do without the key: [`ProblemKind::BadRequest`] where the client left
    /// something out.
    #[must_use]
    pub const fn refused_as(mut self, problem: ProblemKind) -> Self {
        self.problem = problem;
        self
    }

    /// What is missing.
    #[must_use]
    pub const fn part(&self) -> &'static str {
        self.part
    }

    /// How requests come to have it: for the operator, and not for clients.
    #[must_use]
    pub const fn mend(&self) -> &'static str {
        self.mend
    }

    /// What to refuse with.
    #[must_use]
    pub const fn problem(&self) -> ProblemKind {
        self.problem
    }
}

impl fmt::Display for MissingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the request has no {}; {}", self.part, self.mend)
    }
}

impl std::error::Error for MissingKey {}
