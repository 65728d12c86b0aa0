//! Security headers.

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, Request, Response};
use http_security_headers::{ContentSecurityPolicy, Preset, SecurityHeaders, SecurityHeadersLayer};
use tower::{Layer, Service};
use tower_rampart::security_headers::ContentSecurityPolicy as Policy;

/// The fields of an answer whose handler tells what it is made of.
fn fields<L, S, B>(layer: L, content_type: &'static str) -> HeaderMap
where
    L: Layer<Handler, Service = S>,
    S: Service<Request<()>, Response = Response<B>>,
{
    let mut service = layer.layer(Handler(content_type));
    let mut cx = Context::from_waker(Waker::noop());
    let answer = pin!(service.call(Request::default())).poll(&mut cx);
    let Poll::Ready(Ok(response)) = answer else { panic!("it answers at once") };
    response.headers().clone()
}

#[derive(Debug, Clone, Copy)]
struct Handler(&'static str);

impl Service<Request<()>> for Handler {
    type Response = Response<peers::Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        let response = Response::builder().header("content-type", self.0).header("server", "careless/1.0");
        std::future::ready(Ok(response.body(peers::Body::default()).unwrap()))
    }
}

#[test]
fn a_keyword_without_quotes_passes_http_security_headers() {
    let policy = ContentSecurityPolicy::new().script_src(["self"]);
    let headers = SecurityHeaders::builder().content_security_policy(policy).build().unwrap();
    let sent = fields(SecurityHeadersLayer::new(headers), "text/html");
    assert_eq!(sent["content-security-policy"], "script-src self");
    assert!("script-src self".parse::<Policy>().is_err());
}

#[test]
fn http_security_headers_sends_hsts_over_plain_http_and_leaves_the_servers_name() {
    let theirs = fields(SecurityHeadersLayer::new(Preset::Strict.build()), "text/html");
    assert!(theirs.contains_key("strict-transport-security") && theirs.contains_key("server"));
    let ours = fields(tower_rampart::security_headers::SecurityHeadersLayer::web(), "text/html");
    assert!(!ours.contains_key("strict-transport-security") && !ours.contains_key("server"));
}

#[test]
fn http_security_headers_sends_policies_on_grpc() {
    let theirs = fields(SecurityHeadersLayer::new(Preset::Strict.build()), "application/grpc");
    assert!(theirs.contains_key("content-security-policy"));
    let ours = fields(tower_rampart::security_headers::SecurityHeadersLayer::api(), "application/grpc");
    assert!(!ours.contains_key("content-security-policy") && ours.contains_key("x-content-type-options"));
}
