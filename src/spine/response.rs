//! What the spine needs to know of a response, whatever its body is.

use std::fmt;

use http::{Extensions, HeaderMap, Response, StatusCode};

/// A response without its body: borrowed, `Copy`, and free of the body's type, so that closures over it can be objects.
///
/// ```
/// use http::Response;
/// use tower_rampart::ResponseView;
///
/// let response = Response::builder().status(401).body(()).unwrap();
/// assert_eq!(ResponseView::of(&response).status(), 401);
/// ```
#[derive(Clone, Copy)]
pub struct ResponseView<'a> {
    status: StatusCode,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a> ResponseView<'a> {
    /// Looks at a response.
    pub fn of<B>(response: &'a Response<B>) -> Self {
        Self { status: response.status(), headers: response.headers(), extensions: response.extensions() }
    }

    /// The status. A gRPC answer has 200 whatever its outcome is, and its `grpc-status` often comes after the body.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The header fields.
    #[must_use]
    pub const fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The extensions: whatever the handler and inner layers left.
    #[must_use]
    pub const fn extensions(&self) -> &'a Extensions {
        self.extensions
    }
}

impl fmt::Debug for ResponseView<'_> {
    /// The status alone: a field may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseView").field("status", &self.status).finish_non_exhaustive()
    }
}
