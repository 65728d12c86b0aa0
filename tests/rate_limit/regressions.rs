//! Faults that were found, and must not come back.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_rampart::key::{Cidr, ClientIp, GlobalKey, HeaderKey};
use tower_rampart::rate_limit::{Mode, Overflow, Policy, RateLimit};

use crate::support::{Fixture, call, field, from, get, json, per, secs};

fn costly(policy: Policy) -> Policy {
    policy.cost(|request| request.uri().path()[1..].parse().unwrap())
}

#[test]
fn a_cost_that_overflows_governor_is_too_much() {
    // 86.4 s times this is 57 s, in 64 bits of nanoseconds.
    let fixture = Fixture::policy(costly(Policy::new("p", per(1000, 86_400)).key(GlobalKey)));
    for cost in ["213503984", "4294967295", "1001"] {
        let refused = fixture.send(get(&format!("/{cost}")));
        assert_eq!((refused.status().as_u16(), field(&refused, "retry-after").as_str()), (429, ""), "{cost}");
    }
    assert_eq!(fixture.status(get("/1000")), 200);
}

#[test]
fn a_short_block_gives_no_more_than_the_quota() {
    let fixture = Fixture::policy(Policy::new("p", per(10, 3600)).key(GlobalKey).block_for(secs(1)));
    let mut admitted = fixture.admitted(11, || get("/"));
    for _ in 0..3600 {
        fixture.hand.advance(secs(1));
        admitted += fixture.admitted(2, || get("/"));
    }
    assert!(admitted <= 20, "{admitted}");
    let fixture = Fixture::policy(Policy::new("p", per(10, 3600).fixed_window()).key(GlobalKey).block_for(secs(1)));
    let mut admitted = fixture.admitted(11, || get("/"));
    for _ in 0..3599 {
        fixture.hand.advance(secs(1));
        admitted += fixture.admitted(2, || get("/"));
    }
    assert_eq!(admitted, 10);
}

#[test]
fn whoever_comes_back_when_a_block_says_is_let_in() {
    let fixture = Fixture::policy(costly(Policy::new("p", per(100, 60)).key(GlobalKey).block_for(secs(60))));
    assert_eq!(fixture.status(get("/100")), 200);
    let refused = fixture.send(get("/5"));
    // A minute, and the time of four tokens more than the one that is there then.
    assert_eq!(field(&refused, "retry-after"), "63");
    fixture.hand.advance(secs(60));
    // Too early, but no reason for another block.
    assert_eq!(field(&fixture.send(get("/5")), "retry-after"), "3");
    fixture.hand.advance(secs(3));
    assert_eq!(fixture.status(get("/5")), 200);
}

#[test]
fn newcomers_to_a_full_table_pay_what_their_response_says() {
    for overflow in [Overflow::Shared, Overflow::ReplaceNearest] {
        let policy = Policy::new("p", per(10, 60))
            .key(ClientIp::new())
            .max_keys(2)
            .overflow(overflow)
            .cost(|_| 0)
            .charge_after(|_| 5);
        let fixture = Fixture::policy(policy);
        fixture.send(from("10.0.0.1"));
        fixture.send(from("10.0.0.2"));
        let newcomer = |n: u32| from(&format!("10.1.{}.{}", n / 250, n % 250));
        let admitted = (0..100).filter(|n| fixture.status(newcomer(*n)) == 200).count();
        // All newcomers together have one bucket more, or what the two had left.
        assert!(admitted <= 4, "{overflow:?}: {admitted}");
    }
    let policy = Policy::new("p", per(10, 60))
        .key(ClientIp::new())
        .max_keys(1)
        .overflow(Overflow::Refuse)
        .cost(|_| 0)
        .charge_after(|_| 5);
    let fixture = Fixture::policy(policy);
    fixture.send(from("10.0.0.1"));
    assert_eq!(fixture.status(from("10.0.0.2")), 503);
}

#[test]
fn a_window_that_a_quota_does_not_divide_is_told_as_it_is() {
    for (limit, seconds) in [(3, 1), (7, 60), (9, 100), (1_000_003, 3600)] {
        let fixture = Fixture::global(per(limit, seconds));
        assert_eq!(field(&fixture.send(get("/")), "ratelimit-policy"), format!("\"default\";q={limit};w={seconds}"));
    }
}

#[test]
fn paths_that_mix_dots_and_slashes_are_matched_by_all() {
    let fixture = Fixture::policy(Policy::new("p", per(100, 60)).key(GlobalKey).paths(["/api/login"]));
    for path in [
        "/api//..//login",
        "/api%2Flogin/x%2Fy/..",
        "/api/login/",
        "/%61pi/login",
        "//api/login",
        "/x/%2e%2e/api/login",
    ] {
        assert_ne!(field(&fixture.send(get(path)), "ratelimit"), "", "{path}");
    }
    assert_eq!(field(&fixture.send(get("/api/logout")), "ratelimit"), "");
}

#[test]
fn a_long_path_costs_no_more_than_its_length() {
    // Cubic before: minutes for this path.
    let pattern = "/**/a/**/a/**/a/*/b";
    let fixture = Fixture::policy(Policy::new("p", per(100, 60)).key(GlobalKey).paths([pattern]));
    let path = "/a".repeat(30_000);
    assert_eq!(field(&fixture.send(get(&path)), "ratelimit"), "");
    assert_ne!(field(&fixture.send(get(&format!("{path}/b"))), "ratelimit"), "");
}

#[test]
fn denied_clients_are_refused_whatever_they_ask_for() {
    let blocks = || ["10.0.0.0/8".parse::<Cidr>().unwrap()];
    let limit = RateLimit::new()
        .add_policy(Policy::new("p", per(1, 60)).key(GlobalKey))
        .deny_clients(blocks())
        .exempt_paths(["/**"]);
    assert_eq!(Fixture::of(limit).status(from("10.0.0.1")), 403);
}

#[test]
fn a_shadow_refuses_nobody_on_its_list() {
    for mode in [Mode::Shadow, Mode::EnforceShare { percent: 0 }] {
        let policy = Policy::new("p", per(1, 60)).key(HeaderKey::api_key()).add_denied_key(["a"]).mode(mode);
        let fixture = Fixture::policy(policy);
        assert_eq!(fixture.status(Request::get("/").header("x-api-key", "a").body(()).unwrap()), 200);
        assert_eq!(fixture.status(get("/")), 200);
    }
}

#[test]
fn a_panicking_judgement_frees_its_place() {
    let fixture = Fixture::of(
        RateLimit::new()
            .add_policy(
                Policy::new("judged", per(1000, 60)).key(GlobalKey).count_when(|_| panic!("a fault of the user's")),
            )
            .add_policy(Policy::concurrent("flight", 2).key(GlobalKey)),
    );
    for _ in 0..10 {
        assert!(catch_unwind(AssertUnwindSafe(|| fixture.send(get("/")))).is_err());
        assert_eq!(fixture.handle.snapshot("flight").map(|policy| policy.keys), Some(0));
    }
}

#[test]
fn those_who_share_a_bucket_are_not_shut_out_together() {
    let policy = Policy::new("p", per(2, 60)).key(ClientIp::new()).max_keys(1).block_for(secs(86_400));
    let fixture = Fixture::policy(policy);
    fixture.send(from("10.0.0.1"));
    let newcomers = || (2..9).filter(|n| fixture.status(from(&format!("10.0.0.{n}"))) == 200).count();
    assert_eq!(newcomers(), 2);
    let refused = fixture.send(from("10.0.0.9"));
    assert_eq!(json(refused)["title"], "Quota Exceeded");
    // A minute later the shared bucket is whole, and the first key's slot is free.
    fixture.hand.advance(secs(60));
    assert!(newcomers() >= 2);
}

#[test]
fn a_smaller_table_drops_no_request_in_flight() {
    let (clock, _) = tower_rampart::Clock::manual();
    let limit = |max_keys| {
        RateLimit::new()
            .add_policy(Policy::concurrent("p", 1).key(ClientIp::new()).max_keys(max_keys))
            .with_clock(clock.clone())
    };
    let old = Fixture::of(limit(10_000));
    let client = |n: u32| from(&format!("10.0.{}.{}", n / 250, n % 250));
    let held: Vec<_> = (0..500).map(|n| old.respond(client(n), |_| Response::new("x".into()))).collect();
    let layer = limit(10).build().unwrap().adopt_counts(&old.handle);
    let new = Fixture { handle: layer.handle(), layer, hand: old.hand };
    assert!((0..500).all(|n| new.status(client(n)) == 429));
    assert!(!new.handle.reset("p"));
    drop(held);
    assert_eq!(new.handle.snapshot("p").map(|policy| policy.keys), Some(0));
}

#[test]
fn what_an_inner_limiter_says_survives_a_wait_on_the_way_out() {
    let layer = |name: &'static str, limit| {
        RateLimit::new().add_policy(Policy::new(name, per(limit, 60)).key(GlobalKey)).build().unwrap()
    };
    let (outer, inner) = (layer("outer", 50), layer("inner", 1));
    let handler = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
    let inner = inner.layer(handler);
    let slow_on_the_way_out = service_fn(move |request: Request<()>| {
        let answered = call(&mut inner.clone(), request);
        async move {
            let answered = answered.await;
            tokio::task::yield_now().await;
            answered
        }
    });
    let mut service = outer.layer(slow_on_the_way_out);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut send = || {
        let response = runtime.block_on(async {
            std::future::poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
            service.call(get("/")).await
        });
        response
            .unwrap()
            .headers()
            .get_all("ratelimit")
            .iter()
            .map(|line| line.to_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    send();
    let told = send();
    assert!(told.iter().any(|line| line.starts_with("\"inner\";r=0")), "{told:?}");
}

#[test]
fn the_first_manual_clock_is_exact() {
    let fixture = Fixture::global(per(10, 60));
    fixture.admitted(10, || get("/"));
    fixture.hand.advance(Duration::from_secs(6));
    assert_eq!(fixture.admitted(5, || get("/")), 1);
}

#[test]
fn a_clock_at_its_end_still_answers() {
    let fixture = Fixture::of(
        RateLimit::new()
            .add_policy(Policy::new("a", per(10, 60)).key(GlobalKey).block_for(secs(86_400 * 365)))
            .add_policy(Policy::new("b", per(10, 60).fixed_window()).key(GlobalKey)),
    );
    fixture.admitted(20, || get("/"));
    for _ in 0..3 {
        fixture.hand.advance(Duration::from_secs(1 << 60));
        fixture.admitted(20, || get("/"));
    }
}

#[test]
fn two_slashes_at_the_beginning_may_be_half_a_url() {
    let fixture = Fixture::policy(Policy::new("p", per(100, 60)).key(GlobalKey).paths(["/login"]));
    for path in ["//x/login", "/%2Fx/login", "/%5cx/login", "/%2f%2fx/login"] {
        assert_ne!(field(&fixture.send(get(path)), "ratelimit"), "", "{path}");
    }
}

#[test]
fn a_route_is_one_key_however_it_is_spelled() {
    use tower_rampart::key::RouteKey;
    let patterns = |texts: &[&str]| RouteKey::new().or_patterns(texts.iter().map(|text| text.parse().unwrap()));
    let fixture = Fixture::policy(Policy::new("p", per(3, 60)).key(patterns(&["/login"])).paths(["/login"]));
    assert_eq!(fixture.admitted(3, || get("/login")), 3);
    for path in ["//login", "/x/../login", "/login%2f"] {
        assert_eq!(fixture.status(get(path)), 429, "{path}");
    }
    let fixture = Fixture::policy(Policy::new("p", per(3, 60)).key(patterns(&["/a", "/b"])));
    assert_eq!(fixture.admitted(3, || get("/b")), 3);
    assert_eq!(fixture.status(get("/a/../b")), 429);
    // What may be either is neither, and one key however it is spelled.
    let odd = ["/a/..//b", "/b/..//a", "//a", "//b/."];
    assert_eq!(odd.iter().cycle().take(12).filter(|path| fixture.status(get(path)) == 200).count(), 3);
}

#[test]
fn a_table_that_was_made_smaller_drops_what_says_nothing() {
    let (clock, hand) = tower_rampart::Clock::manual();
    let limit = |max_keys| {
        let policy = Policy::new("p", per(5, 60)).key(ClientIp::new()).max_keys(max_keys);
        RateLimit::new().add_policy(policy).with_clock(clock.clone())
    };
    let layer = limit(1_000_000).build().unwrap();
    let old = Fixture { handle: layer.handle(), layer, hand };
    let client = |n: u32| from(&format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255));
    for n in 0..2000 {
        old.send(client(n));
    }
    old.hand.advance(secs(60));
    let layer = limit(1000).build().unwrap().adopt_counts(&old.handle);
    let new = Fixture { handle: layer.handle(), layer, hand: old.hand };
    assert_eq!((5000..5500).filter(|n| new.status(client(*n)) == 200).count(), 500);
    assert_eq!(new.handle.snapshot("p").map(|policy| policy.overflowed), Some(0));
}

#[test]
fn a_changed_quota_still_refunds_what_does_not_count() {
    for (before, after) in [
        (per(3, 3600).fixed_window(), per(4, 3600).fixed_window()),
        (per(3, 3600), per(3, 36_000)),
        (per(3, 3600), per(3, 3600).fixed_window()),
        (per(3, 3600).fixed_window(), per(3, 3600)),
    ] {
        let fixture =
            Fixture::policy(Policy::new("p", before).key(GlobalKey).count_statuses([http::StatusCode::UNAUTHORIZED]));
        let mut service = fixture.layer.layer(service_fn(|_| async {
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }));
        let mut slow = Box::pin(call(&mut service, get("/")));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert!(slow.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending());
        fixture.handle.set_quota("p", after).unwrap();
        let answer = runtime.block_on(slow).unwrap();
        let limit = after.build().unwrap().burst();
        // Nothing is left of it but what the change itself took.
        assert!(
            field(&answer, "ratelimit").starts_with(&format!("\"p\";r={}", limit.min(3))),
            "{}",
            field(&answer, "ratelimit")
        );
    }
}

#[test]
fn no_room_to_wait_names_the_policy_and_tells_where_it_stands() {
    use futures_util::FutureExt as _;
    let (clock, _hand) = tower_rampart::Clock::manual();
    let policy = Policy::new("paced", per(60, 60).burst(1)).key(GlobalKey).max_wait(secs(5));
    let layer = RateLimit::new().add_policy(policy).max_waiting(1).with_clock(clock).build_throttle().unwrap();
    let handler = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
    let mut service = layer.layer(handler);
    let _held: Vec<_> = (0..2).map(|_| call(&mut service, get("/"))).collect();
    let refused = call(&mut service, get("/")).now_or_never().unwrap().unwrap();
    assert_eq!((refused.status().as_u16(), field(&refused, "ratelimit-policy").as_str()), (503, "\"paced\";q=1;w=1"));
    assert_eq!(json(refused)["violated-policies"], serde_json::json!(["paced"]));
}

#[test]
fn shadowed_requests_are_counted_on() {
    let (clock, hand) = tower_rampart::Clock::manual();
    let limit = || {
        let policy = Policy::new("p", per(1, 60)).key(GlobalKey).mode(Mode::Shadow);
        RateLimit::new().add_policy(policy).with_clock(clock.clone()).build().unwrap()
    };
    let layer = limit();
    let old = Fixture { handle: layer.handle(), layer, hand };
    old.admitted(3, || get("/"));
    let layer = limit().adopt_counts(&old.handle);
    assert_eq!(layer.handle().snapshot("p").map(|policy| policy.shadowed), Some(2));
}
