//! The HTTP API.

mod admin;
mod answer;
mod auth;
mod docs;
mod events;
mod extract;
mod host;
mod ops;
mod page;
mod polls;
mod refusals;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use tower_rampart::rate_limit::ThrottleLayer;

pub use self::docs::description;
pub use self::refusals::told;
use crate::app::App;
use crate::fault::Fault;

/// Everything that is routed. `login` counts failed logins, for which the user's name must have been read.
pub fn router(app: &Arc<App>, login: ThrottleLayer) -> Router {
    let api = Router::new()
        .route("/v1/auth/register", post(auth::register))
        .route("/v1/auth/login", post(auth::log_in).layer(login).layer(axum::middleware::from_fn(auth::name_login)))
        .route("/v1/auth/refresh", post(auth::refresh))
        .route("/v1/auth/logout", post(auth::log_out))
        .route("/.well-known/jwks.json", get(auth::jwks))
        .route("/v1/polls", get(polls::list).post(polls::create))
        .route("/v1/polls/{id}", get(polls::get).delete(polls::delete))
        .route("/v1/polls/{id}/close", post(polls::close))
        .route("/v1/polls/{id}/votes", post(polls::vote))
        .route("/v1/polls/{id}/results", get(polls::results))
        .route("/v1/polls/{id}/events", get(events::events))
        .route("/v1/admin/state", get(admin::state))
        .route("/v1/admin/reload", post(admin::reload))
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(ops::readyz))
        .route("/metrics", get(ops::metrics))
        .route("/openapi.json", get(docs::openapi))
        .route("/docs", get(docs::to_docs))
        .route("/docs/", get(docs::index))
        .route("/docs/{*file}", get(docs::file))
        .with_state(Arc::clone(app));
    Router::new()
        .merge(api)
        .merge(page::router())
        .merge(crate::grpc::router(app))
        .fallback(|| async { Fault::NotFound("There is nothing here.") })
        .method_not_allowed_fallback(|| async { Fault::MethodNotAllowed })
}
