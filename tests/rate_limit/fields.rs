//! The fields on responses.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, ServiceExt as _, service_fn};
use tower_rampart::key::{ClientIp, GlobalKey, HeaderKey};
use tower_rampart::rate_limit::{HeaderStyle, Policy, Quota, RateLimit};

use crate::support::{Fixture, field, from, get, per, secs};

/// draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4.
#[test]
fn the_ietf_fields() {
    let fixture = Fixture::policy(Policy::new("default", per(100, 900).burst(20)).key(GlobalKey));
    let answer = fixture.send(get("/"));
    // `q` is the burst, `w` the time in which it refills.
    assert_eq!(field(&answer, "ratelimit-policy"), "\"default\";q=20;w=180");
    assert_eq!(field(&answer, "ratelimit"), "\"default\";r=19;t=9");
    fixture.hand.advance(Duration::from_millis(1));
    assert_eq!(field(&fixture.send(get("/")), "ratelimit"), "\"default\";r=18;t=9");
}

#[test]
fn draft_six_and_its_elder() {
    let limit = |style| {
        let fixture = Fixture::of(
            RateLimit::new().add_policy(Policy::new("p", per(100, 900).fixed_window()).key(GlobalKey)).headers(style),
        );
        fixture.send(get("/"));
        fixture.hand.advance(Duration::from_millis(1500));
        fixture.send(get("/"))
    };
    let six = limit(HeaderStyle::Draft6);
    assert_eq!(
        ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "ratelimit-policy", "ratelimit"]
            .map(|name| field(&six, name)),
        ["100", "98", "899", "100;w=900", ""]
    );
    let elder = limit(HeaderStyle::XRateLimit);
    assert_eq!(
        ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit-policy"]
            .map(|name| field(&elder, name)),
        ["100", "98", "899", ""]
    );
    let none = limit(HeaderStyle::None);
    assert!(none.headers().keys().all(|name| !name.as_str().contains("ratelimit")));
}

/// A policy may be told of by other fields than its neighbours; a response has those of one style.
#[test]
fn each_policy_has_its_style() {
    let policy = |name, path, style| Policy::new(name, per(2, 900)).key(GlobalKey).paths([path]).headers(style);
    let fixture = Fixture::of(
        RateLimit::new()
            .add_policy(policy("new", "/new", HeaderStyle::Ietf))
            .add_policy(policy("old", "/old", HeaderStyle::XRateLimit))
            .add_policy(policy("silent", "/silent", HeaderStyle::None))
            .add_policy(Policy::new("all", per(3, 900)).key(GlobalKey).headers(HeaderStyle::Draft6)),
    );
    let told = |path| {
        let answer = fixture.send(get(path));
        let fields = ["ratelimit", "ratelimit-remaining", "x-ratelimit-remaining", "ratelimit-policy"];
        let told = fields.map(|name| field(&answer, name));
        (answer.status().as_u16(), told.join("|"))
    };
    // The tightest speaks, of those of its style alone.
    assert_eq!(told("/new"), (200, "\"new\";r=1;t=450|||\"new\";q=2;w=900".to_owned()));
    assert_eq!(told("/old"), (200, "||1|".to_owned()));
    assert_eq!(told("/silent"), (200, "|0||3;w=900".to_owned()));
    // Who refuses speaks.
    assert_eq!(told("/new"), (429, "|0||3;w=900".to_owned()));
}

#[test]
fn a_refusal_tells_when_to_come_back_whatever_the_style() {
    for style in [HeaderStyle::Ietf, HeaderStyle::Draft6, HeaderStyle::XRateLimit, HeaderStyle::None] {
        let fixture =
            Fixture::of(RateLimit::new().add_policy(Policy::new("p", per(1, 900)).key(GlobalKey)).headers(style));
        fixture.send(get("/"));
        fixture.hand.advance(Duration::from_millis(100));
        let refused = fixture.send(get("/"));
        // Rounded up: never early.
        assert_eq!((refused.status().as_u16(), field(&refused, "retry-after").as_str()), (429, "900"), "{style:?}");
        fixture.hand.advance(Duration::from_millis(899_899));
        let refused = fixture.send(get("/"));
        assert_eq!(field(&refused, "retry-after"), "1");
    }
}

#[test]
fn not_found_and_errors_carry_the_fields_too() {
    let fixture = Fixture::global(per(10, 60));
    for status in [StatusCode::NOT_FOUND, StatusCode::INTERNAL_SERVER_ERROR, StatusCode::NOT_MODIFIED] {
        let answer = fixture.send_to(get("/"), |_| status);
        assert_eq!(answer.status(), status);
        assert!(field(&answer, "ratelimit").starts_with("\"default\";r="));
    }
    let switching = fixture.send_to(get("/"), |_| StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(field(&switching, "ratelimit"), "");
}

fn foreign() -> Response<Full<Bytes>> {
    Response::builder()
        .header("ratelimit", "\"theirs\";r=1")
        .header("ratelimit-policy", "\"theirs\";q=1")
        .header("x-ratelimit-remaining", "0")
        .header("ratelimit-reset", "7")
        .header("x-rate", "kept")
        .body(Full::default())
        .unwrap()
}

#[test]
fn ours_replace_those_of_an_upstream_or_a_cache() {
    let fixture = Fixture::global(per(10, 60));
    let answer = fixture.respond(get("/"), |_| foreign());
    assert_eq!(field(&answer, "ratelimit"), "\"default\";r=9;t=6");
    assert_eq!(field(&answer, "ratelimit-policy"), "\"default\";q=10;w=60");
    assert_eq!(
        ["x-ratelimit-remaining", "ratelimit-reset", "x-rate"].map(|name| field(&answer, name)),
        ["", "", "kept"]
    );
}

#[test]
fn a_limiter_within_a_limiter_is_told_as_well() {
    let quota = |limit| Quota::new(limit).per(secs(60));
    let outer = RateLimit::new().add_policy(Policy::new("ip", quota(10)).key(GlobalKey)).build().unwrap();
    let inner = RateLimit::new().add_policy(Policy::new("user", quota(3)).key(GlobalKey)).build().unwrap();
    let silent = RateLimit::new()
        .add_policy(Policy::new("silent", quota(90)).key(GlobalKey))
        .headers(HeaderStyle::None)
        .build()
        .unwrap();
    let handler = service_fn(|_: Request<()>| async {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(foreign())
    });
    let service = outer.layer(silent.layer(inner.layer(handler)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let send = || runtime.block_on(service.clone().oneshot(get("/"))).unwrap();
    let both = |answer: &Response<_>| {
        let lines = answer.headers().get_all("ratelimit").iter().map(|line| line.to_str().unwrap().to_owned());
        lines.collect::<Vec<_>>()
    };
    let answer = send();
    assert_eq!(both(&answer), ["\"user\";r=2;t=20", "\"ip\";r=9;t=6"]);
    assert_eq!(answer.headers().get_all("ratelimit-policy").iter().count(), 2);
    for _ in 0..2 {
        send();
    }
    let refused = send();
    assert_eq!(refused.status(), 429);
    let told = both(&refused);
    assert!(told[0].starts_with("\"user\";r=0;t=") && told[1].starts_with("\"ip\";r=6;t="), "{told:?}");
    // The scopes are left behind in order: a limiter by itself replaces again.
    let alone = inner.layer(service_fn(|_: Request<()>| async { Ok::<_, Infallible>(foreign()) }));
    let answer = alone.oneshot(get("/")).now_or_never().unwrap().unwrap();
    assert_eq!(answer.headers().get_all("ratelimit").iter().count(), 1);
}

#[test]
fn the_tightest_of_nested_limiters_is_told_in_the_old_styles() {
    let layer = |name: &'static str, limit| {
        let policy = Policy::new(name, Quota::new(limit).per(secs(60))).key(GlobalKey);
        RateLimit::new().add_policy(policy).headers(HeaderStyle::XRateLimit).build().unwrap()
    };
    let handler = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
    for (outer, inner) in [(10, 3), (3, 10)] {
        let service = layer("outer", outer).layer(layer("inner", inner).layer(handler));
        let answer = service.oneshot(get("/")).now_or_never().unwrap().unwrap();
        assert_eq!(answer.headers()["x-ratelimit-limit"], "3");
        assert_eq!(answer.headers().get_all("x-ratelimit-remaining").iter().collect::<Vec<_>>(), ["2"]);
    }
}

#[test]
fn a_partition_key_tells_clients_apart_and_gives_nothing_away() {
    let policy = || Policy::new("p", per(10, 60)).key(ClientIp::new()).partition_key(true);
    let fixture = Fixture::policy(policy());
    let key = |fixture: &Fixture, client| {
        let told = field(&fixture.send(from(client)), "ratelimit");
        let key = told.split(";pk=:").nth(1).unwrap().trim_end_matches(':').to_owned();
        assert_eq!(key.len(), 8, "{told}");
        key
    };
    assert_eq!(key(&fixture, "10.0.0.1"), key(&fixture, "10.0.0.1"));
    assert_ne!(key(&fixture, "10.0.0.1"), key(&fixture, "10.0.0.2"));
    // Another process, another name.
    assert_ne!(key(&fixture, "10.0.0.1"), key(&Fixture::policy(policy()), "10.0.0.1"));
    let other = Policy::new("p", per(10, 60)).key(HeaderKey::api_key()).partition_key(true);
    let answer = Fixture::policy(other).send(Request::get("/").header("x-api-key", "s3cret").body(()).unwrap());
    assert!(!format!("{answer:?}").contains("s3cret"));
}
