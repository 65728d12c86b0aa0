//! Retries are an addition to the load, never a multiple of it.

use tower::Layer as _;
use tower_rampart::problem::{Problem, ProblemKind};
use tower_rampart::retry::{Retries, RetryLayer};
use tower_rampart::{Origin, Rejection};

use crate::support::{OK, Retried, Say, get, millis, post, retried, secs};

fn quick() -> Retries {
    Retries::new().max_attempts(2).backoff(millis(1), millis(1))
}

/// How many calls come of so many requests that all fail.
fn calls(retried: &mut Retried, requests: usize) -> usize {
    let before = retried.script.count();
    for _ in 0..requests {
        assert!(retried.finish(get()).0.is_err());
    }
    retried.script.count() - before
}

#[test]
fn a_share_and_a_floor() {
    let mut storm = retried(quick().budget_percent(20).budget_floor(10), []);
    // 20 of a hundred, and ten in any case.
    assert_eq!(calls(&mut storm, 100), 130);
    let budget = storm.policy.budget();
    assert_eq!((budget.requests, budget.retries, budget.left), (100, 30, 0));
    storm.hand.advance(secs(10));
    assert_eq!(storm.policy.budget().left, 10);
    assert_eq!(calls(&mut storm, 3), 6);
}

#[test]
fn none_at_all() {
    assert_eq!(calls(&mut retried(quick().budget_percent(0).budget_floor(0), []), 50), 50);
}

/// Everybody counts who could be tried again or not: load is load.
#[test]
fn requests_that_go_well_count() {
    let says = (0..100).map(|_| crate::support::OK);
    let mut retried = retried(quick().budget_percent(10).budget_floor(0), says);
    for _ in 0..100 {
        assert_eq!(retried.status(crate::support::post(&[])), 200);
    }
    assert_eq!(calls(&mut retried, 30), 30 + 13);
}

#[test]
fn layers_of_one_policy_have_one_budget() {
    let mut one = retried(quick().budget_percent(0).budget_floor(3), []);
    let other = RetryLayer::new(one.policy.clone()).layer(one.script.clone());
    assert_eq!(calls(&mut one, 2), 4);
    one.service = other;
    assert_eq!(calls(&mut one, 2), 3);
}

fn refusal(kind: ProblemKind) -> Rejection {
    Rejection::new(Origin::CircuitBreaker, Problem::new(kind))
}

/// One that was refused by a layer further in, in either of its forms.
fn refused(index: usize, kind: ProblemKind) -> Say {
    if index.is_multiple_of(2) {
        return Say::Refuse(refusal(kind));
    }
    let mut response = http::Response::builder().status(503).body(()).unwrap();
    response.extensions_mut().insert(refusal(kind));
    Say::Answer(response)
}

/// An open circuit keeps calls from the upstream: they are no load that retries may be a share of.
#[test]
fn calls_that_are_refused_further_in_count_for_nothing() {
    let says = (0..500).map(|index| refused(index, ProblemKind::Unavailable));
    let mut retried = retried(quick().budget_percent(20).budget_floor(10), says);
    for index in 0..500 {
        // One that may be made twice, and one that may not.
        let request = if index % 4 < 2 { get() } else { post(&[]) };
        let _ = retried.finish(request);
        if index % 100 == 0 {
            retried.hand.advance(secs(1));
        }
    }
    assert_eq!(retried.script.count(), 500);
    let budget = retried.policy.budget();
    assert_eq!((budget.requests, budget.retries, budget.left), (0, 0, 10));
}

/// The upstream was asked for those, whoever refuses what comes of it.
#[test]
fn calls_that_were_load_count_although_they_end_in_a_refusal() {
    let late = [refused(0, ProblemKind::DeadlineExceeded), refused(1, ProblemKind::DeadlineExceeded)];
    let second = [Say::Fail, refused(0, ProblemKind::Unavailable), OK];
    let mut retried = retried(quick(), late.into_iter().chain(second));
    for request in [get(), post(&[]), get(), get()] {
        let _ = retried.finish(request);
    }
    let budget = retried.policy.budget();
    assert_eq!((retried.script.count(), budget.requests, budget.retries), (5, 4, 1));
}
