//! What the upstream does not get chooses nothing in the cache: what a client says to this hop alone, and what a stranger
//! claims.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::*;

const CACHE: &str = "[cache]\n";

/// Asks from an address of this machine, with these lines; the answer as it came.
async fn ask_from(from: u8, gateway: &Gateway, path: &str, lines: &str) -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, from), 0).into()).unwrap();
    let mut stream = patiently(socket.connect(gateway.address)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: a.example\r\n{lines}connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    let _ = patiently(stream.read_to_end(&mut read)).await;
    String::from_utf8_lossy(&read).into_owned()
}

async fn ask(gateway: &Gateway, path: &str, lines: &str) -> String {
    ask_from(1, gateway, path, lines).await
}

fn shown(headers: &HeaderMap, name: &str) -> String {
    let lines: Vec<_> = headers.get_all(name).iter().map(|line| line.to_str().unwrap()).collect();
    format!("<{name}: {}>", lines.join("|"))
}

/// An origin whose answer shows these fields, and varies by them.
async fn varying(names: &'static [&'static str]) -> (SocketAddr, Seen) {
    upstream(move |request: Request<_>| {
        let shown: String = names.iter().map(|name| shown(request.headers(), name)).collect();
        let response = Response::builder().header("cache-control", "max-age=60").header("vary", names.join(", "));
        let response = response.body(full(shown)).unwrap();
        async move { response }
    })
    .await
}

/// RFC 9110 section 7.6.1, RFC 9111 section 4.1.
#[tokio::test]
async fn what_connection_names_chooses_no_variant() {
    let (address, seen) = varying(&["origin", "accept-language", "accept-encoding", "cookie", "x-hop"]).await;
    let gateway = gateway(&toml(address, CACHE)).await;
    for (name, value) in [
        ("origin", "https://app.example"),
        ("accept-language", "de"),
        ("accept-encoding", "gzip"),
        ("cookie", "a=1"),
        ("x-hop", "1"),
    ] {
        let path = format!("/{name}");
        let before = seen.count();
        ask(&gateway, &path, &format!("{name}: {value}\r\nconnection: {name}\r\n")).await;
        let honest = ask(&gateway, &path, &format!("{name}: {value}\r\n")).await;
        assert!(honest.contains(&format!("<{name}: {value}>")), "{honest}");
        // The origin saw none of it, and so its answer is that to none.
        let without = ask(&gateway, &path, "").await;
        assert!(without.contains(&format!("<{name}: >")), "{without}");
        assert_eq!(seen.count(), before + 2, "{name}");
    }
}

/// What `Connection` names is the client's, not what the cache asks with.
#[tokio::test]
async fn connection_strips_no_validator_of_the_cache() {
    let (address, seen) = upstream(|request: Request<_>| async move {
        let response = Response::builder().header("etag", "\"a\"");
        let range = request.headers().get("range").map(|range| range.to_str().unwrap().to_owned());
        let response = response.header("cache-control", if range.is_some() { "max-age=60" } else { "max-age=0" });
        match range.as_deref() {
            Some("bytes=0-3") => response.status(206).header("content-range", "bytes 0-3/8").body(full("abcd")),
            Some(_) => response.status(206).header("content-range", "bytes 4-7/8").body(full("efgh")),
            None if request.headers().contains_key("if-none-match") => response.status(304).body(full("")),
            None => response.body(full("abcdefgh")),
        }
        .unwrap()
    })
    .await;
    let gateway = gateway(&toml(address, CACHE)).await;
    ask(&gateway, "/whole", "").await;
    let validated = ask(&gateway, "/whole", "connection: if-none-match\r\n").await;
    assert!(validated.ends_with("abcdefgh"), "{validated}");
    assert_eq!(seen.last().headers["if-none-match"], "\"a\"");

    ask(&gateway, "/part", "range: bytes=0-3\r\n").await;
    let completed = ask(&gateway, "/part", "connection: if-range, range\r\n").await;
    assert!(completed.ends_with("abcdefgh"), "{completed}");
    assert_eq!(seen.last().headers["range"], "bytes=4-");
    assert_eq!(seen.last().headers["if-range"], "\"a\"");
}

/// An origin that sends plain requests to HTTPS.
async fn redirecting() -> (SocketAddr, Seen) {
    upstream(|request: Request<_>| async move {
        let is_secure = request.headers()["x-forwarded-proto"] == "https";
        let response = Response::builder().header("cache-control", "max-age=60");
        match is_secure {
            true => response.body(full("secure")).unwrap(),
            false => response.status(301).header("location", "https://a.example/").body(full("")).unwrap(),
        }
    })
    .await
}

const ONE_PROXY: &str = "[cache]\n[client_ip]\ntrusted_proxies = [\"127.0.0.1/32\"]\n";

#[tokio::test]
async fn a_stranger_redirects_nobody_behind_the_trusted_proxy() {
    let (address, seen) = redirecting().await;
    let gateway = gateway(&toml(address, ONE_PROXY)).await;
    const CLAIM: &str = "x-forwarded-proto: https\r\n";
    let stranger = ask_from(2, &gateway, "/", CLAIM).await;
    assert!(stranger.contains(" 301 "), "{stranger}");
    let behind = ask(&gateway, "/", CLAIM).await;
    assert!(behind.contains(" 200 ") && behind.ends_with("secure"), "{behind}");
    // Strangers are one, whatever they claim; and the proxy's clients another.
    for claim in ["", "x-forwarded-host: b.example\r\n", "x_forwarded_host: b.example\r\n", "forwarded: host=b\r\n"] {
        assert!(ask_from(2, &gateway, "/", claim).await.contains(" 301 "));
    }
    assert!(ask(&gateway, "/", CLAIM).await.contains(" 200 "));
    assert_eq!(seen.count(), 2);
}

/// The proxy's clients over plain text redirect none over HTTPS, in whichever field it tells them apart.
#[tokio::test]
async fn a_scheme_that_only_forwarded_tells_is_told_to_the_upstream() {
    let (address, seen) = redirecting().await;
    let gateway = gateway(&toml(address, &format!("{ONE_PROXY}header = \"forwarded\"\n"))).await;
    for (proto, expected) in [("http", " 301 "), ("https", " 200 "), ("http", " 301 "), ("https", " 200 ")] {
        let answer = ask(&gateway, "/", &format!("forwarded: for=203.0.113.1;proto={proto}\r\n")).await;
        assert!(answer.contains(expected), "{proto}: {answer}");
        // A stranger says nothing by it.
        let answer = ask_from(2, &gateway, "/", "forwarded: for=203.0.113.1;proto=https\r\n").await;
        assert!(answer.contains(" 301 "), "{answer}");
    }
    assert_eq!(seen.count(), 2);
}

#[tokio::test]
async fn a_strangers_forwarding_fields_choose_no_variant() {
    const NAMES: [&str; 6] =
        ["x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix", "forwarded", "cf-connecting-ip", "x-real-ip"];
    let (address, _) = varying(&NAMES).await;
    let gateway = gateway(&toml(address, ONE_PROXY)).await;
    for name in NAMES {
        let (path, line) = (format!("/{name}"), format!("{name}: for=6.6.6.6\r\n"));
        let stranger = ask_from(2, &gateway, &path, &line).await;
        assert!(stranger.contains(&format!("<{name}: >")), "{stranger}");
        let behind = ask(&gateway, &path, &line).await;
        assert!(behind.contains(&format!("<{name}: for=6.6.6.6")), "{behind}");
    }
}

/// The gateway appends its peer, which is in no key.
#[tokio::test]
async fn what_varies_by_the_peer_is_not_stored() {
    let (address, _) = varying(&["forwarded"]).await;
    let proxies = "[cache]\n[client_ip]\ntrusted_proxies = [\"127.0.0.0/8\"]\n";
    let gateway = gateway(&toml(address, proxies)).await;
    for proxy in [1, 2] {
        let answer = ask_from(proxy, &gateway, "/", "forwarded: for=1.2.3.4\r\n").await;
        assert!(answer.contains(&format!("<forwarded: for=1.2.3.4, for=127.0.0.{proxy};proto=http>")), "{answer}");
    }
}

/// `curl --http2 http://...` asks with each request.
#[tokio::test]
async fn upgrades_that_are_ignored_do_not_pass_the_cache_by() {
    let (address, seen) = varying(&["accept"]).await;
    let gateway = gateway(&toml(address, CACHE)).await;
    let h2c = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n";
    for _ in 0..2 {
        let answer = ask(&gateway, "/", h2c).await;
        assert!(answer.contains(" 200 "), "{answer}");
    }
    ask(&gateway, "/", "").await;
    ask(&gateway, "/", "upgrade: websocket\r\n").await;
    assert_eq!(seen.count(), 1);
    assert!(!seen.last().headers.contains_key("http2-settings"));
    let websocket = ask(&gateway, "/", "connection: upgrade\r\nupgrade: websocket\r\n").await;
    assert!(websocket.contains(" 501 "), "{websocket}");
}

/// What is stored answers no request that is to be refused.
#[tokio::test]
async fn requests_without_a_sound_host_get_nothing_that_is_stored() {
    let (address, seen) = varying(&["accept"]).await;
    let gateway = gateway(&toml(address, CACHE)).await;
    ask(&gateway, "http://a.example/", "").await;
    for bad in ["", "host: a.example\r\nhost: a.example\r\n", "host: a b\r\n"] {
        let request = format!("GET http://a.example/ HTTP/1.1\r\n{bad}connection: close\r\n\r\n");
        let answer = raw(gateway.address, request.as_bytes()).await;
        assert!(answer.contains(" 400 "), "{answer}");
    }
    assert_eq!(seen.count(), 1);
}

/// RFC 9113 section 8.2.3.
#[tokio::test]
async fn cookies_in_crumbs_are_one_field() {
    let (address, seen) = varying(&["cookie"]).await;
    let gateway = gateway(&toml(address, CACHE)).await;
    let asked = async |crumbs: &[&str]| {
        let mut request = Request::get(format!("http://{}/", gateway.address)).version(Version::HTTP_2);
        for crumb in crumbs {
            request = request.header("cookie", *crumb);
        }
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        answer(patiently(client_http2().request(request)).await.unwrap()).await.body
    };
    assert_eq!(asked(&["a=1", "b=2", "c=3"]).await, "<cookie: a=1; b=2; c=3>");
    assert_eq!(seen.last().version, Version::HTTP_11);
    assert_eq!(asked(&["a=1; b=2", "c=3"]).await, "<cookie: a=1; b=2; c=3>");
    let request = Request::get(format!("http://{}/", gateway.address)).header("cookie", "a=1; b=2; c=3");
    gateway.send(request.body(Empty::new()).unwrap()).await;
    assert_eq!(seen.count(), 1, "the same over HTTP/1.1");
    assert_eq!(asked(&["a=1"]).await, "<cookie: a=1>");
}

/// A client that gets its `Connection` past the proxy is still the client.
#[tokio::test]
async fn connection_strips_no_word_of_a_trusted_proxy() {
    let (address, seen) = hello().await;
    let limit = "[[rate_limit]]\nname = \"p\"\nquota = 1\nwindow = \"1h\"\n";
    let gateway = gateway(&toml(address, &format!("{limit}[client_ip]\ntrusted_proxies = [\"127.0.0.1/32\"]\n"))).await;
    for client in ["203.0.113.1", "203.0.113.2"] {
        let lines = format!("x-forwarded-for: {client}\r\nconnection: x-forwarded-for\r\n");
        assert!(ask(&gateway, "/", &lines).await.contains(" 200 "));
        assert_eq!(seen.last().headers["x-forwarded-for"], format!("{client}, 127.0.0.1"));
        assert!(ask(&gateway, "/", &lines).await.contains(" 429 "));
    }
}

/// Its fields are gone before a layer can look for them.
#[tokio::test]
async fn a_proxy_that_was_forgotten_is_told_of() {
    let (address, _) = hello().await;
    let mut gateway = gateway(&toml(address, "")).await;
    ask(&gateway, "/", "x-forwarded-for: 203.0.113.1\r\n").await;
    wait_for(&mut gateway.log, "no trusted proxy").await;
}

const STALE: &str = "max-age=0, stale-while-revalidate=60";

async fn stale() -> (SocketAddr, Seen) {
    upstream(|_| async { Response::builder().header("cache-control", STALE).body(full("hello")).unwrap() }).await
}

/// A refresh is for all who ask for the same: with what chose, and without who asked first.
#[tokio::test]
async fn a_refresh_asks_for_what_was_asked_for_by_nobody() {
    let (address, seen) = stale().await;
    let gateway = gateway(&toml(address, ONE_PROXY)).await;
    let lines = "x-forwarded-proto: https\r\nx-forwarded-host: b.example\r\nx-forwarded-for: 203.0.113.1\r\n\
                 forwarded: for=203.0.113.1\r\nx-real-ip: 203.0.113.1\r\ncf-connecting-ip: 203.0.113.1\r\n";
    for _ in 0..2 {
        ask(&gateway, "/", lines).await;
    }
    eventually(async || seen.count() == 2).await;
    let headers = seen.last().headers;
    assert_eq!(headers["x-forwarded-proto"], "https");
    assert_eq!(headers["x-forwarded-host"], "b.example");
    for gone in ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip"] {
        assert!(!headers.contains_key(gone), "{gone}");
    }
}

/// What is stored for HTTPS is refreshed for HTTPS.
#[tokio::test]
async fn a_refresh_is_as_secure_as_who_asked() {
    let (address, seen) = stale().await;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "cert.pem", &made.cert.pem());
    write(dir.path(), "key.pem", &made.signing_key.serialize_pem());
    let tables = "[cache]\n[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n";
    write(dir.path(), "gateway.toml", &toml(address, tables));
    let gateway = gateway_in(dir).await;
    for _ in 0..2 {
        let stream = TcpStream::connect(gateway.address).await.unwrap();
        let stream = tls(stream, made.cert.der(), "http/1.1").await.unwrap();
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
        let (mut sender, connection) = patiently(handshake).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get("/").header("host", "localhost").body(Empty::<Bytes>::new()).unwrap();
        assert_eq!(answer(patiently(sender.send_request(request)).await.unwrap()).await.body, "hello");
    }
    eventually(async || seen.count() == 2).await;
    assert_eq!(seen.last().headers["x-forwarded-proto"], "https");
}
