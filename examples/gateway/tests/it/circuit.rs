//! The upstream's circuit, by an upstream that fails in every way there is.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{
    Gateway, answer, client, client_http2, eventually, full, gateway, nobody, patiently, toml, upstream, wait_for,
    write,
};

const BREAKER: &str = "admin_listen = \"127.0.0.1:0\"\n[circuit_breaker]\nwindow = 10\nmin_calls = 4\njitter = 0.0\n\
     open_for = \"1h\"\nmax_open = \"2h\"\n";

async fn guarded(upstream: SocketAddr, more: &str) -> Gateway {
    gateway(&toml(upstream, &format!("{BREAKER}{more}"))).await
}

async fn state(gateway: &Gateway) -> serde_json::Value {
    let circuits = gateway.admin("/-/state").await.json()["circuit_breaker"].clone();
    let (_, circuit) = circuits.as_object().unwrap().iter().next().unwrap();
    circuit.clone()
}

async fn becomes(gateway: &Gateway, wanted: &str) {
    eventually(async || state(gateway).await["state"] == wanted).await;
}

/// An upstream that does as it is told with each connection.
async fn raw_upstream<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, connections) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream));
        }
    });
    (address, connections)
}

async fn read_head(stream: &mut TcpStream) {
    let (mut read, mut buffer) = (Vec::new(), [0; 1024]);
    while !read.windows(4).any(|window| window == b"\r\n\r\n") {
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        if count == 0 {
            return;
        }
        read.extend_from_slice(&buffer[..count]);
    }
}

/// Clients that send half a body and wait.
#[tokio::test]
async fn clients_that_stall_their_uploads_do_not_open_it() {
    let (address, seen) = upstream(|request| async move {
        let _ = request.into_body().collect().await;
        Response::new(full("read"))
    })
    .await;
    let gateway = guarded(address, "slow_call = \"1ms\"\n[timeouts]\nupstream = \"200ms\"\n[retry]\n").await;
    let stalled = (0..8).map(|_| async {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        let head = b"PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nx";
        stream.write_all(head).await.unwrap();
        let mut answer = vec![0; 12];
        patiently(stream.read_exact(&mut answer)).await.unwrap();
        String::from_utf8(answer).unwrap()
    });
    assert_eq!(futures_util::future::join_all(stalled).await, ["HTTP/1.1 504"; 8]);
    assert_eq!(seen.count(), 8, "and none is tried again");
    let state = state(&gateway).await;
    assert_eq!((&state["state"], &state["failures"]), (&"closed".into(), &0.into()), "{state}");
}

#[tokio::test]
async fn errors_open_it_and_refusals_tell_when_to_come_back() {
    let (address, seen) = upstream(|_| async { Response::builder().status(500).body(full("oh")).unwrap() }).await;
    let gateway = guarded(address, "").await;
    assert_eq!(state(&gateway).await["state"], "closed");
    for _ in 0..4 {
        assert_eq!(gateway.get("/").await.status, 500);
    }
    let refused = gateway.get("/").await;
    assert_eq!((refused.status, seen.count()), (503, 4));
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    assert_eq!(refused.headers["cache-control"], "no-store");
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((3590..=3600).contains(&wait), "{wait}");
    assert_eq!(refused.json()["request_id"], refused.headers["x-request-id"].to_str().unwrap());

    let state = gateway.admin("/-/state").await.json();
    let circuit = &state["circuit_breaker"][address.to_string()];
    assert_eq!((&circuit["state"], &circuit["refused"], &circuit["opened"]), (&"open".into(), &1.into(), &1.into()));
    // It is shown, and the gateway stays in service.
    let ready = gateway.admin("/-/readyz").await;
    assert_eq!((ready.status, &ready.json()["circuit_breaker"][address.to_string()]), (200, &"open".into()));
    let metrics = String::from_utf8_lossy(&gateway.admin("/-/metrics").await.body).into_owned();
    for line in [
        format!("rampart_circuit_breaker_state{{circuit=\"{address}\",state=\"open\"}} 1"),
        format!("rampart_circuit_breaker_state{{circuit=\"{address}\",state=\"closed\"}} 0"),
        format!("rampart_circuit_breaker_outcomes_total{{circuit=\"{address}\",outcome=\"failure\"}} 4"),
        format!("rampart_circuit_breaker_outcomes_total{{circuit=\"{address}\",outcome=\"refused\"}} 1"),
        String::from("rampart_circuit_breaker_refused_total{status=\"503\"} 1"),
    ] {
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
    assert!(metrics.contains("reason=\"failure_rate\""), "{metrics}");
}

#[tokio::test]
async fn nobody_there_opens_it() {
    let gateway = guarded(nobody().await, "").await;
    for _ in 0..4 {
        assert_eq!(gateway.get("/").await.status, 502);
    }
    assert_eq!(gateway.get("/").await.status, 503);
}

#[tokio::test]
async fn connections_that_are_reset_open_it() {
    let (address, connections) = raw_upstream(|mut stream| async move { read_head(&mut stream).await }).await;
    let gateway = guarded(address, "").await;
    for _ in 0..4 {
        assert_eq!(gateway.get("/").await.status, 502);
    }
    assert_eq!((gateway.get("/").await.status, connections.load(Ordering::SeqCst)), (503, 4));
}

#[tokio::test]
async fn half_bodies_open_it() {
    let (address, _) = raw_upstream(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
    })
    .await;
    let gateway = guarded(address, "").await;
    for _ in 0..4 {
        let uri = format!("http://{}/", gateway.address).parse().unwrap();
        let response = patiently(client().get(uri)).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(patiently(response.into_body().collect()).await.is_err());
    }
    becomes(&gateway, "open").await;
    assert_eq!(gateway.get("/").await.status, 503);
}

#[tokio::test]
async fn grpc_failures_in_trailers_open_it_and_are_refused_in_kind() {
    let (address, seen) = upstream(|_| async {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("14"));
        let frames = [Frame::data(Bytes::from_static(b"\0\0\0\0\0")), Frame::trailers(trailers)];
        let body = StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>)));
        Response::builder().header("content-type", "application/grpc").body(BodyExt::boxed(body)).unwrap()
    })
    .await;
    let gateway = gateway(&toml(address, &format!("upstream_http2 = true\n{BREAKER}"))).await;
    let client = client_http2::<Empty<Bytes>>();
    let call = async || {
        let request = Request::post(format!("http://{}/a.B/C", gateway.address))
            .header("content-type", "application/grpc")
            .body(Empty::new())
            .unwrap();
        answer(patiently(client.request(request)).await.unwrap()).await
    };
    for _ in 0..4 {
        assert_eq!(call().await.status, 200);
    }
    becomes(&gateway, "open").await;
    let refused = call().await;
    assert_eq!((refused.status, &refused.headers["grpc-status"]), (200, &HeaderValue::from_static("14")));
    assert!(refused.headers["grpc-retry-pushback-ms"].to_str().unwrap().parse::<u64>().unwrap() > 3_500_000);
    assert_eq!(seen.count(), 4);
}

/// An upstream that stalls, and how many have come to it.
async fn stalling_upstream() -> (SocketAddr, Arc<AtomicUsize>) {
    raw_upstream(|mut stream| async move {
        read_head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await
}

/// A client that leaves once its call has reached the upstream, or cannot. The gateway learns of it from the connection that
/// closes.
async fn leave(gateway: &Gateway, reached: &AtomicUsize) {
    let before = reached.load(Ordering::SeqCst);
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    eventually(async || reached.load(Ordering::SeqCst) > before || state(gateway).await["state"] == "open").await;
}

#[tokio::test]
async fn clients_that_leave_before_a_call_is_slow_count_for_nothing() {
    let (address, reached) = stalling_upstream().await;
    let gateway = guarded(address, "slow_call = \"1h\"\n").await;
    for _ in 0..6 {
        leave(&gateway, &reached).await;
    }
    let line = format!("rampart_circuit_breaker_outcomes_total{{circuit=\"{address}\",outcome=\"neutral\"}} 6");
    eventually(async || String::from_utf8_lossy(&gateway.admin("/-/metrics").await.body).contains(&line)).await;
    let state = state(&gateway).await;
    assert_eq!((&state["state"], &state["calls"]), (&"closed".into(), &0.into()));
}

#[tokio::test]
async fn stalls_that_clients_give_up_on_count_once_they_are_slow() {
    let (address, reached) = stalling_upstream().await;
    // Any call that reaches the upstream and is left again has lasted so long, sooner or later.
    let gateway = guarded(address, "slow_call = \"1ms\"\n").await;
    eventually(async || {
        leave(&gateway, &reached).await;
        state(&gateway).await["state"] == "open"
    })
    .await;
    assert!(reached.load(Ordering::SeqCst) >= 4);
}

#[tokio::test]
async fn what_clients_break_off_is_not_held_against_the_upstream() {
    let (address, _) = upstream(|request: Request<hyper::body::Incoming>| async {
        let _ = request.into_body().collect().await;
        Response::new(full("ok"))
    })
    .await;
    let gateway = guarded(address, "").await;
    for _ in 0..6 {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf").await.unwrap();
    }
    assert_eq!(gateway.get("/").await.status, 200);
    let state = state(&gateway).await;
    assert_eq!((&state["state"], &state["failures"]), (&"closed".into(), &0.into()));
}

#[tokio::test]
async fn it_closes_when_the_upstream_is_well_again() {
    let sick = Arc::new(AtomicUsize::new(4));
    let (address, seen) = upstream(move |_| {
        let is_sick = sick.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        async move { Response::builder().status(if is_sick { 503 } else { 200 }).body(full("")).unwrap() }
    })
    .await;
    let table = "[circuit_breaker]\nmin_calls = 4\njitter = 0.0\nopen_for = \"300ms\"\nprobes = 2\n";
    let gateway = gateway(&toml(address, &format!("admin_listen = \"127.0.0.1:0\"\n{table}"))).await;
    for _ in 0..4 {
        assert_eq!(gateway.get("/").await.status, 503);
    }
    let refused = gateway.get("/").await;
    assert_eq!((refused.status, &refused.headers["retry-after"]), (503, &HeaderValue::from_static("1")));
    eventually(async || gateway.get("/").await.status == 200).await;
    gateway.get("/").await;
    becomes(&gateway, "closed").await;
    assert!(seen.count() >= 6);
}

#[tokio::test]
async fn a_reload_keeps_the_circuit_unless_its_table_changes() {
    let (address, _) = upstream(|_| async { Response::builder().status(500).body(full("")).unwrap() }).await;
    let mut gateway = guarded(address, "").await;
    for _ in 0..4 {
        gateway.get("/").await;
    }
    let before = std::fs::read_to_string(gateway.file()).unwrap();
    write(gateway.dir.path(), "gateway.toml", &format!("{before}\n# the same\n[client_ip]\nipv6_prefix = 56\n"));
    gateway.signal("-HUP");
    wait_for(&mut gateway.log, "reload").await;
    eventually(async || gateway.admin("/-/state").await.json()["config"]["reloads"] != 0).await;
    assert_eq!(state(&gateway).await["state"], "open");
    write(gateway.dir.path(), "gateway.toml", &before.replace("min_calls = 4", "min_calls = 5"));
    gateway.signal("-HUP");
    becomes(&gateway, "closed").await;
}

#[tokio::test]
async fn bad_tables_are_refused_with_their_line() {
    for (line, error) in [
        ("window = 0", "circuit_breaker.window: `0` is no number of calls"),
        ("window = \"1ms\"", "circuit_breaker.window: `1ms` is no time to judge by"),
        ("failure_rate = 1.5", "circuit_breaker.failure_rate: `1.5` is no share"),
        ("min_calls = 101", "circuit_breaker.min_calls: `101` is more than the window ever holds"),
        ("probes_needed = 4", "circuit_breaker.probes_needed: `4` cannot succeed"),
        (
            "open_for = \"2m\"",
            "circuit_breaker.open_for: `2m` is longer than `max_open`, which is 60s unless it is said",
        ),
        ("window = true", "circuit_breaker.window"),
        ("typo = 1", "circuit_breaker.typo"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "gateway.toml", &format!("[circuit_breaker]\n{line}\n"));
        let output =
            crate::support::command().arg("--config").arg(dir.path().join("gateway.toml")).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{line}: {said}");
        assert!(said.contains("gateway.toml:2: ") && said.contains(error), "{line}: {said}");
    }
}
