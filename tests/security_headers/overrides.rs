use http::{HeaderValue, Response, StatusCode, header};
use tower_rampart::security_headers::{
    ClearSiteData, ContentSecurityPolicy, CrossOriginResourcePolicy, FrameOptions, HeaderOverrides,
    SecurityHeadersLayer,
};

use crate::support::{Body, get, response, run};

fn with(overrides: HeaderOverrides, theirs: &'static [(&'static str, &'static str)]) -> http::HeaderMap {
    run(&SecurityHeadersLayer::api(), get("/"), move |_| {
        let mut response = response(theirs);
        response.extensions_mut().insert(overrides.clone());
        response
    })
}

#[test]
fn a_handler_relaxes_one_header_and_the_rest_stand() {
    let headers = with(
        HeaderOverrides::new()
            .frame_options(FrameOptions::SameOrigin)
            .cross_origin_resource_policy(CrossOriginResourcePolicy::CrossOrigin)
            .remove(header::REFERRER_POLICY),
        &[("x-frame-options", "ALLOWALL"), ("referrer-policy", "origin")],
    );
    assert_eq!(headers.get_all("x-frame-options").iter().collect::<Vec<_>>(), ["SAMEORIGIN"]);
    assert_eq!(headers["cross-origin-resource-policy"], "cross-origin");
    assert!(!headers.contains_key("referrer-policy"));
    assert_eq!(headers["x-content-type-options"], "nosniff");
}

#[test]
fn keep_lets_the_handlers_own_stand() {
    let headers = with(HeaderOverrides::new().keep(header::X_FRAME_OPTIONS), &[("x-frame-options", "SAMEORIGIN")]);
    assert_eq!(headers["x-frame-options"], "SAMEORIGIN");
    assert_eq!(with(HeaderOverrides::new().keep(header::X_FRAME_OPTIONS), &[])["x-frame-options"], "DENY");
}

#[test]
fn the_last_word_on_a_name_counts() {
    let headers = with(
        HeaderOverrides::new()
            .remove(header::X_FRAME_OPTIONS)
            .set(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
        &[],
    );
    assert_eq!(headers["x-frame-options"], "SAMEORIGIN");
}

#[test]
fn a_policy_of_the_handlers_replaces_ours() {
    let policy: ContentSecurityPolicy = "default-src 'self'".parse().unwrap();
    let headers = with(
        HeaderOverrides::new().content_security_policy(policy),
        &[("content-security-policy", "img-src a.example")],
    );
    assert_eq!(headers.get_all("content-security-policy").iter().collect::<Vec<_>>(), ["default-src 'self'"]);
}

#[test]
fn logout_clears_site_data() {
    let headers = with(HeaderOverrides::new().clear_site_data([ClearSiteData::Cookies, ClearSiteData::Storage]), &[]);
    assert_eq!(headers["clear-site-data"], "\"cookies\", \"storage\"");
    assert!(!with(HeaderOverrides::new().clear_site_data([]), &[]).contains_key("clear-site-data"));
}

#[test]
fn overrides_work_on_an_empty_policy_and_never_put_a_policy_on_a_304() {
    let policy: ContentSecurityPolicy = "default-src 'self'".parse().unwrap();
    let run_with_status = |status: StatusCode| {
        let policy = policy.clone();
        run(&SecurityHeadersLayer::empty(), get("/"), move |_| {
            let mut response = Response::<Body>::default();
            *response.status_mut() = status;
            response.extensions_mut().insert(
                HeaderOverrides::new().content_security_policy(policy.clone()).frame_options(FrameOptions::Deny),
            );
            response
        })
    };
    assert_eq!(run_with_status(StatusCode::OK)["content-security-policy"], "default-src 'self'");
    let not_modified = run_with_status(StatusCode::NOT_MODIFIED);
    assert!(!not_modified.contains_key("content-security-policy"));
    assert_eq!(not_modified["x-frame-options"], "DENY");
}

#[test]
fn not_even_a_handler_puts_a_policy_on_a_304_or_hsts_on_an_insecure_response() {
    let headers = run(&SecurityHeadersLayer::web(), get("/"), |_| {
        let mut response = response(&[("content-security-policy", "img-src a.example")]);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.extensions_mut().insert(
            HeaderOverrides::new()
                .keep(header::CONTENT_SECURITY_POLICY)
                .set(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=1")),
        );
        response
    });
    assert!(!headers.contains_key("content-security-policy"));
    assert!(!headers.contains_key("strict-transport-security"));
}
