//! `[cache]`: in front of an origin that knows nothing of it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::support::*;

const CACHE: &str = "admin_listen = \"127.0.0.1:0\"\n[cache]\n";

/// An origin that counts its answers and says so.
async fn counting(fields: &'static [(&'static str, &'static str)]) -> (std::net::SocketAddr, Seen) {
    let count = Arc::new(AtomicUsize::new(0));
    upstream(move |request| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        let mut response = Response::builder().header("x-n", n.to_string());
        for (name, value) in fields {
            response = response.header(*name, *value);
        }
        let response = response.body(full(format!("{} {n}", request.method()))).unwrap();
        async move { response }
    })
    .await
}

async fn post(address: std::net::SocketAddr, path: &str, body: &'static str) -> Answer {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::post(format!("http://{address}{path}")).body(Full::from(body)).unwrap();
    answer(patiently(client.request(request)).await.unwrap()).await
}

#[tokio::test]
async fn hits_state_and_purges() {
    let (address, seen) = counting(&[("cache-control", "max-age=60"), ("surrogate-key", "t")]).await;
    let gateway = gateway(&toml(address, CACHE)).await;
    let admin = gateway.admin.unwrap();
    let first = gateway.get("/x?q").await;
    assert_eq!(first.headers["cache-status"], "rampart; fwd=uri-miss; stored");
    assert!(!first.headers.contains_key("surrogate-key"));
    let hit = gateway.get("/x?q").await;
    assert_eq!((&*hit.body, &hit.headers["x-n"]), (&b"GET 0"[..], &"0".parse().unwrap()));
    assert!(hit.headers["cache-status"].to_str().unwrap().starts_with("rampart; hit; ttl="));
    assert!(hit.headers.contains_key("age"));
    let state = gateway.admin("/-/state").await.json();
    assert_eq!(state["cache"]["entries"], 1);
    assert!(state["cache"]["bytes"].as_u64().unwrap() > 0);
    for body in [r#"{"tag": "t"}"#, r#"{"path": "/x"}"#] {
        assert_eq!(post(admin, "/-/purge", body).await.status, 204);
        assert_eq!(gateway.admin("/-/state").await.json()["cache"]["entries"], 0);
        let before = seen.count();
        gateway.get("/x?q").await;
        assert_eq!(seen.count(), before + 1);
    }
    for body in ["", "{}", r#"{"tag": 1}"#, r#"{"tag": "a", "path": "/b"}"#, r#"{"host": "a"}"#] {
        assert_eq!(post(admin, "/-/purge", body).await.status, 400, "{body}");
    }
    assert_eq!(gateway.admin("/-/purge").await.status, 405);
    assert_eq!(post(gateway.address, "/-/purge", r#"{"tag": "t"}"#).await.body, "POST 3", "not on the public address");
}

#[tokio::test]
async fn without_the_table_nothing_is_cached() {
    let (address, _) = counting(&[("cache-control", "max-age=60")]).await;
    let gateway = gateway(&toml(address, "admin_listen = \"127.0.0.1:0\"\n")).await;
    for n in 0..2 {
        let got = gateway.get("/").await;
        assert_eq!(got.headers["x-n"], n.to_string());
        assert!(!got.headers.contains_key("cache-status"));
    }
    assert_eq!(post(gateway.admin.unwrap(), "/-/purge", r#"{"tag": "t"}"#).await.status, 404);
}

#[tokio::test]
async fn both_protocols_share_a_response_and_a_get_with_a_body_is_nobody_elses() {
    let (address, seen) = counting(&[("cache-control", "max-age=60")]).await;
    let gateway = gateway(&toml(address, CACHE)).await;
    gateway.get("/").await;
    let uri = format!("http://{}/", gateway.address);
    let plain = Request::get(&uri).body(Full::<Bytes>::default()).unwrap();
    let client = client_http2::<Full<Bytes>>();
    assert_eq!(answer(patiently(client.request(plain)).await.unwrap()).await.body, "GET 0");
    let frames = StreamBody::new(stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"odd")))]));
    let fat = Request::get(&uri).body(frames.boxed()).unwrap();
    let got = answer(patiently(client_http2().request(fat)).await.unwrap()).await;
    assert_eq!((&*got.body, &got.headers["cache-status"]), (&b"GET 1"[..], &"rampart; fwd=bypass".parse().unwrap()));
    assert_eq!((&*gateway.get("/").await.body, seen.count()), (&b"GET 0"[..], 2));
}

#[tokio::test]
async fn a_write_is_seen_by_the_next_read() {
    let (address, _) = counting(&[("cache-control", "max-age=60")]).await;
    let gateway = gateway(&toml(address, CACHE)).await;
    gateway.get("/x").await;
    assert_eq!(post(gateway.address, "/x", "change").await.body, "POST 1");
    assert_eq!(gateway.get("/x").await.body, "GET 2");
}

/// RFC 9111 section 4.2.4 and RFC 5861 section 4, over an upstream that hangs up.
#[tokio::test]
async fn an_upstream_that_is_gone() {
    for (directives, after) in
        [("max-age=0", 200), ("max-age=0, stale-if-error=0", 502), ("max-age=0, must-revalidate", 504)]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = [0; 4096];
            let _ = stream.read(&mut read).await;
            let head = format!(
                "HTTP/1.1 200 OK\r\ncache-control: {directives}\r\netag: \"a\"\r\ncontent-length: 4\r\n\r\nbody"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            // It hangs up, and so does whoever comes after.
            drop(stream);
            while let Ok((stream, _)) = listener.accept().await {
                drop(stream);
            }
        });
        let gateway = gateway(&toml(address, CACHE)).await;
        assert_eq!(gateway.get("/").await.body, "body");
        let got = gateway.get("/").await;
        assert_eq!(got.status, after, "{directives}");
        if after == 504 {
            assert_eq!(got.headers["content-type"], "application/problem+json");
        }
    }
}

/// A body that breaks off is an error for everybody who reads it, and is nowhere kept.
#[tokio::test]
async fn an_upstream_that_dies_in_the_middle() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut read = [0; 4096];
            let _ = stream.read(&mut read).await;
            let head =
                "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
            let _ = stream.write_all(head.as_bytes()).await;
        }
    });
    let gateway = gateway(&toml(address, CACHE)).await;
    for _ in 0..2 {
        let uri = format!("http://{}/", gateway.address).parse().unwrap();
        let response = patiently(client().get(uri)).await.unwrap();
        assert!(patiently(response.into_body().collect()).await.is_err());
    }
    assert_eq!(gateway.admin("/-/state").await.json()["cache"]["entries"], 0);
}

/// Trailers end a body, and a write that the upstream breaks off may have been done.
#[tokio::test]
async fn trailers_and_a_write_that_breaks_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut read = [0; 4096];
            let _ = stream.read(&mut read).await;
            if read.starts_with(b"GET") {
                counted.fetch_add(1, Ordering::SeqCst);
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncache-control: max-age=60\r\n";
                let body = "transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nx-trailer: 1\r\n\r\n";
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
        }
    });
    let gateway = gateway(&toml(address, CACHE)).await;
    for _ in 0..3 {
        assert_eq!(gateway.get("/").await.body, "body");
    }
    assert_eq!(reads.load(Ordering::SeqCst), 1);
    assert_eq!(post(gateway.address, "/", "change").await.status, 502);
    gateway.get("/").await;
    assert_eq!(reads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_herd_is_one_call_and_streams() {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let (address, seen) = upstream(move |_| {
        let gate = Arc::clone(&opened);
        async move {
            gate.acquire().await.unwrap().forget();
            let frames =
                ["one", "two"].map(|text| Ok::<_, Infallible>(Frame::data(Bytes::from_static(text.as_bytes()))));
            Response::builder()
                .header("cache-control", "max-age=60")
                .body(StreamBody::new(stream::iter(frames)).boxed())
                .unwrap()
        }
    })
    .await;
    let gateway = Arc::new(gateway(&toml(address, CACHE)).await);
    let herd: Vec<_> = (0..50)
        .map(|_| {
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move { gateway.get("/").await })
        })
        .collect();
    patiently(async {
        while gateway.admin("/-/state").await.json()["cache"]["misses"] != 50 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    gate.add_permits(1);
    for got in herd {
        assert_eq!(patiently(got).await.unwrap().body, "onetwo");
    }
    assert_eq!(seen.count(), 1);
    assert_eq!(gateway.admin("/-/state").await.json()["cache"]["in_flight"], 0);
}

#[tokio::test]
async fn a_reload_keeps_what_is_stored_while_that_is_sound() {
    let (address, seen) = counting(&[("cache-control", "max-age=60")]).await;
    let mut gateway = gateway(&toml(address, CACHE)).await;
    gateway.get("/").await;
    let mut reload = async |text: String, expected: usize| {
        write(gateway.dir.path(), "gateway.toml", &text);
        wait_for(&mut gateway.log, "configuration reloaded").await;
        let uri = format!("http://{}/", gateway.address).parse().unwrap();
        answer(patiently(client().get(uri)).await.unwrap()).await;
        assert_eq!(seen.count(), expected, "{text}");
    };
    reload(toml(address, "[cache]\n[security_headers]\n"), 1).await;
    reload(toml(address, "[cache]\nvariants = 2\n"), 2).await;
    reload(toml(address, "upstream_http2 = true\n[cache]\nvariants = 2\n"), 3).await;
}

/// What the proxy writes into requests cannot be told apart before it.
#[tokio::test]
async fn what_varies_by_the_callers_name_is_not_stored() {
    let (address, seen) = counting(&[("cache-control", "public, max-age=60"), ("vary", "x-auth-subject")]).await;
    let gateway = gateway(&toml(address, CACHE)).await;
    gateway.get("/").await;
    gateway.get("/").await;
    assert_eq!(seen.count(), 2);
}

#[tokio::test]
async fn errors_in_the_table() {
    for (table, expected) in [
        ("bytes = \"64\"", "cache.bytes: `64` is no size"),
        ("bytes = \"1KiB\"\nentry_bytes = \"2KiB\"", "cache.bytes: `1024` has no room for one entry"),
        ("entry_bytes = \"0B\"", "cache.entry_bytes: `0B` leaves no room"),
        ("wait = \"soon\"", "cache.wait: `soon` is no duration"),
        ("variants = 0", "cache.variants: `0` leaves no room"),
        ("client_directives = \"maybe\"", "cache.client_directives: `maybe` is none of the choices"),
        ("ttl = \"1s\"", "is no known key"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "gateway.toml", &format!("[cache]\n{table}\n"));
        let output = patiently(command().arg("--config").arg(dir.path().join("gateway.toml")).output()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{table}: {said}");
        assert!(said.contains(expected), "{table}: {said}");
    }
}

/// A body that is too long to be kept streams through, whatever its reader's pace, and its length is not told before.
#[tokio::test]
async fn a_long_body_takes_no_memory() {
    const FRAMES: usize = 4096;
    const FRAME: usize = 64 << 10;
    let (address, _) = upstream(|_| async {
        let frame = Bytes::from(vec![b'x'; FRAME]);
        let frames = (0..FRAMES).map(move |_| Ok::<_, Infallible>(Frame::data(frame.clone())));
        Response::builder()
            .header("cache-control", "max-age=60")
            .body(StreamBody::new(stream::iter(frames)).boxed())
            .unwrap()
    })
    .await;
    let gateway = gateway(&toml(address, CACHE)).await;
    let uri = format!("http://{}/", gateway.address).parse().unwrap();
    let mut body = patiently(client().get(uri)).await.unwrap().into_body();
    let mut bytes = 0;
    while let Some(frame) = patiently(body.frame()).await {
        bytes += frame.unwrap().into_data().map_or(0, |data| data.len());
    }
    assert_eq!(bytes, FRAMES * FRAME);
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.child.id().unwrap())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: usize = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak_kib < 100 << 10, "{peak_kib} KiB for a body of 256 MiB");
    assert_eq!(gateway.admin("/-/state").await.json()["cache"]["entries"], 0);
}

/// RFC 9111 section 4.3.4: an origin that confirms something else is asked for all of it, and the client is none the worse.
#[tokio::test]
async fn a_304_for_something_else_is_asked_about_again() {
    let (address, seen) = upstream(|request| {
        let is_conditional = request.headers().contains_key("if-none-match");
        let (status, tag) = if is_conditional { (304, "\"z\"") } else { (200, "\"a\"") };
        let response = Response::builder().status(status).header("cache-control", "no-cache").header("etag", tag);
        let response =
            response.body(full(if is_conditional { String::new() } else { String::from("all of it") })).unwrap();
        async move { response }
    })
    .await;
    let gateway = gateway(&toml(address, CACHE)).await;
    for calls in [1, 3, 5] {
        let got = gateway.get("/x").await;
        assert_eq!((got.status, &*got.body, seen.count()), (200, &b"all of it"[..], calls));
    }
}
