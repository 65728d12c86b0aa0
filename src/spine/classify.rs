//! What counts as failure, overload, or nothing: the judgement a breaker, a retry and a metric share.
//!
//! A response is judged in two steps. Its head often settles it; a gRPC answer is settled by its trailers, and any
//! answer can still fail while its body streams.

use std::time::Duration;
#[cfg(feature = "circuit-breaker")]
use std::time::SystemTime;

use http::{HeaderMap, StatusCode, header};

use crate::spine::grpc::{self, Pushback};
use crate::spine::request::Protocol;
use crate::spine::response::ResponseView;
use crate::spine::retry_after;

/// The judgement on one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a caller must decide about every verdict")]
pub enum Verdict {
    /// The dependency did its work; a refusal of a bad request is work too.
    Success,
    /// The dependency is at fault.
    Failure,
    /// The dependency asks for less: it is well, and wants to be left alone for a while.
    Overload {
        /// The wait it asked for.
        retry_after: Option<Duration>,
    },
    /// No answer came in time: a failure, unless something else [held the call up](crate::Holdup).
    TimedOut,
    /// Says nothing about the dependency's health.
    Neutral,
}

/// What the head of a response says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a head settles the verdict or it does not")]
pub enum HeadVerdict {
    /// Settled as soon as the body has ended well.
    Settled(Verdict),
    /// A gRPC answer whose status comes in the trailers.
    AwaitsTrailers,
}

/// How the body of a response ended.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_enums, reason = "a body has no other end")]
pub enum BodyEnd<'a> {
    /// It was read to its end, with or without trailers.
    Complete(Option<&'a HeaderMap>),
    /// It was cut short by an error.
    Broken,
    /// The reader left before the end, which is not the dependency's fault.
    Abandoned,
}

/// Judges a response by its head. For gRPC the status counts that the head carries (trailers-only), else the trailers
/// are awaited. gRPC-web has its trailers in its body, where they are not looked for: a good head is a success.
///
/// 408, 425 and the 5xx are failures, without 501 and 505, which say what a server can do and not how it is; 429 is
/// overload.
///
/// A judgement of your own can leave to it what it does not know better:
///
/// ```
/// use http::StatusCode;
/// use tower_rampart::ResponseView;
/// use tower_rampart::classify::{HeadVerdict, Verdict, classify_head};
///
/// // The dependency says 404 of what it has lost.
/// fn judge(response: ResponseView<'_>) -> HeadVerdict {
///     match response.status() {
///         StatusCode::NOT_FOUND => HeadVerdict::Settled(Verdict::Failure),
///         _ => classify_head(response),
///     }
/// }
/// ```
#[must_use]
pub fn classify_head(response: ResponseView<'_>) -> HeadVerdict {
    let headers = response.headers();
    if Protocol::of_headers(headers) == Protocol::Grpc && response.status() == StatusCode::OK {
        return match grpc::status(headers) {
            Some(_) => HeadVerdict::Settled(classify_grpc(headers)),
            None if is_grpc_web(headers) => HeadVerdict::Settled(Verdict::Success),
            None => HeadVerdict::AwaitsTrailers,
        };
    }
    HeadVerdict::Settled(classify_status(response.status(), headers))
}

/// Judges an exchange when its body has ended.
///
/// ```
/// use http::Response;
/// use tower_rampart::ResponseView;
/// use tower_rampart::classify::{BodyEnd, Verdict, classify_end, classify_head};
///
/// let response = Response::builder().status(503).body(())?;
/// let head = classify_head(ResponseView::of(&response));
/// assert_eq!(classify_end(head, BodyEnd::Complete(None)), Verdict::Failure);
///
/// // A download that broke off is a failure, whatever its status said.
/// let response = Response::new(());
/// let head = classify_head(ResponseView::of(&response));
/// assert_eq!(classify_end(head, BodyEnd::Broken), Verdict::Failure);
/// # Ok::<(), http::Error>(())
/// ```
#[inline]
#[must_use]
pub fn classify_end(head: HeadVerdict, end: BodyEnd<'_>) -> Verdict {
    match (head, end) {
        (_, BodyEnd::Broken) => Verdict::Failure,
        (HeadVerdict::Settled(verdict), _) => verdict,
        (HeadVerdict::AwaitsTrailers, BodyEnd::Complete(Some(trailers))) => classify_grpc(trailers),
        // gRPC clients take a missing status for a failure: whoever answered was cut off, or speaks no gRPC.
        (HeadVerdict::AwaitsTrailers, BodyEnd::Complete(None)) => Verdict::Failure,
        (HeadVerdict::AwaitsTrailers, BodyEnd::Abandoned) => Verdict::Neutral,
    }
}

/// The wait that a response asks for, whatever its status: `Retry-After` in seconds or as a date, or gRPC's pushback. An
/// overloaded dependency says 429 with it, and one that is down for a while 503. `wall` is the time of day, for a date in
/// an answer that has no `Date` of its own.
///
/// Fields of a head serve, and trailers.
#[cfg(feature = "circuit-breaker")]
#[must_use]
pub(crate) fn asked_wait(fields: &HeaderMap, wall: impl Fn() -> SystemTime) -> Option<Duration> {
    retry_after::retry_after(fields, wall).or_else(|| grpc_pushback(fields))
}

#[inline]
pub(crate) fn classify_status(status: StatusCode, headers: &HeaderMap) -> Verdict {
    match status {
        StatusCode::TOO_MANY_REQUESTS => Verdict::Overload { retry_after: retry_after::seconds(headers) },
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => Verdict::Failure,
        StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => Verdict::Success,
        status if status.is_server_error() => Verdict::Failure,
        _ => Verdict::Success,
    }
}

const GRPC_WEB: &[u8] = b"application/grpc-web";

/// Of what is gRPC: whether it is its form for browsers, which see no trailers.
fn is_grpc_web(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes().split_at_checked(GRPC_WEB.len()));
    matches!(content_type, Some(Some((prefix, rest)))
        if prefix.eq_ignore_ascii_case(GRPC_WEB) && !rest.first().is_some_and(u8::is_ascii_alphanumeric))
}

/// Judges a gRPC status: unknown (2), deadline exceeded (4), internal (13), unavailable (14) and data loss (15) are
/// failures, resource exhausted (8) is overload, the rest is the caller's affair. A status that is no number is a
/// failure, and so is none at all.
fn classify_grpc(fields: &HeaderMap) -> Verdict {
    let Some(status) = grpc::status(fields) else { return Verdict::Failure };
    match status {
        b"2" | b"4" | b"13" | b"14" | b"15" => Verdict::Failure,
        b"8" => Verdict::Overload { retry_after: grpc_pushback(fields) },
        b"0" | b"1" | b"3" | b"5" | b"6" | b"7" | b"9" | b"10" | b"11" | b"12" | b"16" => Verdict::Success,
        _ => Verdict::Failure,
    }
}

/// The wait, where there is one: who is never to come again is told nothing of how long.
fn grpc_pushback(fields: &HeaderMap) -> Option<Duration> {
    match grpc::pushback(fields) {
        Pushback::After(wait) => Some(wait),
        Pushback::None | Pushback::Never => None,
    }
}
