//! The layer as a service sees it: refusals, readiness, sharing, keys.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, Service, ServiceExt};
use tower_rampart::circuit_breaker::{CircuitBreaker, Mode, State, WhenOpen};
use tower_rampart::client::ClientError;
use tower_rampart::key::{AuthorityKey, HeaderKey};
use tower_rampart::{Origin, Rejection, RequestView};

use crate::support::{Upstream, context, manual, ms, small};

fn request(path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("http://test{path}")).body(Empty::new()).unwrap()
}

async fn fail<S, B>(service: &S, calls: usize)
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>> + Clone,
    S::Error: std::fmt::Debug,
{
    for _ in 0..calls {
        service.clone().oneshot(request("/500")).await.unwrap();
    }
}

#[tokio::test]
async fn a_refusal_is_a_problem_that_says_when_to_come_back() {
    let (breaker, hand) = manual(small());
    let layer = breaker.build().unwrap();
    let upstream = Upstream::default();
    let service = layer.layer(upstream.clone());
    fail(&service, 4).await;
    hand.advance(ms(100));
    let refused = service.clone().oneshot(request("/")).await.unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    assert_eq!(refused.headers()["retry-after"], "1");
    let rejection = refused.extensions().get::<Rejection>().unwrap();
    assert_eq!((rejection.origin(), rejection.retry_after()), (Origin::CircuitBreaker, Some(ms(1000))));
    let body = refused.into_body().collect().await.unwrap().to_bytes();
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&problem["status"], &problem["title"]), (&503.into(), &"Service Unavailable".into()));
    assert_eq!(upstream.calls(), 4);

    let head = Request::head("http://test/").body(Empty::<Bytes>::new()).unwrap();
    let refused = service.clone().oneshot(head).await.unwrap();
    assert!(refused.into_body().collect().await.unwrap().to_bytes().is_empty());

    let grpc = Request::post("http://test/")
        .header("content-type", "application/grpc+proto")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let refused = service.oneshot(grpc).await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["grpc-status"]), (200, &"14".parse().unwrap()));
    assert_eq!(refused.headers()["grpc-retry-pushback-ms"], "1000");
    assert!(http_body::Body::is_end_stream(refused.body()));
}

#[tokio::test]
async fn a_client_gets_a_typed_refusal() {
    let layer = small().build().unwrap().client();
    let handle = layer.handle();
    let client = layer.layer(Upstream::default());
    fail(&client, 4).await;
    let error = client.clone().oneshot(request("/")).await.unwrap_err();
    assert!(matches!(&error, ClientError::Refused(rejection) if rejection.origin() == Origin::CircuitBreaker));
    assert!(error.retry_after().is_some_and(|wait| wait >= ms(1000)));
    handle.reset();
    assert_eq!(client.oneshot(request("/")).await.unwrap().status(), 200);
}

#[cfg(feature = "metrics")]
#[tokio::test]
async fn a_typed_refusal_is_counted_as_a_response_is() {
    let recorder = metrics_util::debugging::DebuggingRecorder::new();
    let counted = metrics::set_default_local_recorder(&recorder);
    let layer = small().build().unwrap();
    let (service, client) = (layer.layer(Upstream::default()), layer.client().layer(Upstream::default()));
    fail(&client, 4).await;
    assert_eq!(service.oneshot(request("/")).await.unwrap().status(), 503);
    client.oneshot(request("/")).await.unwrap_err();
    drop(counted);
    let counters = recorder.snapshotter().snapshot().into_vec();
    let refused =
        counters.iter().find(|(key, ..)| key.key().name() == "rampart_circuit_breaker_refused_total").unwrap();
    assert_eq!(refused.3, metrics_util::debugging::DebugValue::Counter(2));
}

#[tokio::test]
async fn layers_over_layers_share_a_circuit() {
    let layer = small().build().unwrap();
    fail(&layer.layer(Upstream::default()), 4).await;
    assert_eq!(layer.clone().layer(Upstream::default()).oneshot(request("/")).await.unwrap().status(), 503);
}

#[tokio::test]
async fn an_unready_service_does_not_hide_that_it_is_open() {
    struct Unready;
    impl Service<Request<Empty<Bytes>>> for Unready {
        type Response = Response<Full<Bytes>>;
        type Error = std::convert::Infallible;
        type Future = std::future::Pending<Result<Self::Response, Self::Error>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            Poll::Pending
        }
        fn call(&mut self, _: Request<Empty<Bytes>>) -> Self::Future {
            panic!("it was not ready");
        }
    }
    let (breaker, hand) = manual(small());
    let layer = breaker.build().unwrap();
    let mut service = layer.layer(Unready);
    assert!(service.poll_ready(&mut context()).is_pending());
    layer.handle().force_open(ms(1000));
    assert!(service.poll_ready(&mut context()).is_ready());
    // Its time comes between the two: nobody has asked the inner service, so nobody may call it.
    hand.advance(ms(1000));
    let refused = service.call(request("/")).await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(service.poll_ready(&mut context()).is_pending());
}

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_balancer_is_told_that_it_is_not_ready_and_woken_when_it_is() {
    let (breaker, hand) = manual(small().when_open(WhenOpen::Pend));
    let layer = breaker.build().unwrap();
    let upstream = Upstream::default();
    let service = layer.layer(upstream.clone());
    fail(&service, 4).await;
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut waiting = service.clone();
    let poll = |service: &mut _| {
        Service::<Request<Empty<Bytes>>>::poll_ready(service, &mut Context::from_waker(&waker)).is_ready()
    };
    assert!(!poll(&mut waiting));
    hand.advance(ms(999));
    assert!(!poll(&mut waiting) && bell.0.load(Ordering::SeqCst) == 0);
    hand.advance(ms(1));
    assert!(bell.0.load(Ordering::SeqCst) > 0 && poll(&mut waiting));
    assert_eq!(waiting.call(request("/200")).await.unwrap().status(), 200);

    // Somebody's word wakes too.
    layer.handle().force_open(Duration::MAX);
    let mut waiting = service.clone();
    assert!(!poll(&mut waiting));
    let rung = bell.0.load(Ordering::SeqCst);
    layer.handle().reset();
    assert!(bell.0.load(Ordering::SeqCst) > rung && poll(&mut waiting));
}

#[tokio::test]
async fn a_slot_that_comes_back_wakes_who_waits_for_it() {
    let (breaker, hand) = manual(small().probes(1).when_open(WhenOpen::Pend));
    let layer = breaker.build().unwrap();
    let handle = layer.handle();
    (0..4).for_each(|_| handle.admit().unwrap().failure());
    hand.advance(ms(1000));
    let probe = handle.admit().unwrap();
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut waiting = layer.layer(Upstream::default());
    let poll = |service: &mut _| {
        Service::<Request<Empty<Bytes>>>::poll_ready(service, &mut Context::from_waker(&waker)).is_ready()
    };
    assert!(!poll(&mut waiting));
    drop(probe);
    assert!(bell.0.load(Ordering::SeqCst) > 0 && poll(&mut waiting));
}

#[tokio::test]
async fn shadow_refuses_nothing_and_counts_what_it_would() {
    let layer = small().mode(Mode::Shadow).build().unwrap();
    let service = layer.layer(Upstream::default());
    fail(&service, 10).await;
    let snapshot = layer.handle().snapshot();
    assert_eq!((snapshot.state, snapshot.mode, snapshot.totals.refused), (State::Open, Mode::Shadow, 6));
    layer.handle().set_mode(Mode::Enforce);
    assert_eq!(service.oneshot(request("/")).await.unwrap().status(), 503);
}

#[tokio::test]
async fn a_fallback_answers_and_is_marked() {
    let layer = small()
        .on_refused(|rejection: &Rejection, request: RequestView<'_>| {
            assert_eq!(rejection.origin(), Origin::CircuitBreaker);
            (request.uri().path() == "/menu").then(|| Response::new(Bytes::from_static(b"yesterday's")))
        })
        .build()
        .unwrap();
    layer.handle().force_open(Duration::MAX);
    let service = layer.layer(Upstream::default());
    let answer = service.clone().oneshot(request("/menu")).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.extensions().get::<Rejection>().is_some() && !answer.headers().contains_key("retry-after"));
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "yesterday's");
    assert_eq!(service.oneshot(request("/")).await.unwrap().status(), 503);
}

#[tokio::test]
async fn each_authority_has_a_circuit_of_its_own() {
    let layer = small().per_key(AuthorityKey, 100).build().unwrap();
    let service = layer.layer(Upstream::default());
    let call = async |authority: &str, status: u16| {
        let request = Request::get(format!("http://{authority}/{status}")).body(Empty::<Bytes>::new()).unwrap();
        service.clone().oneshot(request).await.unwrap().status().as_u16()
    };
    for _ in 0..4 {
        call("sick.example", 500).await;
    }
    assert_eq!(call("SICK.example", 200).await, 503);
    assert_eq!(call("well.example", 200).await, 200);
    let sick = Request::get("http://sick.example/").body(()).unwrap();
    assert_eq!(layer.handle().snapshot_of(RequestView::of(&sick)).unwrap().state, State::Open);
    assert_eq!(layer.handle().snapshots().len(), 3);
}

#[tokio::test]
async fn churn_evicts_no_open_circuit_and_is_bounded() {
    let header = http::HeaderName::from_static("x-tenant");
    let layer = small().per_key(HeaderKey::new(header), 8).build().unwrap();
    let service = layer.layer(Upstream::default());
    let call = async |tenant: &str, status: u16| {
        let request =
            Request::get(format!("http://a/{status}")).header("x-tenant", tenant).body(Empty::<Bytes>::new()).unwrap();
        service.clone().oneshot(request).await.unwrap().status().as_u16()
    };
    for sick in 0..8 {
        for _ in 0..4 {
            call(&format!("sick-{sick}"), 500).await;
        }
        for well in 0..1000 {
            call(&format!("well-{sick}-{well}"), 200).await;
        }
    }
    for sick in 0..7 {
        assert_eq!(call(&format!("sick-{sick}"), 200).await, 503, "{sick}");
    }
    assert_eq!(layer.handle().snapshots().len(), 9, "eight, and the one that is shared");
    assert!(layer.handle().overflowed() > 0);
}

/// Circuits that nobody comes back to, in whatever state, do not fill the table for good.
#[tokio::test]
async fn whoever_never_comes_again_makes_room() {
    let header = http::HeaderName::from_static("x-tenant");
    for (calls, keeps) in [(1, ms(0)), (4, ms(1000 + 8000))] {
        for left_at_probe in [false, true] {
            let (breaker, hand) = manual(small().consecutive_failures(4).per_key(HeaderKey::new(header.clone()), 8));
            let layer = breaker.build().unwrap();
            let service = layer.layer(Upstream::default());
            let call = async |tenant: &str, status: u16| {
                let request = Request::get(format!("http://a/{status}")).header("x-tenant", tenant);
                let request = request.body(Empty::<Bytes>::new()).unwrap();
                service.clone().oneshot(request).await.unwrap().status().as_u16()
            };
            for gone in 0..8 {
                for _ in 0..calls {
                    call(&format!("gone-{gone}"), 500).await;
                }
            }
            if left_at_probe && calls == 4 {
                hand.advance(ms(1000));
                for gone in 0..8 {
                    // One probe of two, and no more.
                    assert_eq!(call(&format!("gone-{gone}"), 200).await, 200);
                }
                hand.advance(ms(5000));
            }
            hand.advance(keeps);
            for new in 0..8 {
                call(&format!("new-{new}"), 200).await;
            }
            let overflowed = layer.handle().overflowed();
            assert_eq!(overflowed, 0, "{calls} {left_at_probe}");
        }
    }
}

#[tokio::test]
async fn requests_without_a_key_share_a_circuit() {
    let layer = small().per_key(HeaderKey::api_key(), 8).build().unwrap();
    let service = layer.layer(Upstream::default());
    fail(&service, 4).await;
    assert_eq!(service.oneshot(request("/")).await.unwrap().status(), 503);
}

#[tokio::test]
async fn one_that_is_disabled_or_empty_does_nothing() {
    let empty = tower_rampart::circuit_breaker::CircuitBreakerLayer::empty();
    fail(&empty.layer(Upstream::default()), 100).await;
    assert_eq!(empty.handle().snapshot().state, State::Disabled);
}

#[test]
fn a_refusal_of_a_client_allocates_nothing_and_nor_does_a_call() {
    let layer = CircuitBreaker::new("x").consecutive_failures(5).build().unwrap();
    let handle = layer.handle();
    let mut client = layer.client().layer(Upstream::default());
    let mut call = move || {
        assert!(Service::<Request<Empty<Bytes>>>::poll_ready(&mut client, &mut context()).is_ready());
        let future = client.call(Request::new(Empty::<Bytes>::new()));
        let mut future = pin!(future);
        let polled = Pin::as_mut(&mut future).poll(&mut context());
        polled.is_ready()
    };
    assert!(call());
    assert_eq!(allocation_counter::measure(|| assert!(call())).count_total, 0);
    handle.force_open(Duration::MAX);
    assert!(call());
    // The counters of the circuit and of refusals are the metrics facade's, whose labels are lists, and a status is a text.
    let allowed = if cfg!(feature = "metrics") { 3 } else { 0 };
    assert!(allocation_counter::measure(|| assert!(call())).count_total <= allowed);
}
