//! Real servers and clients over real sockets on loopback.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt, service_fn};

pub(crate) use crate::loopback::listen;

/// A socket that answers does so at once; this only turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(30);

type Error = Box<dyn std::error::Error + Send + Sync>;

pub(crate) async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("an answer")
}

pub(crate) fn incoming(listener: TcpListener) -> TcpListenerStream {
    TcpListenerStream::new(listener)
}

pub(crate) fn routes(path: &str) -> Router {
    Router::new().route(path, get(|| async { "hello" }))
}

pub(crate) async fn serve_axum(app: Router) -> SocketAddr {
    let (listener, address) = listen().await;
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

pub(crate) async fn check_axum(app: Router, paths: &[&str]) {
    let address = serve_axum(app).await;
    for path in paths {
        check_http(address, path).await;
    }
}

pub(crate) type Handler = BoxCloneSyncService<Request<Incoming>, Response<Full<Bytes>>, Infallible>;

/// Serves what `wrap` makes of a handler that says hello, on plain hyper, HTTP/1.1 and HTTP/2.
pub(crate) async fn serve_hyper<S, B>(wrap: impl FnOnce(Handler) -> S) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Error>,
{
    let hello = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello")))) });
    let service = wrap(BoxCloneSyncService::new(hello));
    let (listener, address) = listen().await;
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

pub(crate) fn hyper_client() -> Client<HttpConnector, Empty<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

fn hyper_client_http2() -> Client<HttpConnector, Empty<Bytes>> {
    Client::builder(TokioExecutor::new()).http2_only(true).build_http()
}

/// Over HTTP/1.1 and HTTP/2.
pub(crate) async fn check_http(address: SocketAddr, path: &str) {
    for client in [hyper_client(), hyper_client_http2()] {
        let uri = format!("http://{address}{path}").parse().unwrap();
        let response = patiently(client.get(uri)).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(patiently(response.into_body().collect()).await.unwrap().to_bytes(), "hello");
    }
}

/// A layered client gets its answer, more than once.
pub(crate) async fn check_client<S, B>(mut client: S, address: SocketAddr)
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>>,
    S::Error: std::fmt::Debug,
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    for _ in 0..3 {
        let request = Request::get(format!("http://{address}/")).body(Empty::new()).unwrap();
        let response = patiently(client.ready().await.unwrap().call(request)).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(patiently(response.into_body().collect()).await.unwrap().to_bytes(), "hello");
    }
}

pub(crate) async fn health() -> HealthServer<impl Health> {
    let (reporter, server) = tonic_health::server::health_reporter();
    reporter.set_service_status("polls", ServingStatus::Serving).await;
    server
}

pub(crate) async fn channel(address: SocketAddr) -> Channel {
    patiently(Endpoint::from_shared(format!("http://{address}")).unwrap().connect()).await.unwrap()
}

pub(crate) fn polls() -> HealthCheckRequest {
    HealthCheckRequest { service: "polls".to_owned() }
}

/// A unary call and a stream.
pub(crate) async fn check_grpc<T>(service: T)
where
    T: tonic::client::GrpcService<tonic::body::Body>,
    T::Error: Into<Error>,
    T::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as Body>::Error: Into<Error> + Send,
{
    let mut client = HealthClient::new(service);
    let serving = ServingStatus::Serving as i32;
    let reply = patiently(client.check(polls())).await.unwrap();
    assert_eq!(reply.into_inner().status, serving);
    let mut stream = patiently(client.watch(polls())).await.unwrap().into_inner();
    assert_eq!(patiently(stream.message()).await.unwrap().unwrap().status, serving);
}
