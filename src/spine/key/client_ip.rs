//! The client's address behind proxies.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::cidr::{Cidr, TrustedProxies};
use super::forwarded::{self, ForwardedHeader, Hop, Proto};
use super::peer::{PeerAddr, SecureTransport};
use super::{KeyExtractor, KeyWriter, MissingKey};
use crate::spine::config::ConfigError;
use crate::spine::event::{self, Origin};
use crate::spine::request::RequestView;

const TRUSTS_EVERYONE: &str = "the trusted proxies hold a whole address family (`/0`), so every client is believed \
     whatever address it claims; name the blocks of your own proxies";
const UNTRUSTED_HEADER: &str = "a peer that is no trusted proxy sent a forwarded header, which was ignored; if that \
     peer is your proxy, name it with `ClientIp::trusted_proxies` (`[client_ip] trusted_proxies`), or all clients behind \
     it count as one";
/// Requests that are looked at for the above. A proxy shows itself among the first.
const WATCHED_REQUESTS: u32 = 1000;

/// Forwarded entries that are looked at, from the right. Real chains have less than five; the rest of a longer list
/// is an attack, and is not read.
pub const MAX_HOPS: usize = 16;

/// Finds the client's address, and is the key made of it.
///
/// 1. The socket peer is the client, unless it is a trusted proxy.
/// 2. Then the one configured header is walked from right to left over all its lines. The first address that is no
///    trusted proxy is the client.
/// 3. An entry that is no address stops the walk, as do [`MAX_HOPS`] entries: the last trusted hop is the client.
/// 4. A list of trusted proxies alone makes the leftmost the client.
///
/// IPv4-mapped IPv6 addresses are IPv4 throughout. As a key, an IPv6 client is its /64 network, since that is what one
/// subscriber has to choose addresses from.
///
/// ```
/// use tower_rampart::key::{ClientIp, ForwardedHeader, Ipv6Prefix, TrustedProxies};
///
/// let behind_a_balancer = ClientIp::new()
///     .trusted_proxies(TrustedProxies::parse(["10.0.0.0/8", "2001:db8:1::/48"])?)
///     .header(ForwardedHeader::Forwarded)
///     .ipv6_prefix(Ipv6Prefix::new(56)?);
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ClientIp {
    trusted: TrustedProxies,
    header: ForwardedHeader,
    ipv6_prefix: Ipv6Prefix,
    said: Arc<Said>,
}

/// What was reported once, and how many requests were looked at for it.
#[derive(Debug, Default)]
struct Said {
    no_peer: AtomicBool,
    untrusted_header: AtomicBool,
    watched: AtomicU32,
}

impl Default for ClientIp {
    fn default() -> Self {
        Self::new()
    }
}

impl ClientIp {
    /// The socket peer, IPv6 by /64.
    #[must_use]
    pub fn new() -> Self {
        Self {
            trusted: TrustedProxies::none(),
            header: ForwardedHeader::XForwardedFor,
            ipv6_prefix: Ipv6Prefix::SUBSCRIBER,
            said: Arc::default(),
        }
    }

    /// The proxies whose header counts.
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        if proxies.blocks().any(Cidr::is_everything) {
            static SAID: AtomicBool = AtomicBool::new(false);
            event::fault_once(&SAID, Origin::ClientIp, "everyone_trusted", TRUSTS_EVERYONE);
        }
        self.trusted = proxies;
        self
    }

    /// The header that these proxies write. Exactly one: a proxy passes the others on unchanged.
    #[must_use]
    pub fn header(mut self, header: ForwardedHeader) -> Self {
        self.header = header;
        self
    }

    /// How many leading bits of an IPv6 address make the key.
    #[must_use]
    pub fn ipv6_prefix(mut self, prefix: Ipv6Prefix) -> Self {
        self.ipv6_prefix = prefix;
        self
    }

    /// Whether the peer of this request is a trusted proxy.
    #[must_use]
    pub fn trusts_peer_of(&self, request: RequestView<'_>) -> bool {
        PeerAddr::of(request).is_some_and(|peer| self.trusted.contains(peer.ip()))
    }

    /// The client's address, ungrouped.
    ///
    /// # Errors
    ///
    /// [`NoPeer`] when the server left no peer address; its message says which line to add.
    pub fn resolve(&self, request: RequestView<'_>) -> Result<IpAddr, NoPeer> {
        self.walk(request).map(|(client, _)| client)
    }

    /// Whether the client's side of the request is encrypted: by its URI's scheme, by the mark of whoever terminated
    /// TLS here, or by the word of a trusted proxy (`X-Forwarded-Proto`, or `proto` beside the client in `Forwarded`).
    ///
    /// Over plain text a client can write any scheme into its target. Browsers ignore HSTS there; if something else
    /// of yours hangs on the answer, rewrite the scheme where connections are accepted.
    #[must_use]
    pub fn is_secure(&self, request: RequestView<'_>) -> bool {
        if request.uri().scheme() == Some(&http::uri::Scheme::HTTPS) || SecureTransport::holds_for(request) {
            return true;
        }
        let Some(peer) = PeerAddr::of(request).filter(|peer| self.trusted.contains(peer.ip())) else { return false };
        let (_, hops) = self.walk_from(peer.ip(), request);
        forwarded::proto(self.header, request.headers(), hops) == Some(Proto::Https)
    }

    fn walk(&self, request: RequestView<'_>) -> Result<(IpAddr, usize), NoPeer> {
        let Some(peer) = PeerAddr::of(request) else {
            event::fault_once(&self.said.no_peer, Origin::ClientIp, "no_peer_address", NoPeer::MEND);
            return Err(NoPeer(()));
        };
        Ok(self.walk_from(peer.ip(), request))
    }

    /// The client, and how many entries were passed over to reach it.
    #[inline]
    fn walk_from(&self, peer: IpAddr, request: RequestView<'_>) -> (IpAddr, usize) {
        if !self.trusted.contains(peer) {
            self.watch_for_untrusted_header(request);
            return (peer, 0);
        }
        self.walk_through(peer, request)
    }

    fn walk_through(&self, proxy: IpAddr, request: RequestView<'_>) -> (IpAddr, usize) {
        let mut client = proxy;
        let mut passed = 0;
        for hop in forwarded::hops(self.header, request.headers()).take(MAX_HOPS) {
            let Hop::Address(addr) = hop else { break };
            client = addr;
            if !self.trusted.contains(addr) {
                break;
            }
            passed += 1;
        }
        (client, passed)
    }

    /// A proxy that was forgotten among the trusted ones makes one client of all its clients, which looks like a
    /// limiter that is too strict.
    #[inline]
    fn watch_for_untrusted_header(&self, request: RequestView<'_>) {
        if self.said.watched.load(Ordering::Relaxed) < WATCHED_REQUESTS {
            self.watch(request);
        }
    }

    #[cold]
    fn watch(&self, request: RequestView<'_>) {
        self.said.watched.fetch_add(1, Ordering::Relaxed);
        if ForwardedHeader::ALL.iter().any(|header| request.headers().contains_key(header.name())) {
            event::fault_once(
                &self.said.untrusted_header,
                Origin::ClientIp,
                "untrusted_forwarded_header",
                UNTRUSTED_HEADER,
            );
        }
    }

    fn group(&self, client: IpAddr) -> IpAddr {
        match client {
            IpAddr::V4(_) => client,
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & self.ipv6_prefix.mask())),
        }
    }
}

/// How many leading bits of an IPv6 address tell one client from another: 1 to 128.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv6Prefix(u8);

impl Ipv6Prefix {
    /// /64: what one subscriber has to choose addresses from.
    pub const SUBSCRIBER: Self = Self(64);

    /// A prefix of so many bits.
    ///
    /// # Errors
    ///
    /// 0 would put all of IPv6 into one bucket; more than 128 bits there are not.
    pub fn new(bits: u8) -> Result<Self, ConfigError> {
        if (1..=128).contains(&bits) {
            Ok(Self(bits))
        } else {
            Err(ConfigError::new("ipv6_prefix", bits, "is no prefix length", "write 64, or another from 1 to 128"))
        }
    }

    const fn mask(self) -> u128 {
        u128::MAX << (128 - self.0 as u32)
    }
}

impl KeyExtractor for ClientIp {
    fn extract(&self, request: RequestView<'_>, key: &mut KeyWriter<'_>) -> Result<(), MissingKey> {
        let client = self.resolve(request)?;
        match self.group(client) {
            IpAddr::V4(v4) => key.part(&v4.octets()),
            IpAddr::V6(v6) => key.part(&v6.octets()),
        }
        Ok(())
    }
}

/// The server left no peer address in the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPeer(());

impl NoPeer {
    const MEND: &'static str = "on axum serve with `app.into_make_service_with_connect_info::<SocketAddr>()` \
         (and feature `axum`), on tonic turn feature `tonic` on, elsewhere wrap each connection's service in \
         `PeerAddrLayer::new(PeerAddr::new(addr))`";
}

impl fmt::Display for NoPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the request has no peer address; {}", Self::MEND)
    }
}

impl std::error::Error for NoPeer {}

impl From<NoPeer> for MissingKey {
    fn from(_: NoPeer) -> Self {
        Self::new("peer address", NoPeer::MEND)
    }
}
