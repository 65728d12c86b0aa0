//! Many who ask for one thing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Response;
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use tokio::task::JoinHandle;
use tower::{Layer as _, ServiceBuilder, ServiceExt as _};
use tower_rampart::BodyError;
use tower_rampart::cache::Cache;

use crate::support::*;

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

fn spawn(setup: &Arc<Setup>, fields: &'static [(&'static str, &'static str)]) -> JoinHandle<Got> {
    let setup = Arc::clone(setup);
    tokio::spawn(async move { setup.get_with("http://a/x", fields).await })
}

/// An origin that answers one call with a body that is fed, and every later one with a whole.
fn feeding() -> (Feeder, Origin) {
    let (feeder, body) = fed();
    let body = std::sync::Mutex::new(Some(body));
    let origin = Origin::new(move |_| {
        let mut response = ok(&[FRESH], "whole").response();
        if let Some(body) = body.lock().unwrap().take() {
            *response.body_mut() = body;
        }
        response
    });
    (feeder, origin)
}

#[tokio::test]
async fn a_thousand_misses_are_one_call() {
    let (origin, gate) = Origin::new(|_| ok(&[FRESH], "body").response()).gated();
    let setup = Arc::new(setup(&origin));
    let waiting: Vec<_> = (0..1000).map(|_| spawn(&setup, &[])).collect();
    settled().await;
    assert_eq!(setup.cache.stats().in_flight, 1);
    gate.add_permits(1);
    let mut collapsed = 0;
    for got in waiting {
        let got = got.await.unwrap();
        assert_eq!(got.body, "body");
        collapsed += usize::from(got.cache_status().contains("; collapsed"));
    }
    assert_eq!((origin.calls(), collapsed, setup.cache.stats().in_flight), (1, 999, 0));
}

/// What cannot be shared is known at the head, and the next burst does not wait at all.
#[tokio::test]
async fn what_is_declined_wakes_everybody() {
    for fields in
        [&[("cache-control", "no-store")][..], &[FRESH, ("set-cookie", "a=b")], &[("cache-control", "private")]]
    {
        let (feeder, body) = fed();
        let first = std::sync::Mutex::new(Some(body));
        let fields = fields.to_vec();
        let (origin, gate) = Origin::new(move |_| {
            let mut response = ok(&fields, "body").response();
            if let Some(body) = first.lock().unwrap().take() {
                *response.body_mut() = body;
            }
            response
        })
        .gated();
        let setup = Arc::new(setup(&origin));
        let leader = spawn(&setup, &[]);
        settled().await;
        let waiting: Vec<_> = (0..20).map(|_| spawn(&setup, &[])).collect();
        settled().await;
        assert_eq!(origin.calls(), 1);
        gate.add_permits(1);
        settled().await;
        assert_eq!(origin.calls(), 21, "the leader's body is not awaited");
        let late = spawn(&setup, &[]);
        settled().await;
        assert_eq!(origin.calls(), 22, "and nobody waits for nothing again");
        gate.add_permits(99);
        for got in waiting.into_iter().chain([late]) {
            assert_eq!(got.await.unwrap().body, "body");
        }
        drop(feeder);
        leader.await.unwrap();
        assert_eq!((setup.cache.stats().in_flight, setup.cache.stats().entries), (0, 0));
    }
}

/// What is refused for a request's own sake says nothing of what others get: they do not wait for it, nor go alone after it.
#[tokio::test]
async fn who_gets_nothing_to_share_leads_nobody() {
    for fields in [&[("cache-control", "no-store")][..], &[("authorization", "Bearer x")]] {
        let (origin, gate) = Origin::new(|_| ok(&[FRESH], "body").response()).gated();
        let setup = Arc::new(setup(&origin));
        let first = spawn(&setup, fields);
        settled().await;
        let waiting: Vec<_> = (0..20).map(|_| spawn(&setup, &[])).collect();
        settled().await;
        assert_eq!(origin.calls(), 2, "{fields:?}");
        gate.add_permits(9);
        for got in waiting.into_iter().chain([first]) {
            assert_eq!(got.await.unwrap().body, "body");
        }
        assert_eq!((origin.calls(), setup.cache.stats().in_flight), (2, 0));
    }
}

#[tokio::test]
async fn a_leader_that_leaves_costs_one_more_call() {
    let (origin, gate) = Origin::new(|_| ok(&[FRESH], "body").response()).gated();
    let setup = Arc::new(setup(&origin));
    let leader = spawn(&setup, &[]);
    settled().await;
    let waiting: Vec<_> = (0..50).map(|_| spawn(&setup, &[])).collect();
    settled().await;
    leader.abort();
    settled().await;
    assert_eq!(origin.calls(), 2);
    gate.add_permits(9);
    for got in waiting {
        assert_eq!(got.await.unwrap().body, "body");
    }
    assert_eq!(origin.calls(), 2);
}

#[tokio::test]
async fn a_leader_that_leaves_its_body_stops_nobody() {
    let (feeder, origin) = feeding();
    let setup = setup(&origin);
    let call = || setup.service.clone().oneshot(request("GET", "http://a/x", &[]));
    let leader = call().await.unwrap();
    let mut follower = call().await.unwrap();
    feeder.send(Ok(Frame::data("one".into()))).unwrap();
    // The follower is ahead of the leader, who has not read anything.
    let first = follower.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "one");
    drop(leader);
    feeder.send(Ok(Frame::data("two".into()))).unwrap();
    drop(feeder);
    let rest = follower.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(rest, "two");
    assert_eq!(setup.get("http://a/x").await.body, "onetwo");
}

#[tokio::test]
async fn nobody_reads_and_nothing_is_stored() {
    let (feeder, origin) = feeding();
    let setup = setup(&origin);
    let response = setup.service.clone().oneshot(request("GET", "http://a/x", &[])).await.unwrap();
    feeder.send(Ok(Frame::data("half".into()))).unwrap();
    drop(response);
    assert!(feeder.is_closed(), "the origin's body was let go");
    let stats = setup.cache.stats();
    assert_eq!((stats.entries, stats.in_flight), (0, 0));
    assert_eq!(setup.get("http://a/x").await.body, "whole");
}

#[tokio::test]
async fn a_body_that_breaks_off_breaks_off_for_all() {
    let (feeder, origin) = feeding();
    let setup = setup(&origin);
    let call = || setup.service.clone().oneshot(request("GET", "http://a/x", &[]));
    let (leader, follower) = (call().await.unwrap(), call().await.unwrap());
    feeder.send(Ok(Frame::data("half".into()))).unwrap();
    feeder.send(Err(Torn)).unwrap();
    // Whoever reads first, the error itself is the leader's.
    assert_eq!(follower.into_body().collect().await.unwrap_err(), BodyError::Interrupted);
    assert_eq!(leader.into_body().collect().await.unwrap_err(), BodyError::Inner(Torn));
    assert_eq!(setup.cache.stats().entries, 0);
    assert_eq!(setup.get("http://a/x").await.body, "whole");
    assert_eq!(origin.calls(), 2);
}

/// A server takes a length or an end from the body when nothing else says it: half of one must say neither.
#[tokio::test]
async fn what_broke_off_never_looks_whole() {
    let (feeder, origin) = feeding();
    let setup = setup(&origin);
    let call = || setup.service.clone().oneshot(request("GET", "http://a/x", &[]));
    let (leader, follower) = (call().await.unwrap(), call().await.unwrap());
    feeder.send(Ok(Frame::data("half".into()))).unwrap();
    feeder.send(Err(Torn)).unwrap();
    assert_eq!(leader.into_body().collect().await.unwrap_err(), BodyError::Inner(Torn));
    let follower = follower.into_body();
    assert_eq!((follower.size_hint().exact(), follower.is_end_stream()), (None, false));
    assert_eq!(follower.collect().await.unwrap_err(), BodyError::Interrupted);
}

/// First bytes are not held back, and who comes late sees them too.
#[tokio::test]
async fn followers_stream_from_the_first_frame() {
    let (feeder, origin) = feeding();
    let setup = setup(&origin);
    let call = || setup.service.clone().oneshot(request("GET", "http://a/x", &[]));
    let mut bodies = vec![call().await.unwrap().into_body()];
    for n in 0..5_usize {
        feeder.send(Ok(Frame::data(n.to_string().into()))).unwrap();
        bodies.push(call().await.unwrap().into_body());
        let mut late = bodies.pop().unwrap();
        for seen in 0..=n {
            let frame = late.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), seen.to_string());
        }
        bodies.push(late);
    }
    drop(feeder);
    assert_eq!(bodies.remove(0).collect().await.unwrap().to_bytes(), "01234");
    assert!(bodies.pop().unwrap().is_end_stream(), "who has seen all need not ask");
    assert_eq!(origin.calls(), 1);
}

/// Who has waited for a failure waits for no other: what the origin said to one it may say to all, one after another.
#[tokio::test]
async fn a_failure_is_waited_for_once() {
    let (origin, gate) = Origin::new(|_| status(500, &[], "no").response()).gated();
    let setup = Arc::new(setup(&origin));
    let waiting: Vec<_> = (0..30).map(|_| spawn(&setup, &[])).collect();
    settled().await;
    assert_eq!(origin.calls(), 1);
    gate.add_permits(1);
    settled().await;
    assert_eq!(origin.calls(), 30, "all go on at once");
    gate.add_permits(99);
    for got in waiting {
        assert_eq!(got.await.unwrap().status, 500);
    }
    assert_eq!(setup.cache.stats().in_flight, 0);
}

/// A leader that got no answer says nothing of what others get.
#[tokio::test]
async fn what_nobody_answered_is_tried_again_by_few() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let (origin, gate) = Origin::failing(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => Err(Failed),
        _ => Ok(ok(&[FRESH], "body").response()),
    })
    .gated();
    let setup = Arc::new(setup(&origin));
    let leader = {
        let setup = Arc::clone(&setup);
        tokio::spawn(async move { setup.fails("http://a/x").await })
    };
    settled().await;
    let waiting: Vec<_> = (0..50).map(|_| spawn(&setup, &[])).collect();
    settled().await;
    gate.add_permits(99);
    assert_eq!(leader.await.unwrap(), Failed);
    for got in waiting {
        assert_eq!(got.await.unwrap().status, 200);
    }
    assert_eq!(origin.calls(), 2);
}

#[tokio::test]
async fn nobody_waits_longer_than_told() {
    let (origin, gate) = Origin::new(|_| ok(&[FRESH], "body").response()).gated();
    let setup = Arc::new(setup(&origin));
    let leader = spawn(&setup, &[]);
    settled().await;
    let follower = spawn(&setup, &[]);
    settled().await;
    assert_eq!(origin.calls(), 1);
    setup.wait(6);
    settled().await;
    assert_eq!(origin.calls(), 2);
    // A leader that takes so long is not followed any more.
    let late = spawn(&setup, &[]);
    settled().await;
    assert_eq!(origin.calls(), 3);
    gate.add_permits(9);
    for got in [leader, follower, late] {
        assert_eq!(got.await.unwrap().body, "body");
    }
    assert_eq!(setup.cache.stats().in_flight, 0);
}

/// RFC 9111 section 4.1: two variants that race are two calls, and nobody gets the other's.
#[tokio::test]
async fn racing_variants_cost_two_calls() {
    let (origin, gate) = Origin::new(|request| {
        let encoding = request.headers()["accept-encoding"].to_str().unwrap();
        ok(&[FRESH, ("vary", "accept-encoding"), ("x-for", encoding)], encoding_body(encoding)).response()
    })
    .gated();
    fn encoding_body(encoding: &str) -> &'static str {
        if encoding == "gzip" { "GZIP" } else { "BR" }
    }
    let setup = Arc::new(setup(&origin));
    let gzip: Vec<_> = (0..20).map(|_| spawn(&setup, &[("accept-encoding", "gzip")])).collect();
    settled().await;
    let br: Vec<_> = (0..20).map(|_| spawn(&setup, &[("accept-encoding", "br")])).collect();
    settled().await;
    gate.add_permits(99);
    for (expected, all) in [("GZIP", gzip), ("BR", br)] {
        for got in all {
            assert_eq!(got.await.unwrap().body, expected);
        }
    }
    assert_eq!(origin.calls(), 2);
}

#[tokio::test]
async fn validations_are_shared_too() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let (origin, gate) = Origin::new(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => ok(&[("cache-control", "max-age=2"), ("etag", "\"a\"")], "body").response(),
        _ => status(304, &[("cache-control", "max-age=9")], "").response(),
    })
    .gated();
    gate.add_permits(1);
    let setup = Arc::new(setup(&origin));
    setup.get("http://a/x").await;
    setup.wait(3);
    let waiting: Vec<_> = (0..100).map(|_| spawn(&setup, &[])).collect();
    settled().await;
    gate.add_permits(9);
    let mut told = Vec::new();
    for got in waiting {
        let got = got.await.unwrap();
        assert_eq!(got.body, "body");
        told.push(got.cache_status().to_owned());
    }
    assert_eq!(origin.calls(), 2);
    // RFC 9211 section 2.2: why each of them went on, which is the same for all.
    told.sort_unstable();
    assert_eq!(told.pop().unwrap(), "rampart; fwd=stale; fwd-status=304; stored");
    assert!(told.iter().all(|told| told == "rampart; fwd=stale; collapsed"), "{told:?}");
}

/// Dropped at every place where it may wait, a request leaves nothing behind.
#[tokio::test]
async fn dropped_anywhere() {
    for polls in 0..40 {
        for follows in [false, true] {
            let (origin, gate) = Origin::new(|_| ok(&[FRESH], "body").response()).gated();
            let setup = Arc::new(setup(&origin));
            let other = follows.then(|| spawn(&setup, &[]));
            settled().await;
            let mut dropped = Box::pin(setup.get("http://a/x"));
            for poll in 0..polls {
                if poll == polls / 2 {
                    gate.add_permits(2);
                }
                if futures_util::FutureExt::now_or_never(dropped.as_mut()).is_some() {
                    dropped = Box::pin(setup.get("http://a/x"));
                }
                tokio::task::yield_now().await;
            }
            drop(dropped);
            gate.add_permits(9);
            if let Some(other) = other {
                assert_eq!(other.await.unwrap().body, "body");
            }
            assert_eq!(setup.get("http://a/x").await.body, "body");
            assert_eq!(setup.cache.stats().in_flight, 0, "{polls} {follows}");
            assert!(origin.calls() <= 3, "{polls} {follows}: {}", origin.calls());
        }
    }
}

/// A hit is served while the origin can take nobody; and no way around it panics or waits for itself.
#[tokio::test]
async fn hits_flow_while_the_origin_is_full() {
    let (origin, gate) = Origin::new(|_| ok(&[FRESH], "body").response()).gated();
    let cache = Cache::builder().build().unwrap();
    let limited = ServiceBuilder::new().concurrency_limit(1).service(origin.clone());
    let service = cache.layer().layer(limited);
    let get = |uri: &'static str| {
        let service = service.clone();
        tokio::spawn(async move { collect(service.oneshot(request("GET", uri, &[])).await.unwrap()).await })
    };
    gate.add_permits(1);
    get("http://a/x").await.unwrap();
    let (busy, queued) = (get("http://a/y"), get("http://a/z"));
    settled().await;
    for _ in 0..10 {
        assert!(get("http://a/x").await.unwrap().is_hit());
    }
    gate.add_permits(2);
    assert_eq!(busy.await.unwrap().body, "body");
    assert_eq!(queued.await.unwrap().body, "body");

    let shed = ServiceBuilder::new().load_shed().concurrency_limit(1).service(origin.clone());
    let service = cache.layer().layer(shed);
    assert!(collect(service.clone().oneshot(request("GET", "http://a/x", &[])).await.unwrap()).await.is_hit());
    let buffered = ServiceBuilder::new().buffer(1).concurrency_limit(1).service(origin.clone());
    let service = cache.layer().layer(buffered);
    gate.add_permits(1);
    assert_eq!(collect(service.oneshot(request("GET", "http://a/w", &[])).await.unwrap()).await.body, "body");
}

/// A reader that has stopped holds the others up no longer than it is told; what was not to be kept is passed on whole.
#[tokio::test]
async fn who_is_too_slow_is_left_behind() {
    let (feeder, origin) = feeding();
    let setup = setup_with(&origin, |cache| cache.entry_bytes(10).max_wait(Duration::from_secs(5)));
    let call = || setup.service.clone().oneshot(request("GET", "http://a/x", &[]));
    let stopped = call().await.unwrap().into_body();
    let reading: Response<_> = call().await.unwrap();
    let read = tokio::spawn(reading.into_body().collect());
    for _ in 0..100 {
        feeder.send(Ok(Frame::data("123456".into()))).unwrap();
    }
    drop(feeder);
    settled().await;
    assert!(!read.is_finished(), "it waits for the slow one");
    setup.wait(6);
    assert_eq!(read.await.unwrap().unwrap().to_bytes().len(), 600);
    assert_eq!((stopped.size_hint().exact(), stopped.is_end_stream()), (None, false), "it has not seen the end");
    assert_eq!(stopped.collect().await.unwrap_err(), BodyError::Interrupted);
    assert_eq!((setup.cache.stats().entries, setup.cache.stats().in_flight), (0, 0));
}

/// RFC 9111 sections 5.2.2.4 and 5.2.2.7: who leads gets the field that is named, and nobody else does.
#[tokio::test]
async fn followers_get_no_field_that_is_withheld() {
    for control in ["max-age=60, no-cache=\"set-cookie\"", "max-age=60, private=\"Set-Cookie\""] {
        let (origin, gate) =
            Origin::new(move |_| ok(&[("cache-control", control), ("set-cookie", "a=b")], "body").response()).gated();
        let setup = Arc::new(setup(&origin));
        let leader = spawn(&setup, &[]);
        settled().await;
        let follower = spawn(&setup, &[]);
        settled().await;
        gate.add_permits(1);
        assert_eq!(leader.await.unwrap().field("set-cookie"), Some("a=b"));
        let followed = follower.await.unwrap();
        assert!(followed.cache_status().ends_with("; collapsed"), "{}", followed.cache_status());
        let hit = setup.get("http://a/x").await;
        assert!(hit.is_hit());
        for got in [followed, hit] {
            assert_eq!((got.field("set-cookie"), &*got.body), (None, &b"body"[..]));
        }
    }
}
