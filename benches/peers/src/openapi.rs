//! Requests judged by the same OpenAPI document, that of the poll API: ours as a whole layer, with hardening and replay;
//! `roas-http-validator` (feature `roas`), which is no layer, as one call with the body at hand.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use tower::{Layer, Service};
use tower_rampart::validate::{CheckedBody, OpenApi, UnknownPaths, Validate, ValidateService};

use crate::{Body, Job, Jobs, Run};

const DOCUMENT: &str = include_str!("../../../examples/gateway/polls.openapi.json");
/// 96 bytes.
pub const SMALL: &str =
    r#"{"question":"Tea or coffee this afternoon?","options":["tea","coffee","water","juice","cocoa."]}"#;

/// A request through one contender: whether it was let in.
pub trait Check {
    fn check(&mut self, request: Request<Body>) -> bool;
}

pub type Contender = Box<dyn Check>;

#[derive(Debug, Clone)]
struct Handler;

impl Service<Request<CheckedBody<Body>>> for Handler {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<CheckedBody<Body>>) -> Self::Future {
        ready(Ok(Response::default()))
    }
}

struct Rampart(ValidateService<Handler>);

impl Check for Rampart {
    fn check(&mut self, request: Request<Body>) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let answer = pin!(self.0.call(request)).poll(&mut cx);
        matches!(answer, Poll::Ready(Ok(answer)) if answer.status().is_success())
    }
}

/// Ours: the layer, its limits and all.
pub fn rampart() -> Option<Contender> {
    let api = OpenApi::from_json(DOCUMENT).ok()?.all_security_bound();
    let layer = Validate::new().add_openapi(api).unknown_paths(UnknownPaths::Refuse).build().ok()?;
    Some(Box::new(Rampart(layer.layer(Handler))))
}

/// Theirs, unknown query parameters refused as ours are.
#[cfg(feature = "roas")]
pub fn roas() -> Option<Contender> {
    use http_body_util::BodyExt as _;
    use roas_http_validator::{Options, ToRequestView as _, Validator};
    struct Roas(Validator);
    impl Check for Roas {
        fn check(&mut self, request: Request<Body>) -> bool {
            let (parts, body) = request.into_parts();
            let mut cx = Context::from_waker(Waker::noop());
            let Poll::Ready(Ok(body)) = pin!(body.collect()).poll(&mut cx) else { return false };
            let body = body.to_bytes();
            let view = parts.request_view();
            let view = if body.is_empty() { view } else { view.with_body(&body[..]) };
            self.0.validate(&view).is_ok_and(|report| report.is_valid())
        }
    }
    let document = serde_json::from_str(DOCUMENT).ok()?;
    let options = Options::new().reject_undescribed_query_parameters();
    Some(Box::new(Roas(Validator::from_v3_1(document, options))))
}

/// A body of 1.3 KB.
fn large() -> String {
    let options: Vec<_> = (0..11).map(|at| format!("\"{at:02}{}\"", "x".repeat(95))).collect();
    format!("{{\"question\":\"{}\",\"options\":[{}]}}", "q".repeat(190), options.join(","))
}

fn post(body: impl Into<Bytes>) -> Request<Body> {
    let request = Request::post("/v1/polls").header("content-type", "application/json");
    request.body(Body::new(body.into())).unwrap_or_default()
}

fn get(target: &str) -> Request<Body> {
    Request::get(target).body(Body::default()).unwrap_or_default()
}

pub fn small_poll() -> Request<Body> {
    post(SMALL)
}

pub fn large_poll() -> Request<Body> {
    post(large())
}

/// A parameter of a query that is a number.
pub fn list() -> Request<Body> {
    get("/v1/polls?limit=20")
}

/// A parameter of a path, with a format.
pub fn read() -> Request<Body> {
    get("/v1/polls/0198c7f0-0000-7000-8000-000000000000")
}

/// A body with three things wrong.
pub fn wrong_poll() -> Request<Body> {
    post(r#"{"question":"","options":["a"],"closes_at":"soon"}"#)
}

struct Prepared {
    contender: Rc<RefCell<Contender>>,
    request: Option<Request<Body>>,
    was_let_in: bool,
}

impl Run for Prepared {
    fn run(&mut self) {
        if let Some(request) = self.request.take() {
            self.was_let_in = self.contender.borrow_mut().check(request);
        }
    }

    fn fields(&self) -> usize {
        usize::from(self.was_let_in)
    }
}

/// Jobs of a contender that has judged the request once: it is as described.
pub fn passing(make: fn() -> Option<Contender>, request: fn() -> Request<Body>) -> Jobs {
    jobs(make, request, true)
}

/// It is not.
pub fn refused(make: fn() -> Option<Contender>, request: fn() -> Request<Body>) -> Jobs {
    jobs(make, request, false)
}

fn jobs(make: fn() -> Option<Contender>, request: fn() -> Request<Body>, is_let_in: bool) -> Jobs {
    let Some(mut contender) = make() else { panic!("a contender cannot be made") };
    assert_eq!(contender.check(request()), is_let_in, "a contender judges otherwise");
    let contender = Rc::new(RefCell::new(contender));
    Box::new(move || -> Job {
        Box::new(Prepared { contender: Rc::clone(&contender), request: Some(request()), was_let_in: false })
    })
}
