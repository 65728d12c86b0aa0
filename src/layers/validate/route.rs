//! Requests that are described: by method and path, with the body they have.

use std::cmp::Reverse;
#[cfg(feature = "openapi")]
use std::sync::Arc;

use http::{HeaderValue, Method};

#[cfg(feature = "openapi")]
use super::openapi::{Operation, PathTemplate};
#[cfg(feature = "json-schema")]
use super::schema::Schema;
use crate::spine::config::ConfigError;
#[cfg(feature = "openapi")]
use crate::spine::key::RouteTemplate;
use crate::spine::route::{Node, Segment, Template, plain_path};
#[cfg(feature = "json-schema")]
use crate::wiring::CompiledSchema;

/// A request that is described.
///
/// ```
/// use http::Method;
/// use tower_rampart::validate::Route;
///
/// let create = Route::new(Method::POST, "/v1/polls").json().body_bytes(16 << 10);
/// let read = Route::new(Method::GET, "/v1/polls/{id}");
/// ```
#[derive(Debug, Clone)]
#[must_use = "a route is described when a layer is given it"]
pub struct Route {
    method: Method,
    path: Box<str>,
    /// Its number among the routes of a layer.
    pub(super) index: usize,
    pub(super) body: Expected,
    pub(super) body_bytes: Option<usize>,
    /// What was said of gRPC messages, where there are none.
    odd: Option<&'static str>,
    #[cfg(feature = "json-schema")]
    pub(super) schema: Option<Schema>,
    #[cfg(feature = "json-schema")]
    pub(super) is_parsed: bool,
    #[cfg(feature = "openapi")]
    pub(super) described: Option<Described>,
}

/// What an OpenAPI document says of it.
#[cfg(feature = "openapi")]
#[derive(Debug, Clone)]
pub(super) struct Described {
    pub(super) operation: Arc<Operation>,
    pub(super) template: PathTemplate,
    /// The template, for layers further in.
    pub(super) name: RouteTemplate,
    pub(super) refuses_unknown_query: bool,
}

/// The body that a described request has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Nothing,
    Json,
    Form,
    /// A form with files in it; it streams through, and is followed.
    Multipart,
    /// Of any type that is taken; it streams through.
    Anything,
    /// gRPC messages, each of so many bytes at most.
    Grpc {
        message_bytes: usize,
        allows_compressed: bool,
    },
    /// As an OpenAPI document has it, by its type.
    #[cfg(feature = "openapi")]
    Described,
}

/// What tonic takes, unless it is told otherwise.
const DEFAULT_MESSAGE_BYTES: usize = 4 << 20;

impl Route {
    /// A request without a body. HEAD follows GET.
    pub fn new(method: Method, path: impl Into<Box<str>>) -> Self {
        Self {
            method,
            path: path.into(),
            index: 0,
            body: Expected::Nothing,
            body_bytes: None,
            odd: None,
            #[cfg(feature = "json-schema")]
            schema: None,
            #[cfg(feature = "json-schema")]
            is_parsed: false,
            #[cfg(feature = "openapi")]
            described: None,
        }
    }

    /// A request that an OpenAPI document describes.
    #[cfg(feature = "openapi")]
    pub(super) fn described(method: Method, path: String, described: Described) -> Self {
        let mut route = Self::new(method, path);
        route.body = Expected::Described;
        route.described = Some(described);
        route
    }

    /// A body that is read must have room, or it is answered 503 for ever.
    pub(super) fn check_room(&self, buffer_bytes: usize) -> Result<(), ConfigError> {
        match (self.body, self.body_bytes) {
            (Expected::Json | Expected::Form, Some(bytes)) if bytes > buffer_bytes => {
                const MEND: &str =
                    "write at least the longest body of a route, times the requests that are looked at at once";
                let breach = format!("does not hold one body of {} {}", self.method, self.path);
                Err(ConfigError::new("buffer_bytes", buffer_bytes, breach, MEND))
            }
            _ => Ok(()),
        }
    }

    /// The segments of its path.
    fn segments(&self) -> Result<Box<[Segment]>, ConfigError> {
        #[cfg(feature = "openapi")]
        if let Some(described) = &self.described {
            return Ok(described.template.segments.clone());
        }
        Ok(self.path.parse::<Template>()?.segments)
    }

    /// Whether it fits a decoded path whose segments do, as far as a tree of segments can tell.
    #[cfg_attr(not(feature = "openapi"), expect(clippy::unused_self, reason = "segments tell all"))]
    fn fits(&self, _path: &str) -> bool {
        #[cfg(feature = "openapi")]
        if let Some(described) = &self.described {
            return described.template.fits(_path);
        }
        true
    }

    /// What tells it from others with the same segments; the narrower ones are greater.
    fn mixture(&self) -> (usize, usize) {
        #[cfg(feature = "openapi")]
        if let Some(described) = &self.described {
            return described.template.mixture();
        }
        (0, 0)
    }

    fn is_mixed_like(&self, other: &Self) -> bool {
        #[cfg(feature = "openapi")]
        if let (Some(one), Some(other)) = (&self.described, &other.described) {
            return one.template.form() == other.template.form();
        }
        self.mixture() == other.mixture()
    }

    /// A gRPC method, or all of a service: `/pkg.Service/Method`, `/pkg.Service/*`. Its messages stream through, of 4 MiB
    /// at most each, however many there are and however long they take; compressed ones are refused.
    pub fn grpc(path: impl Into<Box<str>>) -> Self {
        let mut route = Self::new(Method::POST, path);
        route.body = Expected::Grpc { message_bytes: DEFAULT_MESSAGE_BYTES, allows_compressed: false };
        route
    }

    /// Bytes of a gRPC message. Routes of other kinds have no messages, and cannot be built with it.
    pub fn message_bytes(mut self, bytes: usize) -> Self {
        match &mut self.body {
            Expected::Grpc { message_bytes, .. } => *message_bytes = bytes,
            _ => self.odd = Some("message_bytes"),
        }
        self
    }

    /// Takes compressed gRPC messages, too, whose length is then that before they are decompressed. Routes of other
    /// kinds have no messages, and cannot be built with it.
    pub fn compressed_messages(mut self, allowed: bool) -> Self {
        match &mut self.body {
            Expected::Grpc { allows_compressed, .. } => *allows_compressed = allowed,
            _ => self.odd = Some("compressed_messages"),
        }
        self
    }

    /// It has a JSON body.
    pub fn json(mut self) -> Self {
        self.body = Expected::Json;
        self
    }

    /// It has a JSON body as this schema describes it; others are answered 422.
    #[cfg(feature = "json-schema")]
    pub fn schema(mut self, schema: Schema) -> Self {
        self.schema = Some(schema);
        self.json()
    }

    /// Hands the value of its JSON body on, as [`ParsedJson`](super::ParsedJson). Routes with a schema do so anyway; without
    /// one no value is made of what is read, unless this is said.
    #[cfg(feature = "json-schema")]
    pub const fn parsed(mut self) -> Self {
        self.is_parsed = true;
        self
    }

    /// It has a form, `application/x-www-form-urlencoded`.
    pub fn form(mut self) -> Self {
        self.body = Expected::Form;
        self
    }

    /// It has a form with files, `multipart/form-data`, whose parts are followed while they stream through.
    pub fn multipart(mut self) -> Self {
        self.body = Expected::Multipart;
        self
    }

    /// It may have a body of any type that is taken, which is not read here but for its length.
    pub fn any_body(mut self) -> Self {
        self.body = Expected::Anything;
        self
    }

    /// What judges its body, of one of the types that it may have.
    #[cfg(feature = "json-schema")]
    pub(super) fn judged_by(&self, _media: usize) -> Option<&CompiledSchema> {
        #[cfg(feature = "openapi")]
        if let Some(described) = &self.described {
            return described.operation.schema(_media);
        }
        self.schema.as_ref().map(Schema::compiled)
    }

    /// Whether it has no body.
    pub(super) fn forbids_body(&self) -> bool {
        #[cfg(feature = "openapi")]
        if let Some(described) = &self.described {
            return described.operation.expects_body().is_none();
        }
        self.body == Expected::Nothing
    }

    /// Whether the value of its body is handed on, where one can be made.
    #[cfg(feature = "json-schema")]
    pub(super) fn hands_on(&self) -> bool {
        #[cfg(feature = "openapi")]
        if let Some(described) = &self.described {
            return described.operation.expects_body().is_some();
        }
        self.schema.is_some() || self.is_parsed
    }

    /// Bytes of its body, instead of what the layer's limits say.
    pub fn body_bytes(mut self, bytes: usize) -> Self {
        self.body_bytes = Some(bytes);
        self
    }
}

/// All routes of a layer.
#[derive(Default)]
pub(super) struct Routes {
    tree: Node,
    routes: Vec<Route>,
    all_methods: Vec<Method>,
}

/// What the routes say of a request.
pub(super) enum Found<'a> {
    Route(&'a Route),
    /// The path is described, with these methods alone.
    OtherMethods(HeaderValue),
    Unknown,
}

impl Routes {
    pub(super) fn build(mut routes: Vec<Route>) -> Result<Self, ConfigError> {
        const MAX_ROUTES: usize = 10_000;
        if routes.len() > MAX_ROUTES {
            return Err(ConfigError::new("routes", routes.len(), "are too many", "describe at most 10000"));
        }
        let mut all = Self::default();
        // Those that say more of a segment come first, and are asked first.
        routes.sort_by_key(|route| Reverse(route.mixture()));
        routes.iter_mut().enumerate().for_each(|(index, route)| route.index = index);
        for (index, route) in routes.iter().enumerate() {
            if let Some(setting) = route.odd {
                const MEND: &str = "make it with `Route::grpc`, or leave this out";
                return Err(ConfigError::new(format!("route, {setting}"), &route.path, "has no gRPC messages", MEND));
            }
            let leaf = all.tree.leaf(&route.segments()?);
            let is_same = |(method, other): &(Option<Method>, usize)| {
                method.as_ref() == Some(&route.method)
                    && routes.get(*other).is_some_and(|other| route.is_mixed_like(other))
            };
            if leaf.0.iter().any(is_same) {
                let breach = format!("is described twice for {}", route.method);
                return Err(ConfigError::new("route", &route.path, breach, "put both together"));
            }
            leaf.0.push((Some(route.method.clone()), index));
            if !all.all_methods.contains(&route.method) {
                all.all_methods.push(route.method.clone());
            }
        }
        all.routes = routes;
        Ok(all)
    }

    pub(super) fn len(&self) -> usize {
        self.routes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    #[cfg(feature = "json-schema")]
    pub(super) fn get(&self, index: usize) -> Option<&Route> {
        self.routes.get(index)
    }

    /// The operations of its routes, in their order.
    #[cfg(feature = "openapi")]
    pub(super) fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.routes.iter().filter_map(|route| Some(&*route.described.as_ref()?.operation))
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> Found<'_> {
        let Some(path) = plain_path(path) else { return Found::Unknown };
        let path = path.strip_prefix('/').unwrap_or_default();
        let fits = |index: usize| self.routes.get(index).is_some_and(|route| route.fits(path));
        let by = |method: &Method| self.tree.find(Some(path), method, &fits);
        if let Some(route) = by(method).and_then(|index| self.routes.get(index)) {
            return Found::Route(route);
        }
        let mut allowed: Vec<&str> =
            self.all_methods.iter().filter(|method| by(method).is_some()).map(Method::as_str).collect();
        if allowed.is_empty() {
            return Found::Unknown;
        }
        if allowed.contains(&"GET") && !allowed.contains(&"HEAD") {
            allowed.push("HEAD");
        }
        allowed.sort_unstable();
        // Methods are tokens, and so is a list of them.
        HeaderValue::try_from(allowed.join(", ")).map_or(Found::Unknown, Found::OtherMethods)
    }
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routes").field("routes", &self.routes.len()).finish_non_exhaustive()
    }
}
