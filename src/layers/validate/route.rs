//! Requests that are described: by method and path, with the body they have.

use http::{HeaderValue, Method};

#[cfg(feature = "json-schema")]
use super::schema::Schema;
use crate::spine::config::ConfigError;
use crate::spine::route::{Node, Template, plain_path};

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
    #[cfg(feature = "json-schema")]
    pub(super) schema: Option<Schema>,
    #[cfg(feature = "json-schema")]
    pub(super) is_parsed: bool,
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
            #[cfg(feature = "json-schema")]
            schema: None,
            #[cfg(feature = "json-schema")]
            is_parsed: false,
        }
    }

    /// A gRPC method, or all of a service: `/pkg.Service/Method`, `/pkg.Service/*`. Its messages stream through, of 4 MiB
    /// at most each, however many there are and however long they take; compressed ones are refused.
    pub fn grpc(path: impl Into<Box<str>>) -> Self {
        let mut route = Self::new(Method::POST, path);
        route.body = Expected::Grpc { message_bytes: DEFAULT_MESSAGE_BYTES, allows_compressed: false };
        route
    }

    /// Bytes of a gRPC message; means nothing for other routes.
    pub fn message_bytes(mut self, bytes: usize) -> Self {
        if let Expected::Grpc { message_bytes, .. } = &mut self.body {
            *message_bytes = bytes;
        }
        self
    }

    /// Takes compressed gRPC messages, too, whose length is then that before they are decompressed.
    pub fn compressed_messages(mut self, allowed: bool) -> Self {
        if let Expected::Grpc { allows_compressed, .. } = &mut self.body {
            *allows_compressed = allowed;
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

    /// Whether a value is made of its body.
    #[cfg(feature = "json-schema")]
    pub(super) const fn wants_value(&self) -> bool {
        self.is_parsed || self.schema.is_some()
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
        for (index, route) in routes.iter_mut().enumerate() {
            route.index = index;
            let template: Template = route.path.parse()?;
            let leaf = all.tree.leaf(&template.segments);
            if leaf.0.iter().any(|(method, _)| method.as_ref() == Some(&route.method)) {
                let breach = format!("is described twice for {}", route.method);
                return Err(ConfigError::new("route", &template, breach, "put both together"));
            }
            leaf.0.push((Some(route.method.clone()), index));
            if !all.all_methods.contains(&route.method) {
                all.all_methods.push(route.method.clone());
            }
        }
        all.routes = routes;
        Ok(all)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    #[cfg(feature = "json-schema")]
    pub(super) fn get(&self, index: usize) -> Option<&Route> {
        self.routes.get(index)
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> Found<'_> {
        let Some(path) = plain_path(path) else { return Found::Unknown };
        let path = path.strip_prefix('/').unwrap_or_default();
        let by = |method: &Method| self.tree.find(Some(path), method, &|_| true);
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
