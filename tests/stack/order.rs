//! The places of foreign layers, by effect: which one a request meets first.

use std::sync::{Arc, Mutex};

use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_rampart::stack::Stack;

use crate::support::{ask, hello, request};

/// Writes down that a request came by.
#[derive(Clone)]
struct Note(&'static str, Arc<Mutex<Vec<&'static str>>>);

#[derive(Clone)]
struct Noted<S>(S, Note);

impl<S> Layer<S> for Note {
    type Service = Noted<S>;

    fn layer(&self, inner: S) -> Noted<S> {
        Noted(inner, self.clone())
    }
}

impl<S: Service<R>, R> Service<R> for Noted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.1.1.lock().unwrap().push(self.1.0);
        self.0.call(request)
    }
}

#[tokio::test]
async fn foreign_layers_stand_where_their_places_are() {
    let notes = Arc::default();
    let note = |name| Note(name, Arc::clone(&notes));
    let layer = Stack::new()
        .innermost(note("innermost"))
        .cors(note("cors"))
        .trace(note("trace"))
        .compression(note("compression"))
        .after_authz(note("after authz"))
        .outermost(note("outermost"))
        .catch_panic(note("catch panic"))
        .body_limit(note("body limit"))
        .request_id(note("request id"))
        .before_auth(note("before auth"))
        .build()
        .unwrap();
    ask(&layer.layer(service_fn(hello)), request("/").body(Full::default()).unwrap()).await;
    let order = [
        "outermost",
        "request id",
        "trace",
        "catch panic",
        "cors",
        "body limit",
        "before auth",
        "after authz",
        "compression",
        "innermost",
    ];
    assert_eq!(*notes.lock().unwrap(), order);
    let described: Vec<_> = order.map(|name| format!("{name:11}  stack::order::Note")).into();
    assert_eq!(layer.describe(), described.join("\n"));
}
