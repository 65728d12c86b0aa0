use std::convert::Infallible;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{
    Body, answer, client, client_http2, full, gateway, hello, nobody, patiently, raw, toml, upstream,
};

#[tokio::test]
async fn answers_carry_the_headers_and_lose_fingerprints() {
    let (address, _) = hello().await;
    let gateway = gateway(&toml(address, "[security_headers]\n")).await;
    let answer = gateway.get("/").await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"hello"[..]));
    assert_eq!(answer.headers["x-frame-options"], "DENY");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    for gone in ["server", "x-powered-by", "strict-transport-security", "x-hop", "connection"] {
        assert!(!answer.headers.contains_key(gone), "{gone}");
    }
}

#[tokio::test]
async fn without_the_table_the_upstreams_fields_stand() {
    let (address, _) = hello().await;
    let answer = gateway(&toml(address, "")).await.get("/").await;
    assert_eq!(answer.headers["x-frame-options"], "ALLOWALL");
    assert_eq!(answer.headers["server"], "careless/1.0");
}

#[tokio::test]
async fn the_upstream_sees_the_request_as_it_was_and_who_sent_it() {
    let (address, seen) = hello().await;
    let gateway = gateway(&toml(address, "")).await;
    let uri = format!("http://{}/a//b%2F?q=1&%zz", gateway.address);
    let request = Request::delete(uri)
        .header("host", "shop.example")
        .header("x-forwarded-for", "6.6.6.6")
        .header("x-auth-subject", "admin")
        .body(Empty::new())
        .unwrap();
    gateway.send(request).await;
    let parts = seen.last();
    assert_eq!(parts.method, Method::DELETE);
    assert_eq!(parts.uri, "/a//b%2F?q=1&%zz");
    assert_eq!(parts.headers["host"], "shop.example");
    assert_eq!(parts.headers["x-forwarded-for"], "127.0.0.1");
    assert_eq!(parts.headers["x-forwarded-proto"], "http");
    assert_eq!(parts.headers["via"], "1.1 tower-rampart");
    assert!(!parts.headers.contains_key("x-auth-subject"));
}

#[tokio::test]
async fn a_trusted_proxys_word_counts() {
    let (address, seen) = hello().await;
    let gateway =
        gateway(&toml(address, "[client_ip]\ntrusted_proxies = [\"127.0.0.0/8\"]\n[security_headers]\n")).await;
    let request = Request::get(format!("http://{}/", gateway.address))
        .header("x-forwarded-for", "203.0.113.9")
        .header("x-forwarded-proto", "https")
        .body(Empty::new())
        .unwrap();
    let answer = gateway.send(request).await;
    assert!(answer.headers.contains_key("strict-transport-security"));
    assert_eq!(seen.last().headers["x-forwarded-for"], "203.0.113.9, 127.0.0.1");
    assert_eq!(seen.last().headers["x-forwarded-proto"], "https");
}

#[tokio::test]
async fn request_ids_are_kept_when_valid_and_replaced_when_not() {
    let (address, seen) = hello().await;
    let gateway = gateway(&toml(address, "")).await;
    let with = |id: &str| {
        Request::get(format!("http://{}/", gateway.address)).header("x-request-id", id).body(Empty::new()).unwrap()
    };
    let kept = gateway.send(with("Order-66:a_b.c")).await;
    assert_eq!(kept.headers["x-request-id"], "Order-66:a_b.c");
    assert_eq!(seen.last().headers["x-request-id"], "Order-66:a_b.c");
    for bad in ["a b", "<script>", &"a".repeat(129)] {
        let replaced = gateway.send(with(bad)).await;
        let id = replaced.headers["x-request-id"].to_str().unwrap();
        assert!(id.len() == 32 && id != bad);
        assert_eq!(seen.last().headers["x-request-id"], id);
    }
}

#[tokio::test]
async fn an_upstream_that_is_down_is_a_502_with_headers_and_id() {
    let gateway = gateway(&toml(nobody().await, "[security_headers]\n")).await;
    let answer = gateway.get("/secret?token=s3cret").await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    let problem = answer.json();
    assert_eq!(problem["status"], 502);
    assert_eq!(problem["request_id"], answer.headers["x-request-id"].to_str().unwrap());
    assert!(!String::from_utf8_lossy(&answer.body).contains("s3cret"));
}

#[tokio::test]
async fn an_upstream_that_breaks_off_is_a_502() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    assert_eq!(gateway(&toml(address, "")).await.get("/").await.status, 502);
}

fn grpc(gateway: std::net::SocketAddr) -> Request<Full<Bytes>> {
    Request::post(format!("http://{gateway}/poll.v1.Polls/GetPoll"))
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from_static(&[0, 0, 0, 0, 0])))
        .unwrap()
}

#[tokio::test]
async fn a_grpc_client_sees_14_when_the_upstream_is_down() {
    let nobody = nobody().await;
    for http2 in ["upstream_http2 = true\n", ""] {
        let gateway = gateway(&toml(nobody, &format!("{http2}[security_headers]\n"))).await;
        let response = patiently(client_http2().request(grpc(gateway.address))).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["grpc-status"], "14");
        assert!(response.body().is_end_stream());
        assert!(!response.headers().contains_key("content-security-policy"));
    }
}

#[tokio::test]
async fn grpc_passes_with_its_trailers_over_http2_on_both_sides() {
    let (address, seen) = upstream(|request| async move {
        let sent = request.into_body().collect().await.unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let frames = [Ok(Frame::data(sent.to_bytes())), Ok(Frame::trailers(trailers))];
        let body = BodyExt::boxed(StreamBody::new(futures_util::stream::iter(frames)));
        Response::builder().header("content-type", "application/grpc").body(body).unwrap()
    })
    .await;
    let gateway = gateway(&toml(address, "upstream_http2 = true\n")).await;
    for _ in 0..3 {
        let response = patiently(client_http2().request(grpc(gateway.address))).await.unwrap();
        let collected = patiently(response.into_body().collect()).await.unwrap();
        assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(&collected.to_bytes()[..], &[0, 0, 0, 0, 0]);
    }
    let parts = seen.last();
    assert_eq!(parts.version, Version::HTTP_2);
    assert_eq!(parts.uri.authority().unwrap().as_str(), gateway.address.to_string(), "the client's authority");
    assert_eq!(parts.headers["te"], "trailers");
    assert_eq!(parts.headers["via"], "2 tower-rampart");
}

#[tokio::test]
async fn http2_clients_reach_http1_upstreams() {
    let (address, seen) = hello().await;
    let gateway = gateway(&toml(address, "")).await;
    let request = Request::get(format!("http://{}/x", gateway.address)).body(Empty::<Bytes>::new()).unwrap();
    let response = patiently(client_http2().request(request)).await.unwrap();
    assert_eq!(answer(response).await.body, "hello");
    assert_eq!(seen.last().version, Version::HTTP_11);
    assert_eq!(seen.last().headers["host"], gateway.address.to_string());
}

/// Serves one connection over HTTP/2 until it is told to drop it, and gives the listener back.
fn serve_once(listener: TcpListener) -> (oneshot::Sender<()>, JoinHandle<TcpListener>) {
    let (drop_it, dropped) = oneshot::channel();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(|_| async { Ok::<_, Infallible>(Response::new(full("hello"))) });
        let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            _ = connection => {}
            _ = dropped => {}
        }
        listener
    });
    (drop_it, serving)
}

/// The second connection replaces the first when that has ended.
#[tokio::test]
async fn an_http2_upstream_that_comes_back_is_found_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let gateway = gateway(&toml(address, "upstream_http2 = true\n")).await;
    let (drop_it, serving) = serve_once(listener);
    assert_eq!(gateway.get("/").await.status, 200);
    drop_it.send(()).unwrap();
    let (_keep, _serving) = serve_once(patiently(serving).await.unwrap());
    // Until the end of the first connection has arrived, a request may still go down with it.
    patiently(async { while gateway.get("/").await.status != 200 {} }).await;
}

#[tokio::test]
async fn an_endless_answer_streams_with_back_pressure() {
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&sent);
    let (address, _) = upstream(move |_| {
        let counted = std::sync::Arc::clone(&counted);
        async move {
            let frames = futures_util::stream::repeat_with(move || {
                counted.fetch_add(64 << 10, std::sync::atomic::Ordering::Relaxed);
                Ok(Frame::data(Bytes::from(vec![0; 64 << 10])))
            });
            Response::new(BodyExt::boxed(StreamBody::new(frames)))
        }
    })
    .await;
    let gateway = gateway(&toml(address, "")).await;
    let response = patiently(client().get(format!("http://{}/", gateway.address).parse().unwrap())).await.unwrap();
    let mut body = response.into_body().into_data_stream();
    let mut read = 0;
    while read < 4 << 20 {
        read += patiently(body.next()).await.unwrap().unwrap().len();
    }
    // What sockets and buffers hold is a few mebibytes; a gateway that read ahead would hold far more by now.
    let ahead = sent.load(std::sync::atomic::Ordering::Relaxed) - read;
    assert!(ahead < 32 << 20, "{ahead} bytes ahead of the reader");
}

#[tokio::test]
async fn an_upload_streams_before_it_is_complete() {
    let (address, _) = upstream(|request| async move {
        let mut body = request.into_body().into_data_stream();
        let first = body.next().await.unwrap().unwrap();
        Response::new(full(first))
    })
    .await;
    let gateway = gateway(&toml(address, "")).await;
    let (frames, receiver) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, std::io::Error>>(1);
    frames.send(Ok(Frame::data(Bytes::from_static(b"first")))).await.unwrap();
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|frame| (frame, receiver))
    });
    let request =
        Request::post(format!("http://{}/", gateway.address)).body(StreamBody::new(Box::pin(stream))).unwrap();
    let response = patiently(client_http2().request(request)).await.unwrap();
    assert_eq!(answer(response).await.body, "first");
    drop(frames);
}

#[tokio::test]
async fn head_and_no_content_have_no_body() {
    let (address, _) = upstream(|request: Request<_>| async move {
        let status = if request.uri().path() == "/none" { 204 } else { 200 };
        Response::builder().status(status).body(if status == 204 { Body::default() } else { full("hello") }).unwrap()
    })
    .await;
    let gateway = gateway(&toml(address, "")).await;
    let head = Request::head(format!("http://{}/", gateway.address)).body(Empty::new()).unwrap();
    let head = gateway.send(head).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.headers["content-length"], "5");
    assert_eq!(gateway.get("/none").await.status, 204);
}

#[tokio::test]
async fn host_rules_over_the_wire() {
    let (address, seen) = hello().await;
    let gateway = gateway(&toml(address, "[security_headers]\n")).await;
    for bad in [
        "GET / HTTP/1.1\r\nconnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a.example\r\nhost: b.example\r\nconnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
    ] {
        let answer = raw(gateway.address, bad.as_bytes()).await;
        assert!(answer.contains(" 400 ") && answer.contains("application/problem+json"), "{answer}");
        assert!(answer.contains("x-content-type-options: nosniff"), "{answer}");
    }
    assert_eq!(seen.count(), 0);

    let absolute = "GET http://other.example/x HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n";
    assert!(raw(gateway.address, absolute.as_bytes()).await.contains(" 200 "));
    assert_eq!(seen.last().headers["host"], "other.example");
    assert_eq!(seen.last().uri, "/x");

    let star = "OPTIONS * HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n";
    assert!(raw(gateway.address, star.as_bytes()).await.contains(" 200 "));
    assert_eq!(seen.last().uri, "*");

    for unimplemented in [
        "CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example:443\r\nconnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a.example\r\nconnection: close, upgrade\r\nupgrade: websocket\r\n\r\n",
    ] {
        let answer = raw(gateway.address, unimplemented.as_bytes()).await;
        assert!(answer.contains(" 501 "), "{answer}");
    }
}

#[tokio::test]
async fn a_claimed_https_scheme_over_plain_text_is_not_believed() {
    let (address, _) = hello().await;
    let gateway = gateway(&toml(address, "[security_headers]\n")).await;
    let claim = "GET https://a.example/ HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n";
    let answer = raw(gateway.address, claim.as_bytes()).await;
    assert!(answer.contains(" 200 ") && !answer.contains("strict-transport-security"), "{answer}");
}

/// RFC 9110 section 6.2: the version on each hop is that hop's own.
#[tokio::test]
async fn an_http10_upstream_does_not_make_this_hop_http10() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        stream.write_all(b"HTTP/1.0 200 OK\r\nserver: old\r\n\r\nhello").await.unwrap();
    });
    let gateway = gateway(&toml(address, "")).await;
    let request = "GET / HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n";
    let answer = raw(gateway.address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("hello"), "{answer}");
}

/// RFC 9110 section 10.1.4.
#[tokio::test]
async fn a_wish_for_trailers_reaches_an_http1_upstream_as_this_hops() {
    let (address, seen) = hello().await;
    let gateway = gateway(&toml(address, "")).await;
    let request =
        |fields| format!("POST / HTTP/1.1\r\nhost: a.example\r\n{fields}te: trailers\r\nconnection: te, close\r\n\r\n");
    raw(gateway.address, request("content-type: application/grpc\r\n").as_bytes()).await;
    assert_eq!(seen.last().headers["te"], "trailers");
    assert_eq!(seen.last().headers["connection"], "te");
    // Of other requests it is the client's hop.
    raw(gateway.address, request("").as_bytes()).await;
    assert!(!seen.last().headers.contains_key("te") && !seen.last().headers.contains_key("connection"));
}

/// The gateway answers `Expect` itself, so that the body comes.
#[tokio::test]
async fn expect_100_continue_is_answered_here() {
    let (address, seen) =
        upstream(|request| async move { Response::new(full(request.into_body().collect().await.unwrap().to_bytes())) })
            .await;
    let gateway = gateway(&toml(address, "")).await;
    let request = "POST / HTTP/1.1\r\nhost: a.example\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\
                   connection: close\r\n\r\nbody";
    let answer = raw(gateway.address, request.as_bytes()).await;
    assert!(answer.contains("HTTP/1.1 200") && answer.ends_with("body"), "{answer}");
    assert!(!seen.last().headers.contains_key("expect"));
}

/// What a client leaves, the upstream is told: the request ends there too.
#[tokio::test]
async fn a_client_that_leaves_ends_the_request_upstream() {
    struct Told(tokio::sync::mpsc::UnboundedSender<()>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (ended, mut told) = tokio::sync::mpsc::unbounded_channel();
    let (reached, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    let (address, _) = upstream(move |_| {
        let told = Told(ended.clone());
        let reached = reached.clone();
        async move {
            let _told = told;
            reached.send(()).unwrap();
            std::future::pending().await
        }
    })
    .await;
    let gateway = gateway(&toml(address, "upstream_http2 = true\n")).await;
    let uri = format!("http://{}/", gateway.address).parse().unwrap();
    let request = tokio::spawn(client().get(uri));
    patiently(arrived.recv()).await.unwrap();
    request.abort();
    patiently(told.recv()).await.unwrap();
}
