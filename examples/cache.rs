//! A cache on axum: a page that takes long, a counter that purges it, and what a handler says of its own response.
//!
//! `cargo run --example cache --features axum,cache`, then
//!
//! ```sh
//! curl -i http://127.0.0.1:3000/slow        # a second; then at once, with Age and Cache-Status
//! curl -i http://127.0.0.1:3000/votes       # tagged by its handler
//! curl -X POST http://127.0.0.1:3000/votes  # and purged by the next vote
//! curl -i http://127.0.0.1:3000/votes
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Extension, Router};
use tower_rampart::cache::{Cache, CacheHint, Route};

#[derive(Clone)]
struct App {
    votes: Arc<AtomicU64>,
    cache: Cache,
}

async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_secs(1)).await;
    "it took a second\n"
}

async fn votes(State(app): State<App>) -> impl IntoResponse {
    let hint = CacheHint::new().ttl(Duration::from_secs(60)).add_tag("votes");
    (Extension(hint), format!("{} votes\n", app.votes.load(Ordering::Relaxed)))
}

async fn vote(State(app): State<App>) {
    app.votes.fetch_add(1, Ordering::Relaxed);
    // A POST to the same path would have done so by itself; this purges whatever else shows them.
    app.cache.purge_tag("votes");
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cache = Cache::builder()
        .add_route("/slow", Route::new().cache_control("max-age=10, stale-while-revalidate=60".parse()?))
        .build()?;
    let app = App { votes: Arc::default(), cache: cache.clone() };
    let app = Router::new()
        .route("/slow", get(slow))
        .route("/votes", get(votes).post(vote))
        .layer(cache.layer())
        .with_state(app);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}/", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
