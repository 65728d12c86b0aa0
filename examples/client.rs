//! Layers around a client: the same types on the way out.
//!
//! `cargo run --example client --features security-headers -- http://127.0.0.1:3000/`, with one of the servers running.

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{ServiceBuilder, ServiceExt};
use tower_rampart::security_headers::SecurityHeaders;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let uri: Uri = std::env::args().nth(1).as_deref().unwrap_or("http://127.0.0.1:3000/").parse()?;

    // A client behind which a proxy hands responses on: what tells of the upstream's make is gone.
    let stripped = SecurityHeaders::empty().strip_fingerprints().build()?;
    let client = ServiceBuilder::new()
        .layer(stripped)
        .service(Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>());

    let response = client.oneshot(Request::get(uri).body(Full::default())?).await?;
    println!("{:?} {}", response.version(), response.status());
    for (name, value) in response.headers() {
        println!("{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    let body = response.into_body().collect().await?.to_bytes();
    println!("\n{}", String::from_utf8_lossy(&body));
    Ok(())
}
