//! Sequences that must hold, letter by letter.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Barrier;
use tower_rampart::circuit_breaker::{CircuitBreakerHandle, Reason, State, Window};
use tower_rampart::classify::Verdict;
use tower_rampart::{Clock, ClockHand};

use crate::support::{manual, ms, small};

fn breaker() -> (CircuitBreakerHandle, ClockHand) {
    let (breaker, hand) = manual(small());
    (breaker.build().unwrap().handle(), hand)
}

/// Plays calls, `S` and `F`, and says which of them found it open.
fn play(breaker: &CircuitBreakerHandle, calls: &str) -> usize {
    calls
        .chars()
        .filter(|call| match breaker.admit() {
            Err(_) => true,
            Ok(permit) => {
                match call {
                    'S' => permit.success(),
                    'F' => permit.failure(),
                    'O' => permit.verdict(Verdict::Overload { retry_after: None }),
                    _ => permit.ignore(),
                }
                false
            }
        })
        .count()
}

fn state(breaker: &CircuitBreakerHandle) -> State {
    breaker.snapshot().state
}

#[test]
fn it_opens_at_the_fourth_failure() {
    let (breaker, _hand) = breaker();
    assert_eq!((play(&breaker, "FFF"), state(&breaker)), (0, State::Closed));
    assert_eq!((play(&breaker, "F"), state(&breaker)), (0, State::Open));
    assert_eq!(play(&breaker, "SSS"), 3);
}

#[test]
fn it_opens_at_a_success_that_makes_the_calls_enough() {
    let (breaker, _hand) = breaker();
    assert_eq!((play(&breaker, "FFFS"), state(&breaker)), (0, State::Open));
}

#[test]
fn in_a_time_window_too() {
    let (breaker, _hand) = manual(small().window(Window::time(ms(10_000))));
    let breaker = breaker.build().unwrap().handle();
    assert_eq!((play(&breaker, "FFFS"), state(&breaker)), (0, State::Open));
}

#[test]
fn the_fifth_failure_in_a_row_opens_after_ten_thousand_successes() {
    let (breaker, _hand) = breaker();
    assert_eq!(play(&breaker, &"S".repeat(10_000)), 0);
    assert_eq!((play(&breaker, "FFFF"), state(&breaker)), (0, State::Closed));
    assert_eq!((play(&breaker, "F"), state(&breaker)), (0, State::Open));
}

#[test]
fn a_time_window_forgets_too() {
    let (breaker, hand) = manual(small().window(Window::time(ms(10_000))));
    let breaker = breaker.build().unwrap().handle();
    play(&breaker, &"S".repeat(10_000));
    hand.advance(ms(11_000));
    assert_eq!((play(&breaker, "FFF"), state(&breaker)), (0, State::Closed));
    assert_eq!((play(&breaker, "F"), state(&breaker)), (0, State::Open));
}

/// What failed was judged among many, and is judged again among the few that are left.
#[test]
fn a_call_that_makes_them_enough_again_is_judged() {
    let (breaker, hand) = manual(small().window(Window::time(ms(2000))));
    let breaker = breaker.build().unwrap().handle();
    play(&breaker, "SSSSSS");
    hand.advance(ms(500));
    play(&breaker, "FF");
    // The successes leave.
    hand.advance(ms(1600));
    assert_eq!((play(&breaker, "S"), state(&breaker)), (0, State::Closed));
    assert_eq!((play(&breaker, "S"), state(&breaker)), (0, State::Open), "two of four failed");
}

#[test]
fn intervals_double_up_to_the_cap_and_are_forgotten_in_health() {
    let (breaker, hand) = breaker();
    play(&breaker, "FFFF");
    for interval in [1000, 2000, 4000, 8000, 8000] {
        assert_eq!(breaker.snapshot().open_for, Some(ms(interval)));
        hand.advance(ms(interval - 1));
        assert_eq!(play(&breaker, "F"), 1);
        hand.advance(ms(1));
        assert_eq!((play(&breaker, "F"), state(&breaker)), (0, State::Open));
    }
    assert_eq!(breaker.snapshot().openings_in_a_row, 6);
    hand.advance(ms(8000));
    assert_eq!((play(&breaker, "SS"), state(&breaker)), (0, State::Closed));
    // Two spans of health forget two of six openings, and this one is the fifth.
    hand.advance(ms(16_000));
    play(&breaker, "FFFF");
    assert_eq!((breaker.snapshot().openings_in_a_row, breaker.snapshot().open_for), (5, Some(ms(8000))));
    hand.advance(ms(8000));
    play(&breaker, "SS");
    hand.advance(ms(80_000));
    play(&breaker, "FFFF");
    assert_eq!((breaker.snapshot().openings_in_a_row, breaker.snapshot().open_for), (1, Some(ms(1000))));
}

/// Cells that were written before an outage are not taken for later ones after it, however long it was.
#[test]
fn no_outage_is_so_long_that_nothing_counts_afterwards() {
    for (window, probes_failed) in [(Window::time(ms(10_000)), 300), (Window::calls(10), 70_000)] {
        let (breaker, hand) = manual(small().window(window).probes(1).max_open(ms(1000)).consecutive_failures(20));
        let breaker = breaker.build().unwrap().handle();
        // Every bucket and every place was used.
        for _ in 0..30 {
            play(&breaker, "S");
            hand.advance(ms(1000));
        }
        play(&breaker, &"F".repeat(20));
        for _ in 0..probes_failed {
            hand.advance(ms(1000));
            assert_eq!((play(&breaker, "F"), state(&breaker)), (0, State::Open));
        }
        hand.advance(ms(1000));
        assert_eq!((play(&breaker, "S"), state(&breaker)), (0, State::Closed));
        assert_eq!((play(&breaker, "SSFF"), state(&breaker)), (0, State::Open), "{window:?}");
    }
}

#[test]
fn what_was_asked_for_long_ago_is_forgotten() {
    let (breaker, hand) = breaker();
    let day = Some(Duration::from_secs(86_400));
    breaker.admit().unwrap().verdict(Verdict::Overload { retry_after: day });
    // As long as it could have been open for it.
    hand.advance(ms(8000));
    play(&breaker, "FFF");
    assert_eq!(breaker.snapshot().open_for, Some(ms(1000)));
}

#[test]
fn it_closes_when_the_probes_have_succeeded_and_begins_anew() {
    let (breaker, hand) = breaker();
    play(&breaker, "FFFF");
    hand.advance(ms(1000));
    assert_eq!(state(&breaker), State::HalfOpen, "what a call would meet");
    assert_eq!((play(&breaker, "S"), state(&breaker)), (0, State::HalfOpen));
    assert_eq!((play(&breaker, "S"), state(&breaker)), (0, State::Closed));
    assert_eq!(breaker.snapshot().calls, 0);
    assert_eq!((play(&breaker, "FFF"), state(&breaker)), (0, State::Closed));
}

#[test]
fn it_reopens_as_soon_as_success_is_out_of_reach() {
    let (breaker, hand) = manual(small().probes(5).probes_needed(3));
    let breaker = breaker.build().unwrap().handle();
    play(&breaker, "FFFF");
    hand.advance(ms(1000));
    assert_eq!((play(&breaker, "FSF"), state(&breaker)), (0, State::HalfOpen));
    assert_eq!((play(&breaker, "F"), state(&breaker)), (0, State::Open));
    hand.advance(ms(2000));
    assert_eq!((play(&breaker, "FSFSS"), state(&breaker)), (0, State::Closed));
}

#[test]
fn an_overloaded_dependency_fails_probes_and_counts_in_the_rate_alone() {
    let (breaker, hand) = manual(small().consecutive_failures(2));
    let breaker = breaker.build().unwrap().handle();
    assert_eq!((play(&breaker, "OOO"), state(&breaker)), (0, State::Closed));
    assert_eq!((play(&breaker, "O"), state(&breaker)), (0, State::Open));
    hand.advance(ms(1000));
    assert_eq!((play(&breaker, "O"), state(&breaker)), (0, State::Open));
}

#[test]
fn what_the_dependency_asks_for_makes_it_longer_up_to_the_cap() {
    for (asked, open) in [(500, 1000), (5000, 5000), (600_000, 8000)] {
        let (breaker, _hand) = breaker();
        play(&breaker, "FFF");
        let wait = Some(Duration::from_millis(asked));
        breaker.admit().unwrap().verdict(Verdict::Overload { retry_after: wait });
        assert_eq!(breaker.snapshot().open_for, Some(ms(open)));
    }
}

#[test]
fn a_result_from_before_changes_nothing() {
    let (breaker, hand) = breaker();
    let stale: Vec<_> = (0..8).map(|_| breaker.admit().unwrap()).collect();
    play(&breaker, "FFFF");
    hand.advance(ms(1000));
    let probe = breaker.admit().unwrap();
    for (index, permit) in stale.into_iter().enumerate() {
        if index % 2 == 0 { permit.success() } else { permit.failure() }
    }
    assert_eq!(state(&breaker), State::HalfOpen, "the probe has not answered");
    assert_eq!(breaker.snapshot().totals.stale, 8);
    probe.success();
    assert_eq!((play(&breaker, "S"), state(&breaker)), (0, State::Closed));
}

#[test]
fn a_probe_that_hangs_frees_its_slot_and_counts() {
    let (breaker, hand) = manual(small().probes(2).probes_needed(1));
    let breaker = breaker.build().unwrap().handle();
    play(&breaker, "FFFF");
    hand.advance(ms(1000));
    let (hung, second) = (breaker.admit().unwrap(), breaker.admit().unwrap());
    hand.advance(ms(4999));
    assert!(breaker.admit().is_err() && state(&breaker) == State::HalfOpen);
    hand.advance(ms(1));
    assert!(breaker.admit().is_err());
    assert_eq!(state(&breaker), State::Open, "both hung, and one had to succeed");
    hung.success();
    second.success();
    assert_eq!(state(&breaker), State::Open, "their answers come too late");
}

#[test]
fn a_probe_that_says_nothing_gives_its_slot_back() {
    let (breaker, hand) = breaker();
    play(&breaker, "FFFF");
    hand.advance(ms(1000));
    let (left, ignored) = (breaker.admit().unwrap(), breaker.admit().unwrap());
    assert!(breaker.admit().is_err());
    drop(left);
    ignored.ignore();
    let again = (breaker.admit().unwrap(), breaker.admit().unwrap());
    assert!(breaker.admit().is_err());
    again.0.success();
    again.1.success();
    assert_eq!(state(&breaker), State::Closed);
}

#[test]
fn slow_calls_open_it_and_slow_probes_keep_it_open() {
    let (breaker, hand) = manual(small().slow_call(ms(2000)).slow_rate(0.5));
    let breaker = breaker.build().unwrap().handle();
    let call = |took| {
        let permit = breaker.admit().unwrap();
        hand.advance(ms(took));
        permit.success();
    };
    [10, 2000, 1999].into_iter().for_each(call);
    assert_eq!(state(&breaker), State::Closed);
    call(2000);
    assert_eq!(state(&breaker), State::Open);
    hand.advance(ms(1000));
    call(2500);
    assert_eq!(state(&breaker), State::Open);
}

#[test]
fn a_ramp_lets_a_growing_share_through() {
    let (breaker, hand) = manual(small().ramp_up(ms(10_000)));
    let breaker = breaker.build().unwrap().handle();
    play(&breaker, "FFFF");
    hand.advance(ms(1000));
    play(&breaker, "SS");
    assert_eq!(state(&breaker), State::RampUp);
    let mut before = 0;
    for _ in 0..4 {
        let passed = 10_000 - play(&breaker, &"S".repeat(10_000));
        assert!(passed > before + 500, "{passed} passed, {before} did before");
        before = passed;
        hand.advance(ms(2500));
    }
    assert_eq!((play(&breaker, "S"), state(&breaker)), (0, State::Closed));
}

#[test]
fn a_failure_on_the_ramp_opens_it_for_longer() {
    let (breaker, hand) = manual(small().ramp_up(ms(10_000)));
    let breaker = breaker.build().unwrap().handle();
    play(&breaker, "FFFF");
    hand.advance(ms(1000));
    play(&breaker, "SS");
    while state(&breaker) == State::RampUp {
        play(&breaker, "F");
    }
    assert_eq!((state(&breaker), breaker.snapshot().open_for), (State::Open, Some(ms(2000))));
}

#[test]
fn jitter_spreads_intervals_around_their_length() {
    let mut waits = Vec::new();
    for _ in 0..200 {
        let (breaker, _hand) = manual(small().jitter(0.2));
        let breaker = breaker.build().unwrap().handle();
        play(&breaker, "FFFF");
        waits.push(breaker.snapshot().open_for.unwrap());
    }
    assert!(waits.iter().all(|wait| (ms(800)..=ms(1200)).contains(wait)));
    assert!(waits.iter().any(|wait| *wait < ms(950)) && waits.iter().any(|wait| *wait > ms(1050)));
}

#[test]
fn changes_are_told_with_their_reason() {
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let (breaker, hand) = manual(small().consecutive_failures(3));
    let layer = breaker.on_change(move |name, change| tell.lock().unwrap().push((name.to_owned(), change))).build();
    let breaker = layer.unwrap().handle();
    play(&breaker, "FFF");
    hand.advance(ms(1000));
    play(&breaker, "FSFFSS");
    hand.advance(ms(2000));
    play(&breaker, "SS");
    let told = told.lock().unwrap();
    assert!(told.iter().all(|(name, _)| name == "test"));
    let told: Vec<_> = told.iter().map(|(_, change)| (change.from, change.to, change.reason)).collect();
    assert_eq!(
        told,
        [
            (State::Closed, State::Open, Reason::ConsecutiveFailures),
            (State::Open, State::HalfOpen, Reason::IntervalPassed),
            (State::HalfOpen, State::Open, Reason::ProbeFailed),
            (State::Open, State::HalfOpen, Reason::IntervalPassed),
            (State::HalfOpen, State::Closed, Reason::ProbesSucceeded),
        ]
    );
}

/// A thousand tasks come as the interval ends: the dependency sees two of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stampede_meets_two_probes() {
    for _ in 0..20 {
        let (clock, hand) = Clock::manual();
        let breaker = small().with_clock(clock).build().unwrap().handle();
        play(&breaker, "FFFF");
        hand.advance(ms(1000));
        let (barrier, seen) = (Arc::new(Barrier::new(1000)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..1000)
            .map(|_| {
                let (breaker, barrier, seen) = (breaker.clone(), Arc::clone(&barrier), Arc::clone(&seen));
                tokio::spawn(async move {
                    barrier.wait().await;
                    let permit = breaker.admit();
                    if permit.is_ok() {
                        seen.fetch_add(1, Ordering::SeqCst);
                    }
                    // Nobody ends before all have asked.
                    barrier.wait().await;
                    drop(permit);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(seen.load(Ordering::SeqCst), 2);
    }
}
