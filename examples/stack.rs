//! A whole service behind one layer: every place in its order, on axum.
//!
//! `cargo run --example stack --features auth,axum,cache,deadline,load-shed,rate-limit,security-headers,validate`, then
//!
//! ```text
//! curl -i http://127.0.0.1:3000/polls/1                                          # 401
//! curl -i -H 'x-api-key: demo.secret' http://127.0.0.1:3000/polls/1              # 200, and from the cache for five seconds
//! curl -i -H 'x-api-key: demo.secret' -X DELETE http://127.0.0.1:3000/polls/1    # 403
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::Path;
use axum::http::{Method, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;
use tower_rampart::auth::{ApiKey, ApiKeys, Auth};
use tower_rampart::authz::{AuthzLayer, PolicyTable, Rule};
use tower_rampart::cache::Cache;
use tower_rampart::deadline::Deadlines;
use tower_rampart::key::{ClientIp, IdentityKey};
use tower_rampart::load_shed::LoadShed;
use tower_rampart::rate_limit::{Policy, Quota, RateLimit};
use tower_rampart::security_headers::SecurityHeadersLayer;
use tower_rampart::stack::Stack;
use tower_rampart::validate::Validate;

/// `printf %s secret | sha256sum`.
const SECRET: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

async fn poll(Path(id): Path<u64>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "public, max-age=5")], Json(serde_json::json!({ "id": id, "yes": 40, "no": 2 })))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let minute = Duration::from_secs(60);
    let strangers = RateLimit::per_client_ip(Quota::new(300).per(minute)).build()?;
    let callers = Policy::new("callers", Quota::new(60).per(minute).burst(10)).key(IdentityKey);
    let callers = callers.on_missing_key(tower_rampart::rate_limit::OnMissingKey::fallback(ClientIp::new()));
    let demo = ApiKey::new("demo", SECRET)?.roles(["reader"]);
    let rules =
        PolicyTable::builder().add_rule(Rule::allow("read", "/polls/{id}").methods([Method::GET]).roles(["reader"]));

    // In whatever order.
    let layer = Stack::new()
        .auth(Auth::new().api_keys(ApiKeys::new([demo])?).build()?)
        .authz(AuthzLayer::new(rules.build()?))
        .cache(Cache::builder().build()?.layer())
        .catch_panic(CatchPanicLayer::new())
        .deadline(Deadlines::new().max_time(Duration::from_secs(10)).build()?)
        .load_shed(LoadShed::gradient2().never_shed(["/healthz"]).build()?)
        .rate_limit_by_address(strangers)
        .rate_limit_by_identity(RateLimit::new().add_policy(callers).build()?)
        .security_headers(SecurityHeadersLayer::api())
        .trace(TraceLayer::new_for_http())
        .validate(Validate::new().build()?)
        .build()?;
    println!("{}\n", layer.describe());

    // What nobody has to be known for stands beside it.
    let app = Router::new().route("/polls/{id}", get(poll)).layer(layer).route("/healthz", get(|| async { "ok" }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}/", listener.local_addr()?);
    Ok(axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?)
}
