//! The layer, and what makes it.

use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use super::super::openapi::{OpenApi, Responses};
use super::super::route::Routes;
use super::service::ValidateResponsesService;
use crate::spine::byte_pool::BytePool;
use crate::spine::clock::Clock;
use crate::spine::config::ConfigError;
use crate::spine::describe::{Describe, bytes, count};
use crate::spine::event::{self, Sampler};
use crate::spine::json::JsonLimits;
use crate::spine::rejection::{Refuser, RenderRejection};

/// Makes a [`ValidateResponsesLayer`].
///
/// Responses whose status, JSON body and header fields are described must be as they are described; others are answered
/// 500, with nothing of what they held. A body that breaks off while it is read is 502. It belongs next to the service: a
/// cache further out then keeps what was judged. With feature `decompression`, bodies in `gzip`, `deflate` and `br` are judged
/// by what comes out, and go on as they came; others that are encoded are not as described, so that compression stands further
/// out. What layers further in refuse passes as it is.
///
/// ```
/// use tower_rampart::validate::{OpenApi, ValidateResponses};
///
/// let api = OpenApi::from_json(r#"{ "openapi": "3.1.0", "paths": {} }"#)?;
/// // Not sure yet what this would refuse: it is logged, and let through.
/// let layer = ValidateResponses::new(api).report().build()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is validated until the layer is built"]
pub struct ValidateResponses {
    api: OpenApi,
    is_reported: bool,
    max_bytes: usize,
    buffer_bytes: usize,
    clock: Clock,
    refuser: Refuser,
}

crate::spine::bounds::no_layer!(ValidateResponses);

/// What all services of a layer share.
pub(super) struct Shared {
    pub(super) routes: Routes,
    /// By the numbers of their routes.
    pub(super) responses: Vec<Responses>,
    pub(super) is_reported: bool,
    pub(super) max_bytes: usize,
    pub(super) buffers: BytePool,
    pub(super) clock: Clock,
    pub(super) refuser: Refuser,
    pub(super) sampler: Sampler,
}

impl Shared {
    pub(super) const fn limits(&self) -> JsonLimits {
        const MAX_DEPTH: usize = 128;
        // A value is two bytes at least.
        JsonLimits::of_whole(self.max_bytes, MAX_DEPTH, self.max_bytes / 2 + 1)
    }
}

impl ValidateResponses {
    /// Judges responses by a description, bodies up to 1 MiB.
    pub fn new(api: OpenApi) -> Self {
        Self {
            api,
            is_reported: false,
            max_bytes: 1 << 20,
            buffer_bytes: 64 << 20,
            clock: Clock::system(),
            refuser: Refuser::new(),
        }
    }

    /// Lets responses through that are not as described, and reports them.
    pub const fn report(mut self) -> Self {
        self.is_reported = true;
        self
    }

    /// Bytes of a body that is judged; a longer one is not as described.
    pub const fn body_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Bytes of all bodies that are held at once to be looked at; 64 MiB. Beyond, requests are answered 503.
    pub const fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.buffer_bytes = bytes;
        self
    }

    /// Replaces the clock, which paces log lines.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.refuser = self.refuser.with_clock(clock.clone());
        self.clock = clock;
        self
    }

    /// Replaces what turns refusals into responses.
    pub fn with_renderer(mut self, renderer: impl RenderRejection) -> Self {
        self.refuser = self.refuser.with_renderer(renderer);
        self
    }

    /// The layer.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the descriptions of responses, all of it at once; a base path that is none.
    pub fn build(self) -> Result<ValidateResponsesLayer, ConfigError> {
        if self.buffer_bytes < self.max_bytes {
            const MEND: &str = "write at least `body_bytes`, times the responses that are looked at at once";
            return Err(ConfigError::new("buffer_bytes", self.buffer_bytes, "does not hold one body", MEND));
        }
        let routes = Routes::build(self.api.routes()?)?;
        let operations: Vec<_> = routes.operations().collect();
        let responses = self.api.responses(&operations, event::description_not_judged)?;
        let shared = Shared {
            routes,
            responses,
            is_reported: self.is_reported,
            max_bytes: self.max_bytes,
            buffers: BytePool::of(self.buffer_bytes),
            clock: self.clock,
            refuser: self.refuser,
            sampler: Sampler::default(),
        };
        Ok(ValidateResponsesLayer { shared: Some(Arc::new(shared)) })
    }
}

impl fmt::Debug for ValidateResponses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidateResponses").field("api", &self.api).finish_non_exhaustive()
    }
}

/// Answers 500 in the stead of responses that are not as an OpenAPI document describes them.
///
/// Made by [`ValidateResponses::build`].
#[derive(Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct ValidateResponsesLayer {
    shared: Option<Arc<Shared>>,
}

impl ValidateResponsesLayer {
    /// Leaves responses as they are: for a place that a configuration may leave open.
    pub const fn empty() -> Self {
        Self { shared: None }
    }
}

impl fmt::Debug for ValidateResponsesLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidateResponsesLayer").finish_non_exhaustive()
    }
}

impl Describe for ValidateResponsesLayer {
    fn describe(&self) -> Option<String> {
        let shared = self.shared.as_ref()?;
        let mode = if shared.is_reported { "; reports and refuses nothing" } else { "" };
        let (routes, body) = (count(shared.routes.len(), "operation"), bytes(shared.max_bytes as u64));
        Some(format!("{routes} described, bodies up to {body}{mode}"))
    }
}

impl<S> Layer<S> for ValidateResponsesLayer {
    type Service = ValidateResponsesService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ValidateResponsesService::new(inner, self.shared.clone())
    }
}
