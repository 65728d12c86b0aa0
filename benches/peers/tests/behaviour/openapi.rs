//! Validators by OpenAPI document.

use bytes::Bytes;
use http::Request;
use peers::Body;
use peers::openapi::{rampart, roas};

fn judged(request: fn() -> Request<Body>) -> [bool; 2] {
    [rampart, roas].map(|make| make().unwrap().check(request()))
}

#[test]
fn a_parameter_that_stands_twice_passes_roas() {
    let twice = || Request::get("/v1/polls?limit=20&limit=30").body(Body::default()).unwrap();
    assert_eq!(judged(twice), [false, true]);
}

#[test]
fn a_member_that_stands_twice_passes_roas() {
    let twice = || {
        let body = r#"{"question":"Tea?","options":["tea","coffee"],"question":"Coffee?"}"#;
        let request = Request::post("/v1/polls").header("content-type", "application/json");
        request.body(Body::new(Bytes::from_static(body.as_bytes()))).unwrap()
    };
    assert_eq!(judged(twice), [false, true]);
}
