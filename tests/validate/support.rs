//! Requests, and a handler that says what reached it.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, Method, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, StreamBody};
use serde_json::Value;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_rampart::validate::{CheckedBody, Validate, ValidateLayer};

/// What a request was answered, and what the handler saw of it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The check that failed, and where.
    pub(crate) fn error(&self) -> (String, String) {
        let error = &self.json()["errors"][0];
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        (text("keyword"), text("pointer"))
    }
}

/// Sends a request at once; the handler echoes its body.
pub(crate) fn send<B>(layer: &ValidateLayer, request: Request<B>) -> Answer
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    sending(layer, request).now_or_never().expect("nothing is waited for")
}

/// The same, where it takes waiting.
pub(crate) async fn sending<B>(layer: &ValidateLayer, request: Request<B>) -> Answer
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let handler = service_fn(|request: Request<CheckedBody<B>>| async move {
        let echoed = match request.into_body().collect().await {
            Ok(collected) => {
                let trailers = collected.trailers().cloned();
                let mut response = Response::new(Full::new(collected.to_bytes()));
                if let Some(trailer) = trailers.as_ref().and_then(|trailers| trailers.get("x-sum")) {
                    response.headers_mut().insert("x-sum", trailer.clone());
                }
                response
            }
            // What many a handler makes of a body that fails.
            Err(_) => Response::builder().status(500).body(Full::default()).unwrap(),
        };
        Ok::<_, Infallible>(echoed)
    });
    let (head, body) = layer.layer(handler).oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: head.status.as_u16(), headers: head.headers, body }
}

pub(crate) fn harden() -> ValidateLayer {
    Validate::new().build().unwrap()
}

pub(crate) fn get(target: &str) -> Request<Full<Bytes>> {
    Request::get(target).body(Full::default()).unwrap()
}

pub(crate) fn post(content_type: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::builder()
        .method(Method::POST)
        .uri("/")
        .header("content-type", content_type)
        .body(Full::new(body.into()))
        .unwrap()
}

pub(crate) fn json(body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    post("application/json", body)
}

/// A body in these pieces, of a length that nobody declares.
pub(crate) fn pieces(parts: Vec<Bytes>) -> impl Body<Data = Bytes, Error = Infallible> + Send + 'static {
    StreamBody::new(futures_util::stream::iter(parts.into_iter().map(|part| Ok(http_body::Frame::data(part)))))
}
