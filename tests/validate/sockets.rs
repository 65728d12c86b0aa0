//! Real servers: axum, tonic, and a raw socket.

use std::net::SocketAddr;

use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower_rampart::validate::{Limits, Validate};

/// Plain hyper, whose bodies are its own.
#[tokio::test]
async fn it_runs_on_hyper() {
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tower::Layer as _;
    use tower_rampart::validate::CheckedBody;
    let handler = tower::service_fn(|request: http::Request<CheckedBody<hyper::body::Incoming>>| async move {
        let body = request.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok::<_, String>(http::Response::new(Full::new(body)))
    });
    let service = hyper_util::service::TowerToHyperService::new(Validate::new().build().unwrap().layer(handler));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection(TokioIo::new(stream), service.clone()).await;
        }
    });
    let fields = "content-type: application/json\r\ncontent-length: 3\r\n";
    let answer = raw(address, &request("/", fields, "[1]")).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("[1]"), "{answer}");
    let answer = raw(address, &request("/", fields, "[1,")).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits::new().body_bytes(1024);
    let app = Router::new()
        .route("/json", post(|Json(value): Json<Value>| async move { value["a"].to_string() }))
        .route("/upload", post(|body: bytes::Bytes| async move { body.len().to_string() }))
        .layer(Validate::new().limits(limits).build().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Writes bytes as they are, and reads until the server is done.
async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(std::time::Duration::from_secs(30), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

fn request(path: &str, fields: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{fields}\r\n{body}")
}

#[tokio::test]
async fn handlers_of_axum_get_what_was_checked() {
    let address = serve().await;
    let json = "content-type: application/json\r\n";
    let answer = raw(address, &request("/json", &format!("{json}content-length: 7\r\n"), "{\"a\":1}")).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n1"), "{answer}");
    let chunked = format!("{json}transfer-encoding: chunked\r\n");
    let answer = raw(address, &request("/json", &chunked, "3\r\n{\"a\r\n4\r\n\":2}\r\n0\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("2"), "{answer}");
    let answer = raw(address, &request("/json", &format!("{json}content-length: 13\r\n"), "{\"a\":1,\"a\":2}")).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("\"keyword\":\"json\""), "{answer}");
    let answer = raw(address, &request("/upload", "content-type: image/png\r\ncontent-length: 5\r\n", "12345")).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with('5'), "{answer}");
}

/// RFC 9110 section 10.1.1: a client that waits for `100 Continue` is refused without it.
#[tokio::test]
async fn who_waits_for_100_never_sends_what_is_too_long() {
    let address = serve().await;
    let fields = "content-type: application/json\r\ncontent-length: 2000\r\nexpect: 100-continue\r\n";
    let answer = raw(address, &request("/json", fields, "")).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(!answer.contains("100 Continue"), "{answer}");
}

/// A body without a length that goes on and on is ended, and so is its connection.
#[tokio::test]
async fn a_chunked_body_is_ended_at_the_limit() {
    let address = serve().await;
    for (path, content_type) in [("/json", "application/json"), ("/upload", "image/png")] {
        let fields = format!("content-type: {content_type}\r\ntransfer-encoding: chunked\r\n");
        let chunk = format!("400\r\n{}\r\n", "0".repeat(1024));
        let answer = raw(address, &request(path, &fields, &chunk.repeat(2))).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{path}: {answer}");
    }
}
