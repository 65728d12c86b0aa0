use proptest::prelude::*;

use super::ratio::{Answer, BUCKETS, Ratio};

const SECOND: u64 = 1_000_000_000;
const WINDOW: u64 = 120 * SECOND;

/// Every request with its time, and the formula as the book has it.
#[derive(Default)]
struct Naive {
    /// When it was made, whether it was admitted, and what became of it.
    requests: Vec<(u64, bool, Answer)>,
}

impl Naive {
    fn counts(&self, now: u64) -> (u64, u64) {
        // The window moves on by whole buckets.
        let bucket = WINDOW / BUCKETS as u64;
        let within = |made: u64| now / bucket - made / bucket < BUCKETS as u64;
        let counted = self.requests.iter().filter(|(made, _, answer)| within(*made) && *answer != Answer::Unknown);
        let accepted = counted.clone().filter(|(_, admitted, answer)| *admitted && *answer == Answer::Accepted);
        (counted.count() as u64, accepted.count() as u64)
    }

    fn probability(&self, now: u64, k: f64) -> f64 {
        let (requests, accepts) = self.counts(now);
        f64::max(0.0, (requests as f64 - k * accepts as f64) / (requests as f64 + 1.0))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn it_is_the_formula_of_the_book(
        k in 1.0..4.0_f64,
        steps in prop::collection::vec((0_u64..30, 0.0..1.0_f64, 0_u8..4, any::<usize>()), 0..400),
    ) {
        let (mut real, mut naive) = (Ratio::new(k, 1.0, WINDOW), Naive::default());
        let mut under_way = Vec::new();
        let mut now = 0;
        for (pause, draw, what, which) in steps {
            now += pause * SECOND / 4;
            if what == 0 && !under_way.is_empty() {
                let (epoch, number): (_, usize) = under_way.swap_remove(which % under_way.len());
                let answer = [Answer::Accepted, Answer::Rejected, Answer::Rejected, Answer::Unknown][which % 4];
                real.settle(now, epoch, answer);
                naive.requests[number].2 = answer;
            } else {
                let probability = naive.probability(now, k);
                prop_assert!((real.probability(now) - probability).abs() < 1e-12);
                let admitted = real.admit(now, draw);
                prop_assert_eq!(admitted.is_some(), draw >= probability);
                // What is under way counts as accepted.
                naive.requests.push((now, admitted.is_some(), Answer::Accepted));
                if let Some(epoch) = admitted {
                    under_way.push((epoch, naive.requests.len() - 1));
                }
            }
            prop_assert_eq!(real.counts(now), naive.counts(now));
        }
    }
}

/// go-zero 5011: counted at its end, a request is missed for as long as it runs.
#[test]
fn refusals_count_at_once_and_calls_under_way_throttle_nobody() {
    let mut ratio = Ratio::new(2.0, 1.0, WINDOW);
    let calls: Vec<_> = (0..100).map(|_| ratio.admit(0, 0.0).expect("nothing is known against it")).collect();
    assert_eq!((ratio.counts(0), ratio.probability(0)), ((100, 100), 0.0));
    for call in calls {
        ratio.settle(SECOND, call, Answer::Rejected);
    }
    assert_eq!(ratio.probability(SECOND), 100.0 / 101.0);
    assert!(ratio.admit(SECOND, 0.5).is_none());
    assert_eq!(ratio.counts(SECOND), (101, 0));
    // And they are forgotten.
    assert_eq!(ratio.probability(WINDOW + 10 * SECOND), 0.0);
}

#[test]
fn the_bound_leaves_room_to_see_that_it_is_over() {
    let mut ratio = Ratio::new(2.0, 0.95, WINDOW);
    for _ in 0..1000 {
        if let Some(call) = ratio.admit(0, 0.99) {
            ratio.settle(0, call, Answer::Rejected);
        }
    }
    assert_eq!(ratio.probability(0), 0.95);
}
