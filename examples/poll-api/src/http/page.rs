//! The page: HTML, a style sheet and JavaScript modules, all within the program.

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, middleware};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use tower_rampart::security_headers::{CspNonce, HeaderOverrides, SecurityHeadersLayer};

use crate::fault::{Fault, Result};

/// The page's own policy, with a nonce, stands within the one of the API.
pub fn router() -> Router {
    Router::new()
        .route("/", get(index))
        .layer(SecurityHeadersLayer::web())
        .layer(middleware::map_response(keep_policy))
        .route("/assets/{file}", get(asset))
        .route("/favicon.ico", get(|| async { asset(Path("icon.svg".to_owned())).await }))
}

const PAGE: &str = include_str!("../../page/index.html");
/// Where the nonce goes.
const NONCE: &str = "{nonce}";

async fn index(nonce: CspNonce) -> Response {
    let page = PAGE.replace(NONCE, nonce.as_str());
    ([(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, "no-store")], page).into_response()
}

async fn keep_policy(response: Response) -> impl IntoResponse {
    (Extension(HeaderOverrides::new().keep(CONTENT_SECURITY_POLICY)), response)
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// The files beside the page. A new version of the program has new ones, so they are asked for each time.
const ASSETS: [(&str, &str, &str); 7] = [
    ("style.css", "text/css; charset=utf-8", include_str!("../../page/style.css")),
    ("icon.svg", "image/svg+xml", include_str!("../../page/icon.svg")),
    ("app.js", JAVASCRIPT, include_str!("../../page/app.js")),
    ("api.js", JAVASCRIPT, include_str!("../../page/api.js")),
    ("session.js", JAVASCRIPT, include_str!("../../page/session.js")),
    ("poll.js", JAVASCRIPT, include_str!("../../page/poll.js")),
    ("dom.js", JAVASCRIPT, include_str!("../../page/dom.js")),
];

async fn asset(Path(file): Path<String>) -> Result<Response> {
    let found = ASSETS.iter().find(|(name, ..)| *name == file);
    let (_, content_type, text) = found.ok_or(Fault::NotFound("There is no such file."))?;
    let headers =
        [(CONTENT_TYPE, HeaderValue::from_static(content_type)), (CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    Ok((headers, *text).into_response())
}
