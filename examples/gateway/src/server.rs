//! The public address: connections, TLS, draining.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Scheme;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower_rampart::key::{PeerAddr, SecureTransport};
use tracing::{debug, warn};

use crate::first_bytes::FirstBytes;
use crate::state::State;

/// Connections served at once; more wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 16_384;
/// A client that needs longer for its TLS handshake or its request head is not waited for.
const HANDSHAKE: Duration = Duration::from_secs(10);
const REQUEST_HEAD: Duration = Duration::from_secs(30);
/// Requests in flight at a stop are waited for so long.
const DRAIN: Duration = Duration::from_secs(30);
/// After a failed accept (no file descriptors left, say), others get a moment to finish.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

const MAX_HEADER_LIST_BYTES: u32 = 128 << 10;
const MAX_HTTP1_BUFFER_BYTES: usize = 256 << 10;
const MAX_STREAMS: u32 = 256;
const KEEP_ALIVE: Duration = Duration::from_secs(30);

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
pub async fn serve(listener: TcpListener, state: &Arc<State>, stop: impl Future<Output = ()>) {
    let draining = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            () = &mut stop => break,
        };
        if let Some((stream, peer, permit)) = accepted {
            let (state, watcher) = (Arc::clone(state), draining.watcher());
            tokio::spawn(async move {
                connection(stream, peer, &state, watcher).await;
                drop(permit);
            });
        }
    }
    state.set_ready(false);
    drop(listener);
    if timeout(DRAIN, draining.shutdown()).await.is_err() {
        warn!("requests were still running after {} seconds", DRAIN.as_secs());
    }
}

async fn accept(
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

async fn connection(stream: TcpStream, peer: SocketAddr, state: &Arc<State>, watcher: Watcher) {
    let _ = stream.set_nodelay(true);
    let Some(tls) = state.pipeline().tls.clone() else {
        return http(stream, peer, None, state, watcher).await;
    };
    match timeout(HANDSHAKE, TlsAcceptor::from(tls).accept(stream)).await {
        Ok(Ok(stream)) => http(stream, peer, Some(SecureTransport), state, watcher).await,
        Ok(Err(error)) => debug!(%error, "TLS handshake failed"),
        Err(_) => debug!("TLS handshake took too long"),
    }
}

async fn http<I>(io: I, peer: SocketAddr, secure: Option<SecureTransport>, state: &Arc<State>, watcher: Watcher)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(|mut request: http::Request<Incoming>| {
        let pipeline = state.pipeline();
        request.extensions_mut().insert(PeerAddr::new(peer));
        match secure {
            Some(secure) => {
                request.extensions_mut().insert(secure);
            }
            None => forget_claimed_scheme(&mut request),
        }
        async move { pipeline.answer(request).await }
    });
    let builder = protocols();
    let connection = builder.serve_connection(TokioIo::new(FirstBytes::of(io, REQUEST_HEAD)), service);
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        debug!(%error, "connection ended");
    }
}

/// HTTP/1.1 and HTTP/2 by prior knowledge or ALPN, with bounds on what a client can make us hold.
fn protocols() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_HEAD)
        .max_buf_size(MAX_HTTP1_BUFFER_BYTES)
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .max_concurrent_streams(MAX_STREAMS);
    builder
}

/// Over plain text a client may still write `https` into `:scheme` or an absolute target; nobody is to believe it.
fn forget_claimed_scheme(request: &mut http::Request<Incoming>) {
    if request.uri().scheme() == Some(&Scheme::HTTPS) {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        // The parts were a valid target before, and a scheme only took another's place.
        *request.uri_mut() = http::Uri::from_parts(parts).unwrap_or_default();
    }
}
