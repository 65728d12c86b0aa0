use http::{Method, Request};
use http_body_util::Empty;

use crate::support::{answer, client, gateway, hello, nobody, patiently, toml};

#[tokio::test]
async fn health_readiness_metrics_and_state() {
    let (address, _) = hello().await;
    let gateway = gateway(&toml(address, "admin_listen = \"127.0.0.1:0\"\n")).await;
    gateway.get("/").await;
    assert_eq!(gateway.admin("/-/healthz").await.status, 200);
    assert_eq!(gateway.admin("/-/readyz").await.status, 200);
    let metrics = gateway.admin("/-/metrics").await;
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(text.contains("rampart_gateway_requests_total{status=\"2xx\"} 1"), "{text}");
    assert!(metrics.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    let state = gateway.admin("/-/state").await;
    assert_eq!(state.json()["config"]["reloads"], 0);
    assert_eq!(state.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn failures_are_counted() {
    let gateway = gateway(&toml(nobody().await, "admin_listen = \"127.0.0.1:0\"\n")).await;
    gateway.get("/").await;
    let text = String::from_utf8_lossy(&gateway.admin("/-/metrics").await.body).into_owned();
    for line in [
        "rampart_gateway_upstream_failures_total{reason=\"broken\"} 1",
        "rampart_custom_refused_total{layer=\"gateway\",status=\"502\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_and_the_public_address_has_none_of_it() {
    let (address, seen) = hello().await;
    let gateway = gateway(&toml(address, "admin_listen = \"127.0.0.1:0\"\n")).await;
    assert_eq!(gateway.admin("/").await.status, 404);
    let post = Request::builder()
        .method(Method::POST)
        .uri(format!("http://{}/-/state", gateway.admin.unwrap()))
        .body(Empty::new())
        .unwrap();
    let refused = answer(patiently(client().request(post)).await.unwrap()).await;
    assert_eq!((refused.status, refused.headers["allow"].to_str().unwrap()), (405, "GET, HEAD"));
    assert_eq!(gateway.get("/-/state").await.body, "hello");
    assert_eq!(seen.last().uri, "/-/state");
}
