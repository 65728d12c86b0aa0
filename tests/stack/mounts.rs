//! Where a layer can stand on axum, and what it sees there. The table of the crate page says what this test finds.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, OriginalUri};
use axum::response::IntoResponse;
use axum::routing::get;
use http::Request;
use tower::util::MapResponseLayer;
use tower::{Layer, Service, ServiceExt as _};
use tower_rampart::key;
use tower_rampart::rate_limit::{Policy, RateLimit, RateLimitLayer};

use crate::support::per_hour;

/// What a layer saw of a request: its path, the route's template, and the path before nested routers cut off theirs.
type Seen = Arc<Mutex<Option<String>>>;

fn probe() -> (RateLimitLayer, Seen) {
    let seen = Seen::default();
    let told = Arc::clone(&seen);
    let key = key::from_fn(move |request, _| {
        let known = request.extensions();
        let template = known.get::<MatchedPath>().map_or("no route", MatchedPath::as_str);
        let original = known.get::<OriginalUri>().map_or("not kept", |uri| uri.path());
        *told.lock().unwrap() = Some(format!("{}, {template}, {original}", request.uri().path()));
        Ok(())
    });
    let policy = Policy::new("probe", per_hour(1000)).key(key);
    (RateLimit::new().add_policy(policy).build().unwrap(), seen)
}

fn polls() -> Router {
    Router::new().route("/polls/{id}", get(|| async { "a poll" }))
}

/// The same routes, and those of a nested router.
fn app(nested: Router) -> Router {
    polls().nest("/v2", nested)
}

/// Status and what was seen, for a route, another method, no route, and the same of what is nested.
async fn ask<S>(service: S, seen: &Seen) -> Vec<String>
where
    S: Service<Request<Body>, Response = axum::response::Response, Error = std::convert::Infallible> + Clone,
{
    let mut answers = Vec::new();
    for (method, path) in
        [("GET", "/polls/7"), ("POST", "/polls/7"), ("GET", "/none"), ("GET", "/v2/polls/7"), ("GET", "/v2/none")]
    {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let status = service.clone().oneshot(request).await.unwrap().status().as_u16();
        let seen = seen.lock().unwrap().take().unwrap_or_else(|| String::from("nothing"));
        answers.push(format!("{method} {path}: {status}, sees {seen}"));
    }
    answers
}

#[tokio::test]
async fn router_layer_sees_every_request_and_the_route() {
    let (layer, seen) = probe();
    assert_eq!(
        ask(app(polls()).layer(layer), &seen).await,
        [
            "GET /polls/7: 200, sees /polls/7, /polls/{id}, /polls/7",
            "POST /polls/7: 405, sees /polls/7, /polls/{id}, /polls/7",
            "GET /none: 404, sees /none, no route, /none",
            "GET /v2/polls/7: 200, sees /v2/polls/7, /v2/polls/{id}, /v2/polls/7",
            "GET /v2/none: 404, sees /v2/none, no route, /v2/none",
        ]
    );
    // What is added afterwards, a fallback too, stands outside of it.
    let (layer, seen) = probe();
    let late = polls().layer(layer).route("/late", get(|| async { "late" })).fallback(|| async { "nothing here" });
    for path in ["/late", "/none"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(late.clone().oneshot(request).await.unwrap().status(), 200);
        assert_eq!(*seen.lock().unwrap(), None, "{path}");
    }
}

#[tokio::test]
async fn route_layer_sees_what_has_a_route() {
    let (layer, seen) = probe();
    assert_eq!(
        ask(app(polls()).route_layer(layer), &seen).await,
        [
            "GET /polls/7: 200, sees /polls/7, /polls/{id}, /polls/7",
            "POST /polls/7: 405, sees /polls/7, /polls/{id}, /polls/7",
            "GET /none: 404, sees nothing",
            "GET /v2/polls/7: 200, sees /v2/polls/7, /v2/polls/{id}, /v2/polls/7",
            "GET /v2/none: 404, sees nothing",
        ]
    );
}

#[tokio::test]
async fn around_the_router_there_is_no_route_yet() {
    let (layer, seen) = probe();
    let around = MapResponseLayer::new(IntoResponse::into_response).layer(layer.layer(app(polls())));
    assert_eq!(
        ask(around, &seen).await,
        [
            "GET /polls/7: 200, sees /polls/7, no route, not kept",
            "POST /polls/7: 405, sees /polls/7, no route, not kept",
            "GET /none: 404, sees /none, no route, not kept",
            "GET /v2/polls/7: 200, sees /v2/polls/7, no route, not kept",
            "GET /v2/none: 404, sees /v2/none, no route, not kept",
        ]
    );
}

#[tokio::test]
async fn on_a_nested_router_the_path_is_what_is_left_of_it() {
    let (layer, seen) = probe();
    assert_eq!(
        ask(app(polls().layer(layer)), &seen).await,
        [
            "GET /polls/7: 200, sees nothing",
            "POST /polls/7: 405, sees nothing",
            "GET /none: 404, sees nothing",
            "GET /v2/polls/7: 200, sees /polls/7, /v2/polls/{id}, /v2/polls/7",
            "GET /v2/none: 404, sees nothing",
        ]
    );
}

/// The server that axum has serves what stands around a router, with the address of its clients.
#[tokio::test]
async fn a_service_around_the_router_is_served() {
    use std::net::SocketAddr;

    use axum::ServiceExt;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let layer = RateLimit::per_client_ip(per_hour(1)).build().unwrap();
    let around = MapResponseLayer::new(IntoResponse::into_response).layer(layer.layer(polls()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = ServiceExt::<Request<Body>>::into_make_service_with_connect_info::<SocketAddr>(around);
    let server = tokio::spawn(async move { axum::serve(listener, service).await });
    let mut statuses = Vec::new();
    for _ in 0..2 {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /polls/7 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        statuses.push(answer.split(' ').nth(1).unwrap().to_owned());
    }
    assert_eq!(statuses, ["200", "429"]);
    server.abort();
}
