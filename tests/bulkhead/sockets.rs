//! Over real sockets: an axum server that has few places, and a hyper client and a tonic channel that ask for few.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::body::Frame;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::{Layer, Service, ServiceExt as _};
use tower_rampart::bulkhead::Bulkhead;
use tower_rampart::client::ClientError;
use tower_rampart::key::AuthorityKey;

/// What answers does so at once; this only turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(30);

async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("an answer")
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn client() -> Client<HttpConnector, Empty<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

/// A body of two frames, the second of which comes when the gate opens.
fn halting(gate: Arc<Semaphore>) -> axum::body::Body {
    let frames = futures_util::stream::unfold(0, move |step| {
        let gate = Arc::clone(&gate);
        async move {
            if step == 1 {
                gate.acquire().await.unwrap().forget();
            }
            (step < 2).then(|| (Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"frame"))), step + 1))
        }
    });
    axum::body::Body::new(StreamBody::new(frames))
}

#[tokio::test]
async fn a_streaming_answer_holds_its_place_to_its_end() {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let layer = Bulkhead::new(1).build().unwrap();
    let handle = layer.handle();
    let stream = get(move || async move { Response::new(halting(opened)) });
    let address = serve(Router::new().route("/", stream).layer(layer)).await;
    let uri = || format!("http://{address}/").parse().unwrap();
    let streaming = patiently(client().get(uri())).await.unwrap();
    assert_eq!((streaming.status().as_u16(), handle.snapshot().in_flight), (200, 1));
    assert_eq!(patiently(client().get(uri())).await.unwrap().status(), 503);
    // A client that leaves in the middle frees the place as one does that reads on.
    drop(streaming);
    patiently(async {
        while handle.snapshot().in_flight > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let streaming = patiently(client().get(uri())).await.unwrap();
    gate.add_permits(1);
    assert_eq!(patiently(streaming.into_body().collect()).await.unwrap().to_bytes(), "frameframe");
    patiently(async {
        while handle.snapshot().in_flight > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_hyper_client_never_asks_for_more_than_it_may() {
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, seen) = (Arc::clone(&inside), Arc::clone(&most));
    let work = get(move || async move {
        seen.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        counted.fetch_sub(1, Ordering::SeqCst);
        "done"
    });
    let address = serve(Router::new().route("/", work)).await;
    let layer = Bulkhead::new(3).queue(100, PATIENCE).per_key(AuthorityKey, 3).max_queued_per_key(100).build().unwrap();
    let client = layer.client().layer(client());
    let calls = (0..50).map(|_| {
        let mut client = client.clone();
        async move {
            let request = http::Request::get(format!("http://{address}/")).body(Empty::new()).unwrap();
            let response = client.ready().await.unwrap().call(request).await.unwrap();
            response.into_body().collect().await.unwrap().to_bytes()
        }
    });
    let answers = patiently(futures_util::future::join_all(calls)).await;
    assert!(answers.iter().all(|answer| answer == "done"));
    assert!((1..=3).contains(&most.load(Ordering::SeqCst)));
}

#[tokio::test]
async fn a_tonic_channel_is_told_14_or_has_a_typed_error() {
    let (_, health) = tonic_health::server::health_reporter();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    tokio::spawn(tonic::transport::Server::builder().add_service(health).serve_with_incoming(incoming));
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = endpoint.connect().await.unwrap();
    let layer = Bulkhead::new(1).build().unwrap();
    let mut client = HealthClient::new(layer.layer(channel.clone()));
    let watching = patiently(client.watch(HealthCheckRequest::default())).await.unwrap();
    let refused = patiently(client.check(HealthCheckRequest::default())).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert_eq!(refused.metadata().get("grpc-retry-pushback-ms").unwrap(), "1000");
    let mut typed = layer.clone().client().layer(channel);
    let request = http::Request::post("/").body(tonic::body::Body::empty()).unwrap();
    let error = patiently(typed.ready().await.unwrap().call(request)).await.map(drop).unwrap_err();
    assert!(matches!(error, ClientError::Refused(_)));
    drop(watching);
    patiently(async {
        while client.check(HealthCheckRequest::default()).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
