//! Real servers and clients over loopback, with time that stands still until all wait for it.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::time::Instant;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Code;
use tonic::transport::{Endpoint, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::util::MapFutureLayer;
use tower::{Layer, ServiceExt, service_fn};
use tower_rampart::TimedOut;
use tower_rampart::deadline::{Deadlines, TryTimeoutLayer};

use crate::loopback::listen;
use crate::support::secs;

async fn ask(address: SocketAddr, path: &str, fields: &[(&str, &str)], is_http2: bool) -> Response<Incoming> {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(is_http2).build_http();
    let request = Request::get(format!("http://{address}{path}"));
    let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    client.request(request.body(Empty::new()).unwrap()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn on_axum() {
    let (listener, address) = listen().await;
    let app = Router::new()
        .route("/never", get(pending::<&'static str>))
        .route("/quick", get(async || "hello"))
        .layer(Deadlines::new().max_time(secs(5)).build().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    for is_http2 in [false, true] {
        let begun = Instant::now();
        let response = ask(address, "/never", &[], is_http2).await;
        assert_eq!((response.status().as_u16(), begun.elapsed().as_secs()), (504, 5));
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let response = ask(address, "/never", &[("grpc-timeout", "2S")], is_http2).await;
        assert_eq!((response.status().as_u16(), begun.elapsed().as_secs()), (504, 7));
        assert_eq!(ask(address, "/quick", &[], is_http2).await.status(), 200);
        assert_eq!(ask(address, "/quick", &[("grpc-timeout", "2 S")], is_http2).await.status(), 400);
    }
}

/// tonic has a timeout of its own, for the same field: ours is the one that the client hears of.
#[tokio::test(start_paused = true)]
async fn around_a_tonic_server() {
    let (listener, address) = listen().await;
    let (_, health) = tonic_health::server::health_reporter();
    let never = MapFutureLayer::new(|call| async move {
        pending::<()>().await;
        call.await
    });
    let server = Server::builder()
        .layer(Deadlines::new().max_time(secs(5)).build().unwrap())
        .layer(never)
        .add_service(health)
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let begun = Instant::now();
    let status = HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!((status.code(), begun.elapsed().as_secs()), (Code::DeadlineExceeded, 5));
    // A client of another make, which leaves the field to the server.
    let fields = [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "1S")];
    let response = ask(address, "/grpc.health.v1.Health/Check", &fields, true).await;
    assert_eq!((&response.headers()["grpc-status"], begun.elapsed().as_secs()), (&"4".parse().unwrap(), 6));
}

/// A server whose answers begin and do not end.
async fn trickle() -> SocketAddr {
    let (listener, address) = listen().await;
    let handler = service_fn(|_: Request<Incoming>| async {
        let frames = [Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"part")))];
        let frames =
            futures_util::StreamExt::chain(futures_util::stream::iter(frames), futures_util::stream::pending());
        Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
    });
    let service = Deadlines::new().max_time(secs(3)).build_with_body().unwrap().layer(handler);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_cut_off_is_an_error_at_the_client() {
    let address = trickle().await;
    for is_http2 in [false, true] {
        let begun = Instant::now();
        let mut body = ask(address, "/", &[], is_http2).await.into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "part");
        assert!(body.frame().await.unwrap().is_err(), "the end would be a lie");
        assert_eq!(begun.elapsed().as_secs(), 3);
    }
    let mut body = ask(address, "/", &[("content-type", "application/grpc")], true).await.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "part");
    assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap()["grpc-status"], "4");
}

#[tokio::test(start_paused = true)]
async fn a_try_of_a_hyper_client() {
    // Connections wait in the queue of the socket, and nobody ever takes them.
    let (_listener, address) = listen().await;
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = || Request::get(format!("http://{address}/")).body(Full::default()).unwrap();
    let begun = Instant::now();
    let layer = TryTimeoutLayer::new(secs(2)).unwrap();
    let response = layer.clone().layer(client.clone()).oneshot(request()).await.unwrap();
    assert_eq!((response.status().as_u16(), begun.elapsed().as_secs()), (504, 2));
    let boxed = client.map_err(tower::BoxError::from);
    let error = layer.as_error().layer(boxed).oneshot(request()).await.unwrap_err();
    assert!(error.is::<TimedOut>());
    assert_eq!(begun.elapsed().as_secs(), 4);
}
