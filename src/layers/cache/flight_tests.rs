//! Of `flight.rs`, which is compiled elsewhere for a model checker too, and so has none of its own.

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::flight::{Flights, Lead, MAX_PER_KEY, Role, Terms};

fn terms(now: Instant, not_before: u64, number: u64) -> Terms {
    Terms { now, patience: Duration::from_secs(5), not_before, number }
}

fn leads<T: Clone>(role: Role<u8, T>) -> Lead<u8, T> {
    match role {
        Role::Leader(lead) => lead,
        Role::Follower(_) => panic!("it follows"),
        Role::Alone => panic!("there is no room"),
    }
}

const fn follows<T: Clone>(role: &Role<u8, T>) -> bool {
    matches!(role, Role::Follower(_))
}

const fn is_alone<T: Clone>(role: &Role<u8, T>) -> bool {
    matches!(role, Role::Alone)
}

/// To the end of its patience, and for a number that is no later than its own.
#[test]
fn whom_a_request_follows() {
    let start = Instant::now();
    let after = |millis| start + Duration::from_millis(millis);
    for (millis, not_before, expected) in [(5000, 3, true), (5001, 3, false), (5000, 4, false)] {
        let flights = Arc::new(Flights::<u8, u8>::new(10, 10));
        let _first = leads(flights.join(&1, terms(start, 0, 3), |_| true));
        let second = flights.join(&1, terms(after(millis), not_before, 9), |_| true);
        assert_eq!(follows(&second), expected, "{millis} {not_before}");
        assert_eq!(flights.len(), if expected { 1 } else { 2 });
    }
    // What is shared is joined when it suits, and for as long after it came.
    for (suits, millis, expected) in [(true, 6000, true), (false, 6000, false), (true, 6001, false)] {
        let flights = Arc::new(Flights::<u8, u8>::new(10, 10));
        let first = leads(flights.join(&1, terms(start, 0, 0), |_| true));
        first.share(7, after(1000));
        let second = flights.join(&1, terms(after(millis), 0, 1), |shared| suits && *shared == 7);
        assert_eq!(follows(&second), expected, "{suits} {millis}");
    }
}

/// Who would be one too many goes alone, and takes nobody's place.
#[test]
fn how_many_there_may_be() {
    let now = Instant::now();
    let flights = Arc::new(Flights::<u8, u8>::new(2, 1));
    let first = leads(flights.join(&1, terms(now, 0, 0), |_| true));
    let second = leads(flights.join(&2, terms(now, 0, 0), |_| true));
    assert!(is_alone(&flights.join(&3, terms(now, 0, 0), |_| true)), "two may lead");
    drop(second);
    let third = leads(flights.join(&3, terms(now, 0, 0), |_| true));
    let Role::Follower(waiting) = flights.join(&1, terms(now, 0, 0), |_| true) else { panic!("it may wait") };
    assert!(waiting.poll(Waker::noop()).is_pending());
    assert!(is_alone(&flights.join(&1, terms(now, 0, 0), |_| true)), "one may wait");
    drop(waiting);
    assert!(follows(&flights.join(&1, terms(now, 0, 0), |_| true)), "who has left does not wait");
    drop((first, third));
    assert_eq!(flights.len(), 0);
}

#[test]
fn one_resource_has_so_many_and_no_more() {
    let now = Instant::now();
    let flights = Arc::new(Flights::<u8, u8>::new(1000, 10));
    let lead = |number| flights.join(&1, terms(now, number, number), |_| true);
    let all: Vec<_> = (0..MAX_PER_KEY as u64).map(|number| leads(lead(number))).collect();
    assert!(is_alone(&lead(MAX_PER_KEY as u64)));
    assert!(matches!(flights.join(&2, terms(now, 0, 0), |_| true), Role::Leader(_)), "others have theirs");
    drop(all);
    assert_eq!(flights.len(), 0);
}
