use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::budget::{Budget, Recent, Second, WINDOW_SECS};

/// Everything that ever happened, and when.
#[derive(Default)]
struct Naive {
    requests: Vec<u64>,
    retries: Vec<u64>,
}

impl Naive {
    fn recent(events: &[u64], second: u64) -> u64 {
        events.iter().filter(|at| **at + WINDOW_SECS > second).count() as u64
    }

    fn left(&self, percent: u32, floor: u32, second: u64) -> u64 {
        let may = Self::recent(&self.requests, second) * u64::from(percent) / 100 + u64::from(floor);
        may.saturating_sub(Self::recent(&self.retries, second))
    }
}

#[derive(Debug, Clone)]
enum Step {
    Requests(u16),
    Retry,
    Refused(u16),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (1_u16..200).prop_map(Step::Requests),
        6 => Just(Step::Retry),
        2 => (1_u16..250).prop_map(Step::Refused),
        2 => (0_u64..4).prop_map(Step::Wait),
        1 => (5_u64..25).prop_map(Step::Wait),
        1 => Just(Step::Wait(1_000_000)),
    ];
    proptest::collection::vec(step, 1..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn as_many_as_the_naive_count_says(steps in steps(), percent in 0_u32..150, floor in 0_u32..12, start in 0_u64..100) {
        let (budget, mut naive) = (Budget::new(percent, floor), Naive::default());
        let mut second = start;
        for step in steps {
            match step {
                Step::Wait(seconds) => second += seconds,
                Step::Requests(count) => {
                    for _ in 0..count {
                        budget.request(second);
                        naive.requests.push(second);
                    }
                }
                // The latest that counts.
                Step::Refused(count) => {
                    for _ in 0..count {
                        budget.take_back(second);
                        if naive.requests.last().is_some_and(|at| at + WINDOW_SECS > second) {
                            naive.requests.pop();
                        }
                    }
                }
                Step::Retry => {
                    let may = naive.left(percent, floor, second) > 0;
                    prop_assert_eq!(budget.take_retry(second), may);
                    if may {
                        naive.retries.push(second);
                    }
                }
            }
            prop_assert_eq!(budget.left(second), naive.left(percent, floor, second));
        }
    }
}

#[test]
fn ten_in_ten_seconds_in_any_case() {
    let budget = Budget::new(20, 10);
    assert!((0..10).all(|_| budget.take_retry(3)));
    assert!(!budget.take_retry(3) && !budget.take_retry(12));
    // The second in which they were taken is no longer recent.
    assert!((0..10).all(|_| budget.take_retry(13)));
    assert!(!budget.take_retry(13));
}

#[test]
fn a_share_of_recent_requests() {
    let budget = Budget::new(20, 0);
    (0..100).for_each(|_| budget.request(0));
    assert!((0..20).all(|_| budget.take_retry(1)));
    assert!(!budget.take_retry(1));
    (0..4).for_each(|_| budget.request(9));
    assert!(!budget.take_retry(9));
    budget.request(9);
    assert!(budget.take_retry(9));
    assert_eq!(budget.recent(10), Recent { requests: 5, retries: 21 });
}

#[test]
fn counts_do_not_run_over() {
    let budget = Budget::new(100, 0);
    let full = Second { round: 0, requests: Second::MOST_REQUESTS, retries: Second::MOST_RETRIES };
    assert_eq!(Second::of(full.word()), full);
    budget.seconds[0].store(full.word(), Ordering::Relaxed);
    budget.request(0);
    assert!(budget.take_retry(0));
    assert_eq!(Second::of(budget.seconds[0].load(Ordering::Relaxed)), full);
}

/// A thread that has looked at the clock and was then held up takes nothing away from those that came since.
#[test]
fn whoever_comes_late_spoils_nothing() {
    let budget = Budget::new(0, 3);
    assert!(budget.take_retry(25) && budget.take_retry(25));
    budget.request(25);
    for late in [5, 15] {
        budget.request(late);
        assert_eq!((budget.recent(25), budget.left(25)), (Recent { requests: 1, retries: 2 }, 1));
    }
}

/// Requests that were refused are no load, whoever else counts meanwhile; and none is taken back that is not there.
#[test]
fn what_is_taken_back_is_gone() {
    let budget = Budget::new(50, 0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    budget.request(19);
                    budget.take_back(20);
                }
            });
        }
    });
    budget.take_back(20);
    assert_eq!(budget.recent(20), Recent::default());
    budget.request(19);
    budget.take_back(29);
    assert_eq!(budget.recent(19).requests, 1, "it is no longer recent");
}

/// However many threads take at once, no more is taken than there is.
#[test]
fn side_by_side() {
    let budget = Budget::new(50, 3);
    let taken: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    (0..1000).for_each(|_| budget.request(7));
                    (0..2000).filter(|_| budget.take_retry(7)).count()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(budget.recent(7).requests, 4000);
    assert!(taken <= 2003);
    assert_eq!(taken as u64, budget.recent(7).retries);
}
