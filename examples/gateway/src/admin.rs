//! The admin address: health, readiness, metrics, state.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower_rampart::problem::{Problem, ProblemKind};
use tower_rampart::{Origin, Rejection, RequestFacts, RequestView, ResponseBody};
use tracing::debug;

use crate::state::State;

type Body = ResponseBody<Empty<Bytes>>;

/// Probes and scrapers are few.
const MAX_CONNECTIONS: usize = 256;
const REQUEST_HEAD: Duration = Duration::from_secs(10);

/// Serves until it is aborted.
pub async fn serve(listener: TcpListener, state: Arc<State>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let response = answer(&state, &request);
                async move { Ok::<_, Infallible>(response) }
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
        "/-/readyz" if state.is_ready() => text(StatusCode::OK, JSON, r#"{"status":"ready"}"#.to_owned()),
        "/-/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, JSON, r#"{"status":"not ready"}"#.to_owned()),
        "/-/metrics" => text(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", state.metrics().render()),
        _ => text(StatusCode::OK, JSON, state.describe().to_string()),
    }
}

fn text(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(ResponseBody::local(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn refuse(state: &State, request: &Request<Incoming>, kind: ProblemKind) -> Response<Body> {
    let facts = RequestFacts::of(RequestView::of(request));
    state.refuser().refuse(Rejection::new(Origin::Custom("gateway_admin"), Problem::new(kind)), &facts)
}
