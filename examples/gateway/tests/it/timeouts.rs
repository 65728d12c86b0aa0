//! `[timeouts]`, against an upstream that takes its time.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::support::{Body, Gateway, Seen, client_http2, gateway, hello, patiently, raw, toml, upstream};

/// An upstream that never answers.
async fn never() -> (SocketAddr, Seen) {
    upstream(|_| std::future::pending::<Response<Body>>()).await
}

async fn grpc(gateway: &Gateway, timeout: Option<&str>) -> Response<hyper::body::Incoming> {
    let mut request = Request::post(format!("http://{}/polls.Polls/Get", gateway.address))
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(timeout) = timeout {
        request = request.header("grpc-timeout", timeout);
    }
    patiently(client_http2().request(request.body(Full::new(Bytes::from_static(&[0; 5]))).unwrap())).await.unwrap()
}

#[tokio::test]
async fn a_request_has_so_much_time_in_all() {
    let (address, seen) = never().await;
    let gateway =
        gateway(&toml(address, "[timeouts]\nrequest = \"200ms\"\nupstream = \"1h\"\n[security_headers]\n")).await;
    let late = gateway.get("/").await;
    assert_eq!((late.status, seen.count()), (504, 1));
    assert_eq!(late.headers["content-type"], "application/problem+json");
    assert_eq!(late.json()["request_id"], late.headers["x-request-id"].to_str().unwrap());
    // Refusals carry the headers too.
    assert_eq!(late.headers["x-frame-options"], "DENY");
    let response = grpc(&gateway, None).await;
    assert_eq!((response.status().as_u16(), &response.headers()["grpc-status"]), (200, &"4".parse().unwrap()));
}

#[tokio::test]
async fn and_each_try_has_its_own() {
    let (address, seen) = never().await;
    let gateway = gateway(&toml(address, "[timeouts]\nrequest = \"1h\"\nupstream = \"100ms\"\n")).await;
    let late = gateway.get("/").await;
    assert_eq!((late.status, seen.count()), (504, 1));
    assert_eq!(late.json()["detail"], "The upstream did not answer in time.");
    assert_eq!(grpc(&gateway, None).await.headers()["grpc-status"], "4");
}

#[tokio::test]
async fn what_the_client_asks_for_counts_where_it_is_less() {
    let (address, seen) = never().await;
    let gateway = gateway(&toml(address, "[timeouts]\nrequest = \"1h\"\nupstream = \"1h\"\n")).await;
    assert_eq!(grpc(&gateway, Some("100m")).await.headers()["grpc-status"], "4");
    let count = seen.count();
    for (timeout, status) in [("0S", "4"), ("1", "3"), ("123456789S", "3"), ("1.5S", "3"), ("-1S", "3")] {
        assert_eq!(grpc(&gateway, Some(timeout)).await.headers()["grpc-status"], status, "{timeout}");
    }
    let malformed =
        raw(gateway.address, b"GET / HTTP/1.1\r\nhost: x\r\ngrpc-timeout: soon\r\nconnection: close\r\n\r\n");
    assert!(malformed.await.starts_with("HTTP/1.1 400 "));
    assert_eq!(seen.count(), count, "nobody was asked");
}

/// What a `grpc-timeout` in milliseconds or finer says.
fn micros(text: &str) -> u64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let number: u64 = number.parse().unwrap();
    match unit {
        "n" => number / 1000,
        "u" => number,
        "m" => number * 1000,
        "S" => number * 1_000_000,
        _ => panic!("{text}"),
    }
}

#[tokio::test]
async fn the_upstream_is_told_what_is_left() {
    let (address, seen) = hello().await;
    let told = || seen.last().headers.get("grpc-timeout").map(|told| told.to_str().unwrap().to_owned());
    let bounded = gateway(&toml(address, "upstream_http2 = true\n[timeouts]\nrequest = \"20s\"\n")).await;
    let cases = [(Some("10S"), 10_000_000), (Some("1H"), 20_000_000), (None, 20_000_000)];
    for (timeout, most) in cases {
        grpc(&bounded, timeout).await;
        let left = micros(&told().unwrap());
        assert!(left < most && left > most / 2, "{timeout:?}: {left}");
    }
    // Who speaks no gRPC is not told.
    bounded.get("/").await;
    assert_eq!(told(), None);
    // And without the table fields pass as they come.
    let unbounded = gateway(&toml(address, "upstream_http2 = true\n")).await;
    grpc(&unbounded, Some("10S")).await;
    assert_eq!(told().unwrap(), "10S");
}

/// Whoever is in a hurry calls alone: an answer that its short time brought about is nobody else's.
#[tokio::test]
async fn a_hurried_request_shares_no_call() {
    let (address, seen) = upstream(|_| async {
        Response::builder().header("cache-control", "max-age=60").body(crate::support::full("hello")).unwrap()
    })
    .await;
    let gateway = gateway(&toml(address, "[timeouts]\n[cache]\n")).await;
    for _ in 0..2 {
        gateway.get("/").await;
    }
    assert_eq!(seen.count(), 1);
    let request = Request::get(format!("http://{}/", gateway.address)).header("grpc-timeout", "5S");
    assert_eq!(gateway.send(request.body(http_body_util::Empty::new()).unwrap()).await.body, "hello");
    assert_eq!(seen.count(), 2);
}

#[tokio::test]
async fn a_body_may_take_longer_than_its_head() {
    let (address, _) = upstream(|_| async {
        let pieces = futures_util::stream::iter(["a", "b", "c"]).then(|piece| async move {
            // Longer than the request may take in all.
            tokio::time::sleep(Duration::from_millis(500)).await;
            Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from_static(piece.as_bytes())))
        });
        Response::new(BodyExt::boxed(StreamBody::new(Box::pin(pieces))))
    })
    .await;
    let gateway = gateway(&toml(address, "[timeouts]\nrequest = \"1s\"\nupstream = \"1s\"\n")).await;
    assert_eq!(gateway.get("/").await.body, "abc");
}

/// What waits when the deadline comes is let go: the upstream's connection ends.
#[tokio::test]
async fn the_upstream_hears_that_nobody_waits_any_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let upstream = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        read
    });
    let gateway = gateway(&toml(address, "[timeouts]\nrequest = \"100ms\"\n")).await;
    assert_eq!(gateway.get("/").await.status, 504);
    assert!(patiently(upstream).await.unwrap().starts_with(b"GET / HTTP/1.1\r\n"));
}

#[tokio::test]
async fn the_state_shows_them() {
    let (address, _) = hello().await;
    let shown = async |tables: &str| {
        let tables = format!("admin_listen = \"127.0.0.1:0\"\n{tables}");
        gateway(&toml(address, &tables)).await.admin("/-/state").await.json()["timeouts"].clone()
    };
    let expected = serde_json::json!({ "request_ms": 30_000, "upstream_ms": 250 });
    assert_eq!(shown("[timeouts]\nupstream = \"250ms\"\n").await, expected);
    assert!(shown("").await.is_null());
}

#[tokio::test]
async fn what_is_no_time_is_an_error_before_anybody_is_let_in() {
    let (address, _) = hello().await;
    for (table, message) in [
        ("[timeouts]\nrequest = \"0s\"\n", "timeouts.request: `0s` lets nothing through"),
        ("[timeouts]\nupstream = \"5\"\n", "timeouts.upstream: `5` is no duration"),
        ("[timeouts]\nbody = \"5s\"\n", "timeouts.body"),
        ("[retry]\nattempts = 0\n", "retry.attempts: `0` is no number of tries"),
        ("[retry]\nbudget_percent = 2000\n", "retry.budget_percent: `2000` is too large a share"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        crate::support::write(dir.path(), "gateway.toml", &toml(address, table));
        let output = crate::support::command()
            .arg("--config")
            .arg(dir.path().join("gateway.toml"))
            .stderr(std::process::Stdio::piped())
            .output();
        let output = patiently(output).await.unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(message), "{said}");
    }
}
