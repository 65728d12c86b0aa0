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

const UPLOADS: &str = "[validate]\nbody_bytes = \"64KiB\"\nmultipart_parts = 2\nmultipart_part_bytes = \"1KiB\"\n\
     content_encodings = [\"identity\", \"gzip\"]\ndecoded_bytes = \"1KiB\"\n\
     [[validate.route]]\nmethod = \"POST\"\npath = \"/files\"\nbody = \"multipart\"\n\
     [[validate.route]]\nmethod = \"POST\"\npath = \"/polls\"\nbody = \"json\"\n\
     [[validate.route]]\nmethod = \"POST\"\npath = \"/pkg.Service/Method\"\nbody = \"grpc\"\nmessage_bytes = \"10B\"\n";

fn file(name: &str, content: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"x.txt\"\r\n\r\n{content}\r\n")
}

/// Files stream through to the upstream as they are; what is wrong with one is answered here, wherever it stands.
#[tokio::test]
async fn forms_with_files_are_followed_on_their_way() {
    let (address, _) = echo().await;
    let gateway = gateway(&toml(address, UPLOADS)).await;
    let long = "x".repeat(1025);
    for (body, status) in [
        (file("a", "O'Brien\r\n--") + &file("b", &long[1..]) + "--b--\r\n", 200),
        (file("a", &long) + "--b--\r\n", 413),
        (file("a", "") + &file("b", "") + &file("c", "") + "--b--\r\n", 400),
        (file("a", "x") + &file("a\\", "y") + "--b--\r\n", 400),
        (file("a", "x"), 400),
        (file("a", "x") + "--b--\r\nand more", 400),
    ] {
        let fields = format!("content-type: multipart/form-data; boundary=b\r\ncontent-length: {}\r\n", body.len());
        let said = raw(gateway.address, &post("/files", &fields, &body)).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{body}: {said}");
        assert_eq!(said.ends_with(&body), status == 200, "{said}");
        // The same in chunks of a few bytes.
        let chunks: String = body
            .as_bytes()
            .chunks(7)
            .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk)))
            .collect();
        let fields = "content-type: multipart/form-data; boundary=b\r\ntransfer-encoding: chunked\r\n";
        let said = raw(gateway.address, &post("/files", fields, &format!("{chunks}0\r\n\r\n"))).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{body}: {said}");
    }
    // A megabyte that nobody wants is not waited for.
    let (begun, more) = (file("a", "x") + "--b--\r\n", "x".repeat(1 << 16));
    let chunked = format!("{:x}\r\n{begun}\r\n10000\r\n{more}\r\n", begun.len());
    let fields = "content-type: multipart/form-data; boundary=b\r\ntransfer-encoding: chunked\r\n";
    let said = raw(gateway.address, &post("/files", fields, &chunked)).await;
    assert!(said.starts_with("HTTP/1.1 4"), "{said}");
}

/// What is compressed is judged by what comes out, and goes on as it came.
#[tokio::test]
async fn compressed_bodies_are_judged_and_go_on_compressed() {
    let (address, seen) = echo().await;
    let gateway = gateway(&toml(address, UPLOADS)).await;
    let sound = "1f8b0800000000000203ab564a54b232ac0500afac1b5607000000";
    let twice = "1f8b0800000000000203ab564a54b232d4019146b50053b4e1880d000000";
    for (body, status) in [(sound, 200), (twice, 400), (&sound[..40], 400)] {
        let body = bytes(body);
        let fields =
            format!("content-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n", body.len());
        let request = [post("/polls", &fields, "").as_slice(), &body].concat();
        let said = raw(gateway.address, &request).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{said}");
        assert_eq!(said.ends_with(&*String::from_utf8_lossy(&body)), status == 200);
    }
    assert_eq!(seen.count(), 1);
    assert_eq!(seen.last().headers["content-encoding"], "gzip");
    let fields = "content-type: application/json\r\ncontent-encoding: br\r\ncontent-length: 2\r\n";
    assert!(raw(gateway.address, &post("/polls", fields, "{}")).await.starts_with("HTTP/1.1 415 "));
}

/// Each message of a call is bounded, by its method's table.
#[tokio::test]
async fn grpc_messages_are_bounded_by_method() {
    let (address, _) = echo().await;
    let gateway = gateway(&toml(address, UPLOADS)).await;
    for (message, status) in
        [(&b"\0\0\0\0\x02ab"[..], None), (b"\0\0\0\0\x0bhello world", Some("8")), (b"\x01\0\0\0\0", Some("12"))]
    {
        let request = Request::post(format!("http://{}/pkg.Service/Method", gateway.address))
            .header("content-type", "application/grpc")
            .body(Full::new(Bytes::from_static(message)))
            .unwrap();
        let said = answer(patiently(client_http2().request(request)).await.unwrap()).await;
        let code = said.headers.get("grpc-status").map(|code| code.to_str().unwrap().to_owned());
        assert_eq!((said.status, code.as_deref()), (200, status));
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
