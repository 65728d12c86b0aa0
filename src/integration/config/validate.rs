//! `[validate]`.

use std::path::Path;
use std::time::Duration;

use http::Method;
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::parse::carry_from;
use super::{duration, size};
#[cfg(feature = "json-schema")]
use crate::layers::validate::Schema;
use crate::layers::validate::{Limits, Route, UnknownPaths, Validate, ValidateLayer};
use crate::spine::config::ConfigError;

/// The `[validate]` table, with `[[validate.route]]`.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `uri_bytes` | the longest target | `8KiB` |
/// | `body_bytes` | the longest body | `64KiB` |
/// | `body_timeout` | how long a body may take to arrive | `10s` |
/// | `buffer_bytes` | all bodies that are read together, and as much for those of responses; beyond, 503 | `64MiB` |
/// | `json_depth` | objects and lists within each other | 32 |
/// | `json_items` | elements and members of a document | 10000 |
/// | `json_string_bytes` | the longest string | `16KiB` |
/// | `form_fields` | fields of a form | 1000 |
/// | `multipart_parts` | parts of a multipart form | 100 |
/// | `multipart_part_bytes` | the longest part of one | `1MiB` |
/// | `content_encodings` | encodings that bodies may have; those that are read may have `gzip`, `deflate` and `br` (feature `decompression`) | `["identity"]` |
/// | `decoded_bytes` | the longest body that is read, once it is decoded | `1MiB` |
/// | `unknown_paths` | `pass`, or `refuse` (404), what no route describes | `pass` |
/// | `mode` | `enforce`, or `report`: let through, log | `enforce` |
/// | `route.method`, `.path` | a request that is described: `/polls/{id}` | |
/// | `route.body` | `none`, `json`, `form`, `multipart`, `grpc` or `any` | `none` |
/// | `route.body_bytes` | its longest body | |
/// | `route.message_bytes`, `.compressed_messages` | of a `grpc` body: the longest message, and whether messages may be compressed | `4MiB`, `false` |
/// | `route.schema` | a file with its JSON Schema (feature `json-schema`); its body is then JSON | |
/// | `openapi` | a file with an OpenAPI document, as JSON (feature `openapi`) or YAML (feature `openapi-yaml`) | |
/// | `base_path` | what stands before its paths | the path of its first server |
/// | `unknown_query` | `refuse` (400), or `pass`, query parameters that it does not describe | `refuse` |
/// | `ignore_security` | take it although nothing checks the credentials that it asks for | `false` |
/// | `responses` | `off`, `report` (log) or `enforce` (500): responses that are not as it describes them; JSON of more than 1 MiB is not | `off` |
/// | `schema_errors` | the status of bodies that are not as described: `422`, or `400` | `422` |
///
/// ```
/// use tower_rampart::config::{self, ValidateConfig};
///
/// #[derive(serde::Deserialize)]
/// struct Config {
///     validate: ValidateConfig,
/// }
///
/// let config: Config = config::parse("[validate]\nbody_bytes = \"1MiB\"\n", "app.toml")?;
/// let layer = config.validate.to_layer(std::path::Path::new("."))?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ValidateConfig {
    uri_bytes: Option<Size>,
    body_bytes: Option<Size>,
    body_timeout: Option<Time>,
    pub(super) buffer_bytes: Option<Size>,
    json_depth: Option<usize>,
    json_items: Option<usize>,
    json_string_bytes: Option<Size>,
    form_fields: Option<usize>,
    multipart_parts: Option<usize>,
    multipart_part_bytes: Option<Size>,
    decoded_bytes: Option<Size>,
    content_encodings: Vec<String>,
    unknown_paths: Unknown,
    mode: Mode,
    schema_errors: SchemaErrors,
    pub(super) openapi: Option<String>,
    pub(super) base_path: Option<String>,
    pub(super) unknown_query: UnknownParameters,
    pub(super) ignore_security: bool,
    pub(super) responses: Responses,
    route: Vec<RouteTable>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Size(pub(super) usize);

#[derive(Debug, Clone, Copy)]
struct Time(Duration);

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Unknown {
    #[default]
    Pass,
    Refuse,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    #[default]
    Enforce,
    Report,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
enum SchemaErrors {
    #[default]
    #[serde(rename = "422")]
    Unprocessable,
    #[serde(rename = "400")]
    BadRequest,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum UnknownParameters {
    #[default]
    Refuse,
    Pass,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Responses {
    #[default]
    Off,
    Report,
    Enforce,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteTable {
    method: Verb,
    path: String,
    #[serde(default)]
    body: BodyTable,
    body_bytes: Option<Size>,
    message_bytes: Option<Size>,
    compressed_messages: Option<bool>,
    schema: Option<String>,
}

#[derive(Debug, Clone)]
struct Verb(Method);

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum BodyTable {
    #[default]
    None,
    Json,
    Form,
    Multipart,
    Grpc,
    Any,
}

impl ValidateConfig {
    /// The files that the table names, for whoever watches them.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.route.iter().filter_map(|table| table.schema.as_deref()).chain(self.openapi.as_deref()).map(Path::new)
    }

    /// The layer that the table describes. File names are relative to `base`.
    ///
    /// # Errors
    ///
    /// Limits that let nothing through, a path that is no template, two routes for one method and path, a schema that cannot
    /// be read or used; whatever is wrong with the OpenAPI document, and operations of it that ask for credentials.
    pub fn to_layer(&self, base: &Path) -> Result<ValidateLayer, ConfigError> {
        self.layer(base, false)
    }

    /// The same, behind a layer that checks the credentials which the OpenAPI document asks for.
    ///
    /// # Errors
    ///
    /// The same, but for operations that ask for credentials.
    pub fn to_layer_behind_auth(&self, base: &Path) -> Result<ValidateLayer, ConfigError> {
        self.layer(base, true)
    }

    /// What the table describes, for a program that adds what no table can say: a document that it makes itself, a hook.
    /// The layer is built by [`Validate::build`].
    ///
    /// # Errors
    ///
    /// A schema or an OpenAPI document that cannot be read or used.
    pub fn to_builder(&self, base: &Path) -> Result<Validate, ConfigError> {
        self.builder(base, false)
    }

    /// The same, behind a layer that checks the credentials which the OpenAPI document asks for.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn to_builder_behind_auth(&self, base: &Path) -> Result<Validate, ConfigError> {
        self.builder(base, true)
    }

    fn layer(&self, base: &Path, has_auth: bool) -> Result<ValidateLayer, ConfigError> {
        Self::build(self.builder(base, has_auth)?)
    }

    pub(super) fn build(validate: Validate) -> Result<ValidateLayer, ConfigError> {
        validate.build().map_err(|error| error.within("validate"))
    }

    fn builder(&self, base: &Path, has_auth: bool) -> Result<Validate, ConfigError> {
        let mut limits = Limits::new();
        let size = |size: Option<Size>, limits: Limits, set: fn(Limits, usize) -> Limits| {
            size.map_or(limits, |Size(bytes)| set(limits, bytes))
        };
        let count = |count: Option<usize>, limits: Limits, set: fn(Limits, usize) -> Limits| {
            count.map_or(limits, |count| set(limits, count))
        };
        limits = size(self.uri_bytes, limits, Limits::uri_bytes);
        limits = size(self.body_bytes, limits, Limits::body_bytes);
        limits = size(self.buffer_bytes, limits, Limits::buffer_bytes);
        limits = size(self.json_string_bytes, limits, Limits::json_string_bytes);
        limits = count(self.json_depth, limits, Limits::json_depth);
        limits = count(self.json_items, limits, Limits::json_items);
        limits = count(self.form_fields, limits, Limits::form_fields);
        limits = count(self.multipart_parts, limits, Limits::multipart_parts);
        limits = size(self.multipart_part_bytes, limits, Limits::multipart_part_bytes);
        limits = size(self.decoded_bytes, limits, Limits::decoded_bytes);
        if let Some(Time(timeout)) = self.body_timeout {
            limits = limits.body_timeout(timeout);
        }
        let unknown = match self.unknown_paths {
            Unknown::Pass => UnknownPaths::Pass,
            Unknown::Refuse => UnknownPaths::Refuse,
        };
        let validate = Validate::new()
            .limits(limits)
            .content_encodings(self.content_encodings.iter().map(String::as_str))
            .unknown_paths(unknown)
            .read_all_bodies(false);
        let routes = self.route.iter().map(|table| table.to_route(base)).collect::<Result<Vec<_>, _>>()?;
        let validate = routes.into_iter().fold(validate, Validate::add_route);
        let validate = self.with_schema_errors(self.with_openapi(validate, base, has_auth)?);
        Ok(if self.mode == Mode::Report { validate.report_all() } else { validate })
    }
}

impl ValidateConfig {
    #[cfg(feature = "json-schema")]
    fn with_schema_errors(&self, validate: Validate) -> Validate {
        match self.schema_errors {
            SchemaErrors::Unprocessable => validate,
            SchemaErrors::BadRequest => validate.schema_errors_are_bad_requests(),
        }
    }

    #[cfg(not(feature = "json-schema"))]
    fn with_schema_errors(&self, validate: Validate) -> Validate {
        // Without schemas there are no such errors.
        let _ = self.schema_errors;
        validate
    }
}

#[cfg(feature = "json-schema")]
fn described(route: Route, file: &str, base: &Path) -> Result<Route, ConfigError> {
    let refuse = |breach: String, mend: String| ConfigError::new("validate.route.schema", file, breach, mend);
    let text = std::fs::read(base.join(file)).map_err(|error| {
        refuse(format!("cannot be read ({error})"), String::from("name a file that this user can read"))
    })?;
    let schema = Schema::new(text).map_err(|error| refuse(error.breach().to_owned(), error.mend().to_owned()))?;
    Ok(route.schema(schema))
}

#[cfg(not(feature = "json-schema"))]
fn described(_: Route, file: &str, _: &Path) -> Result<Route, ConfigError> {
    const MEND: &str = "turn on the feature `json-schema`";
    Err(ConfigError::new("validate.route.schema", file, "is not looked at here", MEND))
}

impl RouteTable {
    fn to_route(&self, base: &Path) -> Result<Route, ConfigError> {
        if matches!(self.body, BodyTable::Grpc) {
            return self.to_grpc();
        }
        let route = Route::new(self.method.0.clone(), self.path.as_str());
        if self.message_bytes.is_some() || self.compressed_messages.is_some() {
            const MEND: &str = "write `body = \"grpc\"`, or take `message_bytes` and `compressed_messages` away";
            return Err(ConfigError::new("validate.route", &self.path, "has no messages", MEND));
        }
        let route = match self.body {
            BodyTable::None | BodyTable::Grpc => route,
            BodyTable::Json => route.json(),
            BodyTable::Form => route.form(),
            BodyTable::Multipart => route.multipart(),
            BodyTable::Any => route.any_body(),
        };
        let route = match self.body_bytes {
            Some(Size(bytes)) => route.body_bytes(bytes),
            None => route,
        };
        match (&self.schema, self.body) {
            (None, _) => Ok(route),
            (Some(file), BodyTable::None | BodyTable::Json) => described(route, file, base),
            (Some(file), _) => {
                const MEND: &str = "take `body` away, or write `body = \"json\"`";
                Err(ConfigError::new("validate.route.schema", file, "describes JSON, and the body is none", MEND))
            }
        }
    }

    /// A gRPC method, which is a POST.
    fn to_grpc(&self) -> Result<Route, ConfigError> {
        let refuse = |breach, mend| Err(ConfigError::new("validate.route", &self.path, breach, mend));
        if self.method.0 != Method::POST {
            return refuse("is no gRPC method", "write `method = \"POST\"`");
        }
        if self.schema.is_some() {
            return refuse("has no JSON", "take `schema` away, or write `body = \"json\"`");
        }
        let mut route = Route::grpc(self.path.as_str());
        if let Some(Size(bytes)) = self.message_bytes {
            route = route.message_bytes(bytes);
        }
        if let Some(Size(bytes)) = self.body_bytes {
            route = route.body_bytes(bytes);
        }
        Ok(route.compressed_messages(self.compressed_messages.unwrap_or_default()))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Spanned::<String>::deserialize(deserializer)?;
        size::parse("size", text.get_ref()).map(Self).map_err(|error| carry_from(text.span(), &error))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Spanned::<String>::deserialize(deserializer)?;
        duration::parse_duration("duration", text.get_ref()).map(Self).map_err(|error| carry_from(text.span(), &error))
    }
}

impl<'de> Deserialize<'de> for Verb {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Spanned::<String>::deserialize(deserializer)?;
        let name = text.get_ref();
        // Methods are compared as they stand, and those there are, are in capitals.
        let method =
            Method::from_bytes(name.as_bytes()).ok().filter(|_| !name.bytes().any(|byte| byte.is_ascii_lowercase()));
        method.map(Self).ok_or_else(|| {
            carry_from(text.span(), &ConfigError::new("method", name, "is no method", "write one such as `GET`"))
        })
    }
}
