//! Misconfigurations that are found for the user, each said once with its mend.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt as _, service_fn};
use tower_rampart::key::{ClientIp, GlobalKey, HeaderKey, TrustedProxies};
use tower_rampart::rate_limit::{Mode, OnMissingKey, Policy, RateLimit};

use crate::support::{Fixture, from, get, logged, per};

fn one(lines: &[String], text: &str) {
    let found: Vec<_> = lines.iter().filter(|line| line.contains(text)).collect();
    assert_eq!(found.len(), 1, "{text}: {lines:#?}");
}

#[test]
fn a_forwarded_header_from_a_stranger() {
    let lines = logged(|| {
        let fixture = Fixture::policy(Policy::new("p", per(100, 60)).key(ClientIp::new()));
        for _ in 0..5 {
            let mut request = from("10.0.0.7");
            request.headers_mut().insert("x-forwarded-for", "192.0.2.1".parse().unwrap());
            fixture.send(request);
        }
    });
    one(&lines, "untrusted_forwarded_header");
    one(&lines, "trusted_proxies");
    assert!(!lines.iter().any(|line| line.contains("192.0.2.1")));
}

#[test]
fn trust_in_everyone() {
    let lines = logged(|| {
        for _ in 0..2 {
            let _ = ClientIp::new().trusted_proxies(TrustedProxies::parse(["0.0.0.0/0"]).unwrap());
        }
    });
    one(&lines, "everyone_trusted");
}

#[test]
fn one_limiter_twice_on_a_request() {
    let lines = logged(|| {
        let layer = RateLimit::new().add_policy(Policy::new("p", per(100, 60)).key(GlobalKey)).build().unwrap();
        let handler =
            service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
        let service = layer.layer(layer.layer(handler));
        for _ in 0..3 {
            service.clone().oneshot(get("/")).now_or_never().unwrap().unwrap();
        }
    });
    one(&lines, "counted_twice");
}

#[test]
fn a_limiter_that_is_built_over_and_over() {
    let lines = logged(|| {
        for _ in 0..250 {
            let policy = Policy::new("built-per-connection", per(100, 60)).key(GlobalKey).max_keys(1);
            let _ = RateLimit::new().add_policy(policy).build().unwrap();
        }
    });
    one(&lines, "limiter_built_often");
}

#[test]
fn a_limiter_for_each_tenant_is_another_each_time() {
    let lines = logged(|| {
        for quota in 1..=250 {
            let policy = Policy::new("default", per(quota, 60)).key(GlobalKey).max_keys(1);
            let _ = RateLimit::new().add_policy(policy).build().unwrap();
        }
    });
    assert!(lines.iter().all(|line| !line.contains("limiter_built_often")), "{lines:#?}");
}

#[test]
fn many_that_are_built_once_hide_none_that_is_built_often() {
    let lines = logged(|| {
        for quota in 1..=250 {
            for (name, quota) in [("one-of-many", quota), ("again-and-again", 100)] {
                let policy = Policy::new(name, per(quota, 61)).key(GlobalKey).max_keys(1);
                let _ = RateLimit::new().add_policy(policy).build().unwrap();
            }
        }
    });
    one(&lines, "limiter_built_often");
}

#[test]
fn a_missing_key() {
    let lines = logged(|| {
        let fixture = Fixture::policy(Policy::new("by-address", per(100, 60)).key(ClientIp::new()));
        for _ in 0..3 {
            fixture.send(get("/"));
        }
    });
    one(&lines, "key_missing");
    let line = lines.iter().find(|line| line.contains("key_missing")).unwrap();
    assert!(line.contains("policy `by-address`") && line.contains("into_make_service_with_connect_info"), "{line}");
}

#[test]
fn a_missing_key_that_is_let_pass_is_no_news() {
    let lines = logged(|| {
        let policy = Policy::new("by-address", per(100, 60)).key(ClientIp::new()).on_missing_key(OnMissingKey::Pass);
        Fixture::policy(policy).send(get("/"));
    });
    assert!(lines.iter().all(|line| !line.contains("key_missing")), "{lines:?}");
}

#[test]
fn nothing_that_is_logged_holds_a_key() {
    let lines = logged(|| {
        let policy = |name: &'static str| Policy::new(name, per(1, 60)).key(HeaderKey::api_key()).max_keys(1);
        let fixture = Fixture::of(RateLimit::new().add_policy(policy("a")).add_policy(policy("b").mode(Mode::Shadow)));
        for n in 0..20 {
            fixture.send(Request::get("/?s3cret").header("x-api-key", format!("s3cret{n}")).body(()).unwrap());
        }
        println!("{:?} {:?}", fixture.layer, fixture.handle);
    });
    assert!(lines.iter().any(|line| line.contains("excess_rate_limit_exceeded")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("rate_limit_keys_overflowed")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("s3cret")), "{lines:#?}");
}
