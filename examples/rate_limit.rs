//! Limits on axum: per client, for failed logins, and a slow lane for searches.
//!
//! `cargo run --example rate_limit --features axum,rate-limit`, then
//!
//! ```sh
//! curl -i http://127.0.0.1:3000/             # see RateLimit and RateLimit-Policy
//! for n in 1 2 3 4; do curl -i -X POST http://127.0.0.1:3000/login; done   # three tries
//! for n in 1 2 3 4 5; do time curl http://127.0.0.1:3000/search; done      # one a second after the first two
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tower_rampart::key::ClientIp;
use tower_rampart::rate_limit::{Policy, Quota, RateLimit};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Behind a proxy: `ClientIp::new().trusted_proxies(TrustedProxies::parse(["10.0.0.0/8"])?)`.
    let client_ip = ClientIp::new();
    let minute = Duration::from_secs(60);

    let limits = RateLimit::new()
        .add_policy(Policy::new("default", Quota::new(100).per(minute)).key(client_ip.clone()))
        .add_policy(
            Policy::new("failed-logins", Quota::new(3).per(60 * minute))
                .key(client_ip.clone())
                .paths(["/login"])
                .count_statuses([http::StatusCode::UNAUTHORIZED]),
        )
        .exempt_paths(["/healthz"])
        .build()?;
    let slow_lane = RateLimit::new()
        .add_policy(
            Policy::new("searches", Quota::new(1).per(Duration::from_secs(1)).burst(2))
                .key(client_ip)
                .max_wait(Duration::from_secs(10)),
        )
        .build_throttle()?;

    let app = Router::new()
        .route("/search", get(|| async { "found\n" }).layer(slow_lane))
        .route("/", get(|| async { "hello\n" }))
        .route("/healthz", get(|| async { "well\n" }))
        .route("/login", post(|| async { (StatusCode::UNAUTHORIZED, "wrong\n") }))
        .layer(limits);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}/", listener.local_addr()?);
    // With connect info the layers know who the client is.
    Ok(axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?)
}
