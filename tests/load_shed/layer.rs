//! Who is let in, for how long, and what the others are told.

use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, StreamBody};
use tower::Layer;
use tower_rampart::Rejection;
use tower_rampart::client::ClientError;
use tower_rampart::load_shed::{Criticality, LoadShed, LoadShedLayer};

use crate::support::{Fixture, Held, get, ms, ok, poll, start};

fn limited(limit: usize) -> LoadShed {
    LoadShed::gradient2().min_limit(1).initial_limit(limit).max_limit(limit)
}

/// How many of so many requests, none of which ends, get to the handler.
fn admitted(fixture: &mut Fixture, requests: usize, request: impl Fn() -> Request<()>) -> usize {
    let before = fixture.handler.calls();
    let calls: Vec<_> = (0..requests).map(|_| fixture.start(request())).collect();
    // They are in flight until the test ends.
    std::mem::forget(calls);
    fixture.handler.calls() - before
}

#[test]
fn what_does_not_fit_in_is_refused_at_once() {
    let mut fixture = Fixture::of(limited(3));
    assert_eq!(admitted(&mut fixture, 3, || get("/")), 3);
    let mut shed = fixture.start(get("/"));
    let Poll::Ready(Ok(response)) = poll(shed.as_mut()) else { panic!("it does not wait") };
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert!(response.extensions().get::<Rejection>().is_some());
    let snapshot = fixture.handle.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.limit, snapshot.shed()), (3, 3, 1));
}

#[test]
fn grpc_clients_are_told_in_their_own_way() {
    let mut fixture = Fixture::of(limited(1).retry_after(ms(2500)));
    admitted(&mut fixture, 1, || get("/"));
    let request = Request::post("/p.S/M").header("content-type", "application/grpc").body(()).unwrap();
    let mut shed = fixture.start(request);
    let Poll::Ready(Ok(response)) = poll(shed.as_mut()) else { panic!("it does not wait") };
    assert_eq!((response.status().as_u16(), &response.headers()["grpc-status"]), (200, &"14".parse().unwrap()));
    assert_eq!(response.headers()["grpc-retry-pushback-ms"], "2500");
    assert_eq!(response.headers()["retry-after"], "3");
}

#[test]
fn a_client_layer_has_a_typed_error() {
    let layer = limited(1).build().unwrap().client();
    let mut service = layer.layer(Held::default());
    let running = Box::pin(start(&mut service, get("/")));
    let mut shed = Box::pin(start(&mut service, get("/")));
    match poll(shed.as_mut()) {
        Poll::Ready(Err(ClientError::Refused(rejection))) => {
            assert_eq!(rejection.retry_after(), Some(ms(1000)));
        }
        other => panic!("{other:?}"),
    }
    drop(running);
    let mut failing = Box::pin(start(&mut service, get("/")));
    service.get_ref().end(Err("dropped before"));
    service.get_ref().end(Err("reset"));
    assert!(matches!(poll(failing.as_mut()), Poll::Ready(Err(ClientError::Inner("reset")))));
}

#[test]
fn health_checks_are_never_shed_and_never_counted() {
    let shed = limited(1).never_shed(["/healthz"]).never_shed_when(|request| request.method() == Method::OPTIONS);
    let mut fixture = Fixture::of(shed);
    assert_eq!(admitted(&mut fixture, 5, || get("/healthz")), 5);
    assert_eq!(admitted(&mut fixture, 5, || Request::options("/").body(()).unwrap()), 5);
    assert_eq!(fixture.handle.snapshot().in_flight, 0);
    assert_eq!(admitted(&mut fixture, 5, || get("/")), 1);
    // Whatever else a server might make of it.
    assert_eq!(admitted(&mut fixture, 5, || get("/healthz/../admin")), 0);
    assert_eq!(admitted(&mut fixture, 5, || get("//healthz")), 0);
    assert_eq!(admitted(&mut fixture, 5, || get("/healthz?x=1")), 5);
}

#[test]
fn the_less_it_matters_the_sooner_it_is_shed() {
    let of = |criticality: Criticality| move || Request::get("/").extension(criticality).body(()).unwrap();
    let mut fixture = Fixture::of(limited(10));
    assert_eq!(admitted(&mut fixture, 20, of(Criticality::Sheddable)), 5);
    assert_eq!(admitted(&mut fixture, 20, of(Criticality::SheddablePlus)), 2);
    assert_eq!(admitted(&mut fixture, 20, of(Criticality::Critical)), 2);
    assert_eq!(admitted(&mut fixture, 20, of(Criticality::CriticalPlus)), 1);
    let snapshot = fixture.handle.snapshot();
    assert_eq!(snapshot.shed_of(Criticality::Sheddable), 15);
    assert_eq!(snapshot.shed_of(Criticality::CriticalPlus), 19);
    assert_eq!(snapshot.shed(), 15 + 18 + 18 + 19);
}

/// Each class gets somebody through, so that none is unheard of for ever; and a header claims nothing by itself.
#[test]
fn no_class_is_shut_out_of_an_idle_service() {
    let shed = limited(1).criticality(|request| match request.uri().path() {
        "/export" => Criticality::Sheddable,
        _ => Criticality::Critical,
    });
    let mut fixture = Fixture::of(shed);
    assert_eq!(admitted(&mut fixture, 2, || get("/export")), 1);
    assert_eq!(admitted(&mut fixture, 2, || get("/")), 0);
}

fn endless() -> crate::support::Body {
    let frames = futures_util::stream::unfold((), |()| async { Some((Ok(Frame::data(Bytes::from_static(b"x"))), ())) });
    StreamBody::new(Box::pin(frames)).boxed_unsync()
}

#[test]
fn a_request_is_in_flight_until_its_body_has_ended_or_its_head_is_there() {
    for (shed, while_streaming) in [(limited(1), 1), (limited(1).until_head(), 0)] {
        let mut fixture = Fixture::of(shed);
        let mut call = fixture.start(get("/"));
        fixture.handler.end(Ok(Response::new(endless())));
        let Poll::Ready(Ok(response)) = poll(call.as_mut()) else { panic!("it has ended") };
        let mut body = response.into_body();
        for _ in 0..3 {
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(Pin::new(&mut body).poll_frame(&mut cx).is_ready());
            assert_eq!(fixture.handle.snapshot().in_flight, while_streaming);
        }
        drop(body);
        assert_eq!(fixture.handle.snapshot().in_flight, 0);
    }
}

/// A gRPC stream is judged by its trailers, and is in flight no longer than any other.
#[test]
fn a_grpc_stream_is_in_flight_until_its_head_where_that_is_said() {
    let mut fixture = Fixture::of(limited(1).until_head());
    let mut call = fixture.start(get("/"));
    fixture.handler.end(Ok(Response::builder().header("content-type", "application/grpc").body(endless()).unwrap()));
    let Poll::Ready(Ok(streaming)) = poll(call.as_mut()) else { panic!("it has a head") };
    assert_eq!(fixture.handle.snapshot().in_flight, 0);
    let next = fixture.start(get("/"));
    assert_eq!(fixture.handle.snapshot().in_flight, 1);
    drop(streaming);
    assert_eq!(fixture.handle.snapshot().in_flight, 1, "it gave its place back once");
    drop(next);
    assert_eq!(fixture.handle.snapshot().in_flight, 0);
}

/// While the expected latency is measured the limit is a third, and streams that idle may be more than that: then nobody gets
/// in whose answer could end the measurement.
#[test]
fn a_measurement_ends_though_nobody_is_answered() {
    let shed = LoadShed::gradient2().min_limit(1).initial_limit(30).max_limit(30).window(ms(100));
    let mut fixture = Fixture::of(shed);
    fixture.answer(200, ms(10), ok);
    let streams: Vec<_> = (0..12)
        .map(|_| {
            let mut call = fixture.start(get("/"));
            fixture.handler.end(Ok(Response::new(endless())));
            let Poll::Ready(Ok(response)) = poll(call.as_mut()) else { panic!("it has a head") };
            response
        })
        .collect();
    for _ in 0..1000 {
        if fixture.handle.snapshot().limit == 10 {
            break;
        }
        let calls: Vec<_> = (0..19).map(|_| fixture.start(get("/"))).collect();
        fixture.hand.advance(ms(13));
        for mut call in calls {
            if poll(call.as_mut()).is_pending() {
                fixture.handler.end(ok());
                assert!(poll(call.as_mut()).is_ready());
            }
        }
    }
    assert_eq!(fixture.handle.snapshot().limit, 10, "it is measured");
    assert_eq!(admitted(&mut fixture, 1, || get("/")), 0);
    fixture.hand.advance(ms(100 * 100));
    assert_eq!(admitted(&mut fixture, 1, || get("/")), 1);
    assert_eq!(fixture.handle.snapshot().limit, 30);
    drop(streams);
}

#[test]
fn a_handler_that_panics_gives_its_place_back() {
    let (layer, handle) = {
        let layer = limited(1).build().unwrap();
        let handle = layer.handle();
        (layer, handle)
    };
    let service = layer.layer(tower::service_fn(|_: Request<()>| async {
        assert_eq!(1, 2, "a handler's own fault");
        ok()
    }));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        futures_util::FutureExt::now_or_never(tower::ServiceExt::oneshot(service, get("/")))
    }));
    assert!(panicked.is_err());
    assert_eq!(handle.snapshot().in_flight, 0);
}

#[test]
fn a_new_layer_goes_on_with_what_an_old_one_has_learnt() {
    let mut fixture = Fixture::of(LoadShed::gradient2().min_limit(1).initial_limit(10).window(ms(100)));
    let running: Vec<_> = (0..9).map(|_| fixture.start(get("/"))).collect();
    let learnt = fixture.handle.snapshot();
    assert_eq!(learnt.in_flight, 9);
    let next = LoadShed::gradient2().min_limit(1).initial_limit(5).max_limit(10).build().unwrap();
    let next = next.adopt_limit(&fixture.layer.handle());
    assert_eq!(next.handle().snapshot(), learnt);
    let smaller = LoadShed::aimd(ms(50)).min_limit(1).initial_limit(4).max_limit(4).build().unwrap();
    let smaller = smaller.adopt_limit(&next.handle());
    assert_eq!((smaller.handle().snapshot().limit, smaller.handle().snapshot().in_flight), (4, 9));
    drop(running);
    assert_eq!(smaller.handle().snapshot().in_flight, 0);
    // What sheds nothing has nothing to hand on, and takes nothing over.
    let anew = limited(7).build().unwrap().adopt_limit(&LoadShedLayer::empty().handle());
    assert_eq!(anew.handle().snapshot().limit, 7);
    assert_eq!(LoadShedLayer::empty().adopt_limit(&anew.handle()).handle().snapshot().limit, 0);
}

#[test]
fn what_cannot_be_is_told_with_its_mend() {
    let error = |shed: LoadShed| shed.build().map(drop).unwrap_err().to_string();
    assert_eq!(
        error(LoadShed::gradient2().min_limit(0)),
        "min_limit: `0` lets nothing through, and nothing is learnt from that; write 1 or more"
    );
    for (shed, setting) in [
        (LoadShed::gradient2().max_limit(2), "max_limit: `2`"),
        (LoadShed::gradient2().max_limit(usize::MAX), "max_limit"),
        (LoadShed::gradient2().initial_limit(2), "initial_limit: `2`"),
        (LoadShed::gradient2().window(std::time::Duration::from_micros(10)), "window: `10us`"),
        (LoadShed::aimd(ms(0)), "latency_limit: `0s`"),
        (LoadShed::gradient2().never_shed(["healthz"]), "never_shed: `healthz`"),
    ] {
        let told = error(shed);
        assert!(told.starts_with(setting), "{told}");
    }
    let handle = LoadShed::gradient2().build().unwrap().handle();
    assert!(handle.set_limits(0, 10).is_err() && handle.set_limits(10, 9).is_err());
    handle.set_limits(30, 40).unwrap();
    assert_eq!(handle.snapshot().limit, 30);
}
