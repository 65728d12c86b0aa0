//! Whatever fields requests and responses have: no panic, no hang, and what is not to be stored is not.
#![no_main]

use std::convert::Infallible;
use std::future::ready;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use libfuzzer_sys::fuzz_target;
use tower_layer::Layer as _;
use tower_rampart::cache::Cache;
use tower_service::Service;

/// Names that a cache reads, by the first byte of a line; the rest is the value.
const NAMES: [&str; 20] = [
    "age",
    "cache-control",
    "cache-groups",
    "cache-tag",
    "cdn-cache-control",
    "connection",
    "content-length",
    "content-range",
    "date",
    "etag",
    "expires",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "last-modified",
    "no-vary-search",
    "pragma",
    "range",
    "set-cookie",
    "vary",
];

fn fields(lines: &[(u8, Vec<u8>)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_static(NAMES[usize::from(*name) % NAMES.len()]);
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    headers
}

/// Responses, and the requests that get them.
#[derive(Debug, Clone)]
struct Script(Vec<(u16, HeaderMap)>);

impl Service<Request<()>> for Script {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let at: usize = request.headers().get("x-at").and_then(|at| at.to_str().ok()?.parse().ok()).unwrap_or_default();
        let mut response = Response::new(Full::from("body"));
        if let Some((status, headers)) = self.0.get(at) {
            *response.status_mut() = http::StatusCode::from_u16(200 + status % 400).unwrap_or_default();
            *response.headers_mut() = headers.clone();
        }
        ready(Ok(response))
    }
}

type Lines = Vec<(u8, Vec<u8>)>;

fuzz_target!(|input: Vec<(bool, Lines, u16, Lines)>| {
    let script = Script(input.iter().map(|(_, _, status, answer)| (*status, fields(answer))).collect());
    let cache = Cache::builder().no_vary_search(true).generate_etags(true).build().expect("the defaults are valid");
    let mut service = cache.layer().layer(script);
    for (at, (is_head, asked, ..)) in input.iter().enumerate() {
        let mut request = Request::builder().uri("http://a/x?y=1").body(()).expect("a request");
        *request.method_mut() = if *is_head { http::Method::HEAD } else { http::Method::GET };
        *request.headers_mut() = fields(asked);
        request.headers_mut().insert("x-at", HeaderValue::from(at));
        let response = service.call(request).now_or_never().expect("nothing to wait for").expect("it cannot fail");
        assert!(
            response.headers().get_all("age").iter().count() <= 1
                || response
                    .headers()
                    .get("cache-status")
                    .is_none_or(|status| !status.as_bytes().starts_with(b"rampart; hit"))
        );
        let is_hit = response
            .headers()
            .get_all("cache-status")
            .iter()
            .any(|status| status.as_bytes().starts_with(b"rampart; hit"));
        assert!(!(is_hit && response.headers().contains_key("set-cookie")));
        let _ = response.into_body().collect().now_or_never().expect("nothing to wait for");
    }
    assert_eq!(cache.stats().in_flight, 0);
});
