//! What answers on connections: the layers of the moment, and what is told of each answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use http::{HeaderName, Request, Response, StatusCode};
use hyper::body::Incoming;
use rustls::ServerConfig;
use tower_rampart::{RequestId, RequestView};
use uuid::Uuid;

use crate::app::App;
use crate::connections::{Answers, Patience};
use crate::observe;
use crate::trace::{Answered, Traces};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// See the module.
pub struct Server {
    pub app: Arc<App>,
    pub tls: Option<Arc<ServerConfig>>,
}

impl Answers for Server {
    type Body = Body;

    fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.tls.clone()
    }

    fn patience(&self) -> Patience {
        Patience::default()
    }

    fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + Send + 'static {
        answer(Arc::clone(&self.app), request)
    }
}

/// Answers one request. Every answer carries the request's id.
async fn answer(app: Arc<App>, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let began = Instant::now();
    let id = RequestId::of(RequestView::of(&request)).unwrap_or_else(|| RequestId::from(Uuid::now_v7().as_u128()));
    request.headers_mut().insert(REQUEST_ID, id.as_header_value().clone());
    let (method, route) = (observe::name(request.method()), observe::route(request.uri().path()));
    let stack = app.stack();
    let begun = app.traces.as_ref().map(|_| {
        let view = RequestView::of(&request);
        let is_trusted = stack.as_ref().is_some_and(|stack| stack.client_ip().trusts_peer_of(view));
        Traces::begin(request.headers(), is_trusted)
    });
    let mut response = match stack {
        Some(stack) => stack.answer(request).await?,
        None => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response
        }
    };
    response.headers_mut().insert(REQUEST_ID, id.as_header_value().clone());
    let (status, took) = (response.status(), began.elapsed());
    let answered = Answered { method, route, status, took, request_id: id.as_str() };
    observe::answered(&answered);
    if let (Some(traces), Some(begun)) = (&app.traces, begun) {
        traces.end(begun, &answered);
    }
    Ok(response)
}
