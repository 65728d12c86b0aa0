//! `/v1/admin`: for admins.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde_json::Value;
use tower_rampart::problem::{Problem, ProblemKind};
use tower_rampart::{Rejection, RequestFacts, RequestView};

use crate::ORIGIN;
use crate::app::App;
use crate::fault::Result;

/// How the layers are doing.
#[utoipa::path(get, path = "/v1/admin/state", tag = "operations", security(("token" = [])),
    responses((status = 200, body = Object), (status = 401), (status = 403)))]
pub async fn state(State(app): State<Arc<App>>) -> Result<Response> {
    let state: Value = app.describe().await?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(state)).into_response())
}

/// Reads the configuration anew. One that cannot be used changes nothing.
#[utoipa::path(post, path = "/v1/admin/reload", tag = "operations", security(("token" = [])),
    responses((status = 204), (status = 401), (status = 403), (status = 422)))]
pub async fn reload(State(app): State<Arc<App>>, request: axum::extract::Request) -> Response {
    let Err(error) = app.reload().await else { return StatusCode::NO_CONTENT.into_response() };
    // The file is the operator's own, and so is the error about it.
    let problem = Problem::new(ProblemKind::UnprocessableContent).with_detail(error.to_string());
    let facts = RequestFacts::of(RequestView::of(&request));
    app.refuser.refuse::<Body>(Rejection::new(ORIGIN, problem), &facts).map(Body::new)
}
