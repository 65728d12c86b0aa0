//! What a layer can refuse with, and how it is told to the client.
//!
//! | client | answer |
//! |---|---|
//! | HTTP | [RFC 9457] `application/problem+json`, `Cache-Control: no-store`, no body on HEAD |
//! | gRPC (`content-type: application/grpc*`) | HTTP 200, `grpc-status` and `grpc-message` in the headers, no body |
//!
//! [`ProblemKind`] is the catalogue: every kind fixes its status, its gRPC code and its title. [`Problem`] adds what is
//! particular to one answer.
//!
//! [RFC 9457]: https://www.rfc-editor.org/rfc/rfc9457

mod grpc;
mod json;
mod kind;
mod render;

pub use self::json::Member;
pub use self::kind::{GrpcCode, ProblemKind};
pub use self::render::ProblemRenderer;

use std::borrow::Cow;

/// The most bytes of `detail` that are sent, over HTTP.
///
/// A detail is one sentence; a longer one is an accident (an error chain, a document), and is cut.
pub const MAX_DETAIL_BYTES: usize = 4096;

/// One problem: its kind, an optional sentence about this occurrence, and extension members.
///
/// Nothing in it may come from the request as it was sent: a refusal never echoes input.
///
/// ```
/// use tower_rampart::problem::{Problem, ProblemKind};
///
/// let problem = Problem::new(ProblemKind::QuotaExceeded)
///     .with_detail("The quota of this client is used up.")
///     .add_member("violated-policies", ["default"]);
/// assert_eq!(problem.kind().status(), 429);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: ProblemKind,
    detail: Option<Cow<'static, str>>,
    members: Vec<(&'static str, Member)>,
}

impl Problem {
    /// A problem that says no more than its kind.
    #[inline]
    #[must_use]
    pub const fn new(kind: ProblemKind) -> Self {
        Self { kind, detail: None, members: Vec::new() }
    }

    /// A sentence about this occurrence that is safe for a stranger to read. Cut to [`MAX_DETAIL_BYTES`] over HTTP and
    /// to a kibibyte over gRPC.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// An extension member (RFC 9457 section 3.2). A name that stands already is replaced; the names of the standard
    /// members (`type`, `title`, `status`, `detail`, `instance`, `request_id`) are ours, and are ignored here.
    #[must_use]
    pub fn add_member(mut self, name: &'static str, value: impl Into<Member>) -> Self {
        if !matches!(name, "type" | "title" | "status" | "detail" | "instance" | "request_id") {
            self.members.retain(|(held, _)| *held != name);
            self.members.push((name, value.into()));
        }
        self
    }

    /// What kind of problem it is.
    #[must_use]
    pub const fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// The sentence about this occurrence.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// The extension members, in the order they were added.
    #[must_use]
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&'static str, &Member)> {
        self.members.iter().map(|(name, value)| (*name, value))
    }
}

/// `text`, cut to at most `max_bytes` at a character's edge.
fn cut(text: &str, max_bytes: usize) -> &str {
    let mut end = max_bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
