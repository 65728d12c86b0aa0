//! A client that does not wait for a service that is down.
//!
//! `cargo run --example circuit_breaker --features circuit-breaker -- http://127.0.0.1:3000/`, and then start and stop a
//! server there.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{ServiceBuilder, ServiceExt};
use tower_rampart::circuit_breaker::CircuitBreaker;
use tower_rampart::client::ClientError;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let uri: Uri = std::env::args().nth(1).as_deref().unwrap_or("http://127.0.0.1:3000/").parse()?;

    let breaker = CircuitBreaker::new("example")
        .consecutive_failures(3)
        .open_for(Duration::from_secs(1))
        .probes(1)
        .on_change(|name, change| println!("{name}: {} -> {} ({})", change.from, change.to, change.reason))
        .build()?;
    let handle = breaker.handle();
    // What retries stands outside the breaker; a timeout of one try stands inside.
    let client = ServiceBuilder::new()
        .layer(breaker.client())
        .service(Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>());

    for call in 1..=20 {
        let request = Request::get(uri.clone()).body(Empty::new())?;
        match client.clone().oneshot(request).await {
            Ok(response) => {
                let status = response.status();
                // The breaker hears of the answer when its body has ended.
                let bytes = response.into_body().collect().await.map(|body| body.to_bytes().len());
                println!("{call}: {status}, {bytes:?} bytes");
            }
            Err(ClientError::Refused(rejection)) => {
                println!("{call}: not even tried, come back in {:?}", rejection.retry_after());
            }
            Err(ClientError::Inner(error)) => println!("{call}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    println!("{:#?}", handle.snapshot());
    Ok(())
}
