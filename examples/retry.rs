//! A client that gives up in time, and tries again where that helps.
//!
//! `cargo run --example retry --features deadline,retry -- http://127.0.0.1:3000/`, with one of the servers running, or none.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_rampart::ResponseView;
use tower_rampart::deadline::{Deadlines, PropagateDeadlineLayer, TryTimeoutLayer};
use tower_rampart::retry::{Attempt, ReplayBody, Retries, RetryLayer};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let uri: Uri = std::env::args().nth(1).as_deref().unwrap_or("http://127.0.0.1:3000/").parse()?;

    let policy = Retries::new().max_attempts(4).backoff(Duration::from_millis(100), Duration::from_secs(1)).build()?;
    let client = ServiceBuilder::new()
        // Five seconds for the call, with all its tries.
        .layer(Deadlines::new().max_time(Duration::from_secs(5)).build()?)
        .layer(RetryLayer::new(policy.clone()))
        // One second for each of them.
        .layer(TryTimeoutLayer::new(Duration::from_secs(1))?)
        .layer(PropagateDeadlineLayer::grpc())
        .service(Client::builder(TokioExecutor::new()).build_http::<ReplayBody<Full<Bytes>>>());

    let answer = client.oneshot(Request::get(uri).body(Full::<Bytes>::default())?).await;
    println!("retries in the last ten seconds: {}", policy.budget().retries);
    let response = answer?;
    println!("{} at try {}", response.status(), Attempt::of_response(ResponseView::of(&response)).get());
    println!("{}", String::from_utf8_lossy(&response.into_body().collect().await?.to_bytes()));
    Ok(())
}
