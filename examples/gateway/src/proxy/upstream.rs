//! Connections to the one upstream.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CONNECTION, HOST, TE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::pool::singleton::Singleton;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::{Service, ServiceExt};
use tower_rampart::TimedOut;
use tower_rampart::problem::{Problem, ProblemKind};
use tower_rampart::retry::ReplayBody;
use tracing::debug;

use super::sent::Sent;

const CONNECT: Duration = Duration::from_secs(5);
const POOL_IDLE: Duration = Duration::from_secs(60);
const POOL_MAX_IDLE: usize = 256;
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Why the upstream gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nobody listens, or it broke off before the head of an answer.
    Broken,
    /// It took too long.
    TimedOut,
    /// The client's body broke off, which is not the upstream's fault.
    Inbound,
}

impl Failure {
    /// For metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::TimedOut => "timed_out",
            Self::Inbound => "inbound",
        }
    }

    pub fn problem(self) -> Problem {
        match self {
            Self::Broken => {
                Problem::new(ProblemKind::BadGateway).with_detail("The upstream cannot be reached or broke off.")
            }
            Self::TimedOut => {
                Problem::new(ProblemKind::DeadlineExceeded).with_detail("The upstream did not answer in time.")
            }
            Self::Inbound => Problem::new(ProblemKind::BadRequest).with_detail("The request's body broke off."),
        }
    }

    fn of(error: &(dyn Error + 'static)) -> Self {
        debug!(%error, "upstream failed");
        let mut cause = Some(error);
        while let Some(error) = cause {
            let io_timeout = error.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::TimedOut);
            let hyper_timeout = error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout);
            if io_timeout || hyper_timeout {
                return Self::TimedOut;
            }
            cause = error.source();
        }
        Self::Broken
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::TimedOut => Some(&TimedOut),
            Self::Broken | Self::Inbound => None,
        }
    }
}

impl From<TimedOut> for Failure {
    fn from(_: TimedOut) -> Self {
        Self::TimedOut
    }
}

/// Speaks HTTP/1.1 over pooled connections, or HTTP/2 by prior knowledge over one.
pub struct Upstream {
    authority: Authority,
    protocol: Protocol,
}

enum Protocol {
    Http1(Box<Client<HttpConnector, ReplayBody<Sent>>>),
    Http2(Singleton<Connect, ()>),
}

impl Upstream {
    pub fn new(authority: Authority, is_http2: bool) -> Self {
        let protocol = if is_http2 {
            Protocol::Http2(Singleton::new(Connect { authority: authority.clone() }))
        } else {
            let mut connector = HttpConnector::new();
            connector.set_connect_timeout(Some(CONNECT));
            connector.set_nodelay(true);
            let client = Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(POOL_IDLE)
                .pool_max_idle_per_host(POOL_MAX_IDLE)
                .set_host(false)
                .build(connector);
            Protocol::Http1(Box::new(client))
        };
        Self { authority, protocol }
    }

    /// Sends the request to the upstream, which sees `host` and `path` as the client wrote them.
    pub async fn send(
        &self,
        request: Request<ReplayBody<Sent>>,
        host: Authority,
        path: PathAndQuery,
    ) -> Result<Response<Incoming>, Failure> {
        match &self.protocol {
            Protocol::Http1(client) => {
                let request = addressed(request, Version::HTTP_11, self.authority.clone(), path, Some(&host))?;
                client.request(request).await.map_err(|error| Failure::of(&error))
            }
            Protocol::Http2(connection) => {
                // Here the authority is a pseudo-header, and says nothing about where the connection goes.
                let request = addressed(request, Version::HTTP_2, host, path, None)?;
                ready(connection.clone()).await?.call(request).await.map_err(|error| Failure::of(&error))
            }
        }
    }
}

fn addressed(
    mut request: Request<ReplayBody<Sent>>,
    version: Version,
    authority: Authority,
    path: PathAndQuery,
    host: Option<&Authority>,
) -> Result<Request<ReplayBody<Sent>>, Failure> {
    let uri = Uri::builder().scheme(Scheme::HTTP).authority(authority).path_and_query(path).build();
    *request.uri_mut() = uri.map_err(|_| Failure::Broken)?;
    *request.version_mut() = version;
    let headers = request.headers_mut();
    headers.remove(HOST);
    if let Some(host) = host {
        headers.insert(HOST, HeaderValue::try_from(host.as_str()).map_err(|_| Failure::Broken)?);
    }
    // RFC 9110 section 10.1.4: in HTTP/1.1 `TE` is this hop's, and says so.
    if version == Version::HTTP_11 && headers.contains_key(TE) {
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    Ok(request)
}

/// A connection that takes requests: the one there is, or a new one when that has ended. All who wait share it.
async fn ready(
    mut connection: Singleton<Connect, ()>,
) -> Result<
    impl Service<Request<ReplayBody<Sent>>, Response = Response<Incoming>, Error = hyper::Error, Future = Answer>,
    Failure,
> {
    match held(&mut connection).await?.ready_oneshot().await {
        Ok(held) => Ok(held),
        // Finding it closed has emptied the singleton.
        Err(_) => held(&mut connection).await?.ready_oneshot().await.map_err(|error| Failure::of(&error)),
    }
}

/// The connection that the singleton holds, or a new one where it holds none.
async fn held(connection: &mut Singleton<Connect, ()>) -> Result<Held, Failure> {
    let opened = connection.ready().await.map_err(|error| Failure::of(&error))?.call(()).await;
    opened.map_err(|error| Failure::of(&error))
}

type Held = <Singleton<Connect, ()> as Service<()>>::Response;

/// Opens an HTTP/2 connection.
#[derive(Clone)]
struct Connect {
    authority: Authority,
}

type Answer = BoxFuture<Result<Response<Incoming>, hyper::Error>>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Service<()> for Connect {
    type Response = Sender;
    type Error = io::Error;
    type Future = BoxFuture<io::Result<Sender>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        let authority = self.authority.clone();
        Box::pin(async move {
            let opening = timeout(CONNECT, open(&authority)).await;
            opening.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
        })
    }
}

async fn open(authority: &Authority) -> io::Result<Sender> {
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            debug!(%error, "upstream connection ended");
        }
    });
    Ok(Sender(sender))
}

/// Sends requests over the connection; clones share it.
#[derive(Clone)]
struct Sender(http2::SendRequest<ReplayBody<Sent>>);

impl Service<Request<ReplayBody<Sent>>> for Sender {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReplayBody<Sent>>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
