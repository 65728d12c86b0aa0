//! Over real sockets: axum, tonic, hyper's client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Code;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_rampart::circuit_breaker::State;
use tower_rampart::client::ClientError;

use crate::loopback::listen;
use crate::support::{manual, ms, small};

/// Fails so many times, then is well.
async fn flaky(failures: usize) -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let app = Router::new().route(
        "/",
        get(move || {
            let call = counted.fetch_add(1, Ordering::SeqCst);
            async move { if call < failures { (StatusCode::BAD_GATEWAY, "oh") } else { (StatusCode::OK, "well") } }
        }),
    );
    let (listener, address) = listen().await;
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, calls)
}

#[tokio::test]
async fn around_a_hyper_client() {
    let (address, calls) = flaky(4).await;
    let (breaker, hand) = manual(small());
    let layer = breaker.build().unwrap();
    let handle = layer.handle();
    let client = ServiceBuilder::new()
        .layer(layer.client())
        .service(Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>());
    let call = async || {
        let request = Request::get(format!("http://{address}/")).body(Empty::new()).unwrap();
        let response = client.clone().oneshot(request).await?;
        let status = response.status().as_u16();
        response.into_body().collect().await.unwrap();
        Ok::<_, ClientError<hyper_util::client::legacy::Error>>(status)
    };
    for _ in 0..4 {
        assert_eq!(call().await.unwrap(), 502);
    }
    assert!(call().await.unwrap_err().is_refused());
    assert_eq!(calls.load(Ordering::SeqCst), 4);
    hand.advance(ms(1000));
    for _ in 0..2 {
        assert_eq!(call().await.unwrap(), 200);
    }
    assert_eq!(handle.snapshot().state, State::Closed);
}

#[tokio::test]
async fn around_a_hyper_client_whose_server_is_gone() {
    // Bound and not listened at, so that no other test gets the address meanwhile.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = held.local_addr().unwrap();
    let layer = small().build().unwrap();
    let client = layer.clone().client().layer(Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>());
    for refused in [false, false, false, false, true] {
        let request = Request::get(format!("http://{address}/")).body(Empty::new()).unwrap();
        assert_eq!(client.clone().oneshot(request).await.unwrap_err().is_refused(), refused);
    }
}

#[tokio::test]
async fn inside_axum() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let handler = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async { StatusCode::INTERNAL_SERVER_ERROR }
    };
    let layer = small().build().unwrap();
    let app = Router::new().route("/", get(handler)).layer(layer);
    let (listener, address) = listen().await;
    tokio::spawn(async move { axum::serve(listener, app).await });
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(client.get(format!("http://{address}/").parse().unwrap()).await.unwrap().status().as_u16());
    }
    assert_eq!((statuses, calls.load(Ordering::SeqCst)), (vec![500, 500, 500, 500, 503, 503], 4));
}

#[tokio::test]
async fn around_a_tonic_channel() {
    let (listener, address) = listen().await;
    let (_, health) = tonic_health::server::health_reporter();
    // A service that nobody knows is the caller's mistake; one that is unavailable is not.
    let service =
        InterceptedService::new(health, |request: tonic::Request<()>| match request.metadata().get("x-sick") {
            Some(_) => Err(tonic::Status::unavailable("sick")),
            None => Ok(request),
        });
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)));
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let layer = small().build().unwrap();
    let mut client = HealthClient::new(layer.layer(channel));
    let mut check = async |is_sick: bool| {
        let mut request = tonic::Request::new(HealthCheckRequest { service: String::from("nobody") });
        if is_sick {
            request.metadata_mut().insert("x-sick", "1".parse().unwrap());
        }
        client.check(request).await.map(|_| ()).unwrap_err()
    };
    for _ in 0..8 {
        assert_eq!(check(false).await.code(), Code::NotFound);
    }
    for _ in 0..8 {
        assert_eq!(check(true).await.code(), Code::Unavailable);
    }
    let refused = check(false).await;
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.metadata().contains_key("grpc-retry-pushback-ms"), "it is the breaker's, not the server's");
}
