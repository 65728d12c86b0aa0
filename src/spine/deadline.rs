//! When a request must be answered, for every layer that waits.

use std::error::Error;
use std::fmt;
use std::iter;
use std::time::{Duration, Instant};

use crate::spine::request::RequestView;

/// When a request must be answered.
///
/// It stands in the request's extensions, where the `deadline` feature's layer puts it. Whoever waits asks how much is left:
/// retries do not sleep beyond it, and outgoing calls are told.
///
/// The time is the layer's [`Clock`](crate::Clock)'s: layers that share deadlines share a clock.
///
/// ```
/// use std::time::Duration;
/// use http::Request;
/// use tower_rampart::{Clock, Deadline, RequestView};
///
/// let now = Clock::system().now();
/// let request = Request::get("/").extension(Deadline::at(now + Duration::from_secs(2))).body(())?;
/// let deadline = Deadline::of(RequestView::of(&request)).ok_or("a request with a deadline")?;
/// assert_eq!(deadline.left(now + Duration::from_millis(500)), Duration::from_millis(1500));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// At this moment.
    #[must_use]
    pub const fn at(moment: Instant) -> Self {
        Self(moment)
    }

    /// The deadline of a request, if it has one.
    #[must_use]
    pub fn of(request: RequestView<'_>) -> Option<Self> {
        request.extensions().get().copied()
    }

    /// The moment.
    #[must_use]
    pub const fn moment(self) -> Instant {
        self.0
    }

    /// What is left of the time; nothing once it has passed.
    #[must_use]
    pub fn left(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn has_passed(self, now: Instant) -> bool {
        self.0 <= now
    }
}

/// One try of a call got no answer in time.
///
/// A mark in the extensions of the response that stands for it, or the error itself. It is no refusal: the call was made, so
/// that it tells something about the service that was called, and another try may fare better. Timeouts of your own may say
/// so, too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a mark: there is nothing to add")]
pub struct TimedOut;

impl TimedOut {
    /// Whether an error is one, or was caused by one.
    #[must_use]
    pub fn is_in(error: &(dyn Error + 'static)) -> bool {
        iter::successors(Some(error), |&error| error.source()).any(|error| error.is::<Self>())
    }
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no answer came in time")
    }
}

impl Error for TimedOut {}
