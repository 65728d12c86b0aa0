//! What the spine needs to know of a request, whatever its body is.

use std::fmt;

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header, request};

/// A request without its body: borrowed, `Copy`, and free of the body's type, so that traits over it can be objects.
///
/// ```
/// use http::Request;
/// use tower_rampart::RequestView;
///
/// let request = Request::get("/polls").body(()).unwrap();
/// assert_eq!(RequestView::of(&request).uri().path(), "/polls");
/// ```
#[derive(Clone, Copy)]
pub struct RequestView<'a> {
    method: &'a Method,
    uri: &'a Uri,
    version: Version,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

/// Fields by which some servers see another method than the request has.
#[cfg(any(feature = "_auth", feature = "cache", feature = "validate"))]
const METHOD_OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// Which of the fields that name a method this is, if it is one.
#[cfg(any(feature = "_auth", feature = "cache", feature = "validate"))]
pub(crate) fn method_override(name: &str) -> Option<&'static str> {
    // Nearly all fields end here.
    METHOD_OVERRIDES.into_iter().find(|field| name.starts_with('x') && is_spelled(name, field))
}

/// Whether a field has this name in any spelling: servers that hand fields on as variables read `_` as `-`.
#[cfg(any(feature = "_auth", feature = "cache", feature = "validate"))]
pub(crate) fn is_spelled(name: &str, plain: &str) -> bool {
    let is_same = |(held, plain): (u8, u8)| held == plain || (held == b'_' && plain == b'-');
    name.len() == plain.len() && name.bytes().zip(plain.bytes()).all(is_same)
}

impl<'a> RequestView<'a> {
    /// Looks at a request.
    pub fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }

    /// Looks at the head of a request that was taken apart.
    #[must_use]
    pub fn of_parts(parts: &'a request::Parts) -> Self {
        Self {
            method: &parts.method,
            uri: &parts.uri,
            version: parts.version,
            headers: &parts.headers,
            extensions: &parts.extensions,
        }
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> &'a Method {
        self.method
    }

    /// The request target.
    #[must_use]
    pub const fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// Whether it is a CORS preflight (Fetch, section 4.8): `OPTIONS` with `Origin` and `Access-Control-Request-Method`.
    #[must_use]
    pub fn is_preflight(&self) -> bool {
        *self.method == Method::OPTIONS
            && self.headers.contains_key(header::ORIGIN)
            && self.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// The protocol version.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The header fields.
    #[must_use]
    pub const fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The extensions: peer address, identity and whatever outer layers left.
    #[must_use]
    pub const fn extensions(&self) -> &'a Extensions {
        self.extensions
    }
}

impl fmt::Debug for RequestView<'_> {
    /// Method and version alone: a query or a header may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestView")
            .field("method", self.method)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// How a client wants to be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a third protocol would change what every renderer must do")]
pub enum Protocol {
    /// Plain HTTP: statuses and `application/problem+json`.
    Http,
    /// gRPC and gRPC-web: HTTP 200 and a `grpc-status`.
    Grpc,
}

const GRPC: &[u8] = b"application/grpc";

/// As a name, which is not parsed for each request.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl Protocol {
    /// Reads the protocol off a `content-type`: `application/grpc`, `application/grpc+proto`,
    /// `application/grpc-web-text` are gRPC, `application/grpcurl` is not.
    #[must_use]
    pub fn of_headers(headers: &HeaderMap) -> Self {
        headers.get(header::CONTENT_TYPE).map_or(Self::Http, Self::of_content_type)
    }

    pub(crate) fn of_content_type(content_type: &HeaderValue) -> Self {
        match content_type.as_bytes().split_at_checked(GRPC.len()) {
            Some((prefix, rest))
                if prefix.eq_ignore_ascii_case(GRPC)
                    && matches!(rest.first(), None | Some(b'+' | b'-' | b';' | b' ' | b'\t')) =>
            {
                Self::Grpc
            }
            _ => Self::Http,
        }
    }
}

/// What a renderer must know of a request, kept when the request itself has gone on to the inner service.
///
/// Cheap to make: methods and header values are reference-counted or static.
#[derive(Debug, Clone)]
pub struct RequestFacts {
    method: Method,
    protocol: Protocol,
    content_type: Option<HeaderValue>,
    request_id: Option<RequestId>,
}

impl RequestFacts {
    /// Takes the facts of a request.
    #[must_use]
    pub fn of(request: RequestView<'_>) -> Self {
        let protocol = Protocol::of_headers(request.headers());
        Self {
            method: request.method().clone(),
            protocol,
            content_type: match protocol {
                Protocol::Grpc => request.headers().get(header::CONTENT_TYPE).cloned(),
                Protocol::Http => None,
            },
            request_id: RequestId::of(request),
        }
    }

    /// The method: a HEAD is answered without a body.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// How the client wants to be spoken to.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The `content-type` of a gRPC request.
    #[must_use]
    pub const fn grpc_content_type(&self) -> Option<&HeaderValue> {
        self.content_type.as_ref()
    }

    /// The request's id, when it has a well-formed one.
    #[must_use]
    pub const fn request_id(&self) -> Option<&RequestId> {
        self.request_id.as_ref()
    }
}

/// A request id that is safe to repeat in answers and logs: 1 to 128 of `A-Z a-z 0-9 . _ : -`.
///
/// ```
/// use http::HeaderValue;
/// use tower_rampart::RequestId;
///
/// let id = RequestId::parse(&HeaderValue::from_static("0198c-7f"));
/// assert_eq!(id.map(|id| id.to_string()).as_deref(), Some("0198c-7f"));
/// assert!(RequestId::parse(&HeaderValue::from_static("a b")).is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The most bytes an id may have.
    pub const MAX_BYTES: usize = 128;

    /// Accepts a well-formed id.
    #[must_use]
    pub fn parse(value: &HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        let well_formed = (1..=Self::MAX_BYTES).contains(&bytes.len())
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(byte));
        well_formed.then(|| Self(value.clone()))
    }

    /// The id of a request: the `RequestId` extension, else a well-formed and single `x-request-id` field.
    #[must_use]
    pub fn of(request: RequestView<'_>) -> Option<Self> {
        if let Some(id) = request.extensions().get::<Self>() {
            return Some(id.clone());
        }
        let mut values = request.headers().get_all(X_REQUEST_ID).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Self::parse(value),
            _ => None,
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII gets past `parse`.
        self.0.to_str().unwrap_or_default()
    }

    /// The id as a field value.
    #[must_use]
    pub const fn as_header_value(&self) -> &HeaderValue {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<u128> for RequestId {
    /// 32 hexadecimal digits, for ids that a program draws itself.
    fn from(id: u128) -> Self {
        let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
        let mut digits = [0; 32];
        for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(id.to_be_bytes()) {
            *pair = [digit(byte >> 4), digit(byte & 0xf)];
        }
        Self(HeaderValue::from_bytes(&digits).unwrap_or(HeaderValue::from_static("0")))
    }
}
