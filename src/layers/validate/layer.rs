//! The layer, and what makes it.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use http::Method;
use tower_layer::Layer;

use super::breach::Check;
use super::end::Places;
use super::inspect::Inspect;
use super::limits::Limits;
use super::media::MediaType;
#[cfg(feature = "openapi")]
use super::openapi::OpenApi;
use super::route::{Route, Routes};
use super::service::ValidateService;
use crate::spine::bounds::CloneService;
use crate::spine::byte_pool::BytePool;
use crate::spine::clock::Clock;
use crate::spine::config::ConfigError;
#[cfg(feature = "openapi")]
use crate::spine::event;
use crate::spine::event::Sampler;
#[cfg(feature = "json-schema")]
use crate::spine::problem::ProblemKind;
use crate::spine::rejection::{Refuser, RenderRejection};

/// Makes a [`ValidateLayer`]. See the [module](super) for the manual.
#[derive(Clone)]
#[must_use = "nothing is validated until the layer is built"]
pub struct Validate {
    limits: Limits,
    methods: Vec<Method>,
    content_types: Vec<MediaType>,
    content_encodings: Vec<Box<str>>,
    routes: Vec<Route>,
    bodies: Option<Bodies>,
    unknown_paths: UnknownPaths,
    #[cfg(feature = "json-schema")]
    schema_errors: ProblemKind,
    reported: HashSet<Check>,
    #[cfg(feature = "openapi")]
    openapi: Vec<OpenApi>,
    inspect: Option<Arc<dyn Inspect>>,
    clock: Clock,
    refuser: Refuser,
}

crate::spine::bounds::no_layer!(Validate);

/// What becomes of requests for paths that no route describes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "they pass, or they do not")]
pub enum UnknownPaths {
    /// Their heads and the length of their bodies are checked, and they pass.
    #[default]
    Pass,
    /// They are answered 404.
    Refuse,
}

/// Whose bodies are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bodies {
    /// All that say they are JSON or a form.
    All,
    /// Those of routes.
    Described,
}

/// What all services of a layer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) methods: Vec<Method>,
    pub(super) content_types: Vec<MediaType>,
    pub(super) content_encodings: Vec<Box<str>>,
    pub(super) routes: Routes,
    pub(super) bodies: Bodies,
    pub(super) unknown_paths: UnknownPaths,
    #[cfg(feature = "json-schema")]
    pub(super) schema_errors: ProblemKind,
    pub(super) reported: HashSet<Check>,
    pub(super) inspect: Hook,
    pub(super) buffers: BytePool,
    pub(super) places: Arc<Places>,
    pub(super) clock: Clock,
    pub(super) refuser: Refuser,
    pub(super) sampler: Sampler,
    /// Whether requests are left as they are.
    pub(super) is_empty: bool,
}

pub(super) struct Hook(pub(super) Option<Arc<dyn Inspect>>);

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hook").field(&self.0.is_some()).finish()
    }
}

impl Validate {
    /// Hardens requests with the default [`Limits`]: heads, and bodies that say they are JSON or a form.
    pub fn new() -> Self {
        Self {
            limits: Limits::new(),
            methods: Vec::new(),
            content_types: Vec::new(),
            content_encodings: Vec::new(),
            routes: Vec::new(),
            bodies: None,
            unknown_paths: UnknownPaths::default(),
            #[cfg(feature = "json-schema")]
            schema_errors: ProblemKind::UnprocessableContent,
            reported: HashSet::new(),
            #[cfg(feature = "openapi")]
            openapi: Vec::new(),
            inspect: None,
            clock: Clock::system(),
            refuser: Refuser::new(),
        }
    }

    /// Replaces the limits.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The methods that are allowed; all, unless it is said. Others are answered 405 with `Allow`.
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = methods.into_iter().collect();
        self
    }

    /// The types that bodies may have, where bodies are read; all, unless it is said.
    pub fn content_types(mut self, types: impl IntoIterator<Item = MediaType>) -> Self {
        self.content_types = types.into_iter().collect();
        self
    }

    /// Encodings that bodies may have beside `identity`, one at a time. With feature `decompression`, JSON and forms in
    /// `gzip`, `deflate` and `br` are decoded to be looked at; in others they are refused (415). The service gets every body
    /// as it came, and decodes it itself: what streams through, it must bound.
    pub fn content_encodings<T: Into<Box<str>>>(mut self, encodings: impl IntoIterator<Item = T>) -> Self {
        self.content_encodings = encodings.into_iter().map(Into::into).collect();
        self
    }

    /// Describes a request.
    pub fn add_route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// Describes all requests of a further API, by its OpenAPI document.
    #[cfg(feature = "openapi")]
    pub fn add_openapi(mut self, api: OpenApi) -> Self {
        self.openapi.push(api);
        self
    }

    /// Whether bodies are read on all paths, or on described ones alone. Where routes are described, theirs alone are, unless
    /// this says otherwise.
    pub const fn read_all_bodies(mut self, all: bool) -> Self {
        self.bodies = Some(if all { Bodies::All } else { Bodies::Described });
        self
    }

    /// What becomes of requests for paths that no route describes.
    pub const fn unknown_paths(mut self, unknown: UnknownPaths) -> Self {
        self.unknown_paths = unknown;
        self
    }

    /// Answers bodies that are not as a schema describes them 400, as those that cannot be read, instead of 422.
    #[cfg(feature = "json-schema")]
    pub const fn schema_errors_are_bad_requests(mut self) -> Self {
        self.schema_errors = ProblemKind::BadRequest;
        self
    }

    /// Lets requests pass that fail this check, and reports them: for a time in which nobody knows what would be refused.
    pub fn report(mut self, check: Check) -> Self {
        self.reported.insert(check);
        self
    }

    /// Lets all requests pass, and reports what would be refused.
    pub fn report_all(mut self) -> Self {
        self.reported.extend(Check::ALL);
        self
    }

    /// Shows requests that passed to a hook of yours.
    pub fn inspect(mut self, hook: impl Inspect) -> Self {
        self.inspect = Some(Arc::new(hook));
        self
    }

    /// Replaces the clock.
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
    /// Limits that let nothing through, bodies for which there is no room, a path that is no template, two routes for one method and path, unknown paths that
    /// are refused where none is known, operations of an OpenAPI document that ask for credentials which nothing is said to
    /// check.
    pub fn build(mut self) -> Result<ValidateLayer, ConfigError> {
        self.limits.check()?;
        #[cfg(feature = "openapi")]
        for api in &self.openapi {
            api.check_security()?;
            api.warnings().for_each(event::description_not_judged);
            self.routes.extend(api.routes()?);
        }
        let bodies = self.bodies.unwrap_or(if self.routes.is_empty() { Bodies::All } else { Bodies::Described });
        if self.routes.is_empty() && self.unknown_paths == UnknownPaths::Refuse {
            const MEND: &str = "describe requests with `add_route`, or let unknown paths pass";
            return Err(ConfigError::new("unknown_paths", "refuse", "refuses everything", MEND));
        }
        self.routes.iter().try_for_each(|route| route.check_room(self.limits.buffer_bytes))?;
        let routes = Routes::build(std::mem::take(&mut self.routes))?;
        Ok(self.share(routes, bodies, false))
    }

    fn share(self, routes: Routes, bodies: Bodies, is_empty: bool) -> ValidateLayer {
        let shared = Shared {
            buffers: BytePool::of(self.limits.buffer_bytes),
            places: Arc::default(),
            limits: self.limits,
            methods: self.methods,
            content_types: self.content_types,
            content_encodings: self.content_encodings,
            routes,
            bodies,
            unknown_paths: self.unknown_paths,
            #[cfg(feature = "json-schema")]
            schema_errors: self.schema_errors,
            reported: self.reported,
            inspect: Hook(self.inspect),
            clock: self.clock,
            refuser: self.refuser,
            sampler: Sampler::default(),
            is_empty,
        };
        ValidateLayer { shared: Arc::new(shared) }
    }
}

impl Default for Validate {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Validate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validate").field("limits", &self.limits).field("routes", &self.routes).finish_non_exhaustive()
    }
}

/// Refuses requests that are malformed, too large, or can be read in two ways. See the [module](super) for the manual.
///
/// Made by [`Validate::build`].
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct ValidateLayer {
    pub(super) shared: Arc<Shared>,
}

impl ValidateLayer {
    /// Leaves requests as they are: for a place that a configuration may leave open.
    pub fn empty() -> Self {
        Validate::new().share(Routes::default(), Bodies::Described, true)
    }
}

impl<S: CloneService> Layer<S> for ValidateLayer {
    type Service = ValidateService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ValidateService::new(inner, Arc::clone(&self.shared))
    }
}
