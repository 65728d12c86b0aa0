//! A server that sheds what it cannot do, and a client that stops asking for it.
//!
//! `cargo run --example overload --features bulkhead,load-shed`

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use futures_util::future::join_all;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{ServiceBuilder, ServiceExt};
use tower_rampart::bulkhead::Bulkhead;
use tower_rampart::client::ClientError;
use tower_rampart::key::AuthorityKey;
use tower_rampart::load_shed::{AdaptiveThrottle, LoadShed};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The server finds out by itself how much is too much. (The cap is here so that something is shed in any case.)
    let shed = LoadShed::gradient2().max_limit(20).never_shed(["/healthz"]).build()?;
    let serving = shed.handle();
    let work = get(|| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        "done"
    });
    let app = Router::new().route("/work", work).route("/healthz", get(|| async { "well" })).layer(shed);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let uri = format!("http://{}/work", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });

    // The client has 100 calls under way at most, no more than 50 to one host, and is throttled by what is accepted.
    let throttle = AdaptiveThrottle::new().build()?.client();
    let throttling = throttle.handle();
    let bulkhead = Bulkhead::new(100).queue(1000, Duration::from_secs(5)).per_key(AuthorityKey, 50);
    let client = ServiceBuilder::new()
        .layer(throttle)
        .layer(bulkhead.max_queued_per_key(1000).build()?.client())
        .service(Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>());

    let call = || {
        let (client, request) = (client.clone(), Request::get(&uri).body(Empty::new()));
        async move {
            match client.oneshot(request.ok()?).await.map_err(ClientError::flatten) {
                Ok(response) => {
                    let status = response.status();
                    response.into_body().collect().await.ok()?;
                    Some(if status.is_success() { "answered" } else { "shed by the server" })
                }
                Err(ClientError::Refused(_)) => Some("refused by the client's own layers"),
                Err(ClientError::Inner(_)) => None,
            }
        }
    };
    let mut ends = Vec::new();
    for _ in 0..20 {
        ends.extend(join_all((0..100).map(|_| call())).await);
    }
    for end in ["answered", "shed by the server", "refused by the client's own layers"] {
        println!("{:>5} {end}", ends.iter().filter(|told| **told == Some(end)).count());
    }
    println!(
        "the server's limit is {}, the client is throttled by {:.2}",
        serving.snapshot().limit,
        throttling.snapshot().probability
    );
    Ok(())
}
