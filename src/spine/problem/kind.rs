//! The catalogue.

use std::fmt;

use http::StatusCode;

use crate::spine::config::ConfigError;

/// A gRPC status code, by its number in the gRPC specification.
///
/// ```
/// use tower_rampart::problem::GrpcCode;
///
/// assert_eq!(GrpcCode::try_from(14)?, GrpcCode::UNAVAILABLE);
/// assert!(GrpcCode::try_from(17).is_err());
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GrpcCode(u8);

impl GrpcCode {
    /// It worked.
    pub const OK: Self = Self(0);
    /// The caller gave it up.
    pub const CANCELLED: Self = Self(1);
    /// Something of which no more is known.
    pub const UNKNOWN: Self = Self(2);
    /// The request makes no sense, whatever the state of things is.
    pub const INVALID_ARGUMENT: Self = Self(3);
    /// It took too long.
    pub const DEADLINE_EXCEEDED: Self = Self(4);
    /// There is no such thing.
    pub const NOT_FOUND: Self = Self(5);
    /// There is such a thing already.
    pub const ALREADY_EXISTS: Self = Self(6);
    /// The caller is known and may not.
    pub const PERMISSION_DENIED: Self = Self(7);
    /// A quota, or room, is used up.
    pub const RESOURCE_EXHAUSTED: Self = Self(8);
    /// The state of things does not allow it.
    pub const FAILED_PRECONDITION: Self = Self(9);
    /// It conflicts with something at the same time.
    pub const ABORTED: Self = Self(10);
    /// Beyond the end of what there is.
    pub const OUT_OF_RANGE: Self = Self(11);
    /// The server does not do this.
    pub const UNIMPLEMENTED: Self = Self(12);
    /// A fault of the server.
    pub const INTERNAL: Self = Self(13);
    /// Not now; a further try may do.
    pub const UNAVAILABLE: Self = Self(14);
    /// Something is lost, or broken.
    pub const DATA_LOSS: Self = Self(15);
    /// Nobody knows who calls.
    pub const UNAUTHENTICATED: Self = Self(16);

    /// The number: 0 to 16.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for GrpcCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<u8> for GrpcCode {
    type Error = ConfigError;

    fn try_from(code: u8) -> Result<Self, ConfigError> {
        if code > Self::UNAUTHENTICATED.get() {
            return Err(ConfigError::new("gRPC code", code, "is none", "write one from 0 to 16"));
        }
        Ok(Self(code))
    }
}

/// The `type` of a problem that says no more than its status (RFC 9457 section 4.2.1).
const ABOUT_BLANK: &str = "about:blank";

macro_rules! catalogue {
    ($($(#[$doc:meta])* $kind:ident = $status:ident, $grpc:ident, $type_uri:expr, $title:literal;)*) => {
        /// Everything a layer can refuse with. A kind fixes status, gRPC code, `type` and `title`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ProblemKind {
            $($(#[$doc])* $kind,)*
        }

        impl ProblemKind {
            /// Every kind there is.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status,)* }
            }

            /// The gRPC status code.
            #[must_use]
            pub const fn grpc_code(self) -> GrpcCode {
                match self { $(Self::$kind => GrpcCode::$grpc,)* }
            }

            /// The `type` member: a URI that identifies the kind, `about:blank` when the status says it all.
            #[must_use]
            pub const fn type_uri(self) -> &'static str {
                match self { $(Self::$kind => $type_uri,)* }
            }

            /// The `title` member, the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)* }
            }
        }
    };
}

catalogue! {
    /// The request cannot be understood.
    BadRequest = BAD_REQUEST, INVALID_ARGUMENT, ABOUT_BLANK, "Bad Request";
    /// No credential, or a bad one.
    Unauthenticated = UNAUTHORIZED, UNAUTHENTICATED, ABOUT_BLANK, "Unauthorized";
    /// The caller is known and may not.
    Forbidden = FORBIDDEN, PERMISSION_DENIED, ABOUT_BLANK, "Forbidden";
    /// No such path; for gRPC no such method.
    NotFound = NOT_FOUND, UNIMPLEMENTED, ABOUT_BLANK, "Not Found";
    /// The path exists, this method on it does not.
    MethodNotAllowed = METHOD_NOT_ALLOWED, UNIMPLEMENTED, ABOUT_BLANK, "Method Not Allowed";
    /// The request took too long to arrive.
    RequestTimeout = REQUEST_TIMEOUT, DEADLINE_EXCEEDED, ABOUT_BLANK, "Request Timeout";
    /// The request conflicts with one in progress or with the state of the resource.
    Conflict = CONFLICT, ABORTED, ABOUT_BLANK, "Conflict";
    /// A condition the client named does not hold.
    PreconditionFailed = PRECONDITION_FAILED, FAILED_PRECONDITION, ABOUT_BLANK, "Precondition Failed";
    /// The body is larger than allowed.
    ContentTooLarge = PAYLOAD_TOO_LARGE, RESOURCE_EXHAUSTED, ABOUT_BLANK, "Content Too Large";
    /// The request target is longer than allowed.
    UriTooLong = URI_TOO_LONG, INVALID_ARGUMENT, ABOUT_BLANK, "URI Too Long";
    /// The body is in a format that is not understood.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, INVALID_ARGUMENT, ABOUT_BLANK, "Unsupported Media Type";
    /// The body was parsed and breaks a rule.
    UnprocessableContent = UNPROCESSABLE_ENTITY, INVALID_ARGUMENT, ABOUT_BLANK, "Unprocessable Content";
    /// A quota is used up (draft-ietf-httpapi-ratelimit-headers).
    QuotaExceeded = TOO_MANY_REQUESTS, RESOURCE_EXHAUSTED,
        "https://iana.org/assignments/http-problem-types#quota-exceeded", "Quota Exceeded";
    /// Usage that is out of the ordinary; the client is shut out for a while
    /// (draft-ietf-httpapi-ratelimit-headers).
    AbnormalUsage = TOO_MANY_REQUESTS, RESOURCE_EXHAUSTED,
        "https://iana.org/assignments/http-problem-types#abnormal-usage-detected", "Abnormal Usage Detected";
    /// The server can take less than usual for now (draft-ietf-httpapi-ratelimit-headers).
    TemporaryReducedCapacity = SERVICE_UNAVAILABLE, RESOURCE_EXHAUSTED,
        "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity", "Temporary Reduced Capacity";
    /// The header section is larger than allowed.
    HeaderFieldsTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE, INVALID_ARGUMENT, ABOUT_BLANK,
        "Request Header Fields Too Large";
    /// A fault of the server.
    Internal = INTERNAL_SERVER_ERROR, INTERNAL, ABOUT_BLANK, "Internal Server Error";
    /// The server does not do this.
    NotImplemented = NOT_IMPLEMENTED, UNIMPLEMENTED, ABOUT_BLANK, "Not Implemented";
    /// The upstream could not be reached or broke off.
    BadGateway = BAD_GATEWAY, UNAVAILABLE, ABOUT_BLANK, "Bad Gateway";
    /// The server sheds load or a dependency is down; waiting helps.
    Unavailable = SERVICE_UNAVAILABLE, UNAVAILABLE, ABOUT_BLANK, "Service Unavailable";
    /// The answer did not come in time.
    DeadlineExceeded = GATEWAY_TIMEOUT, DEADLINE_EXCEEDED, ABOUT_BLANK, "Gateway Timeout";
}
