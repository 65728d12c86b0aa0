//! The handle: forcing, watching, readiness.

use std::time::Duration;

use tower_rampart::circuit_breaker::{CircuitBreaker, Readiness, State};

use crate::support::{manual, ms, small};

#[test]
fn forced_open_for_a_time_then_probes_decide() {
    let (breaker, hand) = manual(small());
    let breaker = breaker.build().unwrap().handle();
    breaker.force_open(ms(5000));
    hand.advance(ms(4999));
    assert!(breaker.admit().is_err() && breaker.snapshot().state == State::ForcedOpen);
    assert!(!breaker.snapshot().state.is_passing());
    assert_eq!(breaker.snapshot().open_for, Some(ms(1)));
    hand.advance(ms(1));
    breaker.admit().unwrap().success();
    breaker.admit().unwrap().success();
    assert_eq!(breaker.snapshot().state, State::Closed);
}

#[test]
fn disabled_for_a_time_counts_nothing() {
    let (breaker, hand) = manual(small());
    let breaker = breaker.build().unwrap().handle();
    let failures = |calls| (0..calls).for_each(|_| breaker.admit().unwrap().failure());
    failures(3);
    breaker.disable_for(ms(5000));
    failures(100);
    assert_eq!(breaker.snapshot().state, State::Disabled);
    assert!(breaker.snapshot().state.is_passing());
    hand.advance(ms(5000));
    failures(3);
    assert_eq!(breaker.snapshot().state, State::Closed, "it has begun anew");
    failures(1);
    assert_eq!(breaker.snapshot().state, State::Open);
}

#[test]
fn for_ever_is_until_it_is_reset() {
    let (breaker, hand) = manual(small());
    let breaker = breaker.build().unwrap().handle();
    breaker.force_open(Duration::MAX);
    hand.advance(Duration::from_secs(86_400 * 365));
    assert!(breaker.admit().is_err());
    breaker.disable();
    hand.advance(Duration::from_secs(86_400 * 365));
    (0..100).for_each(|_| breaker.admit().unwrap().failure());
    breaker.reset();
    assert_eq!((breaker.snapshot().state, breaker.snapshot().calls), (State::Closed, 0));
}

#[tokio::test]
async fn a_watch_sees_changes() {
    let breaker = small().build().unwrap().handle();
    let mut watch = breaker.watch();
    let seen = tokio::spawn(async move {
        let first = watch.changed().await.state;
        (first, watch)
    });
    tokio::task::yield_now().await;
    breaker.force_open(Duration::MAX);
    let (first, mut watch) = seen.await.unwrap();
    assert_eq!(first, State::ForcedOpen);
    // What happened while nobody looked is seen at once.
    breaker.reset();
    assert_eq!(watch.changed().await.state, State::Closed);
}

#[test]
fn readiness_waits_for_the_second_opening_and_for_recovery() {
    let (breaker, hand) = manual(small());
    let critical = breaker.build().unwrap().handle();
    let other = CircuitBreaker::new("other").build().unwrap().handle();
    other.force_open(Duration::MAX);
    let readiness = Readiness::new().add_critical(critical.clone()).add_shown(other);
    assert!(readiness.is_ready());
    (0..4).for_each(|_| critical.admit().unwrap().failure());
    assert!(readiness.is_ready(), "a hiccup");
    hand.advance(ms(1000));
    critical.admit().unwrap().failure();
    assert!(!readiness.is_ready());
    hand.advance(ms(2000));
    critical.admit().unwrap().success();
    assert!(!readiness.is_ready(), "it is only tried");
    critical.admit().unwrap().success();
    assert!(readiness.is_ready());
    let shown: Vec<_> = readiness.circuits().collect();
    assert_eq!(shown, [("test", State::Closed), ("other", State::ForcedOpen)]);
}
