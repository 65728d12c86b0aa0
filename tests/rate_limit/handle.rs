//! Watching and changing a limiter while it runs.

use tower_rampart::Clock;
use tower_rampart::key::{ClientIp, GlobalKey};
use tower_rampart::rate_limit::{Policy, RateLimit};

use crate::support::{Fixture, field, from, get, per, secs};

#[test]
fn a_changed_quota_gives_no_credit_for_what_was_used() {
    let fixture = Fixture::global(per(10, 100));
    fixture.admitted(8, || get("/"));
    fixture.handle.set_quota("default", per(100, 100)).unwrap();
    let answer = fixture.send(get("/"));
    assert_eq!(field(&answer, "ratelimit-policy"), "\"default\";q=100;w=100");
    assert_eq!(field(&answer, "ratelimit"), "\"default\";r=1;t=1");
    assert_eq!(fixture.admitted(50, || get("/")), 1);
    // And nobody waits for the old rate.
    fixture.hand.advance(secs(1));
    assert_eq!(fixture.admitted(50, || get("/")), 1);
}

#[test]
fn a_smaller_quota_shuts_nobody_out_for_longer_than_its_window() {
    let fixture = Fixture::global(per(1, 86_400).burst(5));
    fixture.admitted(50, || get("/"));
    fixture.handle.set_quota("default", per(2, 60)).unwrap();
    assert_eq!(field(&fixture.send(get("/")), "retry-after"), "30");
    fixture.hand.advance(secs(60));
    assert_eq!(fixture.admitted(50, || get("/")), 2);
}

#[test]
fn a_block_ends_within_the_new_window() {
    let fixture = Fixture::policy(Policy::new("p", per(2, 60)).key(GlobalKey).block_for(secs(86_400)));
    fixture.admitted(5, || get("/"));
    fixture.handle.set_quota("p", per(4, 60)).unwrap();
    fixture.hand.advance(secs(60));
    assert_eq!(fixture.admitted(4, || get("/")), 4);
}

#[test]
fn a_bucket_can_become_a_window_and_back() {
    let fixture = Fixture::global(per(10, 60));
    fixture.admitted(7, || get("/"));
    fixture.handle.set_quota("default", per(10, 60).fixed_window()).unwrap();
    assert_eq!(fixture.admitted(50, || get("/")), 3);
    fixture.handle.set_quota("default", per(10, 60)).unwrap();
    assert_eq!(fixture.admitted(50, || get("/")), 0);
    fixture.hand.advance(secs(6));
    assert_eq!(fixture.admitted(50, || get("/")), 1);
}

#[test]
fn faults_name_what_there_is() {
    let fixture = Fixture::global(per(10, 60));
    let error = fixture.handle.set_quota("x", per(1, 1)).unwrap_err();
    assert_eq!(error.to_string(), "policy: `x` is no policy of this limiter; name one of `default`");
    assert!(fixture.handle.set_quota("default", per(0, 1)).is_err());
    assert!(fixture.handle.set_concurrent("default", 1).is_err());
    assert_eq!(fixture.handle.snapshot("x").map(|policy| policy.keys), None);
    assert!(!fixture.handle.reset("x"));
}

#[test]
fn a_reset_forgets_all() {
    let fixture = Fixture::policy(Policy::new("p", per(1, 60)).key(ClientIp::new()));
    let clients = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
    clients.iter().for_each(|client| drop(fixture.send(from(client))));
    assert_eq!(fixture.keys(), 3);
    assert!(fixture.handle.reset("p"));
    assert_eq!(fixture.keys(), 0);
    assert!(clients.iter().all(|client| fixture.status(from(client)) == 200));
}

fn limit(policies: &[(&'static str, u32, usize)]) -> RateLimit {
    policies.iter().fold(RateLimit::new(), |limit, (name, quota, max_keys)| {
        limit.add_policy(Policy::new(*name, per(*quota, 60)).key(ClientIp::new()).max_keys(*max_keys))
    })
}

fn taking_over(old: &Fixture, clock: Clock, limit: RateLimit) -> Fixture {
    let layer = limit.with_clock(clock).build().unwrap().adopt_counts(&old.handle);
    let handle = layer.handle();
    Fixture { layer, hand: old.hand.clone(), handle }
}

#[test]
fn a_new_layer_can_go_on_with_the_counts_of_the_old() {
    let (clock, hand) = Clock::manual();
    let layer = limit(&[("kept", 10, 5_000), ("dropped", 5, 10)]).with_clock(clock.clone()).build().unwrap();
    let old = Fixture { handle: layer.handle(), layer, hand };
    assert_eq!(old.admitted(9, || from("10.0.0.1")), 5);
    // Another quota, another size, another policy beside it.
    for max_keys in [5_000, 100, 100_000] {
        let new = taking_over(&old, clock.clone(), limit(&[("new", 50, 10), ("kept", 20, max_keys)]));
        assert_eq!(new.handle.snapshot("kept").map(|policy| policy.keys), Some(1));
        assert_eq!(field(&new.send(from("10.0.0.1")), "ratelimit-policy"), "\"new\";q=50;w=60, \"kept\";q=20;w=60");
    }
    let new = taking_over(&old, clock, limit(&[("kept", 20, 100)]));
    // Five were used before, and three since.
    assert_eq!(new.admitted(50, || from("10.0.0.1")), 2);
}

#[test]
fn a_smaller_table_keeps_those_that_owe_most() {
    let (clock, hand) = Clock::manual();
    let layer = limit(&[("p", 10, 10_000)]).with_clock(clock.clone()).build().unwrap();
    let old = Fixture { handle: layer.handle(), layer, hand };
    for n in 0..5_000_u32 {
        let client = format!("10.1.{}.{}", n / 250, n % 250);
        let requests = if n % 1000 == 0 { 10 } else { 1 };
        assert_eq!(old.admitted(requests, || from(&client)), requests);
    }
    let new = taking_over(&old, clock, limit(&[("p", 10, 50)]));
    for n in (0..5_000_u32).step_by(1000) {
        assert_eq!(new.status(from(&format!("10.1.{}.{}", n / 250, n % 250))), 429);
    }
}
