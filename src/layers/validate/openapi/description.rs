//! A description of an API, as users give it.

use std::fmt;
use std::sync::Arc;

use super::super::route::{Described, Route};
use super::bundle::Notes;
use super::document::Document;
use super::operation::Operation;
use super::paths;
use super::responses::Responses;
use super::template::PathTemplate;
use crate::spine::config::ConfigError;
use crate::spine::json::{Json, JsonLimits, read_as};
use crate::spine::key::RouteTemplate;

/// A description of an API: an OpenAPI document of version 3.0 or 3.1, or one of 3.2 that means the same.
///
/// What it says of requests is compiled when it is read, and everything that is wrong with that is told at once, each with
/// its JSON pointer; so are references anywhere that lead nowhere. What it says of responses is compiled by
/// [`ValidateResponses`](crate::validate::ValidateResponses), where they are to be judged. References lead to places of the document
/// itself; nothing is fetched.
///
/// ```
/// use tower_rampart::validate::{OpenApi, Validate};
///
/// let api = OpenApi::from_json(
///     r#"{
///         "openapi": "3.1.0",
///         "info": { "title": "Polls", "version": "1" },
///         "servers": [{ "url": "https://polls.example/v1" }],
///         "paths": {
///             "/polls": {
///                 "get": {
///                     "parameters": [
///                         { "name": "limit", "in": "query", "schema": { "type": "integer", "maximum": 100 } }
///                     ]
///                 }
///             }
///         }
///     }"#,
/// )?;
/// let layer = Validate::new().add_openapi(api).build()?;
///
/// let error = OpenApi::from_json(r#"{ "openapi": "3.1.0", "paths": { "polls": {} } }"#).unwrap_err();
/// assert!(error.to_string().contains("#/paths/polls: the path does not begin with `/`"));
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "a description counts when a layer is given it"]
pub struct OpenApi {
    compiled: Arc<Compiled>,
    base_path: Option<Box<str>>,
    unknown_query: UnknownQuery,
    bound: Bound,
}

/// What is read of a description once.
#[derive(Debug)]
struct Compiled {
    document: Document,
    operations: Vec<Arc<Operation>>,
    warnings: Vec<String>,
}

/// What becomes of query parameters that are not described.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "they pass, or they do not")]
pub enum UnknownQuery {
    /// They are answered 400.
    #[default]
    Refuse,
    /// They are left as they are.
    Pass,
}

/// The security schemes that somebody else checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Bound {
    #[default]
    None,
    Named(Vec<Box<str>>),
    All,
    /// Nobody does.
    Ignored,
}

/// How a document is read.
const LIMITS: JsonLimits = JsonLimits::of_whole(32 << 20, 128, 3_000_000);
const MEND: &str = "mend the document";

impl OpenApi {
    /// Reads a description that is written as JSON.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it: what is no JSON, no OpenAPI 3, references that lead nowhere or out of it, schemas
    /// and patterns that cannot be used, parameters of which nobody knows how they are written.
    pub fn from_json(text: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let root = read_as::<Json<'_>>(text.as_ref(), &LIMITS).map_err(|stop| {
            let breach = format!("cannot be read: {} (at `{}`)", stop.fault, stop.pointer());
            ConfigError::new("openapi", "", breach, MEND)
        })?;
        Self::compile(root.into_owned())
    }

    /// Reads a description that is written as YAML.
    ///
    /// # Errors
    ///
    /// The same as for JSON.
    #[cfg(feature = "openapi-yaml")]
    pub fn from_yaml(text: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let root = crate::wiring::read_yaml(text.as_ref(), &LIMITS)
            .map_err(|what| ConfigError::new("openapi", "", format!("cannot be read: {what}"), MEND))?;
        Self::compile(root)
    }

    fn compile(root: Json<'static>) -> Result<Self, ConfigError> {
        let mut notes = Notes::default();
        let document = Document::of(root, &mut notes.faults);
        let operations: Vec<_> = paths::compile(&document, &mut notes).into_iter().map(Arc::new).collect();
        document.check_references(&mut notes.faults);
        if !notes.faults.is_empty() {
            return Err(ConfigError::new("openapi", "", notes.faults.text(), MEND));
        }
        let compiled = Compiled { document, operations, warnings: notes.warnings.into_iter().collect() };
        Ok(Self {
            compiled: Arc::new(compiled),
            base_path: None,
            unknown_query: UnknownQuery::default(),
            bound: Bound::default(),
        })
    }

    /// What stands before the paths of the description; what its first server has, unless it is said.
    pub fn base_path(mut self, path: impl Into<Box<str>>) -> Self {
        self.base_path = Some(path.into());
        self
    }

    /// What becomes of query parameters that are not described.
    pub const fn unknown_query(mut self, unknown: UnknownQuery) -> Self {
        self.unknown_query = unknown;
        self
    }

    /// The security schemes, by their names in the description, that something further out checks: an authentication
    /// layer, say. A layer is not built where an operation asks for others.
    pub fn bound_security<T: Into<Box<str>>>(mut self, schemes: impl IntoIterator<Item = T>) -> Self {
        self.bound = Bound::Named(schemes.into_iter().map(Into::into).collect());
        self
    }

    /// Something further out checks all schemes that the description names.
    pub fn all_security_bound(mut self) -> Self {
        self.bound = Bound::All;
        self
    }

    /// Nobody checks credentials here, although the description asks for them.
    pub fn dangerous_ignore_security(mut self) -> Self {
        self.bound = Bound::Ignored;
        self
    }

    /// What the description says that is not judged by: formats and keywords that nobody knows, schemas of bodies that
    /// are neither JSON nor forms. Each with its JSON pointer.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.compiled.warnings.iter().map(String::as_str)
    }

    /// What operations may be answered. `tell` hears what is said of that and not judged by.
    pub(in crate::layers::validate) fn responses(
        &self,
        operations: &[&Operation],
        tell: impl Fn(&str),
    ) -> Result<Vec<Responses>, ConfigError> {
        let mut notes = Notes::default();
        let compile = |operation: &&Operation| Responses::compile(&self.compiled.document, &operation.at, &mut notes);
        let all = operations.iter().map(compile).collect();
        if !notes.faults.is_empty() {
            return Err(ConfigError::new("openapi", "", notes.faults.text(), MEND));
        }
        notes.warnings.iter().for_each(|warning| tell(warning));
        Ok(all)
    }

    /// The template of an operation's path, with what stands before it.
    pub(super) fn template(&self, operation: &Operation) -> Result<PathTemplate, ConfigError> {
        let base = self.base_path.as_deref().unwrap_or(&operation.base);
        if !(base.is_empty() || base.starts_with('/')) || base.contains('{') {
            let mend = "write one such as `/v1`, or leave it out";
            return Err(ConfigError::new("base_path", base, "is no path", mend));
        }
        PathTemplate::parse(base, &operation.path)
            .map_err(|what| ConfigError::new("base_path", base, what, "write one such as `/v1`, or leave it out"))
    }

    /// The routes of its operations.
    pub(in crate::layers::validate) fn routes(&self) -> Result<Vec<Route>, ConfigError> {
        let route = |operation: &Arc<Operation>| {
            let template = self.template(operation)?;
            let name = RouteTemplate::new(template.as_str());
            let path = template.as_str().to_owned();
            let refuses_unknown_query = self.unknown_query == UnknownQuery::Refuse;
            let described = Described { operation: Arc::clone(operation), template, name, refuses_unknown_query };
            Ok(Route::described(operation.method.clone(), path, described))
        };
        self.compiled.operations.iter().map(route).collect()
    }

    /// An operation that asks for a credential which nobody checks is open to everybody, and its description says otherwise.
    pub(in crate::layers::validate) fn check_security(&self) -> Result<(), ConfigError> {
        let is_bound = |scheme: &str| match &self.bound {
            Bound::None => false,
            Bound::Named(names) => names.iter().any(|name| **name == *scheme),
            Bound::All | Bound::Ignored => true,
        };
        // Any one of the alternatives will do; those that ask for nothing at all do already.
        let is_open = |operation: &&Arc<Operation>| {
            !operation.security.is_empty()
                && !operation.security.iter().any(|all| all.iter().all(|scheme| is_bound(scheme)))
        };
        let open: Vec<_> = self.compiled.operations.iter().filter(is_open).collect();
        let Some(first) = open.first() else { return Ok(()) };
        let breach =
            format!("asks for credentials that nothing is said to check, as {} of its operations do", open.len());
        const MEND: &str =
            "put an authentication layer further out and name its schemes with `bound_security`, or ignore them";
        Err(ConfigError::new("openapi", format!("{}/security", first.at), breach, MEND))
    }
}

impl fmt::Debug for OpenApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenApi")
            .field("operations", &self.compiled.operations.len())
            .field("base_path", &self.base_path)
            .finish_non_exhaustive()
    }
}
