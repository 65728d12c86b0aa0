//! Waiting for a place.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt as _;
use tower::Layer;
use tower_rampart::Clock;
use tower_rampart::bulkhead::Bulkhead;

use crate::support::{Bell, Fixture, Held, get, ms, poll, start, status};

#[test]
fn first_come_first_served_and_no_longer_than_the_queue() {
    let mut fixture = Fixture::of(Bulkhead::new(1).queue(3, ms(100)));
    let mut calls: Vec<_> = ["/0", "/1", "/2", "/3", "/4"].iter().map(|path| fixture.start(path)).collect();
    // Polled the other way round, which changes nothing.
    assert_eq!(calls.iter_mut().rev().map(status).collect::<Vec<_>>(), [Some(503), None, None, None, None]);
    assert_eq!((fixture.counts(), fixture.handle.snapshot().refused), ((1, 3), 1));
    for served in 0..4 {
        assert_eq!(fixture.handler.seen().last().unwrap(), &format!("/{served}"));
        fixture.handler.end(&format!("/{served}"));
        assert_eq!(status(&mut calls[served]), Some(200));
        // One that comes now does not slip past those that wait.
        let mut newcomer = fixture.start("/newcomer");
        calls.iter_mut().skip(served + 1).take(3 - served.min(3)).rev().for_each(|call| assert_eq!(status(call), None));
        drop(newcomer.as_mut().now_or_never());
        drop(newcomer);
    }
    assert_eq!(fixture.counts(), (0, 0));
    assert_eq!(fixture.handler.seen()[..4], ["/0", "/1", "/2", "/3"]);
}

#[test]
fn whoever_waits_is_woken_for_its_place_and_nobody_else_is() {
    let mut fixture = Fixture::of(Bulkhead::new(1).queue(3, ms(100)));
    let mut running = fixture.start("/running");
    let mut waiting: Vec<_> =
        ["/0", "/1"].iter().map(|path| (fixture.start(path), Arc::new(Bell::default()))).collect();
    for (call, bell) in &mut waiting {
        let waker = Waker::from(Arc::clone(bell));
        assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    fixture.handler.end("/running");
    assert_eq!(status(&mut running), Some(200));
    let rung: Vec<_> = waiting.iter().map(|(_, bell)| bell.rung()).collect();
    assert_eq!(rung, [1, 0]);
    // It is let in when it is polled, and has its place until then.
    assert_eq!((fixture.counts(), fixture.handler.seen().len()), ((1, 2), 1));
    assert_eq!(status(&mut waiting[0].0), None);
    assert_eq!((fixture.counts(), fixture.handler.seen().len()), ((1, 1), 2));
}

#[test]
fn a_wait_has_an_end() {
    let mut fixture = Fixture::of(Bulkhead::new(1).queue(3, ms(100)));
    let _running = fixture.start("/running");
    let mut waiting = fixture.start("/waiting");
    assert_eq!(status(&mut waiting), None);
    fixture.hand.advance(ms(99));
    assert_eq!(status(&mut waiting), None);
    fixture.hand.advance(ms(1));
    let Poll::Ready(Ok(refused)) = poll(waiting.as_mut()) else { panic!("its time is up") };
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    assert_eq!((fixture.counts(), fixture.handle.snapshot().refused), ((1, 0), 1));
    assert_eq!(fixture.handler.seen(), ["/running"]);
}

/// A place that came in time counts, however late it is looked at.
#[test]
fn a_place_that_came_in_time_is_not_lost() {
    let mut fixture = Fixture::of(Bulkhead::new(1).queue(3, ms(100)));
    let mut running = fixture.start("/running");
    let mut waiting = fixture.start("/waiting");
    assert_eq!(status(&mut waiting), None);
    fixture.handler.end("/running");
    assert_eq!(status(&mut running), Some(200));
    fixture.hand.advance(ms(1000));
    assert_eq!(status(&mut waiting), None);
    assert_eq!((fixture.counts(), fixture.handler.seen().len()), ((1, 0), 2));
}

#[test]
fn whoever_gives_up_holds_nobody_up() {
    let mut fixture = Fixture::of(Bulkhead::new(1).queue(3, ms(100)));
    let mut running = fixture.start("/running");
    let (first, mut second) = (fixture.start("/first"), fixture.start("/second"));
    assert_eq!(status(&mut second), None);
    drop(first);
    assert_eq!(fixture.counts(), (1, 1));
    fixture.handler.end("/running");
    assert_eq!(status(&mut running), Some(200));
    assert_eq!(status(&mut second), None);
    assert_eq!(fixture.handler.seen(), ["/running", "/second"]);
    // And a place that was given and never taken goes on to the next.
    let (third, mut fourth) = (fixture.start("/third"), fixture.start("/fourth"));
    assert_eq!(status(&mut fourth), None);
    fixture.handler.end("/second");
    assert_eq!(status(&mut second), Some(200));
    drop(third);
    assert_eq!(status(&mut fourth), None);
    assert_eq!(fixture.handler.seen().last().unwrap(), "/fourth");
}

/// On the system's clock there is no waiting outside of a runtime.
#[test]
fn without_a_runtime_nobody_waits() {
    let layer = Bulkhead::new(1).queue(3, ms(100)).with_clock(Clock::system()).build().unwrap();
    let mut service = layer.layer(Held::default());
    let _running = start(&mut service, get("/running"));
    let mut refused = Box::pin(start(&mut service, get("/refused")));
    assert!(matches!(poll(refused.as_mut()), Poll::Ready(Ok(response)) if response.status() == 503));
    assert_eq!((layer.handle().snapshot().in_flight, layer.handle().snapshot().queued), (1, 0));
}

/// The readied service is not kept by those that wait: a service behind the bulkhead that is not ready again holds only its
/// own call up.
#[tokio::test(start_paused = true)]
async fn tokios_clock_does_as_well() {
    let layer = Bulkhead::new(1).queue(3, ms(100)).build().unwrap();
    let mut service = layer.layer(Held::default());
    let _running = start(&mut service, get("/running"));
    let refused = start(&mut service, get("/refused")).await.unwrap();
    assert_eq!(refused.status(), 503);
    let waiting = start(&mut service, get("/waiting"));
    let handle = layer.handle();
    let change = async {
        tokio::time::sleep(ms(50)).await;
        handle.set_max_concurrent(2).unwrap();
        tokio::time::sleep(ms(1)).await;
        service.get_ref().end("/waiting");
    };
    let (answer, ()) = tokio::join!(waiting, change);
    assert_eq!(answer.unwrap().status(), 200);
}
