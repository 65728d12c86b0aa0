//! Methods, targets and header fields.

use http::{Method, Request};
use http_body_util::Full;
use proptest::prelude::*;
use tower_rampart::validate::{Check, Limits, Validate};

use crate::support::{get, harden, json, send};

fn status(target: &str) -> u16 {
    send(&harden(), get(target)).status
}

/// What reads like an attack and is none.
#[test]
fn benign_requests_pass() {
    for target in [
        "/",
        "/v1/polls/7",
        "/a.b/c-d_e~f",
        "/.well-known/x",
        "/caf%C3%A9",
        "/a%20b",
        "/100%25",
        "/search?q=O'Brien",
        "/search?q=1%3D1%3F",
        "/search?q=a%20%3C%20b",
        "/search?q=select+*+from+users",
        "/search?q=%E2%9C%93&empty=&flag",
        "/search?q=line%0D%0Abreak",
        "/;v=1/x",
        "/a,b/c:d@e",
    ] {
        assert_eq!(status(target), 200, "{target}");
    }
}

/// RFC 3986 section 2 and 6.2.2: what two readers may decode or resolve differently is refused, and never rewritten.
#[test]
fn paths_that_can_be_read_in_two_ways_are_refused() {
    for target in [
        "/a/../b",
        "/a/..",
        "/./a",
        "/%2e%2e/a",
        "/.%2E/a",
        "/a%2fb",
        "/a%2Fb",
        "/a%5Cb",
        "/a%5cb",
        "/a\\b",
        "//a",
        "/a//b",
        "/a%00",
        "/a%0a",
        "/a%1f",
        "/a%7f",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a%2541",
        "/%252e%252e/a",
        "/a%c0%af",
        "/a%ff",
        "/a%ed%a0%80",
    ] {
        let Ok(request) = Request::get(target).body(Full::default()) else { continue };
        let answer = send(&harden(), request);
        assert_eq!((answer.status, answer.error().0.as_str()), (400, "path"), "{target}");
    }
}

#[test]
fn targets_and_queries_are_bounded() {
    let long = format!("/{}", "a".repeat(8192));
    let answer = send(&harden(), get(&long));
    assert_eq!((answer.status, answer.error().0.as_str()), (414, "uri-length"));
    assert_eq!(status(&format!("/{}", "a".repeat(8191))), 200);
    for query in [
        "a=1&".repeat(100),
        format!("a={}", "b".repeat(4095)),
        "a=%".to_owned(),
        "a=%4".to_owned(),
        "a=%zz".to_owned(),
        "a=%ff".to_owned(),
        "a=%00".to_owned(),
        "%1b=a".to_owned(),
    ] {
        let answer = send(&harden(), get(&format!("/?{query}")));
        assert_eq!((answer.status, answer.error().0.as_str()), (400, "query"), "{}", &query[..query.len().min(20)]);
    }
    assert_eq!(status(&format!("/?{}a=1", "a=1&".repeat(99))), 200);
}

#[test]
fn methods_are_those_that_are_allowed() {
    let layer = Validate::new().methods([Method::GET, Method::POST]).build().unwrap();
    assert_eq!(send(&layer, get("/")).status, 200);
    let put = Request::put("/").body(Full::default()).unwrap();
    let answer = send(&layer, put);
    assert_eq!((answer.status, answer.headers["allow"].to_str().unwrap()), (405, "GET, POST"));
}

fn with(fields: &[(&str, &str)]) -> Request<Full<bytes::Bytes>> {
    let mut request = get("/");
    for (name, value) in fields {
        request.headers_mut().append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
    }
    request
}

/// RFC 9110 section 5.3: what stands once must not stand twice.
#[test]
fn header_fields_are_bounded_and_single_ones_are_single() {
    for name in ["host", "content-type", "authorization", "content-length", "if-modified-since", "range"] {
        let answer = send(&harden(), with(&[(name, "0"), (name, "0")]));
        assert_eq!((answer.status, answer.error().0.as_str()), (400, "headers"), "{name}");
        assert_eq!(answer.json()["errors"][0]["name"], name);
    }
    assert_eq!(send(&harden(), with(&[("accept", "a"), ("accept", "b"), ("host", "x")])).status, 200);
    // Lists may stand in several lines (RFC 9110 sections 8.4 and 13.1.2).
    for list in ["if-none-match", "content-encoding", "cookie"] {
        assert_eq!(send(&harden(), with(&[(list, "identity"), (list, "identity")])).status, 200, "{list}");
    }
    let many: Vec<(String, &str)> = (0..101).map(|at| (format!("x-{at}"), "1")).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(send(&harden(), with(&many)).status, 431);
    assert_eq!(send(&harden(), with(&many[..100])).status, 200);
    let long = "x".repeat((16 << 10) + 1);
    assert_eq!(send(&harden(), with(&[("x-long", &long)])).status, 431);
}

#[test]
fn a_request_names_one_method() {
    for field in
        ["x-http-method-override", "x-http-method", "x-method-override", "x_http_method", "x-http_method-override"]
    {
        assert_eq!(send(&harden(), with(&[(field, "DELETE")])).status, 400, "{field}");
        assert_eq!(send(&harden(), with(&[(field, "get")])).status, 200, "{field}");
    }
}

/// The answer says what is wrong and nothing of what was sent, to gRPC clients too.
#[test]
fn refusals_hold_nothing_of_the_request() {
    let answer = send(&harden(), get("/s3cret/../x?token=s3cret"));
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(!text.contains("s3cret"), "{text}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let mut request = get("/a/../b");
    request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    let answer = send(&harden(), request);
    assert_eq!((answer.status, answer.headers["grpc-status"].to_str().unwrap()), (200, "3"));
}

#[test]
fn checks_can_be_reported_alone() {
    let layer = Validate::new().report(Check::Path).build().unwrap();
    assert_eq!(send(&layer, get("/a/../b")).status, 200);
    assert_eq!(send(&layer, get("/?a=%")).status, 400);
    let layer = Validate::new().methods([Method::PUT]).report_all().build().unwrap();
    assert_eq!(send(&layer, get("/a/../b?c=%")).status, 200);
    assert_eq!(send(&layer, json("{\"a\":1,\"a\":2}")).status, 200);
}

#[test]
fn limits_that_let_nothing_through_are_errors() {
    for (limits, blame) in [
        (Limits::new().uri_bytes(0), "uri_bytes"),
        (Limits::new().body_timeout(std::time::Duration::ZERO), "body_timeout"),
        (Limits::new().buffer_bytes(1), "buffer_bytes"),
        (Limits::new().json_depth(1000), "json_depth"),
    ] {
        assert!(Validate::new().limits(limits).build().unwrap_err().to_string().starts_with(blame), "{blame}");
    }
}

proptest! {
    /// Whatever the target, nothing panics, and what passes has one reading: decoding it once more changes nothing, and no
    /// segment is a dot.
    #[test]
    fn what_passes_is_plain(path in "(/|%|2|f|e|5|c|\\.|a|\\\\|%2e|%25|%41){0,12}") {
        let target = format!("/{path}");
        let Ok(request) = Request::get(target.as_str()).body(Full::<bytes::Bytes>::default()) else { return Ok(()) };
        let sent = request.uri().path().to_owned();
        if send(&harden(), request).status == 200 {
            let decoded = percent_encoding::percent_decode_str(&sent).decode_utf8().unwrap().into_owned();
            let again = percent_encoding::percent_decode_str(&decoded).decode_utf8_lossy().into_owned();
            prop_assert_eq!(&decoded, &again);
            prop_assert!(!decoded.contains("//") && !decoded.contains('\\'));
            prop_assert!(!decoded.split('/').any(|segment| segment == "." || segment == ".."));
            prop_assert_eq!(decoded.matches('/').count(), sent.matches('/').count());
        }
    }
}
