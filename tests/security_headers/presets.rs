use http::HeaderMap;
use tower_rampart::security_headers::{Feature, SecurityHeaders, SecurityHeadersLayer};

use crate::support::{get, plain, response, run, secure};

fn assert_fields(headers: &HeaderMap, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(headers.get(*name).map(|value| value.to_str().unwrap()), Some(*value), "{name}");
    }
    assert_eq!(headers.len(), expected.len(), "{headers:?}");
}

fn denied_permissions() -> String {
    Feature::ALL.iter().map(|feature| format!("{}=()", feature.name())).collect::<Vec<_>>().join(", ")
}

#[test]
fn api_sends_these_fields_and_no_others() {
    assert_fields(
        &secure(&SecurityHeadersLayer::api()),
        &[
            (
                "content-security-policy",
                "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            ),
            ("strict-transport-security", "max-age=63072000; includeSubDomains"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("permissions-policy", &denied_permissions()),
        ],
    );
}

#[test]
fn web_without_a_nonce_falls_to_the_own_origin() {
    let headers = plain(&SecurityHeadersLayer::web());
    assert_eq!(
        headers["content-security-policy"],
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'self'; frame-ancestors 'none'",
    );
    assert_eq!(headers["x-frame-options"], "DENY");
}

#[test]
fn grpc_sends_hsts_and_nosniff() {
    assert_fields(
        &secure(&SecurityHeadersLayer::grpc()),
        &[("strict-transport-security", "max-age=63072000; includeSubDomains"), ("x-content-type-options", "nosniff")],
    );
}

#[test]
fn owasp_sends_its_list_without_clear_site_data() {
    assert_fields(
        &secure(&SecurityHeadersLayer::owasp()),
        &[
            ("cache-control", "no-store, max-age=0"),
            (
                "content-security-policy",
                "default-src 'self'; form-action 'self'; base-uri 'self'; object-src 'none'; \
                 frame-ancestors 'none'; upgrade-insecure-requests",
            ),
            ("cross-origin-embedder-policy", "require-corp"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            (
                "permissions-policy",
                "accelerometer=(), autoplay=(), camera=(), cross-origin-isolated=(), display-capture=(), \
                 encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), keyboard-map=(), \
                 magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), \
                 publickey-credentials-get=(), screen-wake-lock=(), sync-xhr=(self), usb=(), web-share=(), \
                 xr-spatial-tracking=(), clipboard-read=(), clipboard-write=(), gamepad=(), hid=(), \
                 idle-detection=(), interest-cohort=(), serial=(), unload=()",
            ),
            ("referrer-policy", "no-referrer"),
            ("strict-transport-security", "max-age=63072000; includeSubDomains"),
            ("x-content-type-options", "nosniff"),
            ("x-dns-prefetch-control", "off"),
            ("x-frame-options", "deny"),
            ("x-permitted-cross-domain-policies", "none"),
        ],
    );
}

#[test]
fn empty_touches_nothing() {
    let headers = run(&SecurityHeadersLayer::empty(), get("https://localhost/"), |_| {
        response(&[("server", "nginx"), ("x-frame-options", "SAMEORIGIN")])
    });
    assert_eq!(headers.len(), 2);
    assert_eq!(headers["server"], "nginx");
}

#[test]
fn every_preset_builds_without_a_fault() {
    for preset in [
        SecurityHeaders::api(),
        SecurityHeaders::web(),
        SecurityHeaders::grpc(),
        SecurityHeaders::owasp(),
        SecurityHeaders::empty(),
    ] {
        assert!(preset.build().is_ok());
    }
}

#[test]
fn fingerprints_go_and_trace_propagation_stays() {
    let fields = [
        ("server", "nginx/1.25"),
        ("x-powered-by", "PHP/8"),
        ("x-aspnet-version", "4"),
        ("$wsep", "x"),
        ("x-b3-traceid", "80f198ee56343ba8"),
        ("x-datadog-trace-id", "1"),
        ("x-mine", "kept"),
    ];
    let headers = run(&SecurityHeadersLayer::api(), get("/"), move |_| response(&fields));
    for gone in ["server", "x-powered-by", "x-aspnet-version", "$wsep"] {
        assert!(!headers.contains_key(gone), "{gone}");
    }
    for kept in ["x-b3-traceid", "x-datadog-trace-id", "x-mine"] {
        assert!(headers.contains_key(kept), "{kept}");
    }
    let strict = SecurityHeaders::api().strip_trace_propagation().build().unwrap();
    let headers = run(&strict, get("/"), move |_| response(&fields));
    assert!(!headers.contains_key("x-b3-traceid") && !headers.contains_key("x-datadog-trace-id"));
}

/// The whole list, read from the text that the list was published as.
#[test]
fn all_87_names_of_the_list_go() {
    let names = include_str!("owasp_remove.txt").split_whitespace().collect::<Vec<_>>();
    assert_eq!(names.len(), 87);
    let layer = SecurityHeaders::empty().strip_fingerprints().strip_trace_propagation().build().unwrap();
    let headers = run(&layer, get("/"), {
        let names = names.clone();
        move |_| {
            let mut response = response(&[]);
            for name in &names {
                response.headers_mut().insert(http::HeaderName::try_from(*name).unwrap(), "x".parse().unwrap());
            }
            response
        }
    });
    assert!(headers.is_empty(), "{headers:?}");
}

#[test]
fn a_grpc_response_gets_no_document_fields() {
    for layer in [SecurityHeadersLayer::api(), SecurityHeadersLayer::web(), SecurityHeadersLayer::owasp()] {
        let headers = run(&layer, get("https://localhost/"), |_| {
            response(&[("content-type", "application/grpc+proto"), ("grpc-status", "0")])
        });
        assert_fields(
            &headers,
            &[
                ("strict-transport-security", "max-age=63072000; includeSubDomains"),
                ("x-content-type-options", "nosniff"),
                ("content-type", "application/grpc+proto"),
                ("grpc-status", "0"),
            ],
        );
    }
}
