//! Over real sockets, with real axum, HTTP/1 and HTTP/2, and many clients at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tower_rampart::key::{ClientIp, RouteKey};
use tower_rampart::rate_limit::{Policy, RateLimit};

use crate::support::{per, secs};

/// What answers does so at once; this only turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(60);

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn limited(limit: RateLimit) -> Router {
    let routes = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/polls/{id}", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() }));
    routes.layer(limit.build().unwrap())
}

fn request(path: &str) -> Request<Empty<Bytes>> {
    Request::get(path).header("host", "localhost").body(Empty::new()).unwrap()
}

/// Sends requests over one connection and counts those that are admitted.
async fn admitted(address: SocketAddr, version: Version, requests: usize) -> usize {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let mut admitted = 0;
    let mut count = |status: StatusCode| match status.as_u16() {
        200 => admitted += 1,
        429 => {}
        other => panic!("{other}"),
    };
    if version == Version::HTTP_2 {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        let streams = (0..requests).map(|_| {
            let mut sender = sender.clone();
            async move {
                sender.ready().await.unwrap();
                sender.send_request(request("http://localhost/")).await.unwrap().status()
            }
        });
        futures_util::future::join_all(streams).await.into_iter().for_each(&mut count);
    } else {
        let (mut sender, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        for _ in 0..requests {
            let response = sender.send_request(request("/")).await.unwrap();
            let status = response.status();
            response.into_body().collect().await.unwrap();
            sender.ready().await.unwrap();
            count(status);
        }
    }
    admitted
}

async fn fifty_times_twenty(version: Version) {
    for limit in [per(100, 3600), per(100, 3600).fixed_window()] {
        let address = serve(limited(RateLimit::per_client_ip(limit))).await;
        let total = Arc::new(AtomicUsize::new(0));
        let clients = (0..50).map(|_| {
            let total = Arc::clone(&total);
            tokio::spawn(async move { total.fetch_add(admitted(address, version, 20).await, Ordering::Relaxed) })
        });
        for client in clients.collect::<Vec<_>>() {
            tokio::time::timeout(PATIENCE, client).await.unwrap().unwrap();
        }
        assert_eq!(total.load(Ordering::Relaxed), 100, "{version:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_connections_get_exactly_the_quota_over_http1() {
    fifty_times_twenty(Version::HTTP_11).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_connections_get_exactly_the_quota_over_http2() {
    fifty_times_twenty(Version::HTTP_2).await;
}

#[tokio::test]
async fn axums_route_template_is_a_key() {
    let policy = Policy::new("p", per(2, 3600)).key((ClientIp::new(), RouteKey::new()));
    let address = serve(limited(RateLimit::new().add_policy(policy))).await;
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut statuses = Vec::new();
    for path in ["/polls/1", "/polls/2", "/polls/3", "/", "/"] {
        sender.ready().await.unwrap();
        let response = sender.send_request(request(path)).await.unwrap();
        statuses.push(response.status().as_u16());
        response.into_body().collect().await.unwrap();
    }
    assert_eq!(statuses, [200, 200, 429, 200, 200]);
}

#[tokio::test(start_paused = true)]
async fn a_paced_client_is_slowed_down_and_not_refused() {
    let policy = Policy::new("paced", per(10, 1).burst(2)).key(ClientIp::new()).max_wait(secs(10));
    let layer = RateLimit::new().add_policy(policy).build_throttle().unwrap();
    let handle = layer.handle();
    let address = serve(Router::new().route("/", get(|| async { "hello" })).layer(layer)).await;
    let started = tokio::time::Instant::now();
    assert_eq!(admitted(address, Version::HTTP_2, 20).await, 20);
    // The clock that counts is the system's, and the timers are tokio's, which skip what nobody needs.
    assert!(started.elapsed() > Duration::from_millis(1000), "{:?}", started.elapsed());
    assert_eq!(handle.waiting(), 0);
}

/// A client that hangs up frees what it held.
#[tokio::test]
async fn a_client_that_hangs_up_frees_its_place() {
    let layer = RateLimit::new().add_policy(Policy::concurrent("flight", 1).key(ClientIp::new())).build().unwrap();
    let handle = layer.handle();
    let (started, mut begun) = tokio::sync::mpsc::channel(1);
    let app = Router::new().route(
        "/hang",
        get(move || async move {
            started.send(()).await.unwrap();
            std::future::pending::<()>().await;
        }),
    );
    let address = serve(app.layer(layer)).await;
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = http1::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let hanging = tokio::spawn(async move { sender.send_request(request("/hang")).await.map(drop) });
    begun.recv().await.unwrap();
    assert_eq!(handle.snapshot("flight").map(|policy| policy.keys), Some(1));
    hanging.abort();
    connection.abort();
    tokio::time::timeout(PATIENCE, async {
        while handle.snapshot("flight").map(|policy| policy.keys) != Some(0) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}
