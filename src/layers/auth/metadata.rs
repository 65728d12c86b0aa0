//! What this service tells about itself to whoever wants a token for it (RFC 9728).

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Response, header};

use crate::spine::address::{is_trustworthy, origin_and_path, without_login};
use crate::spine::body::ResponseBody;
use crate::spine::config::ConfigError;
use crate::spine::problem::Member;
use crate::spine::request::RequestView;

/// The metadata of a protected resource: a document that clients find by the `resource_metadata` of a challenge.
///
/// Given to [`Auth::resource`](super::Auth::resource), it is answered by the layer at its well-known path, to everybody,
/// and named in every challenge.
///
/// ```
/// use tower_rampart::auth::Resource;
///
/// let resource = Resource::new("https://api.example/polls")?
///     .authorization_servers(["https://idp.example/"])
///     .scopes(["polls:read", "polls:write"]);
/// assert_eq!(resource.metadata_url(), "https://api.example/.well-known/oauth-protected-resource/polls");
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "the document is answered by a layer that has it"]
pub struct Resource {
    resource: Box<str>,
    url: Box<str>,
    path: Box<str>,
    servers: Vec<Box<str>>,
    scopes: Vec<Box<str>>,
}

/// RFC 9728 section 3: put between origin and path.
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

impl Resource {
    /// A resource by its identifier: the https URL under which clients know this service.
    ///
    /// # Errors
    ///
    /// What is no https URL and no http URL of this machine, or has a query or fragment (RFC 9728 section 1.2).
    pub fn new(resource: &str) -> Result<Self, ConfigError> {
        let refuse = || {
            const MEND: &str = "write its https URL without query and fragment, such as `https://api.example/`";
            ConfigError::new("resource", without_login(resource), "is no identifier of a resource", MEND)
        };
        let is_plain =
            !resource.contains(['?', '#', '"', '\\']) && resource.parse().is_ok_and(|uri| is_trustworthy(&uri));
        let (origin, path) = origin_and_path(resource).filter(|_| is_plain).ok_or_else(refuse)?;
        let path = format!("{WELL_KNOWN}{path}");
        if PathAndQuery::try_from(path.as_str()).is_err() {
            return Err(refuse());
        }
        Ok(Self {
            resource: resource.into(),
            url: format!("{origin}{path}").into(),
            path: path.into(),
            servers: Vec::new(),
            scopes: Vec::new(),
        })
    }

    /// The resource whose metadata stand at this URL.
    ///
    /// # Errors
    ///
    /// A URL whose path does not begin with `/.well-known/oauth-protected-resource`, and those of [`new`](Self::new).
    pub fn described_at(url: &str) -> Result<Self, ConfigError> {
        let of_resource = url.find(WELL_KNOWN).and_then(|at| {
            let (origin, path) = (url.get(..at)?, url.get(at + WELL_KNOWN.len()..)?);
            let is_whole = origin_and_path(origin).is_some_and(|(_, path)| path.is_empty());
            let path = if path.is_empty() { "/" } else { path };
            (is_whole && path.starts_with('/')).then(|| format!("{origin}{path}"))
        });
        let resource = of_resource.ok_or_else(|| {
            let mend = format!("write one such as `https://api.example{WELL_KNOWN}`");
            ConfigError::new("resource_metadata", url, "is no well-known URL", mend)
        })?;
        Self::new(&resource)
    }

    /// The issuers whose tokens are taken (`authorization_servers`).
    pub fn authorization_servers<T: Into<Box<str>>>(mut self, servers: impl IntoIterator<Item = T>) -> Self {
        self.servers = servers.into_iter().map(Into::into).collect();
        self
    }

    /// The scopes that can be asked for (`scopes_supported`).
    pub fn scopes<T: Into<Box<str>>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Where the document stands.
    #[must_use]
    pub fn metadata_url(&self) -> &str {
        &self.url
    }

    /// The document, for a server that answers it itself.
    #[must_use]
    pub fn document(&self) -> String {
        let texts = |texts: &[Box<str>]| Member::from(texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        let mut members = vec![("resource", Member::from(self.resource.to_string()))];
        if !self.servers.is_empty() {
            members.push(("authorization_servers", texts(&self.servers)));
        }
        if !self.scopes.is_empty() {
            members.push(("scopes_supported", texts(&self.scopes)));
        }
        members.push(("bearer_methods_supported", Member::from(vec![String::from("header")])));
        let mut json = String::new();
        Member::object(members).write(&mut json);
        json
    }

    /// The document, if that is what is asked for.
    pub(super) fn answer<B>(&self, request: RequestView<'_>) -> Option<Response<ResponseBody<B>>> {
        let is_asked = request.uri().path() == &*self.path && matches!(*request.method(), Method::GET | Method::HEAD);
        if !is_asked {
            return None;
        }
        let document = Bytes::from(self.document());
        let length = HeaderValue::from(document.len());
        let body =
            if *request.method() == Method::HEAD { ResponseBody::default() } else { ResponseBody::local(document) };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_LENGTH, length);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
        // Read by scripts of any origin; there is nothing in it that is not for everybody.
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        Some(response)
    }
}
