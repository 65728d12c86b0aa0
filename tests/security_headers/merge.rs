//! How our fields meet the handler's, against a naive model.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use proptest::prelude::*;
use tower_rampart::security_headers::{FrameOptions, SecurityHeaders, SecurityHeadersLayer};

use crate::support::{Body, get, response, run};

#[test]
fn ours_replace_the_handlers() {
    let headers = run(&SecurityHeadersLayer::api(), get("/"), |_| {
        response(&[("x-frame-options", "SAMEORIGIN"), ("x-frame-options", "ALLOWALL"), ("content-type", "text/plain")])
    });
    assert_eq!(headers.get_all("x-frame-options").iter().collect::<Vec<_>>(), ["DENY"]);
    assert_eq!(headers["content-type"], "text/plain");
}

#[test]
fn keep_append_remove_and_without() {
    let theirs = &[("x-frame-options", "SAMEORIGIN"), ("content-security-policy", "img-src 'self'")];
    let of = |policy: SecurityHeaders| run(&policy.build().unwrap(), get("/"), |_| response(theirs));

    assert_eq!(of(SecurityHeaders::api().keep(header::X_FRAME_OPTIONS))["x-frame-options"], "SAMEORIGIN");
    let silent = SecurityHeaders::api().keep(header::X_FRAME_OPTIONS).build().unwrap();
    assert_eq!(run(&silent, get("/"), |_| response(&[]))["x-frame-options"], "DENY");

    let both = of(SecurityHeaders::api().append(header::CONTENT_SECURITY_POLICY));
    assert_eq!(both.get_all("content-security-policy").iter().count(), 2);

    assert!(!of(SecurityHeaders::api().remove(header::X_FRAME_OPTIONS)).contains_key("x-frame-options"));
    assert_eq!(of(SecurityHeaders::api().without(header::X_FRAME_OPTIONS))["x-frame-options"], "SAMEORIGIN");
    assert_eq!(of(SecurityHeaders::api().frame_options(FrameOptions::SameOrigin))["x-frame-options"], "SAMEORIGIN");
}

#[test]
fn kept_fields_keep_all_their_lines() {
    let layer = SecurityHeaders::api().keep(header::CONTENT_SECURITY_POLICY).build().unwrap();
    let headers = run(&layer, get("/"), |_| {
        response(&[("content-security-policy", "img-src a.example"), ("content-security-policy", "img-src b.example")])
    });
    let lines: Vec<_> = headers.get_all("content-security-policy").iter().collect();
    assert_eq!(lines, ["img-src a.example", "img-src b.example"]);
}

#[test]
fn errors_and_refusals_carry_the_fields() {
    for status in [400, 401, 404, 429, 500, 503] {
        let headers = run(&SecurityHeadersLayer::api(), get("/"), move |_| {
            let mut response = Response::<Body>::default();
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response
        });
        assert_eq!(headers["x-content-type-options"], "nosniff", "{status}");
    }
}

#[test]
fn switching_protocols_is_untouched() {
    let headers = run(&SecurityHeadersLayer::api(), get("/"), |_| {
        let mut response = response(&[("upgrade", "websocket"), ("server", "x")]);
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response
    });
    assert_eq!(headers.len(), 2);
}

#[test]
fn what_answers_credentials_is_not_stored() {
    let layer = SecurityHeadersLayer::api();
    let cache_control = |request: Request<()>, theirs: &'static [(&'static str, &'static str)]| {
        run(&layer, request, move |_| response(theirs)).get(header::CACHE_CONTROL).cloned()
    };
    let with = |name: &'static str| Request::get("/").header(name, "x").body(()).unwrap();
    for name in ["authorization", "cookie", "x-api-key"] {
        assert_eq!(cache_control(with(name), &[]).unwrap(), "no-store", "{name}");
        assert_eq!(cache_control(with(name), &[("cache-control", "max-age=5")]).unwrap(), "max-age=5", "{name}");
    }
    assert_eq!(cache_control(get("/"), &[("set-cookie", "a=b")]).unwrap(), "no-store");
    assert_eq!(cache_control(get("/"), &[]), None);
    let off = SecurityHeaders::api().no_store_for_credentials(false).build().unwrap();
    assert!(!run(&off, with("authorization"), |_| response(&[])).contains_key(header::CACHE_CONTROL));
}

#[test]
fn tens_of_thousands_of_fields_do_not_panic() {
    let layer = SecurityHeadersLayer::api();
    let headers = run(&layer, get("/"), |_| {
        let mut response = Response::<Body>::default();
        for _ in 0..24_000 {
            let _ = response.headers_mut().try_append("x-many", HeaderValue::from_static("1"));
        }
        for index in 0..24_000 {
            let name = HeaderName::try_from(format!("x-{index}")).unwrap();
            let _ = response.headers_mut().try_append(name, HeaderValue::from_static("1"));
        }
        response
    });
    assert_eq!(headers["x-frame-options"], "DENY");
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Replace,
    Keep,
    Append,
    Remove,
}

/// What the rules say, written the slow way: lines of each name, ours first.
fn model(theirs: &[(usize, u8)], ours: &[(usize, Mode)]) -> BTreeMap<String, Vec<String>> {
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let lines_of = |index: usize| {
        theirs.iter().filter(|(held, _)| *held == index).map(|(_, value)| format!("theirs-{value}")).collect::<Vec<_>>()
    };
    for index in 0..6 {
        let theirs = lines_of(index);
        let mode = ours.iter().rev().find(|(held, _)| *held == index).map(|(_, mode)| *mode);
        let lines = match mode {
            None => theirs,
            Some(Mode::Remove) => Vec::new(),
            Some(Mode::Replace) => vec!["ours".to_owned()],
            Some(Mode::Keep) if theirs.is_empty() => vec!["ours".to_owned()],
            Some(Mode::Keep) => theirs,
            Some(Mode::Append) => std::iter::once("ours".to_owned()).chain(theirs).collect(),
        };
        if !lines.is_empty() {
            out.insert(format!("x-{index}"), lines);
        }
    }
    out
}

fn name(index: usize) -> HeaderName {
    HeaderName::try_from(format!("x-{index}")).unwrap()
}

fn lines(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let all =
        |name: &HeaderName| headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect();
    headers.keys().map(|name| (name.to_string(), all(name))).collect()
}

proptest! {
    #[test]
    fn merging_agrees_with_the_model(
        theirs in prop::collection::vec((0..6usize, 0..4u8), 0..12),
        ours in prop::collection::vec(
            (0..6usize, prop::sample::select(vec![Mode::Replace, Mode::Keep, Mode::Append, Mode::Remove])), 0..6),
    ) {
        let policy = ours.iter().fold(SecurityHeaders::empty(), |policy, (index, mode)| {
            let policy = policy.without(name(*index)).set(name(*index), HeaderValue::from_static("ours"));
            match mode {
                Mode::Replace => policy,
                Mode::Keep => policy.keep(name(*index)),
                Mode::Append => policy.append(name(*index)),
                Mode::Remove => policy.remove(name(*index)),
            }
        });
        let expected = model(&theirs, &ours);
        let headers = run(&policy.build().unwrap(), get("/"), move |_| {
            let mut response = Response::<Body>::default();
            for (index, value) in &theirs {
                response.headers_mut().append(name(*index), format!("theirs-{value}").parse().unwrap());
            }
            response
        });
        prop_assert_eq!(lines(&headers), expected);
    }
}
