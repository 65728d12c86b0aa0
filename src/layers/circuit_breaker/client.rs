//! The form for clients: a refusal is an error, of a type of its own.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::circuit::report;
use super::circuits::Circuits;
use super::errors::{AllErrors, ClassifyError};
use super::future::ClientFuture;
use super::handle::CircuitBreakerHandle;
use super::permit::Permit;
use super::service::Gate;
use crate::spine::body::ResponseBody;
use crate::spine::client_error::ClientError;
use crate::spine::outcome::ObservedBody;
use crate::spine::request::RequestView;

/// Guards a client, whose errors become a [`ClientError`]. Made by
/// [`CircuitBreakerLayer::client`](super::CircuitBreakerLayer::client).
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct CircuitBreakerClientLayer<C = AllErrors> {
    pub(super) circuits: Arc<Circuits>,
    errors: C,
}

impl<C> CircuitBreakerClientLayer<C> {
    pub(super) const fn new(circuits: Arc<Circuits>, errors: C) -> Self {
        Self { circuits, errors }
    }

    /// Watches and steers the layer while it runs.
    #[must_use]
    pub fn handle(&self) -> CircuitBreakerHandle {
        CircuitBreakerHandle::of(Arc::clone(&self.circuits))
    }
}

impl<S, C: Clone> Layer<S> for CircuitBreakerClientLayer<C> {
    type Service = CircuitBreakerClientService<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        CircuitBreakerClientService { gate: Gate::new(inner, Arc::clone(&self.circuits), self.errors.clone()) }
    }
}

/// The service of [`CircuitBreakerClientLayer`].
#[derive(Debug, Clone)]
pub struct CircuitBreakerClientService<S, C = AllErrors> {
    gate: Gate<S, C>,
}

impl<S, C> CircuitBreakerClientService<S, C> {
    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.gate.inner
    }

    /// The inner service, to be changed.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.gate.inner
    }

    /// The inner service, alone.
    pub fn into_inner(self) -> S {
        self.gate.inner
    }
}

impl<S, C, ReqB, ResB> Service<Request<ReqB>> for CircuitBreakerClientService<S, C>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    C: ClassifyError<S::Error>,
    ResB: http_body::Body,
{
    type Response = Response<ResponseBody<ObservedBody<ResB, Permit>>>;
    type Error = ClientError<S::Error>;
    type Future = ClientFuture<S::Future, C>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.gate.poll_ready(cx).map_err(ClientError::Inner)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        match self.gate.enter(RequestView::of(&request)) {
            Ok(permit) => ClientFuture::passed(self.gate.inner.call(request), permit, self.gate.errors.clone()),
            Err(shut) => {
                report(&self.gate.circuits.shared.refuser);
                ClientFuture::refused(shut)
            }
        }
    }
}
