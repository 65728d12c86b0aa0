//! What a quota may be, and what it admits.

use std::time::Duration;

use tower_rampart::rate_limit::{Quota, RateLimit};

use crate::support::{Fixture, get, per, secs};

#[test]
fn a_rested_client_may_send_the_burst_and_then_at_the_rate() {
    let fixture = Fixture::global(per(60, 60).burst(5));
    assert_eq!(fixture.admitted(20, || get("/")), 5);
    fixture.hand.advance(Duration::from_millis(999));
    assert_eq!(fixture.admitted(20, || get("/")), 0);
    fixture.hand.advance(Duration::from_millis(1));
    assert_eq!(fixture.admitted(20, || get("/")), 1);
    fixture.hand.advance(secs(3));
    assert_eq!(fixture.admitted(20, || get("/")), 3);
    fixture.hand.advance(secs(86_400));
    assert_eq!(fixture.admitted(20, || get("/")), 5);
}

#[test]
fn days_may_pass() {
    let fixture = Fixture::global(per(300_000, 86_400 * 30));
    assert_eq!(fixture.admitted(300_001, || get("/")), 300_000);
    for _ in 0..30 {
        fixture.hand.advance(secs(86_400));
        assert_eq!(fixture.admitted(10_001, || get("/")), 10_000);
    }
}

#[test]
fn an_interval_is_rounded_up_and_never_lets_more_through() {
    // A third of a second is no whole number of nanoseconds.
    let fixture = Fixture::global(per(3, 1).burst(1));
    let mut admitted = 0;
    for _ in 0..300_000 {
        admitted += fixture.admitted(1, || get("/"));
        fixture.hand.advance(Duration::from_millis(1));
    }
    // 300 seconds, of which the first millisecond has its token at once.
    assert!((899..=900).contains(&admitted), "{admitted}");
}

#[test]
fn a_fixed_window_begins_with_the_first_request() {
    let fixture = Fixture::global(per(100, 900).fixed_window());
    fixture.hand.advance(secs(450));
    assert_eq!(fixture.admitted(150, || get("/")), 100);
    fixture.hand.advance(Duration::from_millis(899_999));
    assert_eq!(fixture.admitted(150, || get("/")), 0);
    fixture.hand.advance(Duration::from_millis(1));
    assert_eq!(fixture.admitted(150, || get("/")), 100);
}

#[test]
fn quotas_that_cannot_be_are_named() {
    let max = Duration::MAX;
    let cases = [
        (per(0, 1), "quota: `0` lets nothing through"),
        (Quota::new(1), "window: is missing"),
        (per(1, 0), "window: `0s` is no time"),
        (per(1, 1).burst(0), "burst: `0` lets nothing through"),
        // What governor takes, and then admits 86,496 of.
        (per(1, 86_400).burst(300_000), "burst: `300000` takes more than 73 years"),
        (Quota::new(1).per(max), "burst: `1` takes more than 73 years"),
        (per(1, 1).burst(u32::MAX), "burst: `4294967295` takes more than 73 years"),
        (per(5, 1).burst(6).fixed_window(), "burst: `6` means nothing beside a fixed window"),
        (per(1 << 24, 1).fixed_window(), "quota: `16777216` is more than a fixed window can count"),
        (Quota::new(1).per(max).fixed_window(), "window: "),
    ];
    for (quota, message) in cases {
        let error = quota.build().unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
        let error = RateLimit::per_client_ip(quota).build().unwrap_err();
        assert!(error.to_string().starts_with(&format!("rate limit \"default\".{message}")), "{error}");
    }
}

#[test]
fn a_large_quota_is_exact() {
    // The largest burst that a 73 year bucket has at one token a second.
    let burst = u32::try_from((1_u64 << 61) / 1_000_000_000).unwrap();
    let fixture = Fixture::policy(
        tower_rampart::rate_limit::Policy::new("large", per(1, 1).burst(burst))
            .key(tower_rampart::key::GlobalKey)
            .cost(|request| request.uri().path().trim_start_matches('/').parse().unwrap()),
    );
    assert_eq!(fixture.status(get(&format!("/{burst}"))), 200);
    assert_eq!(fixture.status(get("/1")), 429);
    fixture.hand.advance(secs(1000));
    assert_eq!(fixture.status(get("/1001")), 429);
    assert_eq!(fixture.status(get("/1000")), 200);
    assert_eq!(fixture.status(get("/1")), 429);
}
