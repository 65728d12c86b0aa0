//! `[cache_store]`: two gateways that cache as one, through a Redis server that the test starts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::redis_server::Server;
use crate::support::*;

/// README's recipe, with a server and a patience of the test's own.
async fn two(server: &Server) -> ([Gateway; 2], Arc<AtomicUsize>) {
    let readme = include_str!("../../../../README.md");
    let start = readme.find("```toml\n[cache]").expect("the recipe stands in README.md") + "```toml\n".len();
    let recipe = readme[start..].split("```").next().unwrap();
    assert!(recipe.contains("redis://127.0.0.1:6379"));
    let recipe = recipe.replace("redis://127.0.0.1:6379", &server.url());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let (address, _) = upstream(move |request| {
        let is_get = *request.method() == http::Method::GET;
        let call = if is_get { counted.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
        let response = Response::builder().header("cache-control", "max-age=600").header("surrogate-key", "t");
        let response = response.body(full(call.to_string())).unwrap();
        async move { response }
    })
    .await;
    let text = toml(address, &format!("admin_listen = \"127.0.0.1:0\"\n{recipe}timeout = \"5s\"\n"));
    ([gateway(&text).await, gateway(&text).await], count)
}

async fn post(address: SocketAddr, path: &str, body: &'static str) -> u16 {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::post(format!("http://{address}{path}")).header("host", "a").body(Full::from(body)).unwrap();
    answer(patiently(client.request(request)).await.unwrap()).await.status
}

async fn body(gateway: &Gateway) -> String {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::get(format!("http://{}/x", gateway.address)).header("host", "a").body(Full::default());
    let answer = answer(patiently(client.request(request.unwrap())).await.unwrap()).await;
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[tokio::test]
async fn what_one_stores_and_purges_is_everybodys() {
    let Some(server) = Server::start().await else { return };
    let ([one, other], count) = two(&server).await;
    assert_eq!(body(&one).await, "1");
    // It is written behind everybody's back.
    eventually(async || one.admin("/-/state").await.json()["cache"]["stores"] == 1 && body(&other).await == "1").await;
    let calls = count.load(Ordering::SeqCst);
    for purged in [r#"{"tag": "t"}"#, r#"{"path": "/x"}"#] {
        let before = body(&other).await;
        assert_eq!(post(one.admin.unwrap(), "/-/purge", purged).await, 204);
        assert_ne!(body(&one).await, before);
        eventually(async || body(&other).await != before).await;
    }
    let before = body(&other).await;
    assert_eq!(post(one.address, "/x", "").await, 200);
    eventually(async || body(&other).await != before).await;
    assert!(count.load(Ordering::SeqCst) > calls);
}

#[tokio::test]
async fn both_answer_while_the_server_is_gone() {
    let Some(server) = Server::start().await else { return };
    let ([one, other], _) = two(&server).await;
    body(&one).await;
    drop(server);
    for gateway in [&one, &other] {
        let got = body(gateway).await;
        assert_eq!(body(gateway).await, got, "memory is enough");
    }
    assert_eq!(post(one.admin.unwrap(), "/-/purge", r#"{"tag": "t"}"#).await, 204);
}
