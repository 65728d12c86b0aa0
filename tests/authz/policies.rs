//! Shadows, audits, routes, other engines, and all of it on axum, tonic and hyper.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Method, Request, Response};
use http_body_util::Full;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_rampart::authz::{
    AuthzLayer, Decision, Policy, PolicyContext, PolicyTable, Predicate, Refused, Rule, TimeWindow,
};
use tower_rampart::key::{ClientIp, PeerAddr};
use tower_rampart::{Clock, Identity};

fn open() -> PolicyTable {
    PolicyTable::builder().add_rule(Rule::public("open", "/**")).build().unwrap()
}

fn closed() -> PolicyTable {
    PolicyTable::builder().add_rule(Rule::public("closed", "/other")).build().unwrap()
}

fn status(layer: &AuthzLayer, request: Request<()>) -> u16 {
    let handler = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
    layer.layer(handler).oneshot(request).now_or_never().unwrap().unwrap().status().as_u16()
}

fn get_path(path: &str) -> Request<()> {
    Request::get(path).body(()).unwrap()
}

#[test]
fn a_shadow_is_counted_and_decides_nothing() {
    let recorder = DebuggingRecorder::new();
    let layer = AuthzLayer::new(open()).shadow(closed());
    let handle = layer.handle();
    metrics::with_local_recorder(&recorder, || {
        assert_eq!(status(&layer, get_path("/a")), 200);
        assert_eq!(status(&layer, get_path("/other")), 200);
        handle.replace(closed());
        assert_eq!(status(&layer, get_path("/a")), 401);
        handle.remove_shadow();
        assert_eq!(status(&layer, get_path("/a")), 401);
    });
    let counts: std::collections::BTreeMap<_, _> = recorder
        .snapshotter()
        .snapshot()
        .into_vec()
        .into_iter()
        .filter_map(|(key, _, _, value)| match value {
            DebugValue::Counter(count) => Some((key.key().name().to_owned(), count)),
            _ => None,
        })
        .collect();
    assert_eq!(counts["rampart_authz_allowed_total"], 2);
    assert_eq!(counts["rampart_authz_denied_total"], 2);
    assert_eq!(counts["rampart_authz_shadow_allowed_total"], 1);
    assert_eq!(counts["rampart_authz_shadow_denied_total"], 2);
    assert_eq!(counts["rampart_authz_refused_total"], 2);
}

#[test]
fn a_shadow_can_come_to_power() {
    let layer = AuthzLayer::new(closed());
    layer.handle().replace_shadow(open());
    assert_eq!(status(&layer, get_path("/a")), 401);
    layer.handle().enforce_shadow();
    assert_eq!(status(&layer, get_path("/a")), 200);
    layer.handle().enforce_shadow();
    assert_eq!(status(&layer, get_path("/a")), 200);
}

/// Decisions that were put there together are seen together.
#[test]
fn a_swap_is_never_seen_by_halves() {
    let layer = AuthzLayer::new(open());
    let swapping = Arc::new(layer.handle());
    let swapper = std::thread::spawn(move || {
        for _ in 0..2000 {
            swapping.replace(closed());
            swapping.replace(open());
        }
    });
    for _ in 0..2000 {
        assert!(matches!(status(&layer, get_path("/a")), 200 | 401));
    }
    swapper.join().unwrap();
    assert_eq!(status(&layer, get_path("/a")), 200);
}

/// Another engine, which says less than it should.
struct OddDays;

impl Policy for OddDays {
    fn decide(&self, context: &PolicyContext<'_>) -> Decision<'_> {
        let client = context.client().is_some_and(|client| client == IpAddr::from([192, 0, 2, 7]));
        if client && context.now().is_some() && context.request().is_some() {
            Decision::Allowed { rule: "odd" }
        } else {
            Decision::Refused { rule: None, why: Refused::Forbidden }
        }
    }
}

#[test]
fn another_engine_can_stand_in() {
    let layer = AuthzLayer::new(OddDays).client_ip(ClientIp::new());
    let mut request = get_path("/a");
    request.extensions_mut().insert(PeerAddr::new(SocketAddr::from(([192, 0, 2, 7], 1))));
    assert_eq!(status(&layer, request), 200);
    assert_eq!(status(&layer, get_path("/a")), 403);
}

/// The layer's clock is asked, not the system's.
#[test]
fn the_time_is_the_layers() {
    let (clock, hand) = Clock::manual();
    let until = clock.wall() + std::time::Duration::from_secs(60);
    let rule = Rule::public("soon", "/**").when(Predicate::during(TimeWindow::new().until(until)));
    let layer = AuthzLayer::new(PolicyTable::builder().add_rule(rule).build().unwrap()).with_clock(clock);
    assert_eq!(status(&layer, get_path("/a")), 200);
    hand.advance(std::time::Duration::from_secs(60));
    assert_eq!(status(&layer, get_path("/a")), 401);
}

fn routed() -> AuthzLayer {
    let table = PolicyTable::builder()
        .by_route()
        .add_rule(Rule::public("read", "/v1/polls/{id}").methods([Method::GET]))
        .add_rule(Rule::allow("write", "/v1/polls/{id}").methods([Method::POST]).claim_equals_path("org", "id"))
        .add_rule(Rule::deny("no", "/v1/frozen"))
        .build()
        .unwrap();
    AuthzLayer::new(table)
}

async fn ask(app: &Router, method: Method, path: &str, who: Option<Identity>) -> u16 {
    let mut request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    if let Some(who) = who {
        request.extensions_mut().insert(who);
    }
    app.clone().oneshot(request).await.unwrap().status().as_u16()
}

/// Rules by axum's own route, nested routers included: what the router chose is what is asked about.
#[tokio::test]
async fn rules_can_go_by_axums_route() {
    let polls = Router::new()
        .route("/polls/{id}", get(|| async {}).post(|| async {}))
        .route("/frozen", get(|| async {}))
        .route("/unruled", get(|| async {}))
        .route_layer(routed());
    let app = Router::new().nest("/v1", polls);
    let acme = Identity::new("idp", "ann").with_claims([("org", "acme")]);
    for (method, path, who, expected) in [
        (Method::GET, "/v1/polls/7", None, 200),
        (Method::HEAD, "/v1/polls/7", None, 200),
        (Method::POST, "/v1/polls/acme", Some(acme.clone()), 200),
        (Method::POST, "/v1/polls/other", Some(acme.clone()), 403),
        (Method::POST, "/v1/polls/acme", None, 401),
        (Method::GET, "/v1/frozen", Some(acme.clone()), 403),
        (Method::GET, "/v1/unruled", Some(acme.clone()), 403),
        (Method::GET, "/v1/polls/a%2fb", None, 400),
        (Method::GET, "/nowhere", None, 404),
    ] {
        assert_eq!(ask(&app, method.clone(), path, who).await, expected, "{method} {path}");
    }
}

/// A nested router sees a shorter path; rules speak of the whole one.
#[tokio::test]
async fn rules_see_the_whole_path_in_nested_routers() {
    let table = PolicyTable::builder()
        .add_rule(Rule::public("read", "/v1/polls/{id}"))
        .add_rule(Rule::deny("short", "/polls/{id}"))
        .build()
        .unwrap();
    let polls = Router::new().route("/polls/{id}", get(|| async {})).layer(AuthzLayer::new(table));
    let app = Router::new().nest("/v1", polls);
    assert_eq!(ask(&app, Method::GET, "/v1/polls/7", None).await, 200);
}

/// A layer that stands where there is no route lets nobody in.
#[tokio::test]
async fn without_a_route_nobody_passes() {
    let outside = routed();
    assert_eq!(status(&outside, get_path("/v1/polls/7")), 500);
    let app = Router::new().route("/v1/polls/{id}", get(|| async {}));
    // Around the whole service, before the router has looked.
    let service = outside.layer(app);
    let request = Request::get("/v1/polls/7").body(Body::empty()).unwrap();
    assert_eq!(service.oneshot(request).await.unwrap().status(), 500);
}

/// What a router and a policy could see differently, asked over a real axum router behind a layer by path.
#[tokio::test]
async fn no_spelling_of_a_path_is_a_way_around() {
    let table = PolicyTable::builder()
        .add_rule(Rule::public("all", "/**"))
        .add_rule(Rule::public("root", "/"))
        .add_rule(Rule::deny("admin", "/admin"))
        .add_rule(Rule::deny("admin-all", "/admin/**"))
        .build()
        .unwrap();
    let app = Router::new()
        .route("/admin", get(|| async { "secret" }))
        .route("/admin/{*rest}", get(|| async { "secret" }))
        .fallback(|| async { "public" })
        .layer(AuthzLayer::new(table));
    for path in [
        "/admin",
        "/%61dmin",
        "/admin/x",
        "/admin/",
        "//admin",
        "/./admin",
        "/x/../admin",
        "/x/%2e%2e/admin",
        "/admin%2fx",
        "/admin%00",
        "/admin/%2e%2e/x",
        "/admin?x=/public",
        "http://elsewhere.example/admin",
        "/admin%5cx",
    ] {
        let answer = app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 16).await.unwrap();
        assert!(matches!(status, 400 | 401) || &body[..] == b"public", "{path}: {status}");
        assert_ne!(&body[..], b"secret", "{path}");
    }
    assert_eq!(ask(&app, Method::GET, "/Admin", None).await, 200, "paths are compared letter by letter, as axum does");
}
