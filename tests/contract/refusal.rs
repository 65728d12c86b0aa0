//! A refusal speaks the client's protocol, wherever the layer stands.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Version};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tonic::Code;
use tonic::transport::{Channel, Server};
use tonic_health::pb::health_client::HealthClient;
use tower::{Layer, Service, ServiceExt as _};
use tower_rampart::Rejection;
use tower_rampart::problem::{Problem, ProblemKind};

use crate::frameworks::{self, patiently, polls};
use crate::gate::GateLayer;

fn closed() -> GateLayer {
    GateLayer::closed(Problem::new(ProblemKind::QuotaExceeded).with_detail("Die Schranke ist zu: 100 % voll, später!"))
}

async fn refusing_server(layer: GateLayer) -> Channel {
    let (listener, address) = frameworks::listen().await;
    let server = Server::builder().layer(layer).add_service(frameworks::health().await);
    tokio::spawn(server.serve_with_incoming(frameworks::incoming(listener)));
    frameworks::channel(address).await
}

async fn check_refused(mut client: HealthClient<impl GrpcClient>) {
    for status in [
        patiently(client.check(polls())).await.map(drop).unwrap_err(),
        patiently(client.watch(polls())).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status.message(), "Die Schranke ist zu: 100 % voll, später!");
        assert_eq!(status.metadata().get("retry-after").unwrap(), "2");
    }
}

trait GrpcClient:
    tonic::client::GrpcService<tonic::body::Body, Error: Into<Error>, ResponseBody = Self::Reply> + Clone
{
    type Reply: http_body::Body<Data = Bytes, Error: Into<Error> + Send> + Send + 'static;
}

type Error = Box<dyn std::error::Error + Send + Sync>;

impl<T, B> GrpcClient for T
where
    T: tonic::client::GrpcService<tonic::body::Body, ResponseBody = B> + Clone,
    T::Error: Into<Error>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Error> + Send,
{
    type Reply = B;
}

#[tokio::test]
async fn a_tonic_client_sees_the_status_of_a_server_that_refuses() {
    check_refused(HealthClient::new(refusing_server(closed()).await)).await;
}

#[tokio::test]
async fn and_of_one_service_that_refuses() {
    use tonic::service::LayerExt as _;
    let (listener, address) = frameworks::listen().await;
    let server = Server::builder().add_service(closed().named_layer(frameworks::health().await));
    tokio::spawn(server.serve_with_incoming(frameworks::incoming(listener)));
    check_refused(HealthClient::new(frameworks::channel(address).await)).await;
}

#[tokio::test]
async fn and_of_a_layer_around_its_own_channel() {
    let channel = refusing_server(GateLayer::open()).await;
    check_refused(HealthClient::new(closed().layer(channel))).await;
}

#[tokio::test]
async fn and_of_tonic_inside_axum() {
    let (listener, address) = frameworks::listen().await;
    let app = tonic::service::Routes::new(frameworks::health().await).into_axum_router().layer(closed());
    tokio::spawn(async move { axum::serve(listener, app).await });
    check_refused(HealthClient::new(frameworks::channel(address).await)).await;
}

/// Each kind arrives as its code.
#[tokio::test]
async fn every_kind_reaches_a_tonic_client() {
    for kind in ProblemKind::ALL {
        let channel = refusing_server(GateLayer::closed(Problem::new(*kind))).await;
        let status = patiently(HealthClient::new(channel).check(polls())).await.unwrap_err();
        assert_eq!(status.code() as i32, i32::from(kind.grpc_code().get()), "{kind:?}");
        assert_eq!(status.message(), kind.title());
    }
}

/// Clients kill the call when a header block is too large; a hundred kibibytes are far beyond.
#[tokio::test]
async fn a_huge_detail_arrives_cut_and_the_connection_lives() {
    let detail = "ä".repeat(50 * 1024);
    let channel =
        refusing_server(GateLayer::closed(Problem::new(ProblemKind::Internal).with_detail(detail.clone()))).await;
    let mut client = HealthClient::new(channel);
    for _ in 0..3 {
        let status = patiently(client.check(polls())).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        assert!(status.message().len() > 100 && detail.starts_with(status.message()));
    }
}

/// gRPC over HTTP/2, "Responses": the status stands in the one HEADERS frame, which ends the stream.
#[tokio::test]
async fn a_grpc_refusal_is_trailers_only_on_the_wire() {
    let (listener, address) = frameworks::listen().await;
    let server = Server::builder().layer(closed()).add_service(frameworks::health().await);
    tokio::spawn(server.serve_with_incoming(frameworks::incoming(listener)));
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
        .body(Full::new(Bytes::from_static(&[0, 0, 0, 0, 0])))
        .unwrap();
    let response = patiently(client.request(request)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/grpc+proto");
    assert_eq!(response.headers()["grpc-status"], "8");
    assert!(response.body().is_end_stream());
}

type Seen = (u16, HeaderMap, Bytes);

async fn seen_by<S, B>(client: S, address: SocketAddr, method: Method) -> Seen
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error: std::fmt::Debug>,
    B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>,
{
    let request = Request::builder().method(method).uri(format!("http://{address}/")).body(Empty::new()).unwrap();
    let (parts, body) = patiently(client.oneshot(request)).await.unwrap().into_parts();
    (parts.status.as_u16(), parts.headers, patiently(body.collect()).await.unwrap().to_bytes())
}

/// The layer in every place that an HTTP server or client has for one.
async fn http_refusals(method: Method) -> Vec<(&'static str, Seen)> {
    let plain = frameworks::hyper_client;
    let layered = frameworks::serve_axum(frameworks::routes("/").layer(closed())).await;
    let routed = frameworks::serve_axum(frameworks::routes("/").route_layer(closed())).await;
    let hyper = frameworks::serve_hyper(|handler| closed().layer(handler)).await;
    let open = frameworks::serve_hyper(|handler| handler).await;
    vec![
        ("axum layer", seen_by(plain(), layered, method.clone()).await),
        ("axum route_layer", seen_by(plain(), routed, method.clone()).await),
        ("hyper server", seen_by(plain(), hyper, method.clone()).await),
        ("hyper client", seen_by(closed().layer(plain()), open, method).await),
    ]
}

#[tokio::test]
async fn an_http_client_sees_a_problem() {
    for (place, (status, headers, body)) in http_refusals(Method::GET).await {
        assert_eq!(status, 429, "{place}");
        assert_eq!(headers["content-type"], "application/problem+json", "{place}");
        assert_eq!(headers["retry-after"], "2", "{place}");
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["detail"], "Die Schranke ist zu: 100 % voll, später!", "{place}");
    }
}

#[tokio::test]
async fn a_head_request_gets_the_head_alone() {
    let (_, (_, _, body)) = http_refusals(Method::GET).await.swap_remove(0);
    for (place, (status, headers, empty)) in http_refusals(Method::HEAD).await {
        assert_eq!(status, 429, "{place}");
        assert_eq!(headers["content-length"], body.len().to_string().as_str(), "{place}");
        assert!(empty.is_empty(), "{place}");
    }
}

/// Whoever stands outside the layer can see why it answered.
#[tokio::test]
async fn the_rejection_stands_in_the_extensions() {
    let open = frameworks::serve_hyper(|handler| handler).await;
    let uri: http::Uri = format!("http://{open}/").parse().unwrap();
    let get = || Request::get(uri.clone()).body(Empty::<Bytes>::new()).unwrap();
    let refused = patiently(closed().layer(frameworks::hyper_client()).oneshot(get())).await.unwrap();
    let rejection = refused.extensions().get::<Rejection>().unwrap();
    assert_eq!(rejection.problem().kind(), ProblemKind::QuotaExceeded);
    let answered = patiently(GateLayer::open().layer(frameworks::hyper_client()).oneshot(get())).await.unwrap();
    assert!(answered.extensions().get::<Rejection>().is_none());
}

/// Many connections, clones and re-layerings share the one state: of 4 places no fifth is ever given.
#[tokio::test]
async fn state_is_shared_over_real_connections() {
    use std::sync::Arc;
    use tokio::sync::{Barrier, Semaphore};
    let layer = GateLayer::with_places(4);
    let (inside, release) = (Arc::new(Semaphore::new(0)), Arc::new(Barrier::new(5)));
    let handler = {
        let (inside, release) = (Arc::clone(&inside), Arc::clone(&release));
        axum::routing::get(move || async move {
            inside.add_permits(1);
            release.wait().await;
            "hello"
        })
    };
    let route = |path: &str| axum::Router::new().route(path, handler.clone()).layer(layer.clone());
    let address = frameworks::serve_axum(route("/a").merge(route("/b"))).await;
    let call = |path: &str| {
        let uri = format!("http://{address}{path}").parse().unwrap();
        // A client of its own is a connection of its own.
        tokio::spawn(async move { frameworks::hyper_client().get(uri).await.unwrap().status().as_u16() })
    };
    let waiting: Vec<_> = ["/a", "/b", "/a", "/b"].map(&call).into();
    patiently(inside.acquire_many(4)).await.unwrap().forget();
    for path in ["/a", "/b", "/a"] {
        assert_eq!(patiently(call(path)).await.unwrap(), 429);
    }
    release.wait().await;
    for call in waiting {
        assert_eq!(patiently(call).await.unwrap(), 200);
    }
    assert_eq!(layer.free_places(), 4);
}
