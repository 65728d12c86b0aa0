//! Waiting instead of refusing.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_rampart::key::{ClientIp, GlobalKey};
use tower_rampart::rate_limit::{Policy, RateLimit, RateLimitHandle, ThrottleService};
use tower_rampart::{Clock, ClockHand};

use crate::support::{Answer, call, field, from, get, per, secs};

type Handler = tower::util::BoxCloneService<Request<()>, Response<Full<Bytes>>, Infallible>;

struct Paced {
    service: ThrottleService<Handler>,
    hand: ClockHand,
    handle: RateLimitHandle,
    /// The paths that the handler saw, in order.
    seen: Arc<Mutex<Vec<String>>>,
}

fn paced(limit: RateLimit) -> Paced {
    let (clock, hand) = Clock::manual();
    let layer = limit.with_clock(clock).build_throttle().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let handler = service_fn(move |request: Request<()>| {
        log.lock().unwrap().push(request.uri().path().to_owned());
        async { Ok::<_, Infallible>(Response::new(Full::default())) }
    });
    Paced { service: layer.layer(Handler::new(handler)), hand, handle: layer.handle(), seen }
}

/// One a second, three at once, and up to five seconds of waiting.
fn one_a_second() -> Policy {
    Policy::new("paced", per(60, 60).burst(3)).key(GlobalKey).max_wait(secs(5))
}

type Calls<F> = Vec<std::pin::Pin<Box<F>>>;

impl Paced {
    fn start(&mut self, path: &str) -> std::pin::Pin<Box<<ThrottleService<Handler> as Service<Request<()>>>::Future>> {
        Box::pin(call(&mut self.service, get(path)))
    }
}

fn done<F: Future<Output = Result<Answer, Infallible>>>(calls: &mut Calls<F>) -> Vec<Option<u16>> {
    calls.iter_mut().map(|call| call.now_or_never().map(|answer| answer.unwrap().status().as_u16())).collect()
}

#[test]
fn the_burst_is_free_and_then_everybody_has_a_turn() {
    let mut paced = paced(RateLimit::new().add_policy(one_a_second()));
    let mut calls: Vec<_> = (0..10).map(|n| paced.start(&format!("/{n}"))).collect();
    // Three at once, five that wait, and two for whom it would take too long.
    assert_eq!(done(&mut calls), [Some(200), Some(200), Some(200), None, None, None, None, None, Some(429), Some(429)]);
    assert_eq!(paced.handle.waiting(), 5);
    let mut waiting: Vec<_> = calls.drain(3..8).collect();
    for second in 1..=5 {
        paced.hand.advance(Duration::from_millis(999));
        assert_eq!(done(&mut waiting), vec![None; 6 - second]);
        paced.hand.advance(Duration::from_millis(1));
        assert_eq!(done(&mut waiting)[0], Some(200));
        waiting.remove(0);
    }
    assert_eq!(*paced.seen.lock().unwrap(), (0..8).map(|n| format!("/{n}")).collect::<Vec<_>>());
    assert_eq!(paced.handle.waiting(), 0);
}

#[test]
fn whoever_waits_is_woken_when_its_time_comes() {
    #[derive(Default)]
    struct Bell(AtomicUsize);
    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let mut paced = paced(RateLimit::new().add_policy(one_a_second()));
    let mut calls: Vec<_> = (0..4).map(|_| paced.start("/")).collect();
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    assert!(calls[3].as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    paced.hand.advance(Duration::from_millis(500));
    assert_eq!(bell.0.load(Ordering::Relaxed), 0);
    paced.hand.advance(Duration::from_millis(500));
    assert_eq!(bell.0.load(Ordering::Relaxed), 1);
    assert!(matches!(calls[3].as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(Ok(_))));
}

#[test]
fn the_last_in_the_queue_gives_its_turn_back_when_it_leaves() {
    let mut paced = paced(RateLimit::new().add_policy(one_a_second()));
    let mut calls: Vec<_> = (0..8).map(|_| paced.start("/")).collect();
    done(&mut calls);
    // The queue is full.
    assert_eq!(done(&mut vec![paced.start("/")]), [Some(429)]);
    drop(calls.pop());
    let mut next = vec![paced.start("/next")];
    assert_eq!(done(&mut next), [None]);
    assert_eq!(paced.handle.waiting(), 5);
    // One in the middle leaves: the turns of those behind it are told already.
    drop(calls.remove(4));
    assert_eq!(done(&mut vec![paced.start("/")]), [Some(429)]);
    paced.hand.advance(secs(5));
    assert_eq!(done(&mut next), [Some(200)]);
}

#[test]
fn nobody_waits_in_another_keys_queue() {
    let policy = Policy::new("paced", per(60, 60).burst(1)).key(ClientIp::new()).max_wait(secs(5));
    let mut paced = paced(RateLimit::new().add_policy(policy));
    let mut calls: Vec<_> = (0..5).map(|_| Box::pin(call(&mut paced.service, from("10.0.0.1")))).collect();
    assert_eq!(done(&mut calls).iter().flatten().count(), 1);
    assert_eq!(done(&mut vec![Box::pin(call(&mut paced.service, from("10.0.0.2")))]), [Some(200)]);
}

#[test]
fn so_many_wait_in_all_and_no_more() {
    let mut paced = paced(RateLimit::new().add_policy(one_a_second()).max_waiting(2));
    let mut calls: Vec<_> = (0..5).map(|_| paced.start("/")).collect();
    assert_eq!(done(&mut calls[..3].iter_mut().map(|_| paced.start("/")).collect()), [Some(503), Some(503), Some(503)]);
    let mut refused = paced.start("/");
    let answer = (&mut refused).now_or_never().unwrap().unwrap();
    assert_eq!((answer.status().as_u16(), field(&answer, "retry-after").as_str()), (503, "3"));
    drop(calls.pop());
    assert_eq!(done(&mut vec![paced.start("/")]), [None]);
    // What was refused took no turn.
    paced.hand.advance(secs(1));
    assert_eq!(done(&mut vec![calls.remove(3)]), [Some(200)]);
}

#[test]
fn others_that_do_not_wait_are_asked_first() {
    let strict = Policy::new("strict", per(4, 60).fixed_window()).key(GlobalKey);
    let mut paced = paced(RateLimit::new().add_policy(one_a_second()).add_policy(strict));
    let mut calls: Vec<_> = (0..6).map(|_| paced.start("/")).collect();
    assert_eq!(done(&mut calls), [Some(200), Some(200), Some(200), None, Some(429), Some(429)]);
    // Who leaves while waiting has not been there.
    drop(calls);
    assert_eq!(paced.handle.waiting(), 0);
    paced.hand.advance(secs(3));
    assert_eq!(done(&mut vec![paced.start("/"), paced.start("/")]), [Some(200), Some(429)]);
}

#[tokio::test(start_paused = true)]
async fn on_a_runtime_its_timers_are_used() {
    let policy = Policy::new("paced", per(10, 1).burst(1)).key(GlobalKey).max_wait(secs(60));
    let layer = RateLimit::new().add_policy(policy).build_throttle().unwrap();
    let handler = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
    let mut service = layer.layer(handler);
    let started = tokio::time::Instant::now();
    let calls: Vec<_> = (0..50).map(|_| call(&mut service, get("/"))).collect();
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
    assert!(started.elapsed() >= Duration::from_millis(4800), "{:?}", started.elapsed());
}

#[test]
fn outside_of_a_runtime_nobody_waits() {
    let policy = Policy::new("paced", per(10, 1).burst(1)).key(GlobalKey).max_wait(secs(60));
    let layer = RateLimit::new().add_policy(policy).build_throttle().unwrap();
    let handler = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
    let mut service = layer.layer(handler);
    let mut calls: Vec<_> = (0..2).map(|_| Box::pin(call(&mut service, get("/")))).collect();
    assert_eq!(done(&mut calls), [Some(200), Some(503)]);
}

/// A service that says once that it is ready, and keeps a place while it does.
#[derive(Debug)]
struct Holding {
    places: Arc<AtomicUsize>,
    held: bool,
}

impl Clone for Holding {
    fn clone(&self) -> Self {
        Self { places: Arc::clone(&self.places), held: false }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        if self.held {
            self.places.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Service<Request<()>> for Holding {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if !self.held {
            self.places.fetch_sub(1, Ordering::Relaxed);
            self.held = true;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(std::mem::take(&mut self.held), "called without being ready");
        self.places.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(Response::default()))
    }
}

#[test]
fn whoever_waits_holds_no_readiness() {
    let (clock, hand) = Clock::manual();
    let layer = RateLimit::new().add_policy(one_a_second()).with_clock(clock).build_throttle().unwrap();
    let places = Arc::new(AtomicUsize::new(100));
    let mut service = layer.layer(Holding { places: Arc::clone(&places), held: false });
    let mut calls: Vec<_> = (0..8).map(|_| Box::pin(call(&mut service, get("/")))).collect();
    done(&mut calls[3..].iter_mut().map(|call| Box::pin(call.as_mut())).collect());
    // Only the service itself, which was asked last and not called.
    assert_eq!(places.load(Ordering::Relaxed), 99);
    hand.advance(secs(5));
    assert_eq!(done(&mut calls.drain(3..).collect()), [Some(200); 5]);
    drop(service);
    assert_eq!(places.load(Ordering::Relaxed), 100);
}
