//! `[retry]`, against an upstream that fails in every way there is on the wire.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Answer, Gateway, answer, client_http2, gateway, nobody, patiently, toml, upstream};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Reads the request and hangs up.
    HangUp,
    /// The same with a reset.
    Reset,
    HalfAHead,
    HalfABody,
    /// Never says anything.
    Stall,
    /// Answers this, with this field.
    Says(u16, &'static str),
    Fine,
}

/// An upstream that treats each request as it was told to, the last way for all that follow. It has a connection for each.
#[derive(Clone)]
struct Faulty {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
    /// What it read of each request.
    read: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Faulty {
    async fn new(faults: &'static [Fault]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let faulty = Self { address, calls: Arc::default(), read: Arc::default() };
        let server = faulty.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let call = server.calls.fetch_add(1, Ordering::Relaxed);
                let fault = faults[call.min(faults.len() - 1)];
                let server = server.clone();
                tokio::spawn(async move { server.respond(stream, fault).await });
            }
        });
        faulty
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    fn bodies(&self) -> Vec<usize> {
        let is_end = |window: &[u8]| window == b"\r\n\r\n";
        let body = |request: &Vec<u8>| request.len() - 4 - request.windows(4).position(is_end).unwrap();
        self.read.lock().unwrap().iter().map(body).collect()
    }

    /// A request with its body, by its `content-length`.
    async fn request(stream: &mut TcpStream) -> Vec<u8> {
        let mut read = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
            if let Some((head, _)) = text.split_once("\r\n\r\n") {
                let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
                let length: usize = length.map_or(0, |length| length.parse().unwrap());
                if read.len() >= head.len() + 4 + length {
                    return read;
                }
            }
            if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                return read;
            }
        }
    }

    async fn respond(self, mut stream: TcpStream, fault: Fault) {
        let request = Self::request(&mut stream).await;
        self.read.lock().unwrap().push(request);
        let text = match fault {
            Fault::HangUp => String::new(),
            Fault::Reset => {
                stream.set_zero_linger().unwrap();
                return;
            }
            Fault::Stall => std::future::pending().await,
            Fault::HalfAHead => String::from("HTTP/1.1 20"),
            Fault::HalfABody => String::from("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello"),
            Fault::Says(status, field) => {
                format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n{field}\r\n")
            }
            Fault::Fine => String::from("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"),
        };
        let _ = stream.write_all(text.as_bytes()).await;
        let _ = stream.shutdown().await;
    }

    async fn gateway(&self, tables: &str) -> Gateway {
        gateway(&toml(self.address, tables)).await
    }
}

async fn send(gateway: &Gateway, method: Method, fields: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::builder().method(method).uri(format!("http://{}/", gateway.address));
    let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    answer(patiently(client.request(request.body(Full::from(body)).unwrap())).await.unwrap()).await
}

const RETRY: &str = "[retry]\n";

#[tokio::test]
async fn whatever_breaks_before_the_head_is_tried_again() {
    for fault in [
        Fault::HangUp,
        Fault::Reset,
        Fault::HalfAHead,
        Fault::Says(502, ""),
        Fault::Says(503, ""),
        Fault::Says(504, ""),
        Fault::Says(503, "retry-after: 0\r\n"),
        Fault::Says(429, "retry-after: 1\r\n"),
    ] {
        let faulty = Faulty::new(Box::leak(Box::new([fault, Fault::Fine]))).await;
        let gateway = faulty.gateway(RETRY).await;
        let answer = gateway.get("/").await;
        assert_eq!((answer.status, &answer.body[..], faulty.calls()), (200, &b"hello"[..], 2), "{fault:?}");
    }
}

#[tokio::test]
async fn twice_in_all_where_nothing_else_is_said() {
    let faulty = Faulty::new(&[Fault::Reset]).await;
    let answer = faulty.gateway(RETRY).await.get("/").await;
    assert_eq!((answer.status, faulty.calls()), (502, 2));
    let faulty = Faulty::new(&[Fault::Says(503, "")]).await;
    let answer = faulty.gateway("[retry]\nattempts = 4\n").await.get("/").await;
    assert_eq!((answer.status, faulty.calls()), (503, 4));
    // Without the table each request is sent once.
    let faulty = Faulty::new(&[Fault::Says(503, "")]).await;
    assert_eq!((faulty.gateway("").await.get("/").await.status, faulty.calls()), (503, 1));
}

#[tokio::test]
async fn what_would_not_fare_better_is_passed_on() {
    for fault in [Fault::Says(500, ""), Fault::Says(404, ""), Fault::Says(429, ""), Fault::HalfABody] {
        let faulty = Faulty::new(Box::leak(Box::new([fault, Fault::Fine]))).await;
        let gateway = faulty.gateway(RETRY).await;
        let request = Request::get(format!("http://{}/", gateway.address)).body(Full::<Bytes>::default()).unwrap();
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let response = patiently(client.request(request)).await.unwrap();
        let is_whole = patiently(http_body_util::BodyExt::collect(response.into_body())).await.is_ok();
        assert_eq!((is_whole, faulty.calls()), (fault != Fault::HalfABody, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn only_what_may_be_made_twice() {
    let key = ("idempotency-key", "\"1\"");
    for (method, fields, calls) in [
        (Method::POST, &[][..], 1),
        (Method::PATCH, &[], 1),
        (Method::POST, &[key], 2),
        (Method::PUT, &[], 2),
        (Method::DELETE, &[], 2),
    ] {
        let faulty = Faulty::new(&[Fault::Reset, Fault::Fine]).await;
        let answer = send(&faulty.gateway(RETRY).await, method.clone(), fields, b"{}".to_vec()).await;
        assert_eq!((answer.status, faulty.calls()), (if calls == 2 { 200 } else { 502 }, calls), "{method}");
    }
}

#[tokio::test]
async fn bodies_are_sent_again_up_to_64_kib() {
    for (length, calls) in [(0, 2), (1, 2), (64 << 10, 2), ((64 << 10) + 1, 1), (1 << 20, 1)] {
        let faulty = Faulty::new(&[Fault::Says(503, ""), Fault::Fine]).await;
        let gateway = faulty.gateway("[retry]\n[validate]\nbody_bytes = \"4MiB\"\n").await;
        let answer = send(&gateway, Method::PUT, &[("content-type", "image/png")], vec![7; length]).await;
        assert_eq!((answer.status, faulty.calls()), (if calls == 2 { 200 } else { 503 }, calls), "{length}");
        assert_eq!(faulty.bodies(), vec![length; calls]);
    }
}

#[tokio::test]
async fn never_past_the_deadline() {
    let tables = "[timeouts]\nrequest = \"2s\"\n[retry]\n";
    let faulty = Faulty::new(&[Fault::Says(503, "retry-after: 3\r\n"), Fault::Fine]).await;
    let answer = faulty.gateway(tables).await.get("/").await;
    assert_eq!((answer.status, faulty.calls()), (503, 1));
    assert_eq!(answer.headers["retry-after"], "3");
    // A date is one, too.
    let faulty = Faulty::new(&[Fault::Says(429, "retry-after: Fri, 31 Dec 9999 23:59:59 GMT\r\n"), Fault::Fine]).await;
    assert_eq!((faulty.gateway(tables).await.get("/").await.status, faulty.calls()), (429, 1));
}

#[tokio::test]
async fn a_try_that_stalls_makes_room_for_another() {
    let faulty = Faulty::new(&[Fault::Stall, Fault::Fine]).await;
    let gateway = faulty.gateway("[timeouts]\nupstream = \"500ms\"\n[retry]\n").await;
    assert_eq!((gateway.get("/").await.status, faulty.calls()), (200, 2));
    // The deadline of the request ends all of them.
    let faulty = Faulty::new(&[Fault::Stall]).await;
    let gateway =
        faulty.gateway("[timeouts]\nrequest = \"500ms\"\nupstream = \"100ms\"\n[retry]\nattempts = 16\n").await;
    let answer = gateway.get("/").await;
    assert_eq!(answer.status, 504);
    assert!((1..16).contains(&faulty.calls()));
}

/// Forty requests that all fail cost fifty-eight calls: eight are a fifth of forty, and ten are free.
#[tokio::test]
async fn retries_are_an_addition_and_no_multiple() {
    let faulty = Faulty::new(&[Fault::Says(503, "retry-after: 0\r\n")]).await;
    let gateway = faulty.gateway("admin_listen = \"127.0.0.1:0\"\n[retry]\nbudget_percent = 20\n").await;
    let begun = Instant::now();
    for _ in 0..40 {
        assert_eq!(gateway.get("/").await.status, 503);
    }
    let calls = faulty.calls();
    // On a machine that takes longer than the window the first ones are no longer recent.
    assert!(calls == 58 || begun.elapsed() > Duration::from_secs(9), "{calls}");
    let state = gateway.admin("/-/state").await.json();
    let retry = &state["retry"][faulty.address.to_string()];
    assert!(retry["requests"].as_u64().unwrap() <= 40 && retry["retries"].as_u64().unwrap() <= 18, "{retry}");
    let metrics = String::from_utf8(gateway.admin("/-/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("rampart_retry_retries_total 18") || calls != 58, "{metrics}");
    assert!(metrics.contains("rampart_retry_stopped_total{reason=\"budget\"}"));
}

#[tokio::test]
async fn nobody_listens() {
    let address = nobody().await;
    let gateway = gateway(&toml(address, "admin_listen = \"127.0.0.1:0\"\n[retry]\nattempts = 3\n")).await;
    assert_eq!(gateway.get("/").await.status, 502);
    let metrics = String::from_utf8(gateway.admin("/-/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("rampart_retry_retries_total 2"), "{metrics}");
    assert!(metrics.contains("rampart_gateway_upstream_failures_total{reason=\"broken\"} 1"), "{metrics}");
}

/// A status that gRPC servers send by a proxy's word; its calls are POST, and say that they may be made twice.
#[tokio::test]
async fn grpc_with_a_key() {
    const UNAVAILABLE: Fault = Fault::Says(200, "content-type: application/grpc\r\ngrpc-status: 14\r\n");
    for (key, calls) in [(None, 1), (Some("\"1\""), 2)] {
        let faulty = Faulty::new(&[UNAVAILABLE, Fault::Fine]).await;
        let gateway = faulty.gateway(RETRY).await;
        let mut request = Request::post(format!("http://{}/polls.Polls/Get", gateway.address))
            .version(http::Version::HTTP_2)
            .header("content-type", "application/grpc");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request.body(Full::new(Bytes::from_static(&[0; 5]))).unwrap();
        let _ = patiently(client_http2().request(request)).await.unwrap();
        assert_eq!(faulty.calls(), calls);
    }
}

/// A status behind the head is as good as one within it, as long as there is nothing between them.
#[tokio::test]
async fn grpc_that_fails_behind_its_head() {
    for (has_message, calls) in [(false, 2), (true, 1)] {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let (address, seen) = upstream(move |_| {
            let status = if counted.fetch_add(1, Ordering::Relaxed) == 0 { "14" } else { "0" };
            let message = has_message.then(|| Frame::data(Bytes::from_static(&[0; 5])));
            async move {
                let trailers =
                    Frame::trailers([("grpc-status".parse().unwrap(), status.parse().unwrap())].into_iter().collect());
                let frames = message.into_iter().chain([trailers]).map(Ok::<_, Infallible>);
                let body = BodyExt::boxed(StreamBody::new(futures_util::stream::iter(frames)));
                Response::builder().header("content-type", "application/grpc").body(body).unwrap()
            }
        })
        .await;
        let gateway = gateway(&toml(address, "upstream_http2 = true\n[retry]\n")).await;
        let request = Request::post(format!("http://{}/polls.Polls/Get", gateway.address))
            .version(http::Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("idempotency-key", "1")
            .body(Full::new(Bytes::from_static(&[0; 5])))
            .unwrap();
        let response = patiently(client_http2().request(request)).await.unwrap();
        let trailers = patiently(response.into_body().collect()).await.unwrap().trailers().cloned().unwrap();
        assert_eq!(trailers["grpc-status"], if calls == 2 { "0" } else { "14" });
        assert_eq!(seen.count(), calls);
    }
}
