//! Counts that several limiters share.

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use proptest::prelude::*;
use tower::{Layer, ServiceExt as _, service_fn};
use tower_rampart::key::GlobalKey;
use tower_rampart::rate_limit::{
    Answer as Said, Ask, MemoryStore, Mode, OnStoreFailure, Policy, RateLimit, RateLimitHandle, Settlement,
    SharedCounts, Store, StoreError, StoreFuture, ThrottleLayer, testing,
};
use tower_rampart::{Clock, ClockHand};

use super::support::{Answer, Fixture, field, from, per, secs};

#[tokio::test]
async fn the_memory_store_keeps_what_it_promises() {
    let (clock, hand) = Clock::manual();
    let store = MemoryStore::new().with_clock(clock);
    testing::check_store(&store, "run", async |time| hand.advance(time)).await.unwrap();
}

/// A store that breaks one promise, by what it makes of an ask.
struct Broken(MemoryStore, fn(&mut Ask));

impl Store for Broken {
    fn take<'a>(&'a self, asks: &'a [Ask]) -> StoreFuture<'a, Vec<Said>> {
        Box::pin(async {
            let mut asks = asks.to_vec();
            asks.iter_mut().for_each(self.1);
            self.0.take(&asks).await
        })
    }

    fn settle<'a>(&'a self, settlement: &'a Settlement) -> StoreFuture<'a, ()> {
        self.0.settle(settlement)
    }
}

/// A suite that passes everything proves nothing.
#[tokio::test]
async fn the_suite_finds_what_is_broken() {
    let breaks: [fn(&mut Ask); 7] = [
        |ask| ask.cost = 0,
        |ask| ask.cost = 1,
        |ask| ask.policy = "one for all".into(),
        |ask| ask.key = Arc::from(*b"one for all"),
        |ask| ask.is_enforced = true,
        |ask| ask.keep_back = Duration::ZERO,
        |ask| ask.block_for = Duration::ZERO,
    ];
    for (number, broken) in breaks.into_iter().enumerate() {
        let (clock, hand) = Clock::manual();
        let store = Broken(MemoryStore::new().with_clock(clock), broken);
        let found = testing::check_store(&store, "run", async |time| hand.advance(time)).await;
        assert!(found.is_err(), "fault {number} goes unseen");
    }
}

/// Counts what it is asked, and fails or hangs when it is told to.
struct Watched {
    store: MemoryStore,
    asked: AtomicUsize,
    fails: AtomicBool,
    hangs: AtomicBool,
}

impl Store for Watched {
    fn take<'a>(&'a self, asks: &'a [Ask]) -> StoreFuture<'a, Vec<Said>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.hangs.load(Ordering::Relaxed) {
            return Box::pin(pending());
        }
        if self.fails.load(Ordering::Relaxed) {
            return Box::pin(async { Err(StoreError::new("it was told to")) });
        }
        self.store.take(asks)
    }

    fn settle<'a>(&'a self, settlement: &'a Settlement) -> StoreFuture<'a, ()> {
        self.store.settle(settlement)
    }
}

/// Limiters that share a store, on a clock that the test moves.
struct Shared {
    store: Arc<Watched>,
    clock: Clock,
    hand: ClockHand,
}

impl Shared {
    fn new() -> Self {
        let (clock, hand) = Clock::manual();
        let store = MemoryStore::new().with_clock(clock.clone());
        let store = Arc::new(Watched { store, asked: 0.into(), fails: false.into(), hangs: false.into() });
        Self { store, clock, hand }
    }

    fn counts(&self) -> SharedCounts {
        SharedCounts::new(self.store.clone())
    }

    fn instance(&self, policies: impl IntoIterator<Item = Policy>) -> Instance {
        self.instance_of(policies, self.counts())
    }

    fn instance_of(&self, policies: impl IntoIterator<Item = Policy>, counts: SharedCounts) -> Instance {
        let limit = policies.into_iter().fold(RateLimit::new(), RateLimit::add_policy);
        let layer = limit.with_clock(self.clock.clone()).shared_counts(counts).build_throttle().unwrap();
        Instance { handle: layer.handle(), layer }
    }

    fn asked(&self) -> usize {
        self.store.asked.load(Ordering::Relaxed)
    }

    fn set_fails(&self, fails: bool) {
        self.store.fails.store(fails, Ordering::Relaxed);
    }
}

struct Instance {
    layer: ThrottleLayer,
    handle: RateLimitHandle,
}

impl Instance {
    fn call(&self, client: &str, status: StatusCode) -> impl Future<Output = Answer> {
        let service = self.layer.layer(service_fn(move |_: Request<()>| async move {
            let mut response = Response::<Full<Bytes>>::default();
            *response.status_mut() = status;
            Ok::<_, Infallible>(response)
        }));
        service.oneshot(from(client)).map(Result::unwrap)
    }

    fn send(&self) -> Answer {
        self.call("192.0.2.1", StatusCode::OK).now_or_never().expect("the store answers at once")
    }

    fn status(&self) -> u16 {
        self.send().status().as_u16()
    }

    fn admitted(&self, tries: usize) -> usize {
        (0..tries).filter(|_| self.status() == 200).count()
    }
}

fn policy(limit: u32, seconds: u64) -> Policy {
    // A small table, since there are many.
    Policy::new("default", per(limit, seconds)).key(GlobalKey).max_keys(1000)
}

#[test]
fn two_count_as_one_and_ask_once_for_each_that_is_admitted() {
    let shared = Shared::new();
    let (one, other) = (shared.instance([policy(10, 60)]), shared.instance([policy(10, 60)]));
    assert_eq!((one.admitted(4), other.admitted(20)), (4, 6));
    assert_eq!(shared.asked(), 10, "one for each that is admitted, and the last answer says that it was the last");
    assert_eq!(one.admitted(20), 0);
    assert_eq!(shared.asked(), 11, "who has heard nothing of it asks once");
    // What is known is known until its time has come, and not for longer.
    shared.hand.advance(Duration::from_millis(5_999));
    assert_eq!((one.admitted(5), other.admitted(5)), (0, 0));
    assert_eq!(shared.asked(), 11);
    shared.hand.advance(Duration::from_millis(1));
    assert_eq!((one.admitted(5), other.admitted(5)), (1, 0));
}

#[test]
fn a_layer_that_cannot_wait_takes_no_store() {
    let error = RateLimit::new().add_policy(policy(1, 1)).shared_counts(Shared::new().counts()).build().unwrap_err();
    assert_eq!(error.setting(), "rate limit.shared_counts");
}

#[test]
fn several_policies_are_one_question() {
    let shared = Shared::new();
    let policies = || [policy(10, 60), Policy::new("narrow", per(2, 60)).key(GlobalKey)];
    let (one, other) = (shared.instance(policies()), shared.instance(policies()));
    assert_eq!((one.admitted(1), other.admitted(5)), (1, 1));
    assert_eq!(shared.asked(), 2);
    let refused = one.send();
    assert_eq!(field(&refused, "ratelimit-policy"), "\"default\";q=10;w=60, \"narrow\";q=2;w=60");
    assert!(field(&refused, "ratelimit").starts_with("\"narrow\";r=0"));
    // A refusal has charged neither.
    shared.hand.advance(secs(60));
    assert_eq!(field(&one.send(), "ratelimit"), "\"narrow\";r=1;t=30");
}

#[test]
fn what_never_fits_is_not_asked_for() {
    let shared = Shared::new();
    let instance = shared.instance([policy(10, 60).cost(|_| 11)]);
    let refused = instance.send();
    assert_eq!((refused.status().as_u16(), refused.headers().get("retry-after")), (429, None));
    assert_eq!(shared.asked(), 0);
}

#[test]
fn places_in_flight_are_given_back_by_refusals_and_by_those_who_leave() {
    let shared = Shared::new();
    let places = Policy::concurrent("places", 1).key(GlobalKey);
    let instance = shared.instance([policy(1, 60), places]);
    assert_eq!(instance.status(), 200);
    // Refused by the store, and then by what is known of it.
    assert_eq!((instance.status(), instance.status()), (429, 429));
    shared.hand.advance(secs(60));
    shared.store.hangs.store(true, Ordering::Relaxed);
    {
        let mut waiting = pin!(instance.call("192.0.2.1", StatusCode::OK));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(instance.handle.snapshot("places").map(|policy| policy.keys), Some(1));
    }
    assert_eq!(instance.handle.snapshot("places").map(|policy| policy.keys), Some(0));
    shared.store.hangs.store(false, Ordering::Relaxed);
    let running = instance.send();
    assert_eq!(running.status(), 200);
    assert_eq!(instance.handle.snapshot("places").map(|policy| policy.keys), Some(1), "held until the body has ended");
    drop(running);
    assert_eq!(instance.handle.snapshot("places").map(|policy| policy.keys), Some(0));
}

#[test]
fn shadows_refuse_nobody() {
    let shared = Shared::new();
    let shadow = || Policy::new("shadow", per(1, 60)).key(GlobalKey).mode(Mode::Shadow);
    let (one, other) = (shared.instance([policy(10, 60), shadow()]), shared.instance([policy(10, 60), shadow()]));
    assert_eq!((one.admitted(1), other.admitted(2)), (1, 2));
    assert_eq!(
        (
            one.handle.snapshot("shadow").map(|policy| policy.shadowed),
            other.handle.snapshot("shadow").map(|policy| policy.shadowed)
        ),
        (Some(0), Some(2))
    );
}

#[test]
fn turns_are_waited_for_in_one_queue() {
    let shared = Shared::new();
    let paced = || policy(1, 10).max_wait(secs(25));
    let (one, other) = (shared.instance([paced()]), shared.instance([paced()]));
    assert_eq!(one.status(), 200);
    let mut second = pin!(one.call("192.0.2.1", StatusCode::OK));
    let mut third = pin!(other.call("192.0.2.1", StatusCode::OK));
    let mut noop = Context::from_waker(Waker::noop());
    assert!(second.as_mut().poll(&mut noop).is_pending() && third.as_mut().poll(&mut noop).is_pending());
    assert_eq!(other.status(), 429, "it would wait for 30 s");
    shared.hand.advance(secs(10));
    assert!(third.as_mut().poll(&mut noop).is_pending());
    assert!(matches!(second.as_mut().poll(&mut noop), Poll::Ready(answer) if answer.status() == 200));
    shared.hand.advance(secs(10));
    assert!(matches!(third.as_mut().poll(&mut noop), Poll::Ready(answer) if answer.status() == 200));
}

#[tokio::test]
async fn charges_are_settled_for_all() {
    let shared = Shared::new();
    let failures = || policy(2, 60).count_statuses([http::StatusCode::UNAUTHORIZED]);
    let (one, other) = (shared.instance([failures()]), shared.instance([failures()]));
    for _ in 0..10 {
        let answer = one.call("192.0.2.1", StatusCode::OK).await;
        assert_eq!((answer.status().as_u16(), field(&answer, "ratelimit").as_str()), (200, "\"default\";r=2"));
        // The store is told by a task of its own.
        tokio::task::yield_now().await;
    }
    for _ in 0..2 {
        assert_eq!(other.call("192.0.2.1", StatusCode::UNAUTHORIZED).await.status(), 401);
        tokio::task::yield_now().await;
    }
    assert_eq!(one.call("192.0.2.1", StatusCode::UNAUTHORIZED).await.status(), 429);
}

#[test]
fn a_changed_quota_counts_from_then_on() {
    let shared = Shared::new();
    let instance = shared.instance([policy(10, 60)]);
    assert_eq!(instance.admitted(20), 10);
    instance.handle.set_quota("default", per(2, 60)).unwrap();
    let refused = instance.send();
    assert_eq!(field(&refused, "ratelimit-policy"), "\"default\";q=2;w=60");
    shared.hand.advance(secs(60));
    assert_eq!(instance.admitted(20), 2);
}

#[test]
fn while_the_store_fails_each_counts_by_its_share() {
    let shared = Shared::new();
    let instances = std::num::NonZeroU32::new(4).unwrap();
    let counts = || shared.counts().on_failure(OnStoreFailure::Local { instances });
    let instance = shared.instance_of([policy(100, 60)], counts());
    assert_eq!(instance.admitted(40), 40);
    shared.set_fails(true);
    // Forty of a hundred are used, and so are ten of 25.
    let answer = instance.send();
    assert_eq!(field(&answer, "ratelimit-policy"), "\"default\";q=25;w=60");
    assert_eq!(field(&answer, "ratelimit"), "\"default\";r=14;t=3");
    assert_eq!(instance.admitted(50), 14);
    shared.hand.advance(Duration::from_millis(2400));
    assert_eq!(instance.admitted(50), 1);
    shared.set_fails(false);
    // What was counted alone is not held against anybody.
    assert_eq!(instance.admitted(200), 64);
}

#[test]
fn a_window_is_shared_while_the_store_fails_too() {
    let shared = Shared::new();
    let window = Policy::new("default", per(100, 60).fixed_window()).key(GlobalKey);
    let instance = shared.instance([window]);
    shared.set_fails(true);
    assert_eq!(instance.admitted(200), 50);
}

#[test]
fn a_failing_store_lets_through_or_refuses_when_told_so() {
    let shared = Shared::new();
    shared.set_fails(true);
    let open = shared.instance_of([policy(1, 60)], shared.counts().on_failure(OnStoreFailure::Open));
    assert_eq!(open.admitted(10), 10);
    assert_eq!(field(&open.send(), "ratelimit"), "");
    let places = Policy::concurrent("places", 1).key(GlobalKey);
    let closed = shared.instance_of([policy(1, 60), places], shared.counts().on_failure(OnStoreFailure::Closed));
    let refused = closed.send();
    assert_eq!((refused.status().as_u16(), field(&refused, "retry-after").as_str()), (503, "1"));
    assert_eq!(closed.handle.snapshot("places").map(|policy| policy.keys), Some(0));
}

#[test]
fn leases_ask_seldom_and_admit_no_more() {
    let shared = Shared::new();
    let leased = || shared.instance_of([policy(1000, 3600)], shared.counts().leased(true));
    let instances = [leased(), leased(), leased()];
    let count: usize = (0..3000).map(|turn| instances[turn % 3].admitted(1)).sum();
    assert_eq!(count, 999, "a second's worth is kept back, which is less than a token");
    assert!(shared.asked() < 150, "{} questions", shared.asked());
    // A lease that is not used up is lost, and the others go on without it.
    shared.hand.advance(secs(3600));
    let first = instances[0].admitted(100);
    shared.hand.advance(secs(2));
    let rest = instances[1].admitted(2000);
    assert!(first == 100 && (750..900).contains(&rest), "{rest}");
}

/// An answer that never comes is no reason to wait for it.
#[test]
fn leases_go_on_when_the_store_does() {
    for on_failure in [OnStoreFailure::default(), OnStoreFailure::Open, OnStoreFailure::Closed] {
        let shared = Shared::new();
        let instance = shared.instance_of([policy(1000, 3600)], shared.counts().leased(true).on_failure(on_failure));
        assert_eq!(instance.admitted(100), 100);
        shared.set_fails(true);
        shared.hand.advance(secs(2));
        let unshared = instance.admitted(10);
        assert_eq!(unshared, if on_failure == OnStoreFailure::Closed { 0 } else { 10 });
        shared.set_fails(false);
        let before = shared.asked();
        assert_eq!(instance.admitted(100), 100, "{on_failure:?}");
        assert!(shared.asked() > before);
    }
}

#[tokio::test]
async fn one_asks_for_all_who_wait() {
    let shared = Shared::new();
    let instance = shared.instance_of([policy(1000, 3600)], shared.counts().leased(true));
    shared.store.hangs.store(true, Ordering::Relaxed);
    let mut calls: Vec<_> = (0..10).map(|_| Box::pin(instance.call("192.0.2.1", StatusCode::OK))).collect();
    poll_fn(|cx| {
        calls.iter_mut().for_each(|call| assert!(call.as_mut().poll(cx).is_pending()));
        Poll::Ready(())
    })
    .await;
    assert_eq!(shared.asked(), 1);
    // Who asked leaves, and another asks in its stead.
    shared.store.hangs.store(false, Ordering::Relaxed);
    drop(calls.remove(0));
    for call in calls {
        assert_eq!(call.await.status(), 200);
    }
    assert!(shared.asked() < 9, "{} questions", shared.asked());
}

/// Who asked is there and goes on no more, as a client's body that nobody reads any further.
#[tokio::test]
async fn who_asks_and_goes_on_no_more_is_not_waited_for() {
    let shared = Shared::new();
    let instance = shared.instance_of([policy(1000, 3600)], shared.counts().leased(true));
    let first = instance.call("192.0.2.1", StatusCode::OK);
    let mut first = pin!(first);
    shared.store.hangs.store(true, Ordering::Relaxed);
    assert!(first.as_mut().now_or_never().is_none());
    shared.store.hangs.store(false, Ordering::Relaxed);
    let mut others: Vec<_> = (0..3).map(|_| Box::pin(instance.call("192.0.2.1", StatusCode::OK))).collect();
    for other in &mut others {
        assert!(other.as_mut().now_or_never().is_none(), "it waits for the first one's answer");
    }
    shared.hand.advance(Duration::from_secs(1));
    for other in others {
        assert_eq!(other.now_or_never().expect("one of them asks for all").status(), 200);
    }
    assert_eq!(instance.call("192.0.2.1", StatusCode::OK).now_or_never().unwrap().status(), 200, "nor by those after");
}

#[derive(Debug, Clone)]
struct Step {
    wait_ms: u64,
    instance: usize,
    requests: usize,
}

fn steps(instances: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = (prop_oneof![3 => Just(0), 2 => 0..50_u64, 1 => 0..5000_u64], 0..instances, 1..60_usize);
    proptest::collection::vec(
        step.prop_map(|(wait_ms, instance, requests)| Step { wait_ms, instance, requests }),
        1..60,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// In no stretch of time is more admitted than a full bucket and what comes back in it (the definition of GCRA).
    #[test]
    fn leases_are_within_the_quota_at_all_times(steps in steps(5), limit in 10_u32..200, seconds in 1_u64..120) {
        let shared = Shared::new();
        let instances: Vec<_> =
            (0..5).map(|_| shared.instance_of([policy(limit, seconds)], shared.counts().leased(true))).collect();
        let mut admitted: Vec<(u64, usize)> = Vec::new();
        let mut now_ms = 0;
        for Step { wait_ms, instance, requests } in steps {
            shared.hand.advance(Duration::from_millis(wait_ms));
            now_ms += wait_ms;
            admitted.push((now_ms, instances[instance].admitted(requests)));
        }
        for (at, (from_ms, _)) in admitted.iter().enumerate() {
            let mut sum = 0;
            for (to_ms, count) in &admitted[at..] {
                sum += count;
                let back = u64::from(limit) * (to_ms - from_ms) / (seconds * 1000);
                prop_assert!(sum as u64 <= u64::from(limit) + back, "{sum} from {from_ms} to {to_ms}");
            }
        }
    }

    /// Whoever shares with nobody is counted as if it did not share.
    #[test]
    fn one_instance_counts_as_without_a_store(
        steps in steps(1), limit in 1_u32..50, interval_ms in 1_u64..2_000, window in any::<bool>(), cost in 0_u32..4,
    ) {
        // Whole microseconds for each token: stores count in them, and a nanosecond more is a second more where seconds
        // are rounded up.
        let quota = || tower_rampart::rate_limit::Quota::new(limit).per(Duration::from_millis(interval_ms * u64::from(limit)));
        let builder = || if window { quota().fixed_window() } else { quota() };
        let policy = || Policy::new("default", builder()).key(GlobalKey).cost(move |_| cost);
        let shared = Shared::new();
        let (with, without) = (shared.instance([policy()]), Fixture::policy(policy()));
        for Step { wait_ms, requests, .. } in steps {
            shared.hand.advance(Duration::from_millis(wait_ms));
            without.hand.advance(Duration::from_millis(wait_ms));
            for _ in 0..requests {
                let (with, without) = (with.send(), without.send(super::support::get("/")));
                prop_assert_eq!(with.status(), without.status());
                prop_assert_eq!(field(&with, "ratelimit"), field(&without, "ratelimit"));
                prop_assert_eq!(field(&with, "retry-after"), field(&without, "retry-after"));
            }
        }
    }
}
