//! Who finds a place, how long it is held, and what the others are told.

use std::task::Poll;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer, service_fn};
use tower_rampart::Rejection;
use tower_rampart::bulkhead::{Bulkhead, BulkheadLayer};
use tower_rampart::client::ClientError;

use crate::support::{Fixture, Held, get, ms, poll, start, status};

#[test]
fn without_a_queue_the_next_one_is_refused_at_once() {
    let mut fixture = Fixture::of(Bulkhead::new(2));
    let (mut a, mut b, mut c) = (fixture.start("/a"), fixture.start("/b"), fixture.start("/c"));
    assert_eq!((status(&mut a), status(&mut b)), (None, None));
    let Poll::Ready(Ok(refused)) = poll(c.as_mut()) else { panic!("it does not wait") };
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    assert!(refused.extensions().get::<Rejection>().is_some());
    assert_eq!((fixture.counts(), fixture.handle.snapshot().refused), ((2, 0), 1));
    assert_eq!(fixture.handler.seen(), ["/a", "/b"]);
}

#[test]
fn grpc_clients_are_told_in_their_own_way() {
    let mut fixture = Fixture::of(Bulkhead::new(1).retry_after(ms(1500)));
    let _running = fixture.start("/a");
    let request = Request::post("/p.S/M").header("content-type", "application/grpc").body(()).unwrap();
    let mut refused = Box::pin(start(&mut fixture.service, request));
    let Poll::Ready(Ok(refused)) = poll(refused.as_mut()) else { panic!("it does not wait") };
    assert_eq!((refused.status().as_u16(), &refused.headers()["grpc-status"]), (200, &"14".parse().unwrap()));
    assert_eq!(refused.headers()["grpc-retry-pushback-ms"], "1500");
}

#[test]
fn a_client_layer_has_a_typed_error() {
    let layer = Bulkhead::new(1).build().unwrap().client();
    let mut service = layer.layer(Held::default());
    let running = Box::pin(start(&mut service, get("/a")));
    let mut refused = Box::pin(start(&mut service, get("/b")));
    assert!(matches!(poll(refused.as_mut()), Poll::Ready(Err(ClientError::Refused(_)))));
    drop(running);

    let mut failing =
        layer.layer(service_fn(|_: Request<()>| async { Err::<Response<Full<bytes::Bytes>>, _>("reset") }));
    let mut failed = Box::pin(start(&mut failing, get("/")));
    assert!(matches!(poll(failed.as_mut()), Poll::Ready(Err(ClientError::Inner("reset")))));
    assert_eq!(layer.handle().snapshot().in_flight, 0);
}

#[tokio::test]
async fn a_place_is_held_until_the_body_has_ended() {
    let mut fixture = Fixture::of(Bulkhead::new(1));
    let call = fixture.start("/a");
    fixture.handler.end("/a");
    let mut body = call.await.unwrap().into_body();
    assert_eq!(fixture.counts(), (1, 0));
    assert_eq!(status(&mut fixture.start("/b")), Some(503));
    // The last frame says that it is: no server asks for another.
    body.frame().await.unwrap().unwrap();
    assert_eq!(fixture.counts(), (0, 0));

    let call = fixture.start("/c");
    fixture.handler.end("/c");
    let response = call.await.unwrap();
    drop(response);
    assert_eq!(fixture.counts(), (0, 0));
}

#[test]
fn a_handler_that_panics_gives_its_place_back() {
    let layer = Bulkhead::new(1).build().unwrap();
    for _ in 0..3 {
        let mut service = layer.layer(service_fn(|_: Request<()>| async {
            assert_eq!(1, 2, "a handler's own fault");
            Ok::<_, std::convert::Infallible>(Response::new(Full::<bytes::Bytes>::default()))
        }));
        let mut call = Box::pin(start(&mut service, get("/")));
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(call.as_mut()).is_ready()));
        assert!(polled.is_err());
        drop(call);
        assert_eq!(layer.handle().snapshot().in_flight, 0);
    }
}

/// A service that is never ready for a second call.
#[derive(Clone, Default)]
struct Once(std::sync::Arc<std::sync::atomic::AtomicUsize>);

impl tower::Service<Request<()>> for Once {
    type Response = Response<Full<bytes::Bytes>>;
    type Error = &'static str;
    type Future = std::future::Pending<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Self::Error>> {
        let asked = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Poll::Ready(if asked < 2 { Ok(()) } else { Err("closed") })
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        std::future::pending()
    }
}

/// Whoever has waited for its place and finds the service closed has given the place back by the time it says so.
#[test]
fn a_service_that_is_closed_holds_no_place() {
    let (clock, _hand) = tower_rampart::Clock::manual();
    let layer = Bulkhead::new(1).queue(1, ms(100)).with_clock(clock).build().unwrap();
    let mut service = layer.layer(Once::default());
    let running = Box::pin(start(&mut service, get("/a")));
    let mut waiting = Box::pin(start(&mut service, get("/b")));
    drop(running);
    assert!(matches!(poll(waiting.as_mut()), Poll::Ready(Err("closed"))));
    assert_eq!(layer.handle().snapshot().in_flight, 0);
}

#[test]
fn bounds_change_while_it_runs() {
    let mut fixture = Fixture::of(Bulkhead::new(1).queue(10, ms(1000)));
    let mut calls: Vec<_> = ["/a", "/b", "/c", "/d"].iter().map(|path| fixture.start(path)).collect();
    calls.iter_mut().for_each(|call| assert_eq!(status(call), None));
    assert_eq!(fixture.handler.seen(), ["/a"]);
    fixture.handle.set_max_concurrent(3).unwrap();
    calls.iter_mut().for_each(|call| assert_eq!(status(call), None));
    assert_eq!((fixture.handler.seen().len(), fixture.counts()), (3, (3, 1)));
    // Nobody is put out; who leaves is not replaced until there is room.
    fixture.handle.set_max_concurrent(1).unwrap();
    for (path, in_flight) in [("/a", 2), ("/b", 1), ("/c", 1)] {
        fixture.handler.end(path);
        calls.iter_mut().for_each(|call| drop(poll(call.as_mut())));
        calls.remove(0);
        assert_eq!(fixture.counts().0, in_flight, "{path}");
    }
    assert_eq!((fixture.handler.seen().len(), fixture.counts()), (4, (1, 0)));
    assert!(fixture.handle.set_max_concurrent(0).is_err());
}

#[test]
fn a_new_layer_goes_on_with_the_places_of_an_old_one() {
    let mut fixture = Fixture::of(Bulkhead::new(3).queue(5, ms(1000)));
    let mut running: Vec<_> = ["/a", "/b", "/c", "/d"].iter().map(|path| fixture.start(path)).collect();
    let next = Bulkhead::new(2).queue(1, ms(1000)).build().unwrap().adopt_places(&fixture.layer.handle());
    let snapshot = next.handle().snapshot();
    assert_eq!((snapshot.in_flight, snapshot.queued, snapshot.max_concurrent, snapshot.max_queued), (3, 1, 2, 1));
    let mut service = next.layer(fixture.handler);
    let mut refused = Box::pin(start(&mut service, get("/e")));
    assert!(matches!(poll(refused.as_mut()), Poll::Ready(Ok(response)) if response.status() == 503));
    running.clear();
    assert_eq!(next.handle().snapshot().in_flight, 0);
    let mut admitted = Box::pin(start(&mut service, get("/f")));
    assert!(poll(admitted.as_mut()).is_pending());
    // What bounds nothing has no places to hand on, and takes none over.
    let anew = Bulkhead::new(7).build().unwrap().adopt_places(&BulkheadLayer::empty().handle());
    assert_eq!(anew.handle().snapshot().max_concurrent, 7);
    assert_eq!(BulkheadLayer::empty().adopt_places(&anew.handle()).handle().snapshot().max_concurrent, 0);
}

#[test]
fn an_empty_layer_bounds_nothing() {
    let mut service = BulkheadLayer::empty().layer(Held::default());
    let calls: Vec<_> = (0..1000).map(|_| start(&mut service, get("/"))).collect();
    assert_eq!((calls.len(), service.get_ref().seen().len()), (1000, 1000));
    drop(calls);
}

#[test]
fn what_cannot_be_is_told_with_its_mend() {
    let told = |bulkhead: Bulkhead| bulkhead.build().map(drop).unwrap_err().to_string();
    assert_eq!(told(Bulkhead::new(0)), "max_concurrent: `0` lets nothing through; write 1 to 2147483648");
    assert!(told(Bulkhead::new(usize::MAX)).contains("bounds nothing"));
    assert!(told(Bulkhead::new(1).queue(usize::MAX, ms(1))).starts_with("max_queued: "));
    assert!(told(Bulkhead::new(1).max_queued_per_key(2)).starts_with("max_queued_per_key: `2` bounds nothing"));
    let per_key = Bulkhead::new(1).per_key(tower_rampart::key::GlobalKey, 0);
    assert!(told(per_key).starts_with("per_key, max_concurrent: `0`"));
}
