//! Stacks from tables.

use std::path::Path;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tower::{BoxError, Layer as _, ServiceExt as _, service_fn};
use tower_rampart::circuit_breaker::{AllErrors, RefusalsAside};
use tower_rampart::config::{self, StackConfig, StackLayers, UpstreamConfig};
use tower_rampart::{Rejection, RequestFacts};

use crate::support::{KEY, ask, hello, request};

const AUTH: &str = "[[auth.api_key]]\nid = \"batch\"\n\
     sha256 = \"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\"\n";
const RULE: &str = "[[authz.rule]]\nid = \"all\"\nmethods = [\"*\"]\npath = \"/{*rest}\"\n";

fn load(text: &str) -> Result<StackLayers, tower_rampart::ConfigError> {
    config::parse::<StackConfig>(text, "stack.toml")?.load(Path::new("."))
}

#[test]
fn all_tables_together() {
    let text = format!(
        "[client_ip]\ntrusted_proxies = [\"10.0.0.0/8\"]\n\
         [security_headers]\n[load_shed]\n[timeouts]\n[validate]\n[cache]\n\
         [[rate_limit]]\nname = \"flood\"\nquota = 10\nwindow = \"1m\"\n\
         [[rate_limit]]\nname = \"plan\"\nquota = 5\nwindow = \"1m\"\nkey = [\"subject\"]\n{AUTH}{RULE}allow = \"authenticated\"\n"
    );
    let described = load(&text).unwrap().stack().build().unwrap().describe();
    let places: Vec<_> = described.lines().map(|line| line.split("  ").next().unwrap()).collect();
    let order = [
        "security headers",
        "load shed",
        "deadline",
        "rate limit by address",
        "auth",
        "rate limit by identity",
        "authz",
        "validate",
        "cache",
    ];
    assert_eq!(places, order, "{described}");
    assert!(described.contains("flood: 10 per 1m\n") && described.contains("plan: 5 per 1m\n"), "{described}");
}

#[test]
fn rules_for_callers_need_somebody_who_finds_out() {
    let error = load(&format!("{RULE}allow = \"authenticated\"\n")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "authz.rule: `all` asks who the caller is, and nothing finds out; \
         add an `[auth]` table, or write `allow = \"public\"`"
    );
    load(&format!("{RULE}allow = \"public\"\n")).unwrap();
    load(&format!("{RULE}deny = true\n")).unwrap();
    load(&format!("{RULE}allow = \"authenticated\"\n{AUTH}")).unwrap();
}

#[test]
fn errors_name_the_place() {
    let error = load("[cache]\nbytes = \"1KiB\"\nentry_bytes = \"2KiB\"\n").unwrap_err();
    assert!(error.to_string().starts_with("cache.bytes: `1024` has no room"), "{error}");
    let error = load("[caches]\n").unwrap_err();
    assert!(error.to_string().starts_with("stack.toml:1: caches: `caches` is no known key"), "{error}");
}

#[tokio::test]
async fn all_layers_refuse_in_the_format_that_is_given_once() {
    let format = |rejection: &Rejection, _: &RequestFacts| {
        let mut response = Response::new(rejection.origin().name().to_owned().into());
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response
    };
    let text = format!("[timeouts]\n[validate]\nbody_bytes = \"1KiB\"\n{AUTH}{RULE}allow = \"authenticated\"\n");
    let config = config::parse::<StackConfig>(&text, "stack.toml").unwrap().with_renderer(format);
    let layer = config.load(Path::new(".")).unwrap().layer();
    let known = || Request::get("/polls").header("x-api-key", KEY);
    let refused = [
        ("deadline", Request::get("/").header("grpc-timeout", "soon").body(Full::default())),
        ("authz", Request::get("/").body(Full::default())),
        ("auth", Request::get("/").header("x-api-key", "batch.wrong").body(Full::default())),
        ("validate", known().header("content-length", "2000").body(Full::from(vec![b'x'; 2000]))),
    ];
    for (origin, request) in refused {
        let response = layer.layer(service_fn(hello)).oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::IM_A_TEAPOT, "{origin}");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), origin, "{origin}");
    }
    let config = config::parse::<UpstreamConfig>("[circuit_breaker]\n[bulkhead]\n", "upstream.toml").unwrap();
    let layers = config.with_renderer(format).load("payments", AllErrors).unwrap();
    layers.circuit_breaker.handle().force_open(std::time::Duration::MAX);
    let client =
        service_fn(|_: Request<Full<Bytes>>| async { Ok::<_, BoxError>(Response::new(Full::<Bytes>::default())) });
    let response = layers.circuit_breaker.layer(client).oneshot(Request::new(Full::default())).await.unwrap();
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
}

#[test]
fn before_an_upstream() {
    let load = |text| config::parse::<UpstreamConfig>(text, "upstream.toml")?.load("payments", RefusalsAside);
    let described = |text| load(text).unwrap().stack().build().describe();
    assert_eq!(described(""), "propagate deadline  what is left, in grpc-timeout of gRPC");
    let all = described("[bulkhead]\n[circuit_breaker]\n[timeouts]\n[retry]\n");
    let places: Vec<_> = all.lines().map(|line| line.split("  ").next().unwrap()).collect();
    assert_eq!(places, ["retry", "circuit breaker", "try timeout", "bulkhead", "propagate deadline"], "{all}");
    assert!(all.contains("circuit breaker     payments: "), "{all}");
    let error = load("[retry]\nattempts = 0\n").unwrap_err();
    assert!(error.to_string().starts_with("upstream.toml:2: retry.attempts: `0`"), "{error}");
}

#[tokio::test]
async fn it_answers() {
    let layers = load(&format!("{AUTH}{RULE}allow = \"authenticated\"\n")).unwrap();
    let service = layers.stack().build().unwrap().layer(service_fn(hello));
    let stranger = ask(&service, request("/x").body(Full::default()).unwrap()).await;
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
    let caller = ask(&service, request("/x").header("x-api-key", KEY).body(Full::default()).unwrap()).await;
    assert_eq!(caller.status(), StatusCode::OK);
}
