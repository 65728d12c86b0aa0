//! Security headers: contenders that put the same fields on the same response.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, header};
use http_body_util::Full;
use tower::{Layer, Service};

use crate::{Body, Job, Jobs, Run};

/// The 12 fields that every contender sends, as OWASP's list has them but for `Cache-Control`, which handlers set.
pub const TWELVE: [(&str, &str); 12] = [
    (
        "content-security-policy",
        "default-src 'self'; form-action 'self'; base-uri 'self'; object-src 'none'; frame-ancestors 'none'",
    ),
    ("strict-transport-security", "max-age=63072000; includeSubDomains"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cross-origin-resource-policy", "same-origin"),
    ("origin-agent-cluster", "?1"),
    ("x-dns-prefetch-control", "off"),
    ("x-permitted-cross-domain-policies", "none"),
];

/// The first nine, which are all that `http-security-headers` can send.
pub const NINE: usize = 9;

/// A handler with its response ready. It has a content-type alone, as axum's and tonic's own responses do.
#[derive(Debug, Clone)]
pub struct Handler {
    response: Option<Response<Body>>,
}

impl Handler {
    pub fn new() -> Self {
        Self::with_fields(1)
    }

    /// The first `count` of what a JSON API that can be cached sends.
    pub fn with_fields(count: usize) -> Self {
        let fields = [
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::CACHE_CONTROL, HeaderValue::from_static("max-age=60")),
            (header::ETAG, HeaderValue::from_static("\"5f3c\"")),
        ];
        let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
        // One by one, as handlers do it: `extend` would make a map that is just large enough, and ours look better.
        for (name, value) in fields.into_iter().take(count) {
            response.headers_mut().insert(name, value);
        }
        Self { response: Some(response) }
    }
}

impl Default for Handler {
    fn default() -> Self {
        Self::new()
    }
}

impl Service<Request<()>> for Handler {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        // A handler of a page with inline scripts asks for the nonce, whoever hands it out.
        if let Some(nonce) = request.extensions().get::<tower_rampart::security_headers::CspNonce>() {
            std::hint::black_box(nonce.as_str());
        }
        if let Some(nonce) = request.extensions().get::<http_security_headers::Nonce>() {
            std::hint::black_box(nonce.as_str());
        }
        ready(Ok(self.response.take().unwrap_or_default()))
    }
}

/// A request as a server hands it on.
pub fn request() -> Request<()> {
    Request::get("/v1/polls").body(()).unwrap_or_default()
}

struct Prepared<S, B> {
    service: S,
    request: Request<()>,
    response: Option<Response<B>>,
}

impl<S, B> Run for Prepared<S, B>
where
    S: Service<Request<()>, Response = Response<B>>,
{
    fn run(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let _ = self.service.poll_ready(&mut cx);
        let request = std::mem::take(&mut self.request);
        if let Poll::Ready(Ok(response)) = pin!(self.service.call(request)).poll(&mut cx) {
            self.response = Some(response);
        }
    }

    fn fields(&self) -> usize {
        self.response.as_ref().map_or(0, |response| response.headers().len())
    }
}

/// Jobs of a contender. What it does lazily, it has done: a clone of the service has answered a request before.
pub fn jobs<S, B: 'static>(make: fn() -> S) -> Jobs
where
    S: Service<Request<()>, Response = Response<B>> + Clone + 'static,
{
    let service = make();
    let job = move || Prepared { service: service.clone(), request: request(), response: None };
    job().run();
    Box::new(move || -> Job { Box::new(job()) })
}

/// The handler alone: what every other measurement contains.
pub fn bare() -> Handler {
    Handler::new()
}

/// The same with fields of its own.
pub fn bare_with_three() -> Handler {
    Handler::with_fields(3)
}

pub mod rampart {
    use super::*;
    use tower_rampart::security_headers::{HstsWhen, SecurityHeaders, SecurityHeadersLayer, SecurityHeadersService};

    pub fn layer(fields: &[(&'static str, &'static str)]) -> SecurityHeadersLayer {
        let headers = fields.iter().fold(SecurityHeaders::empty(), |headers, (name, value)| {
            headers.set(HeaderName::from_static(name), HeaderValue::from_static(value))
        });
        headers.hsts_when(HstsWhen::Always).build().expect("the fields are valid")
    }

    fn of(fields: &[(&'static str, &'static str)], handler: Handler) -> SecurityHeadersService<Handler> {
        layer(fields).layer(handler)
    }

    pub fn twelve() -> SecurityHeadersService<Handler> {
        of(&TWELVE, Handler::new())
    }

    pub fn twelve_beside_three() -> SecurityHeadersService<Handler> {
        of(&TWELVE, Handler::with_fields(3))
    }

    pub fn nine() -> SecurityHeadersService<Handler> {
        of(&TWELVE[..NINE], Handler::new())
    }

    /// The `api` preset: eight fields, the OWASP list removed, the request's security and credentials looked at.
    pub fn api() -> SecurityHeadersService<Handler> {
        SecurityHeadersLayer::api().layer(Handler::new())
    }

    pub fn nonce() -> SecurityHeadersService<Handler> {
        SecurityHeadersLayer::web().layer(Handler::new())
    }
}

pub mod tower_helmet {
    use super::*;
    use ::tower_helmet::{HelmetLayer, HelmetService, IntoHeader};
    use http::header::InvalidHeaderValue;

    struct Field(&'static str, &'static str);

    impl IntoHeader for Field {
        fn header_name(&self) -> HeaderName {
            HeaderName::from_static(self.0)
        }

        fn header_value(&self) -> Result<HeaderValue, InvalidHeaderValue> {
            HeaderValue::from_str(self.1)
        }
    }

    fn of(fields: &[(&'static str, &'static str)], handler: Handler) -> HelmetService<Handler> {
        let mut layer = HelmetLayer::blank();
        for (name, value) in fields {
            layer.enable(Field(name, value));
        }
        layer.layer(handler)
    }

    pub fn twelve() -> HelmetService<Handler> {
        of(&TWELVE, Handler::new())
    }

    pub fn twelve_beside_three() -> HelmetService<Handler> {
        of(&TWELVE, Handler::with_fields(3))
    }

    pub fn nine() -> HelmetService<Handler> {
        of(&TWELVE[..NINE], Handler::new())
    }
}

pub mod axum_helmet {
    use super::*;
    use ::axum_helmet::{Helmet, HelmetInner, HelmetLayer};

    pub fn layer(fields: &[(&'static str, &'static str)]) -> HelmetLayer {
        let helmet =
            fields.iter().fold(Helmet::new(), |helmet, (name, value)| helmet.add((*name, (*value).to_owned())));
        helmet.into_layer().expect("the fields are valid")
    }

    fn of(fields: &[(&'static str, &'static str)], handler: Handler) -> HelmetInner<Handler> {
        layer(fields).layer(handler)
    }

    pub fn twelve() -> HelmetInner<Handler> {
        of(&TWELVE, Handler::new())
    }

    pub fn twelve_beside_three() -> HelmetInner<Handler> {
        of(&TWELVE, Handler::with_fields(3))
    }

    pub fn nine() -> HelmetInner<Handler> {
        of(&TWELVE[..NINE], Handler::new())
    }
}

pub mod security_headers {
    use super::*;
    use http_security_headers::{Preset, SecurityHeadersLayer};

    /// `Strict` sends nine fields.
    pub fn nine() -> impl Service<Request<()>, Response = Response<Body>> + Clone {
        SecurityHeadersLayer::new(Preset::Strict.build()).layer(Handler::new())
    }

    pub fn nonce() -> impl Service<Request<()>, Response = Response<Body>> + Clone {
        SecurityHeadersLayer::new(Preset::BalancedNonce.build()).layer(Handler::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(mut jobs: Jobs) -> usize {
        let mut job = jobs();
        job.run();
        job.fields()
    }

    /// A comparison counts only when everybody does the same work.
    #[test]
    fn everybody_sends_as_many_fields() {
        for twelve in [jobs(rampart::twelve), jobs(tower_helmet::twelve), jobs(axum_helmet::twelve)] {
            assert_eq!(fields(twelve), 13);
        }
        let beside_three = [
            jobs(rampart::twelve_beside_three),
            jobs(tower_helmet::twelve_beside_three),
            jobs(axum_helmet::twelve_beside_three),
        ];
        for fifteen in beside_three {
            assert_eq!(fields(fifteen), 15);
        }
        let nines =
            [jobs(rampart::nine), jobs(tower_helmet::nine), jobs(axum_helmet::nine), jobs(security_headers::nine)];
        for nine in nines {
            assert_eq!(fields(nine), 10);
        }
    }
}
