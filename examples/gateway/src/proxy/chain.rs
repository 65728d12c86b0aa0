//! What stands between the proxy and the upstream. Outermost first: retry, the circuit breaker, the timeout for each try,
//! the bulkhead, what tells the upstream of the deadline, and the client.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::uri::{Authority, PathAndQuery};
use http::{Request, Response};
use hyper::body::Incoming;
use tower::{Layer, Service};
use tower_rampart::ResponseBody;
use tower_rampart::bulkhead::{BulkheadService, Held};
use tower_rampart::circuit_breaker::{CircuitBreakerService, ErrorsBy, Permit};
use tower_rampart::classify::ObservedBody;
use tower_rampart::client::AsError;
use tower_rampart::config::UpstreamLayers;
use tower_rampart::deadline::{PropagateDeadlineLayer, PropagateDeadlineService, TryTimeoutService};
use tower_rampart::retry::{PeekedBody, ReplayBody, RetryLayer, RetryService};
use tower_rampart::stack::UpstreamStack;

use super::sent::{Fate, Sent};
use super::upstream::{Failure, Upstream};

/// See the module. Clones share connections, budgets and whatever else the layers hold.
pub type Chain = RetryService<CircuitBreakerService<Try, ErrorsBy<Failure>>>;
type Try = TryTimeoutService<BulkheadService<PropagateDeadlineService<Client>>, AsError>;

/// The body of what comes out of it.
pub type Body = PeekedBody<ResponseBody<ObservedBody<TryBody, Permit>>>;
type TryBody = ResponseBody<ObservedBody<ResponseBody<Incoming>, Held>>;

/// The layers, as the configuration has them.
pub type Layers = UpstreamLayers<ErrorsBy<Failure>>;

/// Puts them around the upstream.
pub fn around(layers: Layers, upstream: Upstream) -> Chain {
    let stack = UpstreamStack::new()
        .retry(RetryLayer::new(layers.retry))
        .circuit_breaker(layers.circuit_breaker)
        .try_timeout(layers.try_timeout.as_error())
        .bulkhead(layers.bulkhead)
        .propagate_deadline(PropagateDeadlineLayer::grpc());
    stack.build().layer(Client(Arc::new(upstream)))
}

/// Where the upstream is to believe it was asked, in the extensions of a request to it.
#[derive(Debug, Clone)]
pub struct Destination {
    pub host: Authority,
    pub path: PathAndQuery,
    /// What becomes of the client's body.
    pub inbound: Fate,
}

/// The upstream as a service.
#[derive(Clone)]
pub struct Client(Arc<Upstream>);

impl Service<Request<ReplayBody<Sent>>> for Client {
    type Response = Response<Incoming>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<ReplayBody<Sent>>) -> Self::Future {
        let upstream = Arc::clone(&self.0);
        Box::pin(async move {
            // The proxy puts it there.
            let Destination { host, path, inbound } = request.extensions_mut().remove().ok_or(Failure::Broken)?;
            let sent = upstream.send(request, host, path).await;
            sent.map_err(|failure| if inbound.is_broken() { Failure::Inbound } else { failure })
        })
    }
}
