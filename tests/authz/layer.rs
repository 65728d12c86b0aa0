//! What callers and strangers are told.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Method, Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt as _, service_fn};
use tower_rampart::authz::{AuthzLayer, PolicyTable, Rule};
use tower_rampart::{Challenge, Identity, ResponseBody};

use crate::log::{Log, meet_call_sites_from_anywhere};

type Answer = Response<ResponseBody<Full<Bytes>>>;

fn layer() -> AuthzLayer {
    let table = PolicyTable::builder()
        .add_role("admin", ["author", "auditor"])
        .add_rule(Rule::public("read", "/polls").methods([Method::GET]))
        .add_rule(Rule::allow("create", "/polls").methods([Method::POST]).roles(["author"]))
        .add_rule(Rule::allow("scoped", "/scoped").scopes(["a", "b"]))
        .build()
        .unwrap();
    AuthzLayer::new(table).challenge(Challenge::new("polls").unwrap())
}

fn send(layer: &AuthzLayer, method: Method, path: &str, who: Option<Identity>) -> Answer {
    let mut request = Request::builder().method(method).uri(path).body(()).unwrap();
    if let Some(who) = who {
        request.extensions_mut().insert(who);
    }
    answer(layer, request)
}

fn answer(layer: &AuthzLayer, request: Request<()>) -> Answer {
    let handler = service_fn(|request: Request<()>| async move {
        let roles = request.extensions().get::<Identity>().map(|who| who.roles().collect::<Vec<_>>().join(","));
        let mut response = Response::new(Full::<Bytes>::default());
        response.headers_mut().insert("roles", roles.unwrap_or_default().parse().unwrap());
        Ok::<_, Infallible>(response)
    });
    layer.layer(handler).oneshot(request).now_or_never().expect("the layer never waits").unwrap()
}

fn who(roles: &[&str], scopes: &[&str]) -> Option<Identity> {
    Some(Identity::new("idp", "u").with_roles(roles.iter().copied()).with_scopes(scopes.iter().copied()))
}

fn challenge(answer: &Answer) -> &str {
    answer.headers().get("www-authenticate").map_or("", |value| value.to_str().unwrap())
}

#[test]
fn statuses_and_challenges() {
    let layer = layer();
    assert_eq!(send(&layer, Method::GET, "/polls", None).status(), 200);
    let stranger = send(&layer, Method::POST, "/polls", None);
    assert_eq!((stranger.status().as_u16(), challenge(&stranger)), (401, "Bearer realm=\"polls\""));
    let other = send(&layer, Method::POST, "/polls", who(&["voter"], &[]));
    assert_eq!((other.status().as_u16(), challenge(&other)), (403, ""));
    let scopeless = send(&layer, Method::GET, "/scoped", who(&[], &["a"]));
    assert_eq!(
        (scopeless.status().as_u16(), challenge(&scopeless)),
        (403, "Bearer realm=\"polls\", error=\"insufficient_scope\", scope=\"a b\"")
    );
    assert_eq!(send(&layer, Method::GET, "/polls/..", None).status(), 400);
    assert_eq!(send(&layer, Method::GET, "/nowhere", None).status(), 401);
    assert_eq!(send(&layer, Method::GET, "/nowhere", who(&["admin"], &[])).status(), 403);
}

/// A service that does what the field says would do what no rule was asked about.
#[test]
fn a_request_that_names_two_methods_is_refused() {
    let with = |method: Method, field: &str, value: &str| {
        Request::builder().method(method).uri("/polls").header(field, value).body(()).unwrap()
    };
    // What comes by way of CGI has `_` for `-`.
    for field in [
        "X-HTTP-Method-Override",
        "x-http-method",
        "X-Method-Override",
        "X_HTTP_Method_Override",
        "x-http_method",
        "x_method_override",
    ] {
        for (method, value) in
            [(Method::GET, "DELETE"), (Method::POST, "GET"), (Method::GET, ""), (Method::GET, "GET,PUT")]
        {
            assert_eq!(answer(&layer(), with(method, field, value)).status(), 400, "{field}: {value}");
        }
        assert_eq!(answer(&layer(), with(Method::GET, field, "get")).status(), 200);
        let trusting = layer().dangerous_ignore_method_overrides();
        assert_eq!(answer(&trusting, with(Method::GET, field, "DELETE")).status(), 200);
        assert_eq!(answer(&trusting, with(Method::POST, field, "GET")).status(), 401);
    }
    let mut twice = with(Method::GET, "x-http-method", "GET");
    twice.headers_mut().append("x-http-method", "PUT".parse().unwrap());
    assert_eq!(answer(&layer(), twice).status(), 400);
}

/// Fetch, section 4.8: a preflight has no credential.
#[test]
fn preflights_pass_where_they_are_let() {
    let preflight = |method: Method, origin: bool, asks: bool| {
        let mut request = Request::builder().method(method).uri("/polls").body(()).unwrap();
        let headers = request.headers_mut();
        if origin {
            headers.insert("origin", "https://app.example".parse().unwrap());
        }
        if asks {
            headers.insert("access-control-request-method", "POST".parse().unwrap());
        }
        request
    };
    let open = layer().pass_preflights(true);
    assert_eq!(answer(&open, preflight(Method::OPTIONS, true, true)).status(), 200);
    assert_eq!(answer(&layer(), preflight(Method::OPTIONS, true, true)).status(), 401);
    for (method, origin, asks) in
        [(Method::OPTIONS, true, false), (Method::OPTIONS, false, true), (Method::POST, true, true)]
    {
        assert_eq!(answer(&open, preflight(method, origin, asks)).status(), 401);
    }
    // No browser writes another method into one.
    let mut disguised = preflight(Method::OPTIONS, true, true);
    disguised.headers_mut().insert("x-http-method-override", "DELETE".parse().unwrap());
    assert_eq!(answer(&open, disguised).status(), 400);
}

#[test]
fn grpc_callers_hear_it_in_their_own_words() {
    let layer = layer();
    for (who, status) in [(None, "16"), (who(&["voter"], &[]), "7")] {
        let mut request = Request::post("/p.S/M").header("content-type", "application/grpc").body(()).unwrap();
        if let Some(who) = who {
            request.extensions_mut().insert(who);
        }
        assert_eq!(answer(&layer, request).headers()["grpc-status"], status);
    }
}

#[test]
fn handlers_see_all_roles() {
    let admin = send(&layer(), Method::POST, "/polls", who(&["admin"], &[]));
    assert_eq!(admin.headers()["roles"], "admin,auditor,author");
}

#[test]
fn a_table_can_be_replaced_at_run_time() {
    let layer = layer();
    let twin = layer.clone().challenge(Challenge::default());
    assert_eq!(send(&layer, Method::GET, "/polls", None).status(), 200);
    twin.handle().replace(PolicyTable::builder().build().unwrap());
    assert_eq!(send(&layer, Method::GET, "/polls", None).status(), 401);
    assert_eq!(send(&AuthzLayer::empty(), Method::GET, "/anything", None).status(), 200);
}

/// A stack whose authentication layer stands on the wrong side is told so.
#[test]
fn a_credential_without_a_caller_is_reported_once() {
    meet_call_sites_from_anywhere();
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        let layer = layer();
        let post = || Request::post("/polls");
        assert_eq!(answer(&layer, post().body(()).unwrap()).status(), 401);
        for _ in 0..2 {
            let request = post().header("authorization", "Bearer s3cret").body(()).unwrap();
            assert_eq!(answer(&layer, request).status(), 401);
        }
    });
    let text = log.text();
    assert_eq!(text.matches("put the layer that authenticates outside").count(), 1, "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}
