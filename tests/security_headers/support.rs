use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use tower_rampart::security_headers::SecurityHeadersLayer;

pub(crate) type Body = Full<Bytes>;

/// Runs one request through the layer around `handler`, and returns the head of what came out.
pub(crate) fn run(
    layer: &SecurityHeadersLayer,
    request: Request<()>,
    handler: impl Fn(Request<()>) -> Response<Body> + Clone,
) -> HeaderMap {
    let service = layer.layer(service_fn(move |request| {
        let response = handler(request);
        async move { Ok::<_, Infallible>(response) }
    }));
    let response = futures_util::FutureExt::now_or_never(service.oneshot(request)).expect("the layer never waits");
    response.expect("the handler never fails").into_parts().0.headers
}

/// The fields that a plain 200 gets.
pub(crate) fn plain(layer: &SecurityHeadersLayer) -> HeaderMap {
    run(layer, get("http://localhost/"), |_| Response::default())
}

/// The fields that a plain 200 to an https request gets.
pub(crate) fn secure(layer: &SecurityHeadersLayer) -> HeaderMap {
    run(layer, get("https://localhost/"), |_| Response::default())
}

pub(crate) fn get(uri: &str) -> Request<()> {
    Request::get(uri).body(()).unwrap()
}

pub(crate) fn response(fields: &[(&'static str, &'static str)]) -> Response<Body> {
    let mut response = Response::<Body>::default();
    for (name, value) in fields {
        response.headers_mut().append(*name, value.parse().unwrap());
    }
    response
}
