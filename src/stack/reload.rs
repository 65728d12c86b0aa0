//! A layer that can be exchanged while it runs.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

/// A layer that can be exchanged while it runs, for another one of the same type: a [`StackLayer`](super::StackLayer) that
/// was built anew, of another configuration.
///
/// A service asks for the layer of this moment when it is cloned, and when it is polled ready. So a request runs through one
/// or the other, never through parts of both; those that run go on with what they began with.
///
/// ```
/// use tower::{Layer, service_fn};
/// use tower_rampart::security_headers::SecurityHeadersLayer;
/// use tower_rampart::stack::ReloadableLayer;
///
/// let layer = ReloadableLayer::new(SecurityHeadersLayer::api());
/// let handle = layer.handle();
/// let service = layer.layer(service_fn(|_: http::Request<()>| async { Ok::<_, ()>(http::Response::new(String::new())) }));
///
/// handle.replace(SecurityHeadersLayer::web());
/// // What cannot be built changes nothing.
/// let error = handle.try_replace(|_| Err("no such file")).unwrap_err();
/// assert_eq!((error, handle.reloads(), handle.failed_reloads()), ("no such file", 1, 1));
/// ```
#[must_use = "a layer does nothing until it is put around a service"]
pub struct ReloadableLayer<L> {
    shared: Arc<Shared<L>>,
}

/// Exchanges and watches a [`ReloadableLayer`], from anywhere. Clones are the same handle.
pub struct ReloadHandle<L> {
    shared: Arc<Shared<L>>,
}

struct Shared<L> {
    current: RwLock<Arc<L>>,
    /// How often it was exchanged: services compare it with what they have seen, without the lock.
    generation: AtomicU64,
    failed: AtomicU64,
    last_failed: AtomicBool,
}

impl<L> Shared<L> {
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The layer of this moment, and which one it is.
    fn current(&self) -> (Arc<L>, u64) {
        // Nothing panics under the lock. The number changes under it, too.
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&current), self.generation())
    }
}

impl<L> ReloadableLayer<L> {
    /// Begins with this layer.
    pub fn new(layer: L) -> Self {
        let shared = Shared {
            current: RwLock::new(Arc::new(layer)),
            generation: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            last_failed: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Exchanges and watches the layer while it runs.
    #[must_use]
    pub fn handle(&self) -> ReloadHandle<L> {
        ReloadHandle { shared: Arc::clone(&self.shared) }
    }
}

impl<L> ReloadHandle<L> {
    /// The layer of this moment.
    #[must_use]
    pub fn current(&self) -> Arc<L> {
        self.shared.current().0
    }

    /// Puts another layer to work: new requests see all of it, running ones nothing.
    pub fn replace(&self, layer: L) {
        let shared = &self.shared;
        let mut current = shared.current.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *current, Arc::new(layer));
        shared.generation.fetch_add(1, Ordering::Release);
        drop(current);
        shared.last_failed.store(false, Ordering::Relaxed);
        // Outside of the lock: whatever it held may take its time to go.
        drop(before);
    }

    /// The same with a layer that may turn out to be none: what cannot be built changes nothing, and is counted.
    ///
    /// `build` sees the layer that runs, to go on with what that has counted and fetched.
    ///
    /// # Errors
    ///
    /// What `build` finds.
    pub fn try_replace<E>(&self, build: impl FnOnce(&L) -> Result<L, E>) -> Result<(), E> {
        match build(&self.current()) {
            Ok(layer) => {
                self.replace(layer);
                Ok(())
            }
            Err(error) => {
                self.shared.failed.fetch_add(1, Ordering::Relaxed);
                self.shared.last_failed.store(true, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// How often the layer was exchanged.
    #[must_use]
    pub fn reloads(&self) -> u64 {
        self.shared.generation()
    }

    /// How often one could not be built.
    #[must_use]
    pub fn failed_reloads(&self) -> u64 {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// Whether the last one could not be built, so that the one that runs is older than what was asked for.
    #[must_use]
    pub fn last_reload_failed(&self) -> bool {
        self.shared.last_failed.load(Ordering::Relaxed)
    }
}

impl<S, L> Layer<S> for ReloadableLayer<L>
where
    S: Clone,
    L: Layer<S>,
{
    type Service = ReloadableService<S, L>;

    fn layer(&self, inner: S) -> Self::Service {
        ReloadableService::new(inner, Arc::clone(&self.shared))
    }
}

impl<L> Clone for ReloadableLayer<L> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<L> Clone for ReloadHandle<L> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<L: fmt::Debug> fmt::Debug for ReloadableLayer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadableLayer").field("current", &self.shared.current().0).finish_non_exhaustive()
    }
}

impl<L: fmt::Debug> fmt::Debug for ReloadHandle<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadHandle").field("reloads", &self.reloads()).finish_non_exhaustive()
    }
}

/// The service of [`ReloadableLayer`].
pub struct ReloadableService<S, L: Layer<S>> {
    /// What the layers are put around.
    handler: S,
    /// The handler with the layer of that generation, once it is asked for: what is only cloned, as on axum, holds none.
    layered: Option<L::Service>,
    generation: u64,
    shared: Arc<Shared<L>>,
}

impl<S, L> ReloadableService<S, L>
where
    S: Clone,
    L: Layer<S>,
{
    const fn new(handler: S, shared: Arc<Shared<L>>) -> Self {
        Self { layered: None, handler, generation: 0, shared }
    }

    /// The handler with the layer that it has, or with the one of this moment.
    fn layered(&mut self) -> &mut L::Service {
        self.layered.get_or_insert_with(|| {
            let (layer, generation) = self.shared.current();
            self.generation = generation;
            layer.layer(self.handler.clone())
        })
    }
}

impl<S, L: Layer<S>> ReloadableService<S, L> {
    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.handler
    }

    /// The inner service, alone.
    pub fn into_inner(self) -> S {
        self.handler
    }
}

impl<S, L> Clone for ReloadableService<S, L>
where
    S: Clone,
    L: Layer<S>,
    L::Service: Clone,
{
    /// A clone has the layer of this moment: where each request gets a clone of a service that is never called itself, as on
    /// axum, there is no other way to learn of it.
    fn clone(&self) -> Self {
        let is_current = self.shared.generation() == self.generation;
        Self {
            handler: self.handler.clone(),
            layered: self.layered.as_ref().filter(|_| is_current).cloned(),
            generation: self.generation,
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S, L, R> Service<R> for ReloadableService<S, L>
where
    S: Clone,
    L: Layer<S>,
    L::Service: Service<R>,
{
    type Response = <L::Service as Service<R>>::Response;
    type Error = <L::Service as Service<R>>::Error;
    type Future = <L::Service as Service<R>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // Here and not in `call`: what was polled ready is what is called.
        if self.shared.generation() != self.generation {
            self.layered = None;
        }
        self.layered().poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        self.layered().call(request)
    }
}

impl<S: fmt::Debug, L: Layer<S>> fmt::Debug for ReloadableService<S, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadableService").field("inner", &self.handler).finish_non_exhaustive()
    }
}
