//! Dropped wherever it has come to, a call leaves nothing behind and keeps nobody from going on.

use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use proptest::prelude::*;
use tower_rampart::bulkhead::Bulkhead;
use tower_rampart::key::AuthorityKey;

use crate::support::{Call, Fixture, ms, poll, status};

/// A waker that holds a call of the same bulkhead: as the last one of a task does that is given up.
struct Holding(#[allow(dead_code, reason = "it is held")] Mutex<Option<Call>>);

impl Wake for Holding {
    fn wake(self: Arc<Self>) {}
}

/// Wakers are dropped outside of all locks: what they hold may want to take them.
#[test]
fn a_waker_may_hold_another_call() {
    let mut fixture = Fixture::of(Bulkhead::new(1).queue(9, ms(100)));
    let _running = fixture.start("/running");
    let mut hold = || {
        let held = fixture.start("/held");
        Waker::from(Arc::new(Holding(Mutex::new(Some(held)))))
    };
    let (first, second, third) = (hold(), hold(), hold());
    let mut waiting = fixture.start("/waiting");
    // Each waker is replaced by the next one, which was the only one to hold it.
    for waker in [first, second, third] {
        assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    assert_eq!(fixture.counts(), (1, 2));
    drop(waiting);
    assert_eq!(fixture.counts(), (1, 0));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// A request to one of three authorities.
    Start(u8),
    /// Whichever stands there is polled, ends, or is dropped.
    Poll(usize),
    End(usize),
    Drop(usize),
    Wait(u64),
    Resize(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..3).prop_map(Step::Start),
        4 => any::<usize>().prop_map(Step::Poll),
        3 => any::<usize>().prop_map(Step::End),
        3 => any::<usize>().prop_map(Step::Drop),
        1 => (1_u64..60).prop_map(Step::Wait),
        1 => (1_usize..5).prop_map(Step::Resize),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn cancelled_anywhere_nothing_leaks(steps in prop::collection::vec(step(), 0..200)) {
        let mut fixture = Fixture::of(Bulkhead::new(3).queue(4, ms(100)).per_key(AuthorityKey, 2).max_queued_per_key(3));
        let mut calls: Vec<(String, Call)> = Vec::new();
        let mut places = 3;
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Start(host) => {
                    let call = fixture.start(&format!("http://{host}/{number}"));
                    calls.push((format!("/{number}"), call));
                }
                Step::Poll(at) if !calls.is_empty() => {
                    let at = at % calls.len();
                    if poll(calls[at].1.as_mut()).is_ready() {
                        calls.swap_remove(at);
                    }
                }
                Step::End(at) if !calls.is_empty() => {
                    let at = at % calls.len();
                    if fixture.handler.seen().contains(&calls[at].0) {
                        let (path, mut call) = calls.swap_remove(at);
                        fixture.handler.end(&path);
                        prop_assert_eq!(status(&mut call), Some(200));
                    }
                }
                Step::Drop(at) if !calls.is_empty() => {
                    let at = at % calls.len();
                    calls.swap_remove(at);
                }
                Step::Wait(time) => fixture.hand.advance(ms(time)),
                Step::Resize(to) => {
                    places = to;
                    fixture.handle.set_max_concurrent(to).unwrap();
                }
                Step::Poll(_) | Step::End(_) | Step::Drop(_) => {}
            }
            let snapshot = fixture.handle.snapshot();
            prop_assert!(snapshot.in_flight <= 4 && snapshot.queued <= 4 && snapshot.keys <= 3);
            prop_assert!(snapshot.in_flight <= calls.len() && snapshot.queued <= calls.len());
            prop_assert_eq!(snapshot.max_concurrent, places);
        }
        // Whoever is left comes to an end: nobody waits for somebody who is not there any more.
        while !calls.is_empty() {
            let before = calls.len();
            calls.retain_mut(|(_, call)| poll(call.as_mut()).is_pending());
            if let Some(at) = calls.iter().position(|(path, _)| fixture.handler.seen().contains(path)) {
                let (path, mut call) = calls.swap_remove(at);
                fixture.handler.end(&path);
                prop_assert_eq!(status(&mut call), Some(200));
            }
            prop_assert!(calls.len() < before, "{} calls wait for nobody", calls.len());
        }
        let snapshot = fixture.handle.snapshot();
        prop_assert_eq!((snapshot.in_flight, snapshot.queued, snapshot.keys), (0, 0, 0));
    }
}
