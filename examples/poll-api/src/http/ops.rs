//! For whoever runs it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::json;
use tokio::time::timeout;

use crate::app::App;

/// A database that does not answer so long is not there.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether the process lives.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200)))]
pub async fn healthz() -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(json!({ "status": "pass" }))).into_response()
}

/// Whether it can serve: the database answers, and nobody has told it to stop. The external service's circuit is shown, and
/// is no reason not to serve: what it has to hear waits in the outbox, and other processes would see the same.
#[utoipa::path(get, path = "/readyz", tag = "operations", responses((status = 200), (status = 503)))]
pub async fn readyz(State(app): State<Arc<App>>) -> Response {
    let database = matches!(timeout(PATIENCE, app.db.ping()).await, Ok(Ok(())));
    let draining = *app.draining().borrow();
    let (status, word) = match (database, draining) {
        (true, false) => (StatusCode::OK, "ready"),
        (_, true) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    let circuit = app.stack().and_then(|stack| stack.upstream()?.circuit());
    let circuit = circuit.map(|circuit| json!({ circuit.name(): circuit.snapshot().state.name() }));
    let body = json!({
        "status": word,
        "database": if database { "pass" } else { "fail" },
        "circuit_breaker": circuit.unwrap_or_else(|| json!({})),
    });
    (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// Counters, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, content_type = "text/plain")))]
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    let headers = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    if let Some(stack) = app.stack() {
        stack.set_gauges();
    }
    (headers, app.metrics.render()).into_response()
}
