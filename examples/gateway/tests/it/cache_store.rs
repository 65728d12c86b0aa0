//! `[cache_store]`: two gateways that cache as one, through a Redis server that the test starts.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::support::*;

struct Server(Child, SocketAddr);

impl Server {
    /// `None`, said aloud, where there is no `redis-server`; where it must be there, a failure.
    async fn start() -> Option<Self> {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let spawned = Command::new("redis-server")
            .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--dir", &std::env::temp_dir().to_string_lossy()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let Ok(child) = spawned else {
            assert!(std::env::var_os("RAMPART_REQUIRE_REDIS").is_none(), "no redis-server, and it must be there");
            // Not by a macro, whose output a passing test keeps to itself.
            std::io::stderr().write_all(b"SKIPPED: no `redis-server` in PATH\n").unwrap();
            return None;
        };
        let server = Self(child, address);
        for _ in 0..500 {
            if server.answers() {
                return Some(server);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("redis-server does not answer");
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.1) else { return false };
        let mut answer = [0; 5];
        stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut answer).is_ok() && &answer == b"+PONG"
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// README's recipe, with a server and a patience of the test's own.
async fn two(server: &Server) -> ([Gateway; 2], Arc<AtomicUsize>) {
    let readme = include_str!("../../../../README.md");
    let start = readme.find("```toml\n[cache]").expect("the recipe stands in README.md") + "```toml\n".len();
    let recipe = readme[start..].split("```").next().unwrap();
    assert!(recipe.contains("redis://127.0.0.1:6379"));
    let recipe = recipe.replace("redis://127.0.0.1:6379", &format!("redis://{}", server.1));
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
    let Some(mut server) = Server::start().await else { return };
    let ([one, other], _) = two(&server).await;
    body(&one).await;
    server.0.kill().unwrap();
    server.0.wait().unwrap();
    for gateway in [&one, &other] {
        let got = body(gateway).await;
        assert_eq!(body(gateway).await, got, "memory is enough");
    }
    assert_eq!(post(one.admin.unwrap(), "/-/purge", r#"{"tag": "t"}"#).await, 204);
}
