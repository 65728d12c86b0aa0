//! Opaque tokens (RFC 7662).
#![cfg(feature = "auth-introspection")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_rampart::auth::{Auth, AuthLayer, HttpClient, Introspection};
use tower_rampart::{Clock, ClockHand, Identity};

use crate::layer::clock;
use crate::log::{Log, meet_call_sites_from_anywhere};
use crate::support::{NOW, good_token, verifier};

/// A server that answers what it is told to, and keeps what it was asked.
#[derive(Clone, Default)]
struct Server {
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Server {
    fn says(&self, answer: &Value) {
        *self.answer.lock().unwrap() = (200, answer.to_string());
    }

    fn fails(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }

    fn times_asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn client(&self) -> HttpClient {
        let server = self.clone();
        HttpClient::new(service_fn(move |request: Request<Full<Bytes>>| {
            let server = server.clone();
            async move {
                let authorization = request.headers()["authorization"].to_str().unwrap().to_owned();
                assert_eq!(request.headers()["content-type"], "application/x-www-form-urlencoded");
                let body = request.into_body().collect().await.unwrap().to_bytes();
                server.asked.lock().unwrap().push((authorization, String::from_utf8(body.to_vec()).unwrap()));
                let (status, body) = server.answer.lock().unwrap().clone();
                let status = StatusCode::from_u16(status).unwrap();
                Ok::<_, Infallible>(Response::builder().status(status).body(Full::<Bytes>::from(body)).unwrap())
            }
        }))
    }

    fn introspection(&self) -> Introspection {
        Introspection::with_secret("https://idp.example/introspect", "api:1", "s ecret", self.client())
            .unwrap()
            .issuer("https://idp.example/")
            .audience("api")
    }
}

fn layer(server: &Server) -> (AuthLayer, Clock, ClockHand) {
    let (clock, hand) = clock();
    let auth = Auth::new().introspection(server.introspection()).with_clock(clock.clone());
    (auth.build().unwrap(), clock, hand)
}

async fn who(layer: &AuthLayer, token: &str) -> (u16, String) {
    let handler = service_fn(|request: Request<()>| async move {
        let caller = request.extensions().get::<Identity>().unwrap();
        let (roles, scopes) = (caller.roles().collect::<Vec<_>>(), caller.scopes().collect::<Vec<_>>());
        let seen = format!("{}|{}|{roles:?}|{scopes:?}", caller.issuer(), caller.subject());
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(seen)))
    });
    let request = Request::get("/").header("authorization", format!("Bearer {token}")).body(()).unwrap();
    let answer = layer.layer(handler).oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, if status == 200 { String::from_utf8(body.to_vec()).unwrap() } else { String::new() })
}

fn active() -> Value {
    json!({ "active": true, "sub": "alice", "aud": ["api"], "exp": NOW + 600, "scope": "a b", "roles": ["author"] })
}

fn active_with(name: &str, value: Value) -> Value {
    let mut answer = active();
    answer[name] = value;
    answer
}

#[tokio::test]
async fn an_active_token_is_its_owners() {
    let server = Server::default();
    server.says(&active());
    let (layer, ..) = layer(&server);
    let seen = r#"https://idp.example/|alice|["author"]|["a", "b"]"#.to_owned();
    assert_eq!(who(&layer, "opaque-1+/==").await, (200, seen));
    // RFC 7662 section 2.1, RFC 6749 section 2.3.1: both encoded, so that nothing can be slipped in.
    let asked = server.asked.lock().unwrap().clone();
    assert_eq!(asked[0].0, "Basic YXBpJTNBMTpzJTIwZWNyZXQ=");
    assert_eq!(asked[0].1, "token=opaque%2D1%2B%2F%3D%3D&token_type_hint=access_token");
}

#[tokio::test]
async fn what_is_not_ours_or_not_active_is_refused() {
    for answer in [
        json!({ "active": false }),
        json!({ "active": false, "sub": "alice", "aud": "api" }),
        active_with("aud", json!("other")),
        active_with("aud", json!([7, "api"])),
        active_with("aud", Value::Null),
        active_with("exp", json!(NOW)),
        active_with("nbf", json!(NOW + 100)),
        active_with("iss", json!("https://evil.example/")),
        active_with("iss", json!(["https://idp.example/"])),
        active_with("cnf", json!({ "jkt": "x" })),
        active_with("token_type", json!("DPoP")),
        active_with("token_type", json!("refresh_token")),
        active_with("token_type", json!(["Bearer"])),
        json!({ "active": true, "aud": "api" }),
    ] {
        let server = Server::default();
        server.says(&answer);
        assert_eq!(who(&layer(&server).0, "opaque").await.0, 401, "{answer}");
    }
}

/// What cannot be read is the server's fault, and lets nobody in.
#[tokio::test]
async fn an_answer_that_is_none_is_an_outage() {
    for (status, body) in [
        (500, "{\"active\":true,\"sub\":\"a\",\"aud\":\"api\"}"),
        (302, ""),
        (200, ""),
        (200, "[]"),
        (200, "{\"active\":\"true\",\"sub\":\"a\",\"aud\":\"api\"}"),
        (200, "{\"active\":1,\"sub\":\"a\",\"aud\":\"api\"}"),
        (200, "{\"active\":false,\"active\":true,\"sub\":\"a\",\"aud\":\"api\"}"),
        (200, "{\"active\":true,\"sub\":\"a\",\"aud\":\"api\",\"exp\":\"never\"}"),
    ] {
        let server = Server::default();
        server.fails(status, body);
        assert_eq!(who(&layer(&server).0, "opaque").await.0, 503, "{status} {body}");
    }
    let server = Server::default();
    server.fails(200, &" ".repeat(100 << 10));
    assert_eq!(who(&layer(&server).0, "opaque").await.0, 503);
}

#[tokio::test]
async fn answers_are_remembered_for_a_minute_and_refusals_for_a_moment() {
    let server = Server::default();
    server.says(&active());
    let (layer, _, hand) = layer(&server);
    for _ in 0..3 {
        assert_eq!(who(&layer, "opaque").await.0, 200);
    }
    assert_eq!(server.times_asked(), 1);
    server.says(&json!({ "active": false }));
    hand.advance(Duration::from_secs(60));
    for _ in 0..3 {
        assert_eq!(who(&layer, "opaque").await.0, 401);
    }
    assert_eq!(server.times_asked(), 2);
    hand.advance(Duration::from_secs(5));
    assert_eq!(who(&layer, "opaque").await.0, 401);
    assert_eq!(server.times_asked(), 3);
    // An answer never outlives its token.
    server.says(&active_with("exp", json!(NOW + 70)));
    assert_eq!(who(&layer, "short").await.0, 200);
    hand.advance(Duration::from_secs(5));
    assert_eq!(who(&layer, "short").await.0, 401);
}

/// Beside a JWT verifier what looks like a JWT is one, and goes nowhere.
#[tokio::test]
async fn json_web_tokens_are_not_sent_anywhere() {
    let server = Server::default();
    server.says(&active());
    let (clock, _hand) = clock();
    let auth = Auth::new().jwt(verifier()).introspection(server.introspection()).with_clock(clock);
    let layer = auth.build().unwrap();
    assert_eq!(who(&layer, &good_token()).await.0, 200);
    assert_eq!(who(&layer, "a.b.c").await.0, 401);
    assert_eq!(who(&layer, "a.b").await.0, 401);
    assert_eq!(server.times_asked(), 0);
    assert_eq!(who(&layer, "opaque").await.0, 200);
    for odd in ["a b", "a\"b", "", "a&b", &"x".repeat(9000)] {
        assert_eq!(who(&layer, odd).await.0, 401);
    }
    assert_eq!(server.times_asked(), 1);
}

#[test]
fn addresses_that_cannot_be_trusted_are_errors() {
    let client = || Server::default().client();
    assert!(Introspection::with_secret("http://idp.example/introspect", "a", "b", client()).is_err());
    assert!(Introspection::with_bearer("https://idp.example/introspect", "a\nb", client()).is_err());
    let good = Introspection::with_bearer("https://idp.example/introspect", "t0ken", client()).unwrap();
    assert!(!format!("{good:?}").contains("t0ken"));
}

/// RFC 6749 section 7.1: a token of a kind that is not understood is none; the kinds that are, in any case.
#[tokio::test]
async fn bearer_tokens_are_bearer_tokens() {
    for kind in ["Bearer", "bearer", "access_token"] {
        let server = Server::default();
        server.says(&active_with("token_type", json!(kind)));
        assert_eq!(who(&layer(&server).0, "opaque").await.0, 200, "{kind}");
    }
}

/// Strangers can ask as often as they like, and each time somebody cannot tell.
#[tokio::test]
async fn a_server_that_is_down_is_no_flood_of_log_lines() {
    meet_call_sites_from_anywhere();
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_ansi(false);
    let subscriber = subscriber.with_writer(log.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let server = Server::default();
    server.fails(500, "");
    let (layer, _, hand) = layer(&server);
    for at in 0..100 {
        assert_eq!(who(&layer, &format!("opaque-{at}")).await.0, 503);
    }
    let lines = || log.text().matches("authn_unavailable").count();
    assert_eq!(lines(), 10);
    hand.advance(Duration::from_secs(1));
    assert_eq!(who(&layer, "opaque").await.0, 503);
    assert!(lines() == 11 && log.text().contains("suppressed=90"), "{}", log.text());
}
