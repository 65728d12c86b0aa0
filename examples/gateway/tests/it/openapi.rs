//! `[validate]` with the OpenAPI document of the poll API, before an upstream that echoes.

use std::process::Stdio;

use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Answer, Gateway, Seen, answer, client_http2, command, full, gateway_in, nobody, patiently, raw, toml, upstream,
    wait_for, write,
};

const DOCUMENT: &str = include_str!("../../polls.openapi.json");
const TABLE: &str = "[validate]\nopenapi = \"polls.openapi.json\"\nunknown_paths = \"refuse\"\n";
const ID: &str = "0198c7f0-0000-7000-8000-000000000000";
const POLL: &str = r#"{ "question": "Tea?", "options": ["yes", "O'Brien: 1=1?"] }"#;

/// An upstream that echoes bodies, and says so by its type.
async fn echo() -> (std::net::SocketAddr, Seen) {
    upstream(|request| async move {
        let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        Response::builder().header("content-type", "application/json").body(full(body)).unwrap()
    })
    .await
}

fn directory(upstream: std::net::SocketAddr, rest: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "polls.openapi.json", DOCUMENT);
    write(dir.path(), "gateway.toml", &toml(upstream, rest));
    dir
}

async fn polls(rest: &str) -> (Gateway, Seen) {
    let (address, seen) = echo().await;
    (gateway_in(directory(address, &format!("{TABLE}ignore_security = true\n{rest}"))).await, seen)
}

/// Over HTTP/1.1, byte for byte.
async fn ask(gateway: &Gateway, method: &str, target: &str, fields: &str, body: &str) -> (u16, String, String) {
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let head = format!("{method} {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{fields}{length}\r\n{body}");
    let said = raw(gateway.address, head.as_bytes()).await;
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), body.to_owned())
}

const JSON: &str = "content-type: application/json\r\n";

#[tokio::test]
async fn what_is_not_as_described_does_not_reach_the_upstream() {
    let (gateway, seen) = polls("").await;
    let vote = format!("/v1/polls/{ID}/votes");
    for (method, target, fields, body, expected) in [
        ("GET", "/v1/polls?limit=0", "", "", (400, "query", "limit", "minimum")),
        ("GET", "/v1/polls?limit=101", "", "", (400, "query", "limit", "maximum")),
        ("GET", "/v1/polls?limit=", "", "", (400, "query", "limit", "type")),
        ("GET", "/v1/polls?limit=ten", "", "", (400, "query", "limit", "type")),
        ("GET", "/v1/polls?limit=1&limit=2", "", "", (400, "query", "limit", "repeated")),
        ("GET", "/v1/polls?limit=1&%6Cimit=2", "", "", (400, "query", "limit", "repeated")),
        ("GET", "/v1/polls?page=1", "", "", (400, "query", "", "unknown")),
        ("GET", "/v1/polls?cursor=a%3Cb", "", "", (400, "query", "cursor", "pattern")),
        ("GET", "/v1/polls/seven", "", "", (400, "path", "id", "format")),
        ("GET", "/v1/nowhere", "", "", (404, "path", "", "route")),
        ("PUT", "/v1/polls", "", "", (405, "path", "", "route")),
        ("POST", "/v1/polls", JSON, r#"{"question":"","options":["a","b"]}"#, (422, "body", "", "minLength")),
        ("POST", "/v1/polls", JSON, r#"{"question":"a","options":["a"]}"#, (422, "body", "", "minItems")),
        ("POST", "/v1/polls", JSON, r#"{"question":"a","options":["a","a"]}"#, (422, "body", "", "uniqueItems")),
        (
            "POST",
            "/v1/polls",
            JSON,
            r#"{"question":"a","options":["a","b"],"x":1}"#,
            (422, "body", "", "additionalProperties"),
        ),
        (
            "POST",
            "/v1/polls",
            JSON,
            r#"{"question":"a","question":"a","options":["a","b"]}"#,
            (400, "body", "", "json"),
        ),
        ("POST", "/v1/polls", JSON, "{", (400, "body", "", "json")),
        ("POST", "/v1/polls", JSON, "", (400, "body", "", "body-presence")),
        ("POST", "/v1/polls", "content-type: text/plain\r\n", POLL, (415, "header", "content-type", "content-type")),
        ("POST", "/v1/polls", "", POLL, (415, "header", "content-type", "content-type")),
        (
            "POST",
            "/v1/polls",
            "content-type: application/json\r\nidempotency-key: \r\n",
            POLL,
            (400, "header", "Idempotency-Key", "minLength"),
        ),
        ("POST", &vote, JSON, r#"{"option_id":21}"#, (422, "body", "", "maximum")),
        ("POST", &vote, JSON, r#"{"option_id":1.5}"#, (422, "body", "", "type")),
        ("POST", "/v1/auth/logout", JSON, "{}", (400, "body", "", "body-presence")),
    ] {
        let (status, head, body) = ask(&gateway, method, target, fields, body).await;
        assert!(head.contains("application/problem+json"), "{method} {target}: {head}");
        let problem: Value = serde_json::from_str(&body).unwrap();
        let error = &problem["errors"][0];
        let of = |name: &str| error[name].as_str().unwrap_or_default();
        assert_eq!((status, of("in"), of("name"), of("keyword")), expected, "{method} {target}: {body}");
    }
    assert_eq!(seen.count(), 0);
}

#[tokio::test]
async fn what_is_as_described_reaches_it_as_it_was() {
    let (gateway, seen) = polls("").await;
    let vote = format!("/v1/polls/{ID}/votes");
    for (method, target, fields, body) in [
        ("GET", "/v1/polls", "", ""),
        ("GET", "/v1/polls?limit=100&cursor=a.b~c", "", ""),
        ("HEAD", "/v1/polls", "", ""),
        ("POST", "/v1/polls", JSON, POLL),
        ("POST", "/v1/polls", "content-type: application/json; charset=UTF-8\r\nidempotency-key: \"1\"\r\n", POLL),
        ("POST", &vote, JSON, r#"{"option_id":20}"#),
        ("DELETE", &format!("/v1/polls/{ID}"), "", ""),
        ("GET", "/docs/", "", ""),
        ("GET", "/", "", ""),
        ("OPTIONS", "/v1/polls", "origin: https://a.example\r\naccess-control-request-method: POST\r\n", ""),
    ] {
        let before = seen.count();
        let (status, _, echoed) = ask(&gateway, method, target, fields, body).await;
        assert_eq!((status, echoed.as_str(), seen.count()), (200, body, before + 1), "{method} {target}");
        assert_eq!(seen.last().uri.path_and_query().unwrap().as_str(), target);
    }
}

/// The same over HTTP/2, in pieces of any size.
#[tokio::test]
async fn bodies_in_pieces_are_judged_alike() {
    let (gateway, _) = polls("").await;
    for (body, status) in [(POLL, 200), (r#"{"question":"","options":["a","b"]}"#, 422)] {
        for size in [1, 7, 1000] {
            let chunks: Vec<_> = body.as_bytes().chunks(size).map(bytes::Bytes::copy_from_slice).collect();
            let frames =
                chunks.into_iter().map(|chunk| Ok::<_, std::convert::Infallible>(http_body::Frame::data(chunk)));
            let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames.collect::<Vec<_>>()));
            let request = Request::post(format!("http://{}/v1/polls", gateway.address))
                .header("content-type", "application/json");
            let response = patiently(client_http2().request(request.body(Box::pin(body)).unwrap())).await.unwrap();
            assert_eq!(answer(response).await.status, status, "{size}");
        }
    }
}

/// Operations that ask for credentials need `[auth]`; then strangers are told so before their requests are judged.
#[tokio::test]
async fn credentials_that_are_asked_for_are_checked() {
    let (address, _) = echo().await;
    let dir = directory(address, TABLE);
    let output = command().arg("--config").arg(dir.path().join("gateway.toml")).stderr(Stdio::piped()).output();
    let output = patiently(output).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("/security") && said.contains("asks for credentials"), "{said}");
    // The secret is `secret`.
    let key = "[auth]\n[[auth.api_key]]\nid = \"batch\"\nsha256 = \"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\"\n";
    let gateway = gateway_in(directory(address, &format!("{TABLE}{key}"))).await;
    assert_eq!(ask(&gateway, "POST", "/v1/polls", JSON, "{").await.0, 401);
    let fields = format!("{JSON}x-api-key: batch.secret\r\n");
    assert_eq!(ask(&gateway, "POST", "/v1/polls", &fields, "{").await.0, 400);
    assert_eq!(ask(&gateway, "POST", "/v1/polls", &fields, POLL).await.0, 200);
}

#[tokio::test]
async fn a_document_that_is_wrong_stops_the_start_and_is_told_whole() {
    let (address, _) = echo().await;
    let dir = directory(address, TABLE);
    write(
        dir.path(),
        "polls.openapi.json",
        r##"{"openapi":"3.1.0","paths":{"a":{},"/b":{"$ref":"https://example.com/"},"/c":{"get":{"parameters":[{"$ref":"#/x"}]}}}}"##,
    );
    let output =
        patiently(command().arg("--config").arg(dir.path().join("gateway.toml")).stderr(Stdio::piped()).output())
            .await
            .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for place in [
        "validate.openapi: `polls.openapi.json` has 3 problems",
        "#/paths/a: ",
        "#/paths/~1b/$ref: ",
        "#/paths/~1c/get/parameters/0/$ref: ",
    ] {
        assert!(said.contains(place), "{place}: {said}");
    }
}

/// Saving the document is a reload; one that is wrong leaves the old one at work.
#[tokio::test]
async fn the_document_is_read_anew() {
    let (mut gateway, _) = polls("").await;
    assert_eq!(ask(&gateway, "GET", "/v1/new", "", "").await.0, 404);
    write(gateway.dir.path(), "polls.openapi.json", "{\"openapi\":\"3.1.0\"");
    wait_for(&mut gateway.log, "configuration not reloaded").await;
    assert_eq!(ask(&gateway, "GET", "/v1/polls", "", "").await.0, 200);
    write(gateway.dir.path(), "polls.openapi.json", r#"{"openapi":"3.1.0","paths":{"/v1/new":{"get":{}}}}"#);
    wait_for(&mut gateway.log, "configuration reloaded").await;
    assert_eq!(
        (ask(&gateway, "GET", "/v1/new", "", "").await.0, ask(&gateway, "GET", "/v1/polls", "", "").await.0),
        (200, 404)
    );
}

#[tokio::test]
async fn everything_else_that_the_table_says() {
    let (gateway, _) = polls("base_path = \"/api\"\nunknown_query = \"pass\"\nschema_errors = \"400\"\n").await;
    assert_eq!(ask(&gateway, "GET", "/v1/polls", "", "").await.0, 404);
    assert_eq!(ask(&gateway, "GET", "/api/v1/polls?page=1", "", "").await.0, 200);
    assert_eq!(ask(&gateway, "POST", "/api/v1/polls", JSON, "{}").await.0, 400);
    let (mut gateway, seen) = polls("mode = \"report\"\n").await;
    assert_eq!(ask(&gateway, "POST", "/v1/polls?x=1", JSON, r#"{"question":"s3cret","s3cret":1}"#).await.0, 200);
    assert_eq!(seen.count(), 1);
    let line = wait_for(&mut gateway.log, "check=\"parameters\"").await;
    assert!(!line.contains("s3cret"), "{line}");
    let line = wait_for(&mut gateway.log, "check=\"schema\"").await;
    assert!(!line.contains("s3cret"), "{line}");
}

/// What the upstream answers is judged too, if that is asked for: here it leaks what nobody described.
#[tokio::test]
async fn responses_are_judged_if_that_is_asked_for() {
    let leaking = |body: &'static str| async move {
        upstream(move |_| async move {
            Response::builder().header("content-type", "application/json").body(full(body)).unwrap()
        })
        .await
        .0
    };
    const RESULTS: &str = r#"{"poll_id":"0198c7f0-0000-7000-8000-000000000000","total":1,"closed":false,"options":[]}"#;
    let target = format!("/v1/polls/{ID}/results");
    let get = |gateway: Gateway| {
        let target = target.clone();
        async move {
            let request = Request::builder().method(Method::GET).uri(format!("http://{}{target}", gateway.address));
            let response =
                patiently(client_http2().request(request.body(Full::<bytes::Bytes>::default()).unwrap())).await;
            (answer(response.unwrap()).await, gateway)
        }
    };
    let started = |address, responses: &str| {
        let rest = format!("{TABLE}ignore_security = true\nresponses = \"{responses}\"\n");
        gateway_in(directory(address, &rest))
    };
    let (Answer { status, body, .. }, _) = get(started(leaking(RESULTS).await, "enforce").await).await;
    assert_eq!((status, &body[..]), (200, RESULTS.as_bytes()));
    let wrong = r#"{"poll_id":"s3cret"}"#;
    let (Answer { status, body, .. }, mut gateway) = get(started(leaking(wrong).await, "enforce").await).await;
    assert_eq!(status, 500);
    assert!(!String::from_utf8_lossy(&body).contains("s3cret"));
    let line = wait_for(&mut gateway.log, "response_validation_fail").await;
    assert!(line.contains("/v1/polls/{id}/results") && !line.contains("s3cret"), "{line}");
    let (Answer { status, body, .. }, mut gateway) = get(started(leaking(wrong).await, "report").await).await;
    assert_eq!((status, &body[..]), (200, wrong.as_bytes()));
    wait_for(&mut gateway.log, "response_validation_fail").await;
    let (Answer { status, .. }, _) = get(started(leaking(wrong).await, "off").await).await;
    assert_eq!(status, 200);
}

/// An upstream that cannot be reached has answered nothing that a document describes: its 502 stays one.
#[tokio::test]
async fn what_the_gateway_answers_by_itself_is_not_judged() {
    let described = r#"{"openapi":"3.1.0","paths":{"/a":{"get":{"responses":{
        "default":{"content":{"application/json":{"schema":{"required":["ok"]}}}}
    }}}}}"#;
    let rest = "[validate]\nopenapi = \"polls.openapi.json\"\nresponses = \"enforce\"\n";
    let dir = directory(nobody().await, rest);
    write(dir.path(), "polls.openapi.json", described);
    let gateway = gateway_in(dir).await;
    assert_eq!(ask(&gateway, "GET", "/a", "", "").await.0, 502);
    let (address, _) = echo().await;
    let dir = directory(address, rest);
    write(dir.path(), "polls.openapi.json", described);
    assert_eq!(ask(&gateway_in(dir).await, "GET", "/a", "", "").await.0, 500, "of the echo, nothing is no JSON");
}

/// The table of the manual, with everything that it may say.
#[tokio::test]
async fn all_keys_at_once() {
    let table = "[validate]\nopenapi = \"polls.openapi.json\"\nunknown_paths = \"pass\"\nbody_bytes = \"64KiB\"\nuri_bytes = \"8KiB\"\n\
        json_depth = 32\njson_string_bytes = \"16KiB\"\njson_items = 10000\nbody_timeout = \"10s\"\nschema_errors = \"422\"\n\
        mode = \"enforce\"\nbase_path = \"/v9\"\nunknown_query = \"refuse\"\nignore_security = true\nform_fields = 1000\n\
        multipart_parts = 100\nmultipart_part_bytes = \"1MiB\"\nbuffer_bytes = \"64MiB\"\ncontent_encodings = [\"identity\"]\n\
        decoded_bytes = \"1MiB\"\nresponses = \"report\"\n";
    let (address, _) = echo().await;
    let gateway = gateway_in(directory(address, table)).await;
    assert_eq!(ask(&gateway, "GET", "/v9/v1/polls?limit=0", "", "").await.0, 400);
    assert_eq!(ask(&gateway, "POST", "/v9/v1/polls", JSON, "{}").await.0, 422);
    assert_eq!(ask(&gateway, "POST", "/v9/v1/polls", JSON, POLL).await.0, 200);
    // Elsewhere, bytes and paths alone count.
    assert_eq!(ask(&gateway, "POST", "/elsewhere", "", "not json").await.0, 200);
    assert_eq!(ask(&gateway, "POST", "/elsewhere", "", &"x".repeat(65537)).await.0, 413);
    assert_eq!(ask(&gateway, "GET", "/elsewhere/%2e%2e/x", "", "").await.0, 400);
    assert_eq!(ask(&gateway, "GET", &format!("/{}", "x".repeat(8192)), "", "").await.0, 414);
}
