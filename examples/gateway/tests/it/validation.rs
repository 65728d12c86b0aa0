//! `[validate]`: what does not reach the upstream, and what does as it was.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody};

use crate::support::{answer, client_http2, full, gateway, patiently, raw, toml, upstream};

const TABLE: &str = "[validate]\nbody_bytes = \"1KiB\"\nuri_bytes = \"100B\"\nbody_timeout = \"300ms\"\n\
     [[validate.route]]\nmethod = \"POST\"\npath = \"/polls\"\nbody = \"json\"\n\
     [[validate.route]]\nmethod = \"GET\"\npath = \"/polls/{id}\"\n";

/// An upstream that echoes.
async fn echo() -> (std::net::SocketAddr, crate::support::Seen) {
    upstream(|request| async move {
        match request.into_body().collect().await {
            Ok(body) => Response::new(full(body.to_bytes())),
            Err(_) => Response::new(full("broken")),
        }
    })
    .await
}

fn post(path: &str, fields: &str, body: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{fields}\r\n{body}").into_bytes()
}

#[tokio::test]
async fn what_is_malformed_does_not_reach_the_upstream() {
    let (address, seen) = echo().await;
    let gateway = gateway(&toml(address, TABLE)).await;
    let json = |body: &str| format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    for (request, status) in [
        (post("/polls", &json("{\"a\":1,\"a\":2}"), "{\"a\":1,\"a\":2}"), 400),
        (post("/polls", "content-length: 2\r\n", "{}"), 415),
        (post("/polls", "content-type: application/json\r\ncontent-length: 2000\r\nexpect: 100-continue\r\n", ""), 413),
        (post("/other", "content-length: 2000\r\n", ""), 413),
        (post("/polls/7", &json("{}"), "{}"), 405),
        (post(&format!("/{}", "x".repeat(100)), "content-length: 0\r\n", ""), 414),
        (post("/a/../polls", "content-length: 0\r\n", ""), 400),
        (post("/polls", "x-http-method-override: DELETE\r\ncontent-length: 0\r\n", ""), 400),
    ] {
        let said = raw(gateway.address, &request).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {said}");
        assert!(said.contains("application/problem+json"), "{said}");
    }
    assert_eq!(seen.count(), 0);
}

#[tokio::test]
async fn what_is_sound_reaches_it_as_it_was() {
    let (address, seen) = echo().await;
    let gateway = gateway(&toml(address, TABLE)).await;
    let body = "{ \"question\" : \"O'Brien\\u0021\" }";
    let fields = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    let said = raw(gateway.address, &post("/polls", &fields, body)).await;
    assert!(said.starts_with("HTTP/1.1 200") && said.ends_with(body), "{said}");
    let said = raw(gateway.address, &post("/other", "content-length: 8\r\n", "not json")).await;
    assert!(said.ends_with("not json"), "{said}");
    assert_eq!(seen.count(), 2);
}

/// A body that says nothing of its length is ended at the limit, over HTTP/2 too.
#[tokio::test]
async fn a_body_that_goes_on_is_ended() {
    let (address, _) = echo().await;
    let gateway = gateway(&toml(address, TABLE)).await;
    let chunks =
        (0..4).map(|_| Ok::<_, std::convert::Infallible>(http_body::Frame::data(Bytes::from(vec![b'x'; 512]))));
    let body = StreamBody::new(futures_util::stream::iter(chunks.collect::<Vec<_>>()));
    let request = Request::post(format!("http://{}/other", gateway.address)).body(Box::pin(body)).unwrap();
    let refused = answer(patiently(client_http2().request(request)).await.unwrap()).await;
    assert_eq!(refused.status, 413);
    let request =
        Request::post(format!("http://{}/other", gateway.address)).body(Full::new(Bytes::from_static(b"ok"))).unwrap();
    assert_eq!(answer(patiently(client_http2().request(request)).await.unwrap()).await.body, "ok");
}

/// A body that stops in the middle is given up, whether it is read here or streams through.
#[tokio::test]
async fn a_body_that_stalls_is_given_up() {
    let (address, _) = echo().await;
    let gateway = gateway(&toml(address, TABLE)).await;
    for (path, content_type) in [("/polls", "application/json"), ("/other", "text/plain")] {
        let fields = format!("content-type: {content_type}\r\ncontent-length: 10\r\n");
        let said = raw(gateway.address, &post(path, &fields, "[1,")).await;
        assert!(said.starts_with("HTTP/1.1 408 "), "{path}: {said}");
    }
}
