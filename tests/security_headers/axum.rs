//! The extractors.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, Response, header};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tower_rampart::Identity;
use tower_rampart::security_headers::{CspNonce, SecurityHeadersLayer};

use crate::log::{Log, meet_call_sites_from_anywhere};

async fn send(app: Router, request: Request<Body>) -> (Response<()>, String) {
    let (parts, body) = app.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(parts, ()), String::from_utf8(body.to_vec()).unwrap())
}

fn page() -> Router {
    Router::new().route("/", get(|nonce: CspNonce| async move { nonce.to_string() }))
}

fn ask() -> Request<Body> {
    Request::get("/").body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_handler_extracts_the_nonce_of_the_policy() {
    for app in [page().layer(SecurityHeadersLayer::web()), page().route_layer(SecurityHeadersLayer::web())] {
        let (response, nonce) = send(app, ask()).await;
        assert_eq!(nonce.len(), 22);
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains(&format!("'nonce-{nonce}'")), "{policy}");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    }
}

/// Not a page with a nonce that nothing allows, which fails in silence.
#[tokio::test]
async fn without_the_layer_the_extractor_says_so() {
    let (response, problem) = send(page(), ask()).await;
    assert_eq!(response.status(), 500);
    assert!(problem.contains("\"status\":500"), "{problem}");
}

/// Nothing in this process finds out who callers are, until the second part of this test.
#[tokio::test]
async fn an_identity_is_extracted_or_refused() {
    meet_call_sites_from_anywhere();
    let log = Log::default();
    let lines = tracing_subscriber::fmt().with_writer(log.clone()).finish();
    let (nobody, _) = {
        let _guard = tracing::subscriber::set_default(lines);
        let app = Router::new().route("/", get(|caller: Identity| async move { caller.subject().to_owned() }));
        send(app.clone(), ask()).await;
        send(app, ask()).await
    };
    assert_eq!(nobody.status(), 401);
    let said = log.text();
    assert_eq!(said.matches("identity_missing").count(), 1, "{said}");
    assert!(said.contains("add `.layer(Auth::new().jwt(..).build()?)`"), "{said}");

    let app = || {
        Router::new()
            .route("/", get(|caller: Identity| async move { caller.subject().to_owned() }))
            .route("/any", get(|caller: Option<Identity>| async move { caller.is_some().to_string() }))
    };
    let with = |path: &str| {
        Request::get(path).extension(Identity::new("https://idp.example/", "alice")).body(Body::empty()).unwrap()
    };
    assert_eq!(send(app(), with("/")).await.1, "alice");
    assert_eq!(send(app(), with("/any")).await.1, "true");
    let (refused, _) = send(app(), ask()).await;
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    let nobody = Request::get("/any").body(Body::empty()).unwrap();
    assert_eq!(send(app(), nobody).await.1, "false");
}
