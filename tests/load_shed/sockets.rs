//! Over real sockets: axum under more than its limit, a hyper client that is throttled, a tonic channel that sheds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::{Layer, Service, ServiceExt as _};
use tower_rampart::client::ClientError;
use tower_rampart::load_shed::{AdaptiveThrottle, LoadShed};

/// What answers does so at once; this only turns a hang into a failure.
async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("an answer")
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

#[tokio::test]
async fn axum_sheds_what_does_not_fit_in_and_answers_health_checks() {
    let (inside, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (entered, gate) = (Arc::clone(&inside), Arc::clone(&release));
    let shed = LoadShed::gradient2().min_limit(1).initial_limit(3).max_limit(3).never_shed(["/healthz"]);
    let layer = shed.build().unwrap();
    let handle = layer.handle();
    let work = get(move || async move {
        entered.add_permits(1);
        gate.acquire().await.unwrap().forget();
        "done"
    });
    let app = Router::new().route("/work", work).route("/healthz", get(|| async { "well" })).layer(layer);
    let address = serve(app).await;
    let call = |path: &str| {
        let uri = format!("http://{address}{path}").parse().unwrap();
        tokio::spawn(async move { client().get(uri).await.unwrap() })
    };
    let running: Vec<_> = (0..3).map(|_| call("/work")).collect();
    patiently(inside.acquire_many(3)).await.unwrap().forget();
    for _ in 0..5 {
        let shed = patiently(call("/work")).await.unwrap();
        assert_eq!((shed.status().as_u16(), &shed.headers()["retry-after"]), (503, &"1".parse().unwrap()));
        assert_eq!(patiently(call("/healthz")).await.unwrap().status(), 200);
    }
    release.add_permits(3);
    for call in running {
        assert_eq!(patiently(call).await.unwrap().status(), 200);
    }
    assert_eq!(handle.snapshot().shed(), 5);
}

#[tokio::test]
async fn a_hyper_client_stops_asking_what_refuses() {
    let address = serve(Router::new().route("/", get(|| async { http::StatusCode::SERVICE_UNAVAILABLE }))).await;
    let layer = AdaptiveThrottle::new().build().unwrap().client();
    let handle = layer.handle();
    let mut client = layer.layer(client());
    let (mut made, mut refused) = (0, 0);
    for _ in 0..200 {
        let request = http::Request::get(format!("http://{address}/")).body(Empty::new()).unwrap();
        match patiently(client.ready().await.unwrap().call(request)).await {
            Ok(response) => {
                assert_eq!(response.status(), 503);
                made += 1;
            }
            Err(ClientError::Refused(_)) => refused += 1,
            Err(ClientError::Inner(error)) => panic!("{error}"),
        }
    }
    assert!(refused > 100 && made + refused == 200, "{made} made, {refused} refused");
    assert_eq!(handle.snapshot().throttled, refused);
}

/// gRPC's verdict stands in the trailers, which a real channel brings.
#[tokio::test]
async fn a_tonic_channel_sheds_by_what_trailers_say() {
    let (_, health) = tonic_health::server::health_reporter();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    tokio::spawn(tonic::transport::Server::builder().add_service(health).serve_with_incoming(incoming));
    let channel =
        tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let layer = LoadShed::gradient2().build().unwrap();
    let (handle, mut client) = (layer.handle(), HealthClient::new(layer.layer(channel)));
    for service in ["", "unknown"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = patiently(client.check(request)).await;
        assert_eq!(answer.is_ok(), service.is_empty());
    }
    handle.set_limits(1, 1).unwrap();
    let watching = patiently(client.watch(HealthCheckRequest::default())).await.unwrap();
    let status = patiently(client.check(HealthCheckRequest::default())).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    drop(watching);
    patiently(async {
        while client.check(HealthCheckRequest::default()).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
