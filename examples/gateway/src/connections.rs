//! Connections: HTTP/1.1 and HTTP/2, with TLS where there is a certificate, until there shall be no more.

use std::convert::Infallible;
use std::error::Error;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Scheme;
use http::{Request, Response, Uri};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower_rampart::key::{PeerAddr, SecureTransport};
use tracing::{debug, warn};

use crate::first_bytes::FirstBytes;

/// Connections served at once; more wait in the listener's backlog. A descriptor and a few KiB each.
const MAX_CONNECTIONS: usize = 16_384;
/// A client that needs longer for its TLS handshake, of two round trips at most, is not waited for.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// After a failed accept (no file descriptors left, say), others get a moment to finish.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The fields of a request over HTTP/2. Real ones have a few KiB, tokens and cookies included; what validation allows is
/// less, and is refused in words.
const MAX_HEADER_LIST_BYTES: u32 = 128 << 10;
/// What is read ahead over HTTP/1.1: a head must fit into it, and its fields are longer there than in a list.
const MAX_HTTP1_BUFFER_BYTES: usize = 256 << 10;
/// Requests at once on one connection of HTTP/2; browsers send a hundred at most.
const MAX_STREAMS: u32 = 256;
/// How often a client that is silent over HTTP/2 is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How long clients are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For the head of a request: of the first, and of each that follows.
    pub head: Duration,
    /// For requests in flight when there shall be no more.
    pub drain: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { head: Duration::from_secs(30), drain: Duration::from_secs(30) }
    }
}

/// Whoever answers what comes over connections.
pub trait Answers: Send + Sync + 'static {
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static;

    /// The encryption of connections that begin now.
    fn tls(&self) -> Option<Arc<ServerConfig>>;

    /// How long clients are waited for that come now.
    fn patience(&self) -> Patience;

    fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Self::Body>, Infallible>> + Send + 'static;
}

pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let mend = match error.kind() {
            ErrorKind::AddrInUse => "something listens there already: end it, or name another port",
            ErrorKind::AddrNotAvailable => "name an address of this machine, or 0.0.0.0 for all of them",
            ErrorKind::PermissionDenied => "ports below 1024 need privileges: name a higher one",
            _ => "name another address",
        };
        let told = format!("cannot listen on {address} ({error}); {mend}");
        std::io::Error::new(error.kind(), told)
    })
}

/// Serves until `stop`, then lets requests in flight finish.
pub async fn serve<A: Answers>(listener: TcpListener, answers: &Arc<A>, stop: impl Future<Output = ()>) {
    let draining = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            () = &mut stop => break,
        };
        if let Some((stream, peer, permit)) = accepted {
            let (answers, watcher) = (Arc::clone(answers), draining.watcher());
            tokio::spawn(async move {
                connection(stream, peer, &answers, watcher).await;
                drop(permit);
            });
        }
    }
    drop(listener);
    let drain = answers.patience().drain;
    if timeout(drain, draining.shutdown()).await.is_err() {
        warn!("requests were still running after {} seconds", drain.as_secs_f64());
    }
}

/// The next connection, when there is room for it; none, when it could not be had.
pub async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, permit)),
        Err(error) => {
            debug!(%error, "accept failed");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection<A: Answers>(stream: TcpStream, peer: SocketAddr, answers: &Arc<A>, watcher: Watcher) {
    let _ = stream.set_nodelay(true);
    let Some(tls) = answers.tls() else { return http(stream, peer, None, answers, watcher).await };
    match timeout(HANDSHAKE, TlsAcceptor::from(tls).accept(stream)).await {
        Ok(Ok(stream)) => http(stream, peer, Some(SecureTransport), answers, watcher).await,
        Ok(Err(error)) => debug!(%error, "TLS handshake failed"),
        Err(_) => debug!("TLS handshake took too long"),
    }
}

async fn http<I, A>(io: I, peer: SocketAddr, secure: Option<SecureTransport>, answers: &Arc<A>, watcher: Watcher)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    A: Answers,
{
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(PeerAddr::new(peer));
        match secure {
            Some(secure) => {
                request.extensions_mut().insert(secure);
            }
            None => forget_claimed_scheme(&mut request),
        }
        answers.answer(request)
    });
    let head = answers.patience().head;
    let builder = protocols(head);
    let connection = builder.serve_connection(TokioIo::new(FirstBytes::of(io, head)), service);
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        debug!(%error, "connection ended");
    }
}

/// HTTP/1.1 and HTTP/2 by prior knowledge or ALPN, with bounds on what a client can make us hold.
fn protocols(head: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(MAX_HTTP1_BUFFER_BYTES)
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .max_concurrent_streams(MAX_STREAMS);
    builder
}

/// Over plain text a client may still write `https` into `:scheme` or an absolute target; nobody is to believe it.
fn forget_claimed_scheme(request: &mut Request<Incoming>) {
    if request.uri().scheme() == Some(&Scheme::HTTPS) {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        // The parts were a valid target before, and a scheme only took another's place.
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    }
}
