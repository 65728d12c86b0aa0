//! Exchanging a stack under traffic.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};
use tower_rampart::config::{self, StackConfig, StackLayers};
use tower_rampart::stack::ReloadableLayer;

use crate::support::{ask, hello, limit, request};

fn load(text: &str) -> StackLayers {
    config::parse::<StackConfig>(text, "stack.toml").unwrap().load(Path::new(".")).unwrap()
}

const API: &str = "[security_headers]\npreset = \"api\"\n";
const LIMITED: &str = "[[rate_limit]]\nquota = 1\nwindow = \"1h\"\nkey = [\"global\"]\n";

#[tokio::test]
async fn clones_and_services_at_work_learn_of_it() {
    let layer = ReloadableLayer::new(limit("a", 100));
    let handle = layer.handle();
    let mut kept = layer.layer(service_fn(hello));
    let body = || request("/").body(http_body_util::Full::<Bytes>::default()).unwrap();
    assert_eq!(kept.ready().await.unwrap().call(body()).await.unwrap().status(), StatusCode::OK);
    handle.replace(limit("a", 1));
    // One count for the service that is called again and for a clone of one that never was.
    let never_called = layer.layer(service_fn(hello));
    assert_eq!(kept.ready().await.unwrap().call(body()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(ask(&never_called, body()).await.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!((handle.reloads(), handle.failed_reloads()), (1, 0));
}

#[tokio::test]
async fn what_was_polled_ready_is_what_is_called() {
    let layer = ReloadableLayer::new(limit("a", 1));
    let mut service = layer.layer(service_fn(hello));
    let body = || request("/").body(http_body_util::Full::<Bytes>::default()).unwrap();
    service.ready().await.unwrap();
    let before = layer.handle().current();
    layer.handle().replace(limit("a", 1));
    assert_eq!(service.call(body()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(before.handle().snapshot("a").map(|policy| policy.keys), Some(1));
    assert_eq!(layer.handle().current().handle().snapshot("a").map(|policy| policy.keys), Some(0));
}

#[tokio::test]
async fn what_cannot_be_built_changes_nothing() {
    let layer = ReloadableLayer::new(load(API).stack().build().unwrap());
    let handle = layer.handle();
    let bad = "[security_headers]\npreset = \"none\"\n";
    let error = handle
        .try_replace(|_| config::parse::<StackConfig>(bad, "stack.toml")?.load(Path::new("."))?.stack().build())
        .unwrap_err();
    assert!(error.to_string().starts_with("stack.toml:2: security_headers.preset: `none`"), "{error}");
    assert!(handle.current().describe().starts_with("security headers"));
    assert_eq!((handle.reloads(), handle.failed_reloads(), handle.last_reload_failed()), (0, 1, true));
    handle.try_replace(|_| load("").stack().build()).unwrap();
    assert_eq!(handle.current().describe(), "");
    assert_eq!((handle.reloads(), handle.failed_reloads(), handle.last_reload_failed()), (1, 1, false));
}

#[tokio::test]
async fn counts_go_on() {
    let running = load(LIMITED);
    let layer = ReloadableLayer::new(running.stack().build().unwrap());
    let service = layer.layer(service_fn(hello));
    let body = || request("/").body(http_body_util::Full::<Bytes>::default()).unwrap();
    assert_eq!(ask(&service, body()).await.status(), StatusCode::OK);
    let next = load(&format!("{LIMITED}{API}")).adopt(&running);
    layer.handle().replace(next.stack().build().unwrap());
    let response = ask(&service, body()).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(response.headers().contains_key("x-content-type-options"));
}

/// Every answer is one configuration's, whole: the first's or the second's; none is lost, and after the exchange all are the
/// second's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_traffic_every_answer_is_one_of_the_two() {
    const WORKERS: usize = 8;
    let old = format!("{API}[timeouts]\n");
    let new = "[security_headers]\npreset = \"web\"\n[timeouts]\n[load_shed]\n";
    let layer = ReloadableLayer::new(load(&old).stack().build().unwrap());
    let handle = layer.handle();
    let app = Router::new().route("/", get(|| async { "hello" })).layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });

    let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (stop, answers) = (Arc::clone(&stop), Arc::clone(&answers));
            tokio::spawn(async move {
                let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
                while !stop.load(Ordering::Relaxed) {
                    assert_preset(&fetch(&client, address).await);
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 1..=50_usize {
        while answers.load(Ordering::Relaxed) < round * WORKERS {
            tokio::task::yield_now().await;
        }
        let text = if round % 2 == 0 { &*old } else { new };
        handle.replace(load(text).stack().build().unwrap());
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        assert_eq!(assert_preset(&fetch(&client, address).await), round % 2 == 1, "{round}");
    }
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(handle.reloads(), 50);
}

async fn fetch(
    client: &Client<hyper_util::client::legacy::connect::HttpConnector, Empty<Bytes>>,
    address: SocketAddr,
) -> HeaderMap {
    let response = client.get(format!("http://{address}/").parse().unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let (parts, body) = response.into_parts();
    assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
    parts.headers
}

/// Whether the fields are the web preset's, which lets pages have images, and not the other one's.
fn assert_preset(headers: &HeaderMap) -> bool {
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    policy.contains("img-src 'self'")
}
