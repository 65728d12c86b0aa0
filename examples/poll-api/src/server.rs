//! Connections: HTTP/1.1 and HTTP/2, with TLS where there is a certificate, until the service drains.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use http::uri::Scheme;
use http::{HeaderName, Request, Response, StatusCode};
use hyper::body::Incoming;
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
use tower_rampart::{RequestId, RequestView};
use tracing::{debug, warn};
use uuid::Uuid;

use crate::app::App;
use crate::first_bytes::FirstBytes;
use crate::observe;
use crate::trace::{Answered, Traces};

/// Connections served at once; more wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 16_384;
/// A client that needs longer for its TLS handshake or its request head is not waited for.
const HANDSHAKE: Duration = Duration::from_secs(10);
const REQUEST_HEAD: Duration = Duration::from_secs(30);
/// Requests in flight at a stop are waited for so long.
const DRAIN: Duration = Duration::from_secs(30);
/// After a failed accept (no file descriptors left, say), others get a moment to finish.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

const MAX_HEADER_LIST_BYTES: u32 = 64 << 10;
const MAX_HTTP1_BUFFER_BYTES: usize = 128 << 10;
const MAX_STREAMS: u32 = 256;
const KEEP_ALIVE: Duration = Duration::from_secs(30);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

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
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    app: &Arc<App>,
    stop: impl Future<Output = ()>,
) {
    let tls = tls.map(TlsAcceptor::from);
    let draining = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            () = &mut stop => break,
        };
        if let Some((stream, peer, permit)) = accepted {
            let (tls, app, watcher) = (tls.clone(), Arc::clone(app), draining.watcher());
            tokio::spawn(async move {
                connection(stream, peer, tls, &app, watcher).await;
                drop(permit);
            });
        }
    }
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

async fn connection(stream: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>, app: &Arc<App>, watcher: Watcher) {
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return http(stream, peer, None, app, watcher).await };
    match timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => http(stream, peer, Some(SecureTransport), app, watcher).await,
        Ok(Err(error)) => debug!(%error, "TLS handshake failed"),
        Err(_) => debug!("TLS handshake took too long"),
    }
}

async fn http<I>(io: I, peer: SocketAddr, secure: Option<SecureTransport>, app: &Arc<App>, watcher: Watcher)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(PeerAddr::new(peer));
        match secure {
            Some(secure) => {
                request.extensions_mut().insert(secure);
            }
            None => forget_claimed_scheme(&mut request),
        }
        answer(Arc::clone(app), request)
    });
    let builder = protocols();
    let connection = builder.serve_connection(TokioIo::new(FirstBytes::of(io, REQUEST_HEAD)), service);
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        debug!(%error, "connection ended");
    }
}

/// Answers one request. Every answer carries the request's id.
async fn answer(app: Arc<App>, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let began = Instant::now();
    let id = RequestId::of(RequestView::of(&request)).unwrap_or_else(|| RequestId::from(Uuid::now_v7().as_u128()));
    request.headers_mut().insert(REQUEST_ID, id.as_header_value().clone());
    let (method, route) = (observe::name(request.method()), observe::route(request.uri().path()));
    let stack = app.stack();
    let begun = app.traces.as_ref().map(|_| {
        let view = RequestView::of(&request);
        let is_trusted = stack.as_ref().is_some_and(|stack| stack.client_ip().trusts_peer_of(view));
        Traces::begin(request.headers(), is_trusted)
    });
    let mut response = match stack {
        Some(stack) => stack.answer(request).await?,
        None => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response
        }
    };
    response.headers_mut().insert(REQUEST_ID, id.as_header_value().clone());
    let (status, took) = (response.status(), began.elapsed());
    let answered = Answered { method, route, status, took, request_id: id.as_str() };
    observe::answered(&answered);
    if let (Some(traces), Some(begun)) = (&app.traces, begun) {
        traces.end(begun, &answered);
    }
    Ok(response)
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
fn forget_claimed_scheme(request: &mut Request<Incoming>) {
    if request.uri().scheme() == Some(&Scheme::HTTPS) {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        // The parts were a valid target before, and a scheme only took another's place.
        *request.uri_mut() = ::http::Uri::from_parts(parts).unwrap_or_default();
    }
}
