//! The handle: forcing, watching, readiness.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Request};
use http_body_util::Empty;
use tower::{Layer, Service};
use tower_rampart::RequestView;
use tower_rampart::circuit_breaker::{CircuitBreaker, CircuitBreakerLayer, Readiness, State};
use tower_rampart::key::HeaderKey;

use crate::support::{Upstream, context, manual, ms, small};

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

fn by_tenant(breaker: CircuitBreaker, most: usize) -> CircuitBreaker {
    breaker.per_key(HeaderKey::new(HeaderName::from_static("x-tenant")), most)
}

fn of_tenant(tenant: &str, status: u16) -> Request<Empty<Bytes>> {
    Request::get(format!("http://a/{status}")).header("x-tenant", tenant).body(Empty::new()).unwrap()
}

/// What a call of this tenant is answered; the upstream says `status`.
fn call(layer: &CircuitBreakerLayer, tenant: &str, status: u16) -> u16 {
    let mut service = layer.layer(Upstream::default());
    assert!(Service::<Request<Empty<Bytes>>>::poll_ready(&mut service, &mut context()).is_ready());
    let answer = std::pin::pin!(service.call(of_tenant(tenant, status))).poll(&mut context());
    let std::task::Poll::Ready(Ok(answer)) = answer else { panic!("it waits") };
    answer.status().as_u16()
}

fn state_of(layer: &CircuitBreakerLayer, tenant: &str) -> Option<State> {
    layer.handle().snapshot_of(RequestView::of(&of_tenant(tenant, 200))).map(|snapshot| snapshot.state)
}

#[test]
fn keys_that_come_later_are_forced_open_too() {
    let layer = by_tenant(small(), 100).build().unwrap();
    assert_eq!(call(&layer, "early", 200), 200);
    layer.handle().force_open(Duration::MAX);
    assert_eq!((call(&layer, "early", 200), call(&layer, "late", 200)), (503, 503));
    assert_eq!(state_of(&layer, "late"), Some(State::ForcedOpen));
    layer.handle().reset();
    for tenant in ["early", "late", "later"] {
        assert_eq!((call(&layer, tenant, 200), state_of(&layer, tenant)), (200, Some(State::Closed)), "{tenant}");
    }
}

#[test]
fn keys_that_come_later_are_disabled_too() {
    let (breaker, hand) = manual(by_tenant(small(), 100));
    let layer = breaker.build().unwrap();
    let fail = |tenant| (0..100).for_each(|_| assert_eq!(call(&layer, tenant, 500), 500));
    layer.handle().disable();
    hand.advance(Duration::from_secs(86_400));
    fail("late");
    assert_eq!(state_of(&layer, "late"), Some(State::Disabled));
    layer.handle().disable_for(ms(5000));
    fail("later");
    hand.advance(ms(5000));
    // Both begin anew, and so does whoever comes now.
    for tenant in ["late", "later", "last"] {
        let answers: Vec<_> = (0..5).map(|_| call(&layer, tenant, 500)).collect();
        assert_eq!(answers, [500, 500, 500, 500, 503], "{tenant}");
    }
}

#[test]
fn a_force_that_is_over_says_nothing_of_keys_that_come_then() {
    let (breaker, hand) = manual(by_tenant(small(), 100));
    let layer = breaker.build().unwrap();
    layer.handle().force_open(ms(5000));
    hand.advance(ms(4999));
    assert_eq!(call(&layer, "during", 200), 503);
    hand.advance(ms(1));
    // The one that was forced is tried, as any other that was; the one that was not is closed.
    assert_eq!((call(&layer, "during", 200), state_of(&layer, "during")), (200, Some(State::HalfOpen)));
    assert_eq!((call(&layer, "after", 200), state_of(&layer, "after")), (200, Some(State::Closed)));
}

/// Whoever invents keys while all are forced takes no room from those that come after.
#[test]
fn keys_that_were_only_forced_make_room() {
    for is_open in [false, true] {
        let (breaker, hand) = manual(by_tenant(small(), 8));
        let layer = breaker.build().unwrap();
        if is_open {
            layer.handle().force_open(ms(5000))
        } else {
            layer.handle().disable()
        }
        for tenant in 0..100 {
            call(&layer, &format!("during-{tenant}"), 200);
        }
        hand.advance(ms(5000));
        for tenant in 0..100 {
            assert_eq!(call(&layer, &format!("after-{tenant}"), 200), 200);
        }
        assert_eq!(layer.handle().overflowed(), 0);
    }
}

/// Keys come while it is forced, and two force at once: whatever the last one said holds for all, and for keys to come.
#[test]
fn no_key_slips_through_while_it_is_forced() {
    for round in 0..200 {
        let layer = by_tenant(small(), 1000).build().unwrap();
        let barrier = Arc::new(Barrier::new(4));
        let spawn = |act: Box<dyn FnOnce(&CircuitBreakerLayer) + Send>| {
            let (layer, barrier) = (layer.clone(), Arc::clone(&barrier));
            std::thread::spawn(move || {
                barrier.wait();
                act(&layer);
            })
        };
        let comers = ["a", "b"].map(|name| {
            spawn(Box::new(move |layer| {
                for tenant in 0..20 {
                    call(layer, &format!("{name}-{tenant}"), 200);
                }
            }))
        });
        let is_reset_too = round % 2 == 0;
        let forces = spawn(Box::new(|layer| layer.handle().force_open(Duration::MAX)));
        let other = spawn(Box::new(move |layer| {
            if is_reset_too {
                layer.handle().reset()
            }
        }));
        for thread in comers.into_iter().chain([forces, other]) {
            thread.join().unwrap();
        }
        call(&layer, "last", 200);
        let states: Vec<_> = layer.handle().snapshots().iter().map(|snapshot| snapshot.state).collect();
        let one = if is_reset_too { states[0] } else { State::ForcedOpen };
        assert!(states.iter().all(|state| *state == one), "{states:?}");
    }
}

/// Whoever is told of a change may steer.
#[test]
fn a_hook_may_steer() {
    let handle = Arc::new(std::sync::OnceLock::<tower_rampart::circuit_breaker::CircuitBreakerHandle>::new());
    let told = Arc::clone(&handle);
    let layer = small().on_change(move |_, change| {
        if change.to == State::ForcedOpen {
            told.get().unwrap().reset();
        }
    });
    let layer = layer.build().unwrap();
    handle.set(layer.handle()).unwrap();
    layer.handle().force_open(Duration::MAX);
    assert_eq!(layer.handle().snapshot().state, State::Closed);
}

#[test]
fn openings_are_forgotten_in_health_as_one_looks() {
    let (breaker, hand) = manual(small());
    let breaker = breaker.build().unwrap().handle();
    (0..4).for_each(|_| breaker.admit().unwrap().failure());
    for interval in [1000, 2000] {
        hand.advance(ms(interval));
        breaker.admit().unwrap().failure();
    }
    hand.advance(ms(4000));
    assert_eq!(breaker.snapshot().openings_in_a_row, 3);
    (0..2).for_each(|_| breaker.admit().unwrap().success());
    for remembered in [3, 2, 1, 0, 0] {
        assert_eq!((breaker.snapshot().state, breaker.snapshot().openings_in_a_row), (State::Closed, remembered));
        hand.advance(ms(8000));
    }
}
