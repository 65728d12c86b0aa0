//! hyper's client and tonic's channel, against servers that fail in every way there is on the wire.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::interceptor::InterceptorLayer;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::{Layer, ServiceBuilder, ServiceExt as _};
use tower_rampart::ResponseView;
use tower_rampart::deadline::TryTimeoutLayer;
use tower_rampart::retry::{Attempt, ReplayBody, Retries, RetryLayer, RetryPolicy, RetryService};

use crate::loopback::listen;
use crate::support::millis;

/// A socket that answers does so at once; this only turns a hang into a failure.
async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("an answer")
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// Reads the head and hangs up.
    HangUp,
    /// Hangs up with a reset.
    Reset,
    /// Half a status line.
    HalfAHead,
    /// Something that is no HTTP.
    Nonsense,
    /// A head, and half of the body it promises.
    HalfABody,
    Unavailable,
    Fine,
}

async fn respond(mut stream: TcpStream, fault: Fault) -> io::Result<()> {
    let mut read = [0; 1024];
    let _ = stream.read(&mut read).await?;
    let text: &[u8] = match fault {
        Fault::HangUp => b"",
        Fault::Reset => {
            // Dropped with a lifetime of zero, a socket is reset.
            stream.set_zero_linger()?;
            return Ok(());
        }
        Fault::HalfAHead => b"HTTP/1.1 20",
        Fault::Nonsense => b"220 mail ready\r\n\r\n",
        Fault::HalfABody => b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
        Fault::Unavailable => b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        Fault::Fine => b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
    };
    stream.write_all(text).await?;
    stream.shutdown().await
}

/// A server that treats each connection as it was told to, and counts them.
async fn faulty(faults: &'static [Fault]) -> (SocketAddr, Arc<AtomicUsize>) {
    let (listener, address) = listen().await;
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        for fault in faults {
            let Ok((stream, _)) = listener.accept().await else { return };
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = respond(stream, *fault).await;
        }
    });
    (address, count)
}

type Hyper = Client<hyper_util::client::legacy::connect::HttpConnector, ReplayBody<Full<Bytes>>>;

fn policy(attempts: u32) -> RetryPolicy {
    Retries::new().max_attempts(attempts).backoff(millis(1), millis(5)).build().unwrap()
}

fn client(attempts: u32) -> RetryService<Hyper> {
    // hyper itself tries again on a connection that was kept and turns out to be closed: not here.
    let client = Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build_http();
    RetryLayer::new(policy(attempts)).layer(client)
}

fn request(method: &str, address: SocketAddr) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(format!("http://{address}/"))
        .body(Full::new(Bytes::from_static(b"x")))
        .unwrap()
}

#[tokio::test]
async fn a_hyper_client_tries_again_whatever_broke() {
    const FAULTS: &[Fault] =
        &[Fault::HangUp, Fault::Reset, Fault::HalfAHead, Fault::Nonsense, Fault::Unavailable, Fault::Fine];
    let (address, count) = faulty(FAULTS).await;
    let response = patiently(client(6).oneshot(request("PUT", address))).await.unwrap();
    assert_eq!((response.status().as_u16(), count.load(Ordering::Relaxed)), (200, 6));
    assert_eq!(Attempt::of_response(ResponseView::of(&response)).get(), 6);
    assert_eq!(patiently(response.into_body().collect()).await.unwrap().to_bytes(), "hello");
}

#[tokio::test]
async fn but_not_what_may_not_be_made_twice() {
    let (address, count) = faulty(&[Fault::HangUp, Fault::Fine]).await;
    assert!(patiently(client(6).oneshot(request("POST", address))).await.is_err());
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

/// Once the head is there the answer has begun, and somebody may have seen it.
#[tokio::test]
async fn nor_what_breaks_behind_its_head() {
    let (address, count) = faulty(&[Fault::HalfABody, Fault::Fine]).await;
    let response = patiently(client(6).oneshot(request("GET", address))).await.unwrap();
    assert!(patiently(response.into_body().collect()).await.is_err());
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn nobody_listens() {
    // Bound and not listened at, so that no other test gets the address meanwhile.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = held.local_addr().unwrap();
    let client = client(3);
    let error = patiently(client.clone().oneshot(request("GET", address))).await.unwrap_err();
    assert!(error.is_connect());
    assert_eq!((client.budget().requests, client.budget().retries), (1, 2));
}

/// An upstream that answers 503 at once, and then reads; while the client still sends.
async fn hasty(is_read_first: bool) -> (SocketAddr, Arc<AtomicUsize>) {
    let (listener, address) = listen().await;
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let is_first = counted.fetch_add(1, Ordering::Relaxed) == 0;
                    async move {
                        let mut body = request.into_body();
                        if is_first {
                            if is_read_first {
                                let _ = body.frame().await;
                            }
                            let answer = Response::builder().status(503).body(Full::default()).unwrap();
                            return Ok::<_, Infallible>(answer);
                        }
                        let bytes = body.collect().await.unwrap().to_bytes();
                        Ok(Response::new(Full::new(bytes)))
                    }
                });
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (address, count)
}

#[tokio::test]
async fn an_answer_that_comes_while_the_body_is_on_its_way() {
    for (is_http2, is_read_first) in [(false, false), (false, true), (true, false), (true, true)] {
        let (address, count) = hasty(is_read_first).await;
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
        let frames = futures_util::stream::poll_fn(move |cx| {
            receiver.poll_recv(cx).map(|piece| piece.map(|piece| Ok::<_, Infallible>(Frame::data(piece))))
        });
        let body = StreamBody::new(frames);
        let client = Client::builder(TokioExecutor::new()).http2_only(is_http2).build_http();
        let client = RetryLayer::new(policy(3)).layer(client);
        let call = tokio::spawn(client.oneshot(Request::put(format!("http://{address}/")).body(body).unwrap()));
        sender.send(Bytes::from_static(b"first ")).await.unwrap();
        // The rest comes when the second try has begun.
        patiently(async {
            while count.load(Ordering::Relaxed) < 2 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        sender.send(Bytes::from_static(b"second")).await.unwrap();
        drop(sender);
        let response = patiently(call).await.unwrap().unwrap();
        assert_eq!(response.status(), 200, "{is_http2} {is_read_first}");
        let echoed = patiently(response.into_body().collect()).await.unwrap().to_bytes();
        assert_eq!(echoed, "first second", "{is_http2} {is_read_first}");
    }
}

/// Time stands still: the first try never gets an answer, and the second one does.
#[tokio::test(start_paused = true)]
async fn a_timeout_for_each_try() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let (first, _) = listener.accept().await.unwrap();
        let (second, _) = listener.accept().await.unwrap();
        respond(second, Fault::Fine).await.unwrap();
        drop(first);
    });
    let client = ServiceBuilder::new()
        .layer(RetryLayer::new(policy(2)))
        .layer(TryTimeoutLayer::new(Duration::from_secs(2)).unwrap())
        .service(Client::builder(TokioExecutor::new()).build_http());
    let begun = tokio::time::Instant::now();
    let response = client.oneshot(request("GET", address)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(begun.elapsed().as_secs(), 2);
}

/// A health service that says so many times that it is not there.
async fn unavailable(times: usize, pushback: Option<&'static str>) -> (Channel, Arc<AtomicUsize>) {
    let (listener, address) = listen().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let interceptor = InterceptorLayer::new(move |request: tonic::Request<()>| {
        if counted.fetch_add(1, Ordering::Relaxed) < times {
            let mut status = Status::unavailable("not yet");
            if let Some(pushback) = pushback {
                status.metadata_mut().insert("grpc-retry-pushback-ms", pushback.parse().unwrap());
            }
            return Err(status);
        }
        Ok(request)
    });
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("polls", tonic_health::ServingStatus::Serving).await;
    let server = Server::builder().layer(interceptor).add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    (patiently(endpoint.connect()).await.unwrap(), calls)
}

async fn check(channel: Channel, retries: Retries) -> Result<i32, Code> {
    let policy = retries.backoff(millis(1), millis(5)).build().unwrap();
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(policy))
        .map_request(|request: Request<ReplayBody<tonic::body::Body>>| request.map(tonic::body::Body::new))
        .service(channel);
    let asked = HealthCheckRequest { service: "polls".to_owned() };
    let answered = patiently(HealthClient::new(service).check(asked)).await;
    answered.map(|reply| reply.into_inner().status).map_err(|status| status.code())
}

#[tokio::test]
async fn a_tonic_channel() {
    let serving = Ok(tonic_health::ServingStatus::Serving as i32);
    for (times, pushback, retries, expected, calls) in [
        (2, None, Retries::new().grpc_is_idempotent(), serving, 3),
        (3, None, Retries::new().grpc_is_idempotent(), Err(Code::Unavailable), 3),
        (1, Some("3"), Retries::new().grpc_is_idempotent(), serving, 2),
        (1, Some("-1"), Retries::new().grpc_is_idempotent(), Err(Code::Unavailable), 1),
        (1, None, Retries::new(), Err(Code::Unavailable), 1),
    ] {
        let (channel, counted) = unavailable(times, pushback).await;
        assert_eq!(check(channel, retries).await, expected, "{times} {pushback:?}");
        assert_eq!(counted.load(Ordering::Relaxed), calls, "{times} {pushback:?}");
    }
}

/// A health service that says so many times in trailers behind its head that it is not there.
async fn failing_behind_its_head(times: usize) -> (Channel, Arc<AtomicUsize>) {
    let (listener, address) = listen().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(move |_: Request<Incoming>| {
            let is_there = counted.fetch_add(1, Ordering::Relaxed) >= times;
            let status = if is_there { "0" } else { "14" };
            let trailers =
                Frame::trailers([("grpc-status".parse().unwrap(), status.parse().unwrap())].into_iter().collect());
            // A message of two bytes: that it serves.
            let message = is_there.then(|| Frame::data(Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1])));
            let frames = message.into_iter().chain([trailers]).map(Ok::<_, Infallible>);
            let body = StreamBody::new(futures_util::stream::iter(frames));
            let response = Response::builder().header("content-type", "application/grpc").body(body);
            std::future::ready(response)
        });
        let builder = auto::Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    });
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    (patiently(endpoint.connect()).await.unwrap(), calls)
}

#[tokio::test]
async fn a_tonic_channel_to_a_server_that_fails_behind_its_head() {
    let serving = Ok(tonic_health::ServingStatus::Serving as i32);
    for (times, retries, expected, calls) in [
        (2, Retries::new().grpc_is_idempotent(), serving, 3),
        (3, Retries::new().grpc_is_idempotent(), Err(Code::Unavailable), 3),
        (1, Retries::new(), Err(Code::Unavailable), 1),
    ] {
        let (channel, counted) = failing_behind_its_head(times).await;
        // The two frames may come one by one, however slow the machine is.
        assert_eq!(check(channel, retries.trailers_within(Duration::from_secs(30))).await, expected, "{times}");
        assert_eq!(counted.load(Ordering::Relaxed), calls, "{times}");
    }
}
