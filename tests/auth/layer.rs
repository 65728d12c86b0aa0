//! The layer: where credentials are looked for, and what clients are told.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use tower::{Layer, ServiceExt as _, service_fn};
use tower_rampart::auth::{Algorithm, Auth, AuthLayer, Issuer, JwtVerifier, Keys};
use tower_rampart::{Challenge, Clock, ClockHand, Identity, ResponseBody};

use crate::api_key::keys;
use crate::log::{Log, meet_call_sites_from_anywhere};
use crate::support::{NOW, good_token, now, token_headed, token_with, verifier};

/// A clock that shows the tests' present.
pub(crate) fn clock() -> (Clock, ClockHand) {
    let (clock, hand) = Clock::manual();
    hand.advance(now().duration_since(clock.wall()).expect("the tests lie in the future"));
    (clock, hand)
}

fn both() -> Auth {
    Auth::new().jwt(verifier()).api_keys(keys()).with_clock(clock().0)
}

pub(crate) type Answer = Response<ResponseBody<Full<Bytes>>>;

/// Sends a request; the handler answers with who it sees, and with the credentials that reached it.
pub(crate) fn send(layer: &AuthLayer, request: Request<()>) -> Answer {
    let handler = service_fn(|request: Request<()>| async move {
        let seen = request.extensions().get::<Identity>();
        let mut response = Response::new(Full::default());
        let who = seen.map_or_else(|| "nobody".to_owned(), |who| format!("{}|{}", who.issuer(), who.subject()));
        response.headers_mut().insert("who", who.parse().unwrap());
        let left = request.headers().contains_key("authorization") || request.headers().contains_key("x-api-key");
        response.headers_mut().insert("left", left.to_string().parse().unwrap());
        response.headers_mut().insert("uri", request.uri().to_string().parse().unwrap());
        for (name, field) in [("protocols", "sec-websocket-protocol"), ("cookies", "cookie")] {
            if let Some(value) = request.headers().get(field) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        Ok::<_, Infallible>(response)
    });
    layer.layer(handler).oneshot(request).now_or_never().expect("the layer never waits").unwrap()
}

pub(crate) fn with(fields: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::get("/").body(()).unwrap();
    for (name, value) in fields {
        request.headers_mut().append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
    }
    request
}

fn bearer(token: &str) -> Request<()> {
    with(&[("authorization", &format!("Bearer {token}"))])
}

pub(crate) fn field<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

pub(crate) fn outcome(answer: &Answer) -> (u16, &str) {
    (answer.status().as_u16(), field(answer.headers(), "www-authenticate"))
}

#[test]
fn callers_become_identities() {
    let layer = both().build().unwrap();
    for scheme in ["Bearer", "bearer", "BEARER", "Bearer  "] {
        let answer = send(&layer, with(&[("authorization", &format!("{scheme} {}", good_token()))]));
        assert_eq!(field(answer.headers(), "who"), "https://idp.example/|alice", "{scheme}");
    }
    for key in ["batch.old", "batch.new.with.dots"] {
        let answer = send(&layer, with(&[("x-api-key", key)]));
        assert_eq!((field(answer.headers(), "who"), field(answer.headers(), "left")), ("api-key|batch", "true"));
    }
}

/// RFC 6750 section 3.1: no error where no credential was sent.
#[test]
fn strangers_are_told_how_to_come_in() {
    let layer = both().build().unwrap();
    let answer = send(&layer, with(&[]));
    assert_eq!(outcome(&answer), (401, "Bearer realm=\"api\""));
    assert_eq!(field(answer.headers(), "cache-control"), "no-store");
    let challenge = Challenge::new("polls")
        .unwrap()
        .resource_metadata("https://api.example/.well-known/oauth-protected-resource")
        .unwrap();
    let layer = both().challenge(challenge).build().unwrap();
    assert_eq!(
        outcome(&send(&layer, with(&[]))).1,
        "Bearer realm=\"polls\", resource_metadata=\"https://api.example/.well-known/oauth-protected-resource\""
    );
    assert!(Challenge::new("a\"b").is_err());
    assert!(Challenge::default().resource_metadata("http://api.example/").is_err());
}

#[test]
fn bad_credentials_are_refused_without_a_reason() {
    let layer = both().build().unwrap();
    let mut bodies = Vec::new();
    for request in [
        bearer("junk"),
        bearer(""),
        bearer(&token_with(json!({ "exp": NOW - 100 }))),
        bearer(&token_with(json!({ "aud": "other" }))),
        bearer(&format!("{} {}", good_token(), good_token())),
        with(&[("authorization", "Basic YWxpY2U6cHc=")]),
        with(&[("authorization", "Bearer")]),
        with(&[("authorization", "")]),
        with(&[("authorization", &good_token())]),
        with(&[("x-api-key", "batch.wrong")]),
        with(&[("x-api-key", "nobody.old")]),
        with(&[("x-api-key", "batch")]),
        with(&[("x-api-key", "gone.secret")]),
        with(&[("x-api-key", "")]),
    ] {
        let answer = send(&layer, request);
        assert_eq!(outcome(&answer), (401, "Bearer realm=\"api\", error=\"invalid_token\""));
        bodies.push(answer.into_body().collect().now_or_never().unwrap().unwrap().to_bytes());
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "all refusals look alike");
}

#[test]
fn two_credentials_are_one_too_many() {
    let layer = both().build().unwrap();
    let token = format!("Bearer {}", good_token());
    for fields in [
        &[("authorization", &*token), ("authorization", &token)][..],
        &[("authorization", &token), ("x-api-key", "batch.old")],
        &[("x-api-key", "batch.old"), ("x-api-key", "batch.old")],
        &[("authorization", "junk"), ("authorization", &token)],
    ] {
        assert_eq!(outcome(&send(&layer, with(fields))), (400, "Bearer realm=\"api\", error=\"invalid_request\""));
    }
}

#[test]
fn strangers_may_be_welcome_and_forgers_never() {
    let layer = both().optional(true).build().unwrap();
    let answer = send(&layer, with(&[]));
    assert_eq!((answer.status().as_u16(), field(answer.headers(), "who")), (200, "nobody"));
    assert_eq!(send(&layer, bearer("junk")).status(), 401);
    assert_eq!(send(&layer, with(&[("authorization", "Negotiate abc")])).status(), 401);
    // What somebody further out put there is nobody's word here.
    let mut request = with(&[]);
    request.extensions_mut().insert(Identity::new("outer", "mallory"));
    assert_eq!(field(send(&layer, request).headers(), "who"), "nobody");
}

#[test]
fn credentials_can_be_taken_off() {
    let layer = both().strip_credentials(true).build().unwrap();
    for request in [bearer(&good_token()), with(&[("x-api-key", "batch.old")])] {
        let answer = send(&layer, request);
        assert_eq!((answer.status().as_u16(), field(answer.headers(), "left")), (200, "false"));
    }
}

#[test]
fn time_ends_a_token() {
    let (clock, hand) = clock();
    let layer = Auth::new().jwt(verifier()).with_clock(clock).build().unwrap();
    assert_eq!(send(&layer, bearer(&good_token())).status(), 200);
    hand.advance(std::time::Duration::from_secs(359));
    assert_eq!(send(&layer, bearer(&good_token())).status(), 200);
    hand.advance(std::time::Duration::from_secs(1));
    assert_eq!(send(&layer, bearer(&good_token())).status(), 401);
}

#[test]
fn without_keys_it_is_the_servers_fault() {
    let issuer = Issuer::new("https://idp.example/").audience("api").algorithms([Algorithm::Hs256]);
    let keyless = JwtVerifier::new([issuer.keys(Keys::none())]).unwrap();
    let layer = Auth::new().jwt(keyless).with_clock(clock().0).build().unwrap();
    let answer = send(&layer, bearer(&good_token()));
    assert_eq!((answer.status().as_u16(), field(answer.headers(), "retry-after")), (503, "5"));
    assert_eq!(field(answer.headers(), "www-authenticate"), "");
}

#[test]
fn grpc_clients_hear_it_in_their_own_words() {
    let layer = both().build().unwrap();
    for (fields, status) in
        [(&[][..], "16"), (&[("authorization", "Bearer junk")], "16"), (&[("x-api-key", "a"), ("x-api-key", "b")], "3")]
    {
        let mut request = with(fields);
        request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        let answer = send(&layer, request);
        assert_eq!((answer.status().as_u16(), field(answer.headers(), "grpc-status")), (200, status));
    }
}

#[test]
fn nothing_that_is_logged_or_printed_holds_a_credential() {
    meet_call_sites_from_anywhere();
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        let layer = both().build().unwrap();
        println!("{layer:?}");
        for token in [
            "s3cret.s3cret.s3cret",
            &token_with(json!({ "aud": "s3cret" })),
            &token_with(json!({ "sub": 7, "s3cret": "s3cret" })),
        ] {
            send(&layer, bearer(token));
        }
        send(&layer, with(&[("x-api-key", "batch.s3cret")]));
    });
    let text = log.text();
    assert!(text.contains("authn_token_refused") && text.contains("authn_login_fail"), "{text}");
    assert!(!text.contains("s3cret") && !text.contains("eyJ"), "{text}");
}

/// Whoever's tokens are ordinary JWTs is told once what to say.
#[test]
fn tokens_of_another_kind_are_reported_once() {
    meet_call_sites_from_anywhere();
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        let layer = both().build().unwrap();
        for _ in 0..3 {
            assert_eq!(send(&layer, bearer(&token_headed(json!({ "alg": "HS256", "typ": "JWT" })))).status(), 401);
        }
    });
    let text = log.text();
    assert_eq!(text.matches("say `.profile(Profile::AnyJwt)`").count(), 1, "{text}");
}
