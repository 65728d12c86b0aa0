//! Why a layer answered by itself, and the one place that turns it into a response.

use std::error::Error;
use std::fmt;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, header};

use crate::spine::body::ResponseBody;
use crate::spine::clock::Clock;
use crate::spine::event::{self, Origin, Sampler};
use crate::spine::problem::{Problem, ProblemRenderer};
use crate::spine::request::{Protocol, RequestFacts};
use crate::spine::response::ResponseView;

/// Why a layer answered instead of the service behind it.
///
/// It is put into the extensions of the response, so that outer layers, logs and tests can see the reason:
///
/// ```
/// use http::Response;
/// use tower_rampart::{Rejection, ResponseView};
///
/// fn was_refused<B>(response: &Response<B>) -> bool {
///     Rejection::of(ResponseView::of(response)).is_some()
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Rejection {
    problem: Problem,
    origin: Origin,
    retry_after: Option<Duration>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Rejection {
    /// A rejection by the part of the stack that `origin` names.
    #[inline]
    #[must_use]
    pub const fn new(origin: Origin, problem: Problem) -> Self {
        Self { problem, origin, retry_after: None, headers: Vec::new() }
    }

    /// Tells the client when a further try may succeed. Sent as whole seconds, rounded up, at least 1.
    #[inline]
    #[must_use]
    pub const fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// A header field that belongs to this refusal, such as a challenge. It is appended, whatever renderer is used.
    #[must_use]
    pub fn add_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// What is told to the client.
    #[must_use]
    pub const fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Which part of the stack refused.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// When a further try may succeed.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The header fields that belong to it.
    #[must_use]
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (&HeaderName, &HeaderValue)> {
        self.headers.iter().map(|(name, value)| (name, value))
    }

    /// The same, where waiting is not what the client is told to do.
    #[cfg(feature = "circuit-breaker")]
    pub(crate) const fn without_wait(mut self) -> Self {
        self.retry_after = None;
        self
    }

    /// The rejection that a response answers.
    #[must_use]
    pub fn of(response: ResponseView<'_>) -> Option<&Self> {
        response.extensions().get()
    }

    /// The rejection that an error is, or was caused by: what is retried otherwise is not to be retried then.
    #[must_use]
    pub fn in_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        iter::successors(Some(error), |&error| error.source()).find_map(|error| error.downcast_ref())
    }

    fn retry_after_value(&self) -> Option<HeaderValue> {
        let wait = self.retry_after?;
        let whole_seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
        Some(HeaderValue::from(whole_seconds.max(1)))
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused by {}: {}", self.origin.name(), self.problem.kind().title())
    }
}

impl Error for Rejection {}

/// Turns a [`Rejection`] into a response: implement it to give every layer an error format of your own.
///
/// A closure of the same shape will do. What it returns is finished by the caller: `Retry-After` and the rejection's
/// own fields are added, the body is dropped on HEAD, the [`Rejection`] goes into the extensions.
///
/// ```
/// use http::Response;
/// use tower_rampart::{Rejection, Refuser, RequestFacts};
///
/// let refuser = Refuser::new().with_renderer(|rejection: &Rejection, _: &RequestFacts| {
///     let status = rejection.problem().kind().status();
///     let mut response = Response::new(format!("<error code='{}'/>", status.as_u16()).into());
///     *response.status_mut() = status;
///     response
/// });
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot render rejections",
    note = "implement `RenderRejection`, or pass a closure `|rejection: &Rejection, request: &RequestFacts| -> Response<Bytes>`"
)]
pub trait RenderRejection: Send + Sync + 'static {
    /// Renders the rejection for the client that sent `request`.
    fn render(&self, rejection: &Rejection, request: &RequestFacts) -> Response<Bytes>;
}

#[diagnostic::do_not_recommend]
impl<F> RenderRejection for F
where
    F: Fn(&Rejection, &RequestFacts) -> Response<Bytes> + Send + Sync + 'static,
{
    fn render(&self, rejection: &Rejection, request: &RequestFacts) -> Response<Bytes> {
        self(rejection, request)
    }
}

impl<R: RenderRejection + ?Sized> RenderRejection for Arc<R> {
    fn render(&self, rejection: &Rejection, request: &RequestFacts) -> Response<Bytes> {
        R::render(self, rejection, request)
    }
}

/// How a layer refuses: it reports the rejection, renders it, and finishes the response.
///
/// Every refusing layer holds one; clones share the sampling of log lines. A layer of your own uses it the same way.
///
/// ```
/// use http::Request;
/// use tower_rampart::problem::{Problem, ProblemKind};
/// use tower_rampart::{Origin, Refuser, Rejection, RequestFacts, RequestView};
///
/// let request = Request::get("/").body(()).unwrap();
/// let facts = RequestFacts::of(RequestView::of(&request));
/// let rejection = Rejection::new(Origin::Custom("office-hours"), Problem::new(ProblemKind::Unavailable));
/// let response = Refuser::new().refuse::<String>(rejection, &facts);
/// assert_eq!(response.status(), 503);
/// ```
#[derive(Clone)]
pub struct Refuser {
    renderer: Arc<dyn RenderRejection>,
    sampler: Arc<Sampler>,
    clock: Clock,
}

impl Refuser {
    /// Refuses with [`ProblemRenderer`].
    #[must_use]
    pub fn new() -> Self {
        Self { renderer: Arc::new(ProblemRenderer), sampler: Arc::default(), clock: Clock::system() }
    }

    /// Replaces the renderer.
    #[must_use]
    pub fn with_renderer(mut self, renderer: impl RenderRejection) -> Self {
        self.renderer = Arc::new(renderer);
        self
    }

    /// Replaces the clock that paces log lines.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Reports the rejection and makes the response to it.
    #[must_use]
    pub fn refuse<B>(&self, rejection: Rejection, request: &RequestFacts) -> Response<ResponseBody<B>> {
        let what = (rejection.origin(), rejection.problem().kind());
        event::refused(what, request.request_id(), &self.sampler, &self.clock);
        let rendered = self.renderer.render(&rejection, request);
        finish(rejection, rendered, request)
    }

    /// Reports a refusal that becomes no response.
    #[cfg(any(feature = "bulkhead", feature = "circuit-breaker", feature = "deadline", feature = "load-shed"))]
    pub(crate) fn report(&self, origin: Origin, kind: crate::spine::problem::ProblemKind) {
        event::refused((origin, kind), None, &self.sampler, &self.clock);
    }
}

/// Adds what no renderer may forget.
pub(crate) fn finish<B>(
    rejection: Rejection,
    rendered: Response<Bytes>,
    request: &RequestFacts,
) -> Response<ResponseBody<B>> {
    let (mut parts, body) = rendered.into_parts();
    if let Some(value) = rejection.retry_after_value() {
        parts.headers.entry(header::RETRY_AFTER).or_insert(value);
    }
    for (name, value) in &rejection.headers {
        parts.headers.append(name.clone(), value.clone());
    }
    let body = if request.method() == Method::HEAD && request.protocol() == Protocol::Http {
        // RFC 9110 section 8.6: a HEAD's Content-Length is the one a GET would have had.
        parts.headers.entry(header::CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(body.len()));
        ResponseBody::default()
    } else {
        ResponseBody::local(body)
    };
    parts.extensions.insert(rejection);
    Response::from_parts(parts, body)
}

impl Default for Refuser {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Refuser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refuser").finish_non_exhaustive()
    }
}
