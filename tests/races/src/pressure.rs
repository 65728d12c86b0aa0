//! Places that are taken, waited for, given up and moved, a limit that changes under those who come in, and a budget that many
//! draw on.

use std::future::poll_fn;
use std::task::Waker;
use std::time::Instant;

use shuttle::future::block_on;
use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::thread;

use crate::aimd::Aimd;
use crate::budget::{Budget, Recent};
use crate::criticality::Criticality;
use crate::limit::{Algorithm, Range};
use crate::places::{Bounds, Permit, Places};
use crate::sample::{Outcome, Sample};
use crate::state::State;

const SCHEDULES: usize = 2000;

/// Counts who is inside, and fails when that are too many.
struct Inside {
    now: AtomicUsize,
    most: usize,
}

impl Inside {
    fn visit(&self) {
        let inside = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        assert!(inside <= self.most, "{inside} are inside, and there is room for {}", self.most);
        thread::yield_now();
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

fn places(max_concurrent: usize, max_concurrent_per_key: usize) -> Arc<Places> {
    Arc::new(Places::new(Bounds { max_concurrent, max_concurrent_per_key, max_queued: 8, max_queued_per_key: 8 }))
}

/// Waits for a place, is inside for a while, and leaves. Whoever is never woken hangs, which the checker sees.
fn visit(places: &Arc<Places>, key: Option<u64>, inside: &Inside) {
    let mut permit = Permit::new(places, key, true).expect("there is room to wait");
    block_on(poll_fn(|cx| permit.poll(cx.waker()))).expect("there is room to wait");
    inside.visit();
}

fn assert_empty(places: &Places) {
    assert_eq!((places.in_flight(), places.queued(), places.keys()), (0, 0, 0));
}

fn join(threads: Vec<thread::JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

fn race(max_concurrent: usize, per_key: usize, keys: &'static [Option<u64>]) {
    shuttle::check_random(
        move || {
            let (places, inside) =
                (places(max_concurrent, per_key), Arc::new(Inside { now: AtomicUsize::new(0), most: max_concurrent }));
            let spawn = |key: &Option<u64>| {
                let (places, inside, key) = (Arc::clone(&places), Arc::clone(&inside), *key);
                thread::spawn(move || visit(&places, key, &inside))
            };
            join(keys.iter().map(spawn).collect());
            assert_empty(&places);
        },
        SCHEDULES,
    );
}

#[test]
fn everybody_gets_a_place_and_never_too_many() {
    race(1, 1, &[None, None, None]);
    race(2, 2, &[None, None, None, None]);
}

#[test]
fn keys_and_all_together_hold_nobody_up() {
    race(1, 1, &[Some(1), Some(1), Some(2), None]);
    race(2, 1, &[Some(1), Some(1), Some(2), Some(17)]);
}

#[test]
fn whoever_gives_up_takes_nobodys_place_along() {
    // Those of one key wait for its place, or, where it has more, for one of all.
    for (key, per_key) in [(None, 1), (Some(1), 1), (Some(1), 4)] {
        shuttle::check_random(
            move || {
                let (places, inside) = (places(1, per_key), Arc::new(Inside { now: AtomicUsize::new(0), most: 1 }));
                let stay = |_| {
                    let (places, inside) = (Arc::clone(&places), Arc::clone(&inside));
                    thread::spawn(move || visit(&places, key, &inside))
                };
                let leave = |polls| {
                    let places = Arc::clone(&places);
                    thread::spawn(move || {
                        let mut permit = Permit::new(&places, key, true).expect("there is room to wait");
                        for _ in 0..polls {
                            let _ = permit.poll(Waker::noop());
                            thread::yield_now();
                        }
                    })
                };
                let mut threads: Vec<_> = (0..2).map(stay).collect();
                threads.extend((0..2).map(leave));
                join(threads);
                assert_empty(&places);
            },
            SCHEDULES,
        );
    }
}

#[test]
fn a_bound_that_moves_wakes_those_that_have_room_now() {
    shuttle::check_random(
        || {
            let (places, inside) = (places(1, 1), Arc::new(Inside { now: AtomicUsize::new(0), most: 3 }));
            let spawn = |key| {
                let (places, inside) = (Arc::clone(&places), Arc::clone(&inside));
                thread::spawn(move || visit(&places, key, &inside))
            };
            let mut threads: Vec<_> = [None, Some(1), Some(1)].map(spawn).into();
            let moved = Arc::clone(&places);
            threads.push(thread::spawn(move || {
                moved.set_max_concurrent(3);
                moved.set_max_concurrent_per_key(2);
                moved.set_max_concurrent(1);
            }));
            join(threads);
            assert_empty(&places);
        },
        SCHEDULES,
    );
}

/// Without a queue: as many as there are places, whoever comes first.
#[test]
fn without_waiting_exactly_as_many_as_there_are_places() {
    shuttle::check_random(
        || {
            let (places, admitted) = (places(2, 2), Arc::new(AtomicUsize::new(0)));
            let spawn = |_| {
                let (places, admitted) = (Arc::clone(&places), Arc::clone(&admitted));
                thread::spawn(move || {
                    if let Ok(permit) = Permit::new(&places, None, false) {
                        admitted.fetch_add(1, Ordering::SeqCst);
                        // It is in flight until the test ends.
                        std::mem::forget(permit);
                    }
                })
            };
            join((0..4).map(spawn).collect());
            assert_eq!((admitted.load(Ordering::SeqCst), places.in_flight()), (2, 2));
        },
        SCHEDULES,
    );
}

#[test]
fn a_limit_that_finds_itself_is_never_exceeded_and_always_given_back() {
    shuttle::check_random(
        || {
            let range = Range { min: 1, initial: 2, max: 3 };
            let algorithm = Algorithm::Aimd(Aimd { latency_limit: 1e9 });
            let state = Arc::new(State::new(algorithm, range, 1, Instant::now()));
            let inside = Arc::new(Inside { now: AtomicUsize::new(0), most: 3 });
            let spawn = |outcome| {
                let (state, inside) = (Arc::clone(&state), Arc::clone(&inside));
                thread::spawn(move || {
                    for time in 1..12 {
                        if let Some(in_flight) = state.enter(Criticality::CriticalPlus) {
                            inside.visit();
                            state.leave();
                            state.record(&Sample { started: time, answered: time, in_flight, outcome }, time * 10);
                        }
                        assert!((1..=3).contains(&state.limit()));
                    }
                })
            };
            join([Outcome::Answered, Outcome::Overloaded, Outcome::Answered].map(spawn).into());
            assert_eq!(state.in_flight(), 0);
        },
        SCHEDULES,
    );
}

/// Of a floor, and of a share of requests that come meanwhile.
#[test]
fn no_more_is_tried_again_than_the_budget_has() {
    for (percent, floor, requests, most) in [(0, 2, 0, 2), (50, 1, 4, 3)] {
        shuttle::check_random(
            move || {
                let (budget, taken) = (Arc::new(Budget::new(percent, floor)), Arc::new(AtomicUsize::new(0)));
                let ask = Arc::clone(&budget);
                let mut threads = vec![thread::spawn(move || (0..requests).for_each(|_| ask.request(7)))];
                threads.extend((0..2).map(|_| {
                    let (budget, taken) = (Arc::clone(&budget), Arc::clone(&taken));
                    thread::spawn(move || {
                        let took = (0..3).filter(|_| budget.take_retry(7)).count();
                        taken.fetch_add(took, Ordering::SeqCst);
                    })
                }));
                join(threads);
                let taken = taken.load(Ordering::SeqCst) as u64;
                assert_eq!(budget.recent(7), Recent { requests, retries: taken });
                assert!(taken <= most && taken + budget.left(7) == most, "{taken}");
            },
            SCHEDULES,
        );
    }
}

/// A second begins while others still count in the one that had its place, ten seconds before.
#[test]
fn what_is_counted_now_survives_who_comes_late() {
    shuttle::check_random(
        || {
            let budget = Arc::new(Budget::new(0, 3));
            let count = |second| {
                let budget = Arc::clone(&budget);
                thread::spawn(move || {
                    budget.request(second);
                    budget.take_retry(second);
                })
            };
            join([5, 15, 15, 25, 25].map(count).into());
            assert_eq!((budget.recent(25), budget.left(25)), (Recent { requests: 2, retries: 2 }, 1));
        },
        SCHEDULES,
    );
}
