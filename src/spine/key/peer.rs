//! What the connection itself says: its peer, and whether it is encrypted.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use crate::spine::request::RequestView;
use crate::wiring;

/// The other end of the socket. Put it into the request's extensions where no framework does, as in plain hyper.
///
/// With feature `axum`, `ConnectInfo` and `MockConnectInfo` serve as well; with `tonic`, `TcpConnectInfo` and
/// `TlsConnectInfo`. This one is asked first.
///
/// ```
/// use std::net::SocketAddr;
/// use http::Request;
/// use tower_rampart::RequestView;
/// use tower_rampart::key::PeerAddr;
///
/// let accepted: SocketAddr = "192.0.2.1:50000".parse().unwrap();
/// let request = Request::get("/").extension(PeerAddr::new(accepted)).body(()).unwrap();
/// assert_eq!(PeerAddr::of(RequestView::of(&request)), Some(accepted.into()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddr(SocketAddr);

impl PeerAddr {
    /// The peer of an accepted connection.
    #[must_use]
    pub const fn new(addr: SocketAddr) -> Self {
        Self(addr)
    }

    /// The peer of a request, from whatever the server left in its extensions.
    #[must_use]
    pub fn of(request: RequestView<'_>) -> Option<Self> {
        let extensions = request.extensions();
        extensions.get::<Self>().copied().or_else(|| wiring::framework_peer(extensions).map(Self))
    }

    /// Address and port.
    #[must_use]
    pub const fn get(self) -> SocketAddr {
        self.0
    }

    /// The address, with an IPv4-mapped IPv6 address turned back into IPv4.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        self.0.ip().to_canonical()
    }
}

impl From<SocketAddr> for PeerAddr {
    fn from(addr: SocketAddr) -> Self {
        Self::new(addr)
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Marks a request that came over an encrypted connection. Whoever terminates TLS puts it into the extensions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a mark: there is nothing to add")]
pub struct SecureTransport;

impl SecureTransport {
    /// Whether the connection of this request is encrypted as far as the server knows.
    pub(crate) fn holds_for(request: RequestView<'_>) -> bool {
        request.extensions().get::<Self>().is_some() || wiring::framework_tls(request.extensions())
    }
}

/// Puts a connection's [`PeerAddr`] into its requests: one line for a plain hyper server.
///
/// ```
/// use tower::{Layer, service_fn};
/// use tower_rampart::key::{PeerAddr, PeerAddrLayer};
/// # let accepted: std::net::SocketAddr = "192.0.2.1:50000".parse().unwrap();
///
/// let app = service_fn(|request: http::Request<String>| async move { Ok::<_, ()>(http::Response::new(())) });
/// let service_of_this_connection = PeerAddrLayer::new(PeerAddr::new(accepted)).layer(app);
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct PeerAddrLayer(PeerAddr);

impl PeerAddrLayer {
    /// For the connection with this peer.
    pub const fn new(peer: PeerAddr) -> Self {
        Self(peer)
    }
}

impl<S> Layer<S> for PeerAddrLayer {
    type Service = PeerAddrService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        PeerAddrService { inner, peer: self.0 }
    }
}

/// The service of [`PeerAddrLayer`].
#[derive(Debug, Clone, Copy)]
pub struct PeerAddrService<S> {
    inner: S,
    peer: PeerAddr,
}

impl<S> PeerAddrService<S> {
    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service, to be changed.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service, alone.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B> Service<Request<B>> for PeerAddrService<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        request.extensions_mut().insert(self.peer);
        self.inner.call(request)
    }
}
