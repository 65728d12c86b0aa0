//! One stack with every layer of this crate, and some of tower-http's, on axum, tonic and plain hyper, over sockets.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Code;
use tonic::transport::{Endpoint, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::util::MapResponseLayer;
use tower::{Layer, Service, service_fn};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;
use tower_rampart::ResponseBody;
use tower_rampart::authz::{AuthzLayer, PolicyTable, Rule};
use tower_rampart::cache::Cache;
use tower_rampart::deadline::Deadlines;
use tower_rampart::key::{PeerAddr, PeerAddrLayer};
use tower_rampart::load_shed::LoadShed;
use tower_rampart::security_headers::SecurityHeadersLayer;
use tower_rampart::stack::Stack;
use tower_rampart::validate::Validate;

use crate::loopback::listen;
use crate::support::{KEY, auth, limit};

/// Everybody may ask for health, and callers for `/open`.
fn authz() -> AuthzLayer {
    let table = PolicyTable::builder()
        .add_rule(Rule::allow("open", "/open"))
        .add_rule(Rule::allow("check", "/grpc.health.v1.Health/Check"));
    AuthzLayer::new(table.build().unwrap())
}

/// Every place of this crate, and two of others: a macro, since what it is of is nobody's to write down.
macro_rules! everything {
    () => {
        Stack::new()
            .cache(Cache::builder().build().unwrap().layer())
            .validate(Validate::new().build().unwrap())
            .authz(authz())
            .rate_limit_by_identity(limit("callers", 3))
            .auth(auth())
            .rate_limit_by_address(limit("strangers", 5))
            .deadline(Deadlines::new().build().unwrap())
            .load_shed(LoadShed::gradient2().build().unwrap())
            .security_headers(SecurityHeadersLayer::api())
            .catch_panic(CatchPanicLayer::new())
            .trace(TraceLayer::new_for_http())
            .build()
            .unwrap()
    };
}

/// A stranger, then the client until its limit is used up, then the address until its own is.
async fn check_http(address: SocketAddr) {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let mut statuses = Vec::new();
    for key in [None, Some(KEY), Some(KEY), Some(KEY), Some(KEY), None] {
        let mut request = Request::get(format!("http://{address}/open"));
        if let Some(key) = key {
            request = request.header("x-api-key", key);
        }
        let response = client.request(request.body(Empty::new()).unwrap()).await.unwrap();
        assert!(response.headers().contains_key(header::X_CONTENT_TYPE_OPTIONS), "{response:?}");
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(status == StatusCode::OK, body == "hello", "{body:?}");
        statuses.push(status.as_u16());
    }
    assert_eq!(statuses, [401, 200, 200, 200, 429, 429]);
}

#[tokio::test]
async fn it_is_one_layer_of_an_axum_router() {
    let (listener, address) = listen().await;
    let app = Router::new().route("/open", get(|| async { "hello" })).layer(everything!());
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    check_http(address).await;
}

#[tokio::test]
async fn it_is_a_layer_of_one_route() {
    let (listener, address) = listen().await;
    let app = Router::new().route("/open", get(|| async { "hello" })).route_layer(everything!());
    tokio::spawn(async move { axum::serve(listener, app).await });
    check_http(address).await;
}

#[tokio::test]
async fn it_stands_around_a_whole_axum_application() {
    let (listener, address) = listen().await;
    let app = Router::new().route("/open", get(|| async { "hello" }));
    // axum serves what answers with its own body.
    let service = MapResponseLayer::new(axum::response::IntoResponse::into_response).layer(everything!().layer(app));
    let service =
        axum::ServiceExt::<axum::extract::Request>::into_make_service_with_connect_info::<SocketAddr>(service);
    tokio::spawn(async move { axum::serve(listener, service).await });
    check_http(address).await;
}

#[tokio::test]
async fn it_runs_on_hyper() {
    let (listener, address) = listen().await;
    let hello = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Full::from("hello"))) });
    let service = everything!().layer(hello);
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let service = PeerAddrLayer::new(PeerAddr::new(peer)).layer(service.clone());
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).await;
            });
        }
    });
    check_http(address).await;
}

/// A stranger, then the client until its limit is used up.
async fn check_grpc(address: SocketAddr) {
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut client = HealthClient::new(channel);
    let mut codes = Vec::new();
    for key in [None, Some(KEY), Some(KEY), Some(KEY), Some(KEY), None] {
        let mut request = tonic::Request::new(HealthCheckRequest { service: "polls".to_owned() });
        if let Some(key) = key {
            request.metadata_mut().insert("x-api-key", key.parse().unwrap());
        }
        codes.push(client.check(request).await.map_or_else(|status| status.code(), |_| Code::Ok));
    }
    let limited = Code::ResourceExhausted;
    assert_eq!(codes, [Code::Unauthenticated, Code::Ok, Code::Ok, Code::Ok, limited, limited]);
}

#[tokio::test]
async fn it_is_one_layer_of_a_tonic_server() {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("polls", tonic_health::ServingStatus::Serving).await;
    let (listener, address) = listen().await;
    let server = Server::builder().layer(everything!()).add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    check_grpc(address).await;
}

#[tokio::test]
async fn it_stands_around_one_tonic_service() {
    use tonic::service::LayerExt as _;
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("polls", tonic_health::ServingStatus::Serving).await;
    let (listener, address) = listen().await;
    let server = Server::builder().add_service(everything!().named_layer(health));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    check_grpc(address).await;
}

/// A stack without layers is none: the service's type is the handler's own.
#[test]
fn an_empty_stack_leaves_the_type_alone() {
    fn same<T>(_: &T, _: &T) {}
    let layer = Stack::new().build().unwrap();
    let handler = service_fn(crate::support::hello::<Incoming>);
    same(&layer.layer(handler), &handler);
    // What is empty leaves nothing around what is not.
    let layer = Stack::new().deadline(Deadlines::new().build().unwrap()).build().unwrap();
    same(&layer.layer(handler), &Deadlines::new().build().unwrap().layer(handler));
    fn body<S: Service<Request<Incoming>, Response = Response<ResponseBody<Full<Bytes>>>>>(_: &S) {}
    body(&layer.layer(handler));
}
