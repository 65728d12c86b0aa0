//! `/v1/auth` and the keys that tokens are checked with.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use tower_rampart::auth::Claims;
use utoipa::ToSchema;

use super::extract::Content;
use crate::app::App;
use crate::digest::digest;
use crate::fault::{Fault, Result};
use crate::marks;
use crate::people::{LIFETIME_SECONDS, Pair, SessionClaims};

/// Somebody who wants to take part.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Lower-cased.
    #[schema(min_length = 3, max_length = 32, pattern = "^[A-Za-z0-9_-]+$", example = "ann")]
    username: String,
    /// Not the user name.
    #[schema(min_length = 12, max_length = 128, format = Password)]
    password: String,
}

/// Who it is that comes back.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    #[schema(max_length = 128)]
    username: String,
    #[schema(max_length = 512, format = Password)]
    password: String,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// Longer than any of ours, so that another kind of token is no good and not malformed.
    #[schema(max_length = 4096)]
    refresh_token: String,
}

/// A user.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct UserView {
    id: String,
    username: String,
    roles: Vec<String>,
}

/// What a login gives.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenPair {
    /// A JSON Web Token, for `Authorization: Bearer`.
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: String,
    /// In seconds.
    expires_in: i64,
    /// Good once, for the next pair.
    refresh_token: String,
}

/// Registers a user, as an author.
#[utoipa::path(post, path = "/v1/auth/register", tag = "people", request_body = Registration,
    responses((status = 201, body = UserView), (status = 409), (status = 422), (status = 429)))]
pub async fn register(State(app): State<Arc<App>>, asked: Content<Registration>) -> Result<Response> {
    let user = app.people.register(&asked.value.username, &asked.value.password).await?;
    let view = UserView { id: user.id, username: user.username, roles: vec![user.role] };
    Ok((StatusCode::CREATED, [NO_STORE], axum::Json(view)).into_response())
}

/// Logs in.
#[utoipa::path(post, path = "/v1/auth/login", tag = "people", request_body = Login,
    responses((status = 200, body = TokenPair), (status = 401), (status = 422), (status = 429)))]
pub async fn log_in(State(app): State<Arc<App>>, asked: Content<Login>) -> Result<Response> {
    app.people.log_in(&asked.value.username, &asked.value.password).await.map(pair)
}

/// Gives a new pair for a refresh token. One that was used before ends its session.
#[utoipa::path(post, path = "/v1/auth/refresh", tag = "people", request_body = Refresh,
    responses((status = 200, body = TokenPair), (status = 401), (status = 422), (status = 429)))]
pub async fn refresh(State(app): State<Arc<App>>, asked: Content<Refresh>) -> Result<Response> {
    app.people.refresh(&asked.value.refresh_token).await.map(pair)
}

/// Ends the session: its access tokens and its refresh token are no good from now on.
#[utoipa::path(post, path = "/v1/auth/logout", tag = "people", security(("token" = [])),
    responses((status = 204), (status = 401), (status = 429)))]
pub async fn log_out(State(app): State<Arc<App>>, session: Claims<SessionClaims>) -> Result<StatusCode> {
    app.people.log_out(&session.sid).await.map(|()| StatusCode::NO_CONTENT)
}

/// The keys that access tokens are signed with.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "people",
    responses((status = 200, content_type = "application/json", description = "A JWK Set")))]
pub async fn jwks(State(app): State<Arc<App>>) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
    ];
    (headers, app.people.keys().jwks().to_owned()).into_response()
}

const NO_STORE: (HeaderName, HeaderValue) = (CACHE_CONTROL, HeaderValue::from_static("no-store"));

fn pair(pair: Pair) -> Response {
    let view = TokenPair {
        access_token: pair.access_token,
        token_type: "Bearer".to_owned(),
        expires_in: LIFETIME_SECONDS,
        refresh_token: pair.refresh_token,
    };
    ([NO_STORE], axum::Json(view)).into_response()
}

/// Longer logins are none.
const MAX_LOGIN_BYTES: usize = 4 << 10;

/// Reads the user's name for the limit on failed logins: as a digest, since it may be anything.
pub async fn name_login(request: Request, next: Next) -> Response {
    #[derive(Deserialize)]
    struct Name {
        username: String,
    }
    let (mut parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_LOGIN_BYTES).await else {
        return Fault::Malformed("The content is too long for a login, or did not arrive.").into_response();
    };
    parts.headers.remove(marks::LOGIN);
    if let Ok(Name { username }) = serde_json::from_slice(&bytes)
        && let Ok(name) = HeaderValue::from_str(&digest(username.to_ascii_lowercase().as_bytes()))
    {
        parts.headers.insert(marks::LOGIN, name);
    }
    next.run(Request::from_parts(parts, Body::from(bytes))).await
}
