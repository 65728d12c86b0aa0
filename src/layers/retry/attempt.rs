//! Which try of a call it is.

use crate::spine::request::RequestView;
use crate::spine::response::ResponseView;

/// Which try of a call this is: 1 is the first.
///
/// It stands in the extensions of requests that are tried again, and of the responses to them.
///
/// ```
/// use http::Request;
/// use tower_rampart::RequestView;
/// use tower_rampart::retry::Attempt;
///
/// let request = Request::get("/").body(())?;
/// assert_eq!(Attempt::of(RequestView::of(&request)).get(), 1);
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt(u32);

impl Attempt {
    /// The try after so many have failed.
    pub(super) const fn after(failed: u32) -> Self {
        Self(failed.saturating_add(1))
    }

    /// The try that a request belongs to.
    #[must_use]
    pub fn of(request: RequestView<'_>) -> Self {
        Self::noted(request).unwrap_or(Self(1))
    }

    /// The try that a response came from.
    #[must_use]
    pub fn of_response(response: ResponseView<'_>) -> Self {
        response.extensions().get().copied().unwrap_or(Self(1))
    }

    pub(super) fn noted(request: RequestView<'_>) -> Option<Self> {
        request.extensions().get().copied()
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}
