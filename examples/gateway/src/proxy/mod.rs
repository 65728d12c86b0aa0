//! The proxy behind the layers: checks the target, rewrites the head, streams both ways.

pub mod arrival;
mod chain;
mod headers;
mod sent;
mod target;
mod upstream;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use metrics::counter;
use tower::{Service, ServiceExt};
use tower_rampart::circuit_breaker::{CircuitBreakerLayer, ErrorsBy};
use tower_rampart::classify::Verdict;
use tower_rampart::config::AuthConfig;
use tower_rampart::problem::{Problem, ProblemKind};
use tower_rampart::validate::CheckedBody;
use tower_rampart::{Holdup, Origin, Refuser, Rejection, RequestFacts, RequestView, ResponseBody};

pub use self::chain::Layers;
use self::chain::{Chain, Destination};
use self::sent::Sent;
use self::upstream::{Failure, Upstream};
use crate::config::Config;

/// See the module. Clones share connections.
#[derive(Clone)]
pub struct Proxy(Arc<Inner>);

struct Inner {
    chain: Chain,
    forward_credentials: bool,
    refuser: Refuser,
}

impl Proxy {
    pub fn new(config: &Config, layers: Layers, refuser: Refuser) -> Self {
        let chain = chain::around(layers, Upstream::new(config.upstream.clone(), config.upstream_http2));
        let forward_credentials = config.auth.as_ref().is_some_and(AuthConfig::forward_credentials);
        Self(Arc::new(Inner { chain, forward_credentials, refuser }))
    }
}

/// The body of the proxy's answers.
pub type Body = ResponseBody<chain::Body>;

/// Guards the upstream.
pub type Breaker = CircuitBreakerLayer<ErrorsBy<Failure>>;

/// What the upstream's errors say of it.
pub fn errors() -> ErrorsBy<Failure> {
    ErrorsBy::new(|failure: &Failure| match failure {
        Failure::Broken => Verdict::Failure,
        Failure::TimedOut => Verdict::TimedOut,
        Failure::Inbound => Verdict::Neutral,
    })
}

type Answer = Response<Body>;

impl Service<Request<CheckedBody<Incoming>>> for Proxy {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<CheckedBody<Incoming>>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { Ok(inner.answer(request).await) })
    }
}

impl Inner {
    async fn answer(&self, request: Request<CheckedBody<Incoming>>) -> Answer {
        let facts = RequestFacts::of(RequestView::of(&request));
        match self.forward(request).await {
            Ok(response) => response.map(ResponseBody::inner),
            Err(problem) => self.refuser.refuse(Rejection::new(Origin::Custom("gateway"), problem), &facts),
        }
    }

    async fn forward(&self, mut request: Request<CheckedBody<Incoming>>) -> Result<Response<chain::Body>, Problem> {
        let host = target::host(&request)?;
        let path = target::path(&request);
        headers::rewrite_request(&mut request, self.forward_credentials);
        // A client that is slow to send its body, and the queue for a place, are not the upstream's doing.
        let holdup = Holdup::new();
        let mut request = request.map(|body| Sent::new(body, &holdup));
        let inbound = request.body().fate();
        request.extensions_mut().insert(Destination { host, path, inbound });
        request.extensions_mut().insert(holdup);
        let mut response = self.chain.clone().oneshot(request).await.map_err(|failure| {
            counter!("rampart_gateway_upstream_failures_total", "reason" => failure.name()).increment(1);
            failure.problem()
        })?;
        if response.extensions().get::<Rejection>().is_some() {
            // It never reached the upstream.
            return Ok(response);
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            // Nothing asked for it: `Upgrade` was removed.
            return Err(Problem::new(ProblemKind::BadGateway).with_detail("The upstream changed the protocol unasked."));
        }
        // RFC 9110 section 6.2: the version is this hop's, not the upstream's.
        *response.version_mut() = Version::HTTP_11;
        headers::rewrite_response(response.headers_mut());
        Ok(response)
    }
}
