//! The admin address: health, readiness, metrics, state, purging.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower_rampart::problem::{Problem, ProblemKind};
use tower_rampart::{Origin, Rejection, RequestFacts, RequestView, ResponseBody};
use tracing::debug;

use crate::connections;
use crate::state::State;

type Body = ResponseBody<Empty<Bytes>>;

/// Probes and scrapers are few.
const MAX_CONNECTIONS: usize = 256;
const REQUEST_HEAD: Duration = Duration::from_secs(10);

/// Serves until it is aborted.
pub async fn serve(listener: TcpListener, state: Arc<State>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Some((stream, _, permit)) = connections::accept(&listener, &room).await else { continue };
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| async {
                Ok::<_, Infallible>(match request.uri().path() {
                    "/-/purge" => purge(&state, request).await,
                    _ => answer(&state, &request),
                })
            });
            let mut builder = http1::Builder::new();
            let connection = builder
                .timer(TokioTimer::new())
                .header_read_timeout(REQUEST_HEAD)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                debug!(%error, "admin connection ended");
            }
            drop(permit);
        });
    }
}

fn answer(state: &State, request: &Request<Incoming>) -> Response<Body> {
    let path = request.uri().path();
    if !matches!(path, "/-/healthz" | "/-/readyz" | "/-/metrics" | "/-/state") {
        return refuse(state, request, ProblemKind::NotFound);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = refuse(state, request, ProblemKind::MethodNotAllowed);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    const JSON: &str = "application/json";
    match path {
        "/-/healthz" => text(StatusCode::OK, JSON, r#"{"status":"pass"}"#.to_owned()),
        "/-/readyz" if state.is_ready() => text(StatusCode::OK, JSON, state.describe_readiness().to_string()),
        "/-/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, JSON, state.describe_readiness().to_string()),
        "/-/metrics" => {
            state.set_gauges();
            text(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", state.metrics().render())
        }
        _ => text(StatusCode::OK, JSON, state.describe().to_string()),
    }
}

/// What is purged.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
enum Purge {
    Tag(String),
    Path(String),
}

/// A name and little more.
const MAX_PURGE_BYTES: usize = 16 << 10;
const PURGE_BODY: Duration = Duration::from_secs(10);

async fn purge(state: &State, request: Request<Incoming>) -> Response<Body> {
    if *request.method() != Method::POST {
        let mut response = refuse(state, &request, ProblemKind::MethodNotAllowed);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let Some(cache) = state.pipeline().layers.cache().cloned() else {
        return refuse(state, &request, ProblemKind::NotFound);
    };
    let (parts, body) = request.into_parts();
    let read = tokio::time::timeout(PURGE_BODY, Limited::new(body, MAX_PURGE_BYTES).collect()).await;
    let asked = match read {
        Ok(Ok(body)) => serde_json::from_slice(&body.to_bytes()).ok(),
        Ok(Err(_)) => return refuse(state, &Request::from_parts(parts, ()), ProblemKind::ContentTooLarge),
        Err(_) => return refuse(state, &Request::from_parts(parts, ()), ProblemKind::RequestTimeout),
    };
    match asked {
        Some(Purge::Tag(tag)) => cache.purge_tag(&tag),
        Some(Purge::Path(path)) => cache.purge_path(&path),
        None => return refuse(state, &Request::from_parts(parts, ()), ProblemKind::BadRequest),
    }
    // Other instances hear of it, as far as their server is there; else when it is.
    cache.purges_told().await;
    let mut response = Response::new(ResponseBody::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn text(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(ResponseBody::local(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn refuse<B>(state: &State, request: &Request<B>, kind: ProblemKind) -> Response<Body> {
    let facts = RequestFacts::of(RequestView::of(request));
    state.refuser().refuse(Rejection::new(Origin::Custom("gateway_admin"), Problem::new(kind)), &facts)
}
