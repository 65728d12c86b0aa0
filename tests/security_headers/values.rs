use http::{HeaderName, HeaderValue, header};
use tower_rampart::ConfigError;
use tower_rampart::security_headers::{
    ClearSiteData, CrossOriginEmbedderPolicy, CrossOriginOpenerPolicy, Feature, Hsts, IntegrityDestination,
    IntegrityPolicy, PermissionsPolicy, ReferrerPolicy, SecurityHeaders,
};

use crate::support::plain;

fn built(headers: SecurityHeaders) -> http::HeaderMap {
    plain(&headers.build().unwrap())
}

fn fault(headers: SecurityHeaders) -> ConfigError {
    headers.build().unwrap_err()
}

#[test]
fn permissions_are_a_structured_dictionary() {
    let policy = PermissionsPolicy::new()
        .deny(Feature::Camera)
        .allow_self(Feature::Fullscreen)
        .allow_origins(Feature::Payment, ["https://pay.example", "https://*.shop.example:8443"])
        .allow_everybody(Feature::PictureInPicture)
        .deny_custom("future-feature")
        .deny(Feature::Camera);
    assert_eq!(
        built(SecurityHeaders::empty().permissions_policy(policy.clone()))["permissions-policy"],
        "camera=(), fullscreen=(self), payment=(self \"https://pay.example\" \"https://*.shop.example:8443\"), \
         picture-in-picture=*, future-feature=()",
    );
    let both = built(SecurityHeaders::empty().permissions_policy_report_only(policy));
    assert!(both.contains_key("permissions-policy-report-only"));
}

#[test]
fn bad_permissions_are_refused() {
    let of = |policy| fault(SecurityHeaders::empty().permissions_policy(policy));
    assert!(of(PermissionsPolicy::new()).to_string().contains("names no feature"));
    assert_eq!(of(PermissionsPolicy::new().deny_custom("Camera")).value(), "Camera");
    for origin in ["pay.example", "https://pay.example/path", "https://a\" *", "ftp://a.example", "https://"] {
        assert_eq!(of(PermissionsPolicy::new().allow_origins(Feature::Payment, [origin])).value(), origin);
    }
}

#[test]
fn reporting_endpoints_are_declared_and_checked() {
    let headers = built(
        SecurityHeaders::empty()
            .reporting_endpoint("csp", "https://r.example/csp")
            .reporting_endpoint("coop", "/reports")
            .cross_origin_opener_policy_report_only(CrossOriginOpenerPolicy::SameOrigin, "coop")
            .cross_origin_embedder_policy_report_only(CrossOriginEmbedderPolicy::RequireCorp, "csp"),
    );
    assert_eq!(headers["reporting-endpoints"], "csp=\"https://r.example/csp\", coop=\"/reports\"");
    assert_eq!(headers["cross-origin-opener-policy-report-only"], "same-origin; report-to=\"coop\"");
    assert_eq!(headers["cross-origin-embedder-policy-report-only"], "require-corp; report-to=\"csp\"");

    for (group, url) in [
        ("Csp", "https://r.example"),
        ("", "https://r.example"),
        ("csp", "http://r.example"),
        ("csp", "//r.example"),
        ("csp", "https://r.example/\""),
        ("csp", "https://r.example/\r\n"),
    ] {
        fault(SecurityHeaders::empty().reporting_endpoint(group, url));
    }
    let twice = SecurityHeaders::empty().reporting_endpoint("a", "/a").reporting_endpoint("a", "/b");
    assert!(fault(twice).to_string().contains("declared twice"));
}

#[test]
fn every_reporter_needs_a_declared_group() {
    for headers in [
        SecurityHeaders::api().cross_origin_opener_policy_report_only(CrossOriginOpenerPolicy::SameOrigin, "gone"),
        SecurityHeaders::api().cross_origin_embedder_policy_report_only(CrossOriginEmbedderPolicy::RequireCorp, "gone"),
        SecurityHeaders::api()
            .integrity_policy(IntegrityPolicy::block([IntegrityDestination::Script]).report_to("gone")),
        SecurityHeaders::api().content_security_policy("default-src 'self'; report-to gone"),
    ] {
        assert_eq!(fault(headers).value(), "gone");
    }
    let dropped = SecurityHeaders::api()
        .cross_origin_opener_policy_report_only(CrossOriginOpenerPolicy::SameOrigin, "gone")
        .without(HeaderName::from_static("cross-origin-opener-policy-report-only"));
    assert!(dropped.build().is_ok());
}

#[test]
fn integrity_policy_names_what_it_blocks() {
    let headers = built(
        SecurityHeaders::empty()
            .reporting_endpoint("sri", "https://r.example/sri")
            .integrity_policy(
                IntegrityPolicy::block([IntegrityDestination::Script, IntegrityDestination::Style]).report_to("sri"),
            )
            .integrity_policy_report_only(IntegrityPolicy::block([IntegrityDestination::Style])),
    );
    assert_eq!(headers["integrity-policy"], "blocked-destinations=(script style), endpoints=(sri)");
    assert_eq!(headers["integrity-policy-report-only"], "blocked-destinations=(style)");
    assert!(
        fault(SecurityHeaders::empty().integrity_policy(IntegrityPolicy::block([]))).to_string().contains("nothing")
    );
}

#[test]
fn the_rest_of_the_family() {
    let headers = built(
        SecurityHeaders::empty()
            .origin_agent_cluster()
            .referrer_policy(ReferrerPolicy::StrictOriginWhenCrossOrigin)
            .cross_origin_opener_policy(CrossOriginOpenerPolicy::NoopenerAllowPopups)
            .cross_origin_embedder_policy(CrossOriginEmbedderPolicy::Credentialless)
            .clear_site_data([ClearSiteData::Everything])
            .set(header::X_XSS_PROTECTION, HeaderValue::from_static("0")),
    );
    assert_eq!(headers["origin-agent-cluster"], "?1");
    assert_eq!(headers["referrer-policy"], "strict-origin-when-cross-origin");
    assert_eq!(headers["cross-origin-opener-policy"], "noopener-allow-popups");
    assert_eq!(headers["cross-origin-embedder-policy"], "credentialless");
    assert_eq!(headers["clear-site-data"], "\"*\"");
    assert_eq!(headers["x-xss-protection"], "0");
    assert!(fault(SecurityHeaders::empty().clear_site_data([])).to_string().contains("clear_site_data"));
}

#[test]
fn the_first_fault_is_reported() {
    let error = fault(SecurityHeaders::api().content_security_policy("img-src self").hsts(Hsts::years(0).preload()));
    assert_eq!(error.value(), "self");
}
