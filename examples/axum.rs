//! Security headers on axum, with a page whose inline script runs by nonce.
//!
//! `cargo run --example axum --features axum,security-headers`, then open <http://127.0.0.1:3000/>.

use std::net::SocketAddr;

use axum::response::Html;
use axum::routing::get;
use axum::{Json, Router};
use tower_rampart::security_headers::{CspNonce, SecurityHeadersLayer};

async fn page(nonce: CspNonce) -> Html<String> {
    Html(format!(
        "<!doctype html><title>Poll</title><h1>Poll</h1><p id=\"votes\"></p>\
         <script nonce=\"{nonce}\">document.getElementById('votes').textContent = '42 votes';</script>"
    ))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    // One layer for the pages, another for the API. `Router::layer` covers what was added before it, and the fallback
    // of its router: refusals and 404s carry the headers too.
    let pages = Router::new().route("/", get(page)).layer(SecurityHeadersLayer::web());
    let api = Router::new()
        .route("/v1/votes", get(|| async { Json([("yes", 40), ("no", 2)]) }))
        .layer(SecurityHeadersLayer::api());

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}/", listener.local_addr()?);
    // With connect info the layers know who the client is.
    axum::serve(listener, pages.merge(api).into_make_service_with_connect_info::<SocketAddr>()).await
}
