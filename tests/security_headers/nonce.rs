use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use http::{Request, Response, StatusCode, header};
use tower_rampart::security_headers::{Csp, CspNonce, SecurityHeaders, SecurityHeadersLayer, Source};

use crate::support::{Body, get, response, run};

fn draw(request: &Request<()>) -> String {
    request.extensions().get::<CspNonce>().expect("the layer hands out a nonce").as_str().to_owned()
}

#[test]
fn a_drawn_nonce_stands_in_the_policy_and_forbids_storing() {
    let drawn = Arc::new(Mutex::new(String::new()));
    let headers = run(&SecurityHeadersLayer::web(), get("/"), {
        let drawn = Arc::clone(&drawn);
        move |request| {
            *drawn.lock().unwrap() = draw(&request);
            response(&[
                ("cache-control", "public, max-age=600"),
                ("cdn-cache-control", "max-age=600"),
                ("surrogate-control", "max-age=600"),
            ])
        }
    });
    let nonce = drawn.lock().unwrap().clone();
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(
        policy.contains(&format!("script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'nonce-{nonce}';")),
        "{policy}"
    );
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    assert!(!headers.contains_key("cdn-cache-control") && !headers.contains_key("surrogate-control"));
}

#[test]
fn a_nonce_nobody_drew_appears_nowhere() {
    let headers = run(&SecurityHeadersLayer::web(), get("/"), |_| response(&[("cache-control", "max-age=60")]));
    assert!(!headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("nonce"));
    assert_eq!(headers[header::CACHE_CONTROL], "max-age=60");
}

#[test]
fn a_policy_without_nonce_hands_none_out() {
    run(&SecurityHeadersLayer::api(), get("/"), |request| {
        assert!(request.extensions().get::<CspNonce>().is_none());
        Response::default()
    });
}

/// RFC 9111 section 4.3.4: a 304 updates the stored response, whose body has another nonce.
#[test]
fn a_304_never_carries_a_policy() {
    let headers = run(&SecurityHeadersLayer::web(), get("/"), |request| {
        draw(&request);
        let mut response = response(&[("content-security-policy", "default-src 'self'"), ("etag", "\"1\"")]);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    });
    assert!(!headers.contains_key(header::CONTENT_SECURITY_POLICY));
    assert!(!headers.contains_key(header::CACHE_CONTROL), "a 304 says nothing new about storing");
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(headers[header::ETAG], "\"1\"");
}

#[test]
fn enforced_and_report_only_share_one_nonce() {
    let layer = SecurityHeaders::web()
        .content_security_policy_report_only(Csp::new().script_src([Source::NONCE]))
        .build()
        .unwrap();
    let headers = run(&layer, get("/"), |request| {
        draw(&request);
        Response::default()
    });
    let nonce_of = |name| {
        let policy = headers[name].to_str().unwrap();
        policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap().to_owned()
    };
    let enforced = nonce_of(header::CONTENT_SECURITY_POLICY);
    assert_eq!(enforced, nonce_of(header::CONTENT_SECURITY_POLICY_REPORT_ONLY));
}

#[test]
fn report_only_alone_hands_a_nonce_out() {
    let layer = SecurityHeaders::api()
        .content_security_policy_report_only(Csp::new().script_src([Source::NONCE]))
        .build()
        .unwrap();
    let headers = run(&layer, get("/"), |request| {
        draw(&request);
        Response::default()
    });
    assert!(headers[header::CONTENT_SECURITY_POLICY_REPORT_ONLY].to_str().unwrap().starts_with("script-src 'nonce-"));
    assert!(!headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("nonce"));
}

#[test]
fn two_layers_share_the_nonce_of_the_request() {
    use tower::{Layer, ServiceExt, service_fn};
    let layer = SecurityHeadersLayer::web();
    let inner =
        layer.layer(service_fn(|request: Request<()>| async move { Ok::<_, ()>(Response::new(draw(&request))) }));
    let response = futures_util::FutureExt::now_or_never(layer.layer(inner).oneshot(get("/"))).unwrap().unwrap();
    let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    let body = futures_util::FutureExt::now_or_never(http_body_util::BodyExt::collect(response.into_body())).unwrap();
    let nonce = String::from_utf8(body.unwrap().to_bytes().to_vec()).unwrap();
    assert!(policy.contains(&format!("'nonce-{nonce}'")));
}

/// CSP Level 3 section 7.1: at least 128 bits, unique for each response.
#[test]
fn nonces_are_128_bits_of_base64url_and_differ() {
    use base64::Engine as _;
    let draw_many = || (0..2000).map(|_| CspNonce::new().as_str().to_owned()).collect::<Vec<_>>();
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(draw_many)).collect();
    let mut seen = HashSet::new();
    for nonce in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(&nonce).unwrap();
        assert_eq!(bytes.len(), 16);
        assert!(seen.insert(nonce));
    }
    assert_eq!(seen.len(), 8000);
}

#[test]
fn a_nonce_is_drawn_once_and_never_shown_by_debug() {
    let nonce = CspNonce::new();
    assert_eq!(nonce.drawn(), None);
    let other = nonce.clone();
    let text = nonce.as_str().to_owned();
    assert_eq!(other.drawn(), Some(text.as_str()));
    assert!(!format!("{nonce:?}").contains(&text));
}

#[test]
fn a_handlers_override_gets_the_nonce_too() {
    use tower_rampart::security_headers::HeaderOverrides;
    let headers = run(&SecurityHeadersLayer::web(), get("/"), |request| {
        draw(&request);
        let policy = Csp::new().default_src([Source::SELF]).script_src([Source::NONCE]).build().unwrap();
        let mut response = Response::<Body>::default();
        response.extensions_mut().insert(HeaderOverrides::new().content_security_policy(policy));
        response
    });
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'self'; script-src 'nonce-"), "{policy}");
}
