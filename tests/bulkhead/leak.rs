//! tower's `ConcurrencyLimit` takes its permit in `poll_ready`: a clone that is ready and never called, or that `LoadShed`
//! has turned away while it stood in the queue, keeps capacity for as long as it lives. The same steps against theirs, to
//! show that the test would see it, and against ours.

use std::task::{Context, Poll, Waker};

use http::Request;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::{Layer, Service};
use tower_rampart::bulkhead::Bulkhead;

use crate::support::{Held, get, ms, poll};

#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Runs,
    Refused,
}

/// A is in flight, B is turned away and its service stays, as a keep-alive connection's does. A ends: what becomes of C?
fn third_call<S>(service: &S, handler: &Held, refused: impl Fn(&Poll<Result<S::Response, S::Error>>) -> bool) -> Fate
where
    S: Service<Request<()>> + Clone,
{
    let mut cx = Context::from_waker(Waker::noop());
    let mut call = |service: &mut S, path: &str| {
        assert!(service.poll_ready(&mut cx).is_ready(), "what sheds load is always ready");
        Box::pin(service.call(get(path)))
    };
    let (mut a, mut b, mut c) = (service.clone(), service.clone(), service.clone());
    let mut first = call(&mut a, "/a");
    assert!(poll(first.as_mut()).is_pending());
    let mut second = call(&mut b, "/b");
    assert!(refused(&poll(second.as_mut())), "there is one place, and it is taken");
    handler.end("/a");
    assert!(poll(first.as_mut()).is_ready());
    drop(first);
    let mut third = call(&mut c, "/c");
    let fate = if refused(&poll(third.as_mut())) { Fate::Refused } else { Fate::Runs };
    drop(b);
    fate
}

#[test]
fn towers_limit_keeps_a_place_for_a_clone_that_was_turned_away() {
    let handler = Held::default();
    let service = LoadShedLayer::new().layer(GlobalConcurrencyLimitLayer::new(1).layer(handler.clone()));
    assert_eq!(third_call(&service, &handler, |polled| matches!(polled, Poll::Ready(Err(_)))), Fate::Refused);
}

#[test]
fn ours_does_not() {
    for bulkhead in [Bulkhead::new(1), Bulkhead::new(1).queue(4, ms(0))] {
        let handler = Held::default();
        let service = bulkhead.build().unwrap().layer(handler.clone());
        let refused = |polled: &Poll<Result<http::Response<_>, _>>| matches!(polled, Poll::Ready(Ok(response)) if response.status() == 503);
        assert_eq!(third_call(&service, &handler, refused), Fate::Runs);
    }
}

/// Two clones that are ready and idle, and a limit of two: is there room for a third?
fn is_ready_beside_idle_clones<S: Service<Request<()>> + Clone>(service: &S) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    let mut idle = [service.clone(), service.clone()];
    idle.iter_mut().for_each(|clone| assert!(clone.poll_ready(&mut cx).is_ready()));
    let ready = service.clone().poll_ready(&mut cx).is_ready();
    drop(idle);
    ready
}

#[test]
fn and_idle_clones_hold_nothing() {
    let theirs = GlobalConcurrencyLimitLayer::new(2).layer(Held::default());
    assert!(!is_ready_beside_idle_clones(&theirs));
    let ours = Bulkhead::new(2).build().unwrap().layer(Held::default());
    assert!(is_ready_beside_idle_clones(&ours));
}
