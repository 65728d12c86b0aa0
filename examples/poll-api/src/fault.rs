//! What can go wrong, once for HTTP and gRPC.

use std::any::Any;
use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::WWW_AUTHENTICATE;
use tower_rampart::Rejection;
use tower_rampart::problem::{Member, Problem, ProblemKind};
use tracing::error;

use crate::ORIGIN;

pub type Result<T> = std::result::Result<T, Fault>;

/// Why a request is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It cannot be understood.
    Malformed(&'static str),
    /// The credential is no good.
    Unauthenticated(&'static str),
    /// The caller may not.
    Forbidden(&'static str),
    /// There is no such thing.
    NotFound(&'static str),
    /// The method is not there.
    MethodNotAllowed,
    /// It is there already.
    Exists(&'static str),
    /// It is not the time for it.
    Conflict(&'static str),
    /// It was understood, and breaks rules.
    Invalid(Vec<Breach>),
    /// Waiting helps.
    Unavailable(&'static str),
    /// It is our fault.
    Internal,
}

/// A rule that is broken, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// A JSON pointer as a URI fragment: `#/options/0`.
    pub pointer: Cow<'static, str>,
    pub detail: &'static str,
}

impl Breach {
    pub fn new(pointer: impl Into<Cow<'static, str>>, detail: &'static str) -> Self {
        Self { pointer: pointer.into(), detail }
    }
}

/// As the authentication layer says it.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"api\"");
/// A database that is busy is not busy for long.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Fault {
    /// A fault of ours. Its cause is for the log; clients are told nothing of it.
    pub fn internal(what: &'static str, cause: impl Display) -> Self {
        error!(%cause, "{what}");
        Self::Internal
    }

    /// What panicked.
    pub fn panicked(what: &'static str, panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self::internal(what, text.unwrap_or("a panic of no text"))
    }

    pub const fn kind(&self) -> ProblemKind {
        match self {
            Self::Malformed(_) => ProblemKind::BadRequest,
            Self::Unauthenticated(_) => ProblemKind::Unauthenticated,
            Self::Forbidden(_) => ProblemKind::Forbidden,
            Self::NotFound(_) => ProblemKind::NotFound,
            Self::MethodNotAllowed => ProblemKind::MethodNotAllowed,
            Self::Exists(_) | Self::Conflict(_) => ProblemKind::Conflict,
            Self::Invalid(_) => ProblemKind::UnprocessableContent,
            Self::Unavailable(_) => ProblemKind::Unavailable,
            Self::Internal => ProblemKind::Internal,
        }
    }

    fn detail(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Malformed(detail)
            | Self::Unauthenticated(detail)
            | Self::Forbidden(detail)
            | Self::NotFound(detail)
            | Self::Exists(detail)
            | Self::Conflict(detail)
            | Self::Unavailable(detail) => Some(Cow::from(*detail)),
            Self::Invalid(_) => Some(Cow::from("The content breaks the rules that `errors` lists.")),
            Self::MethodNotAllowed | Self::Internal => None,
        }
    }

    /// The same as the layers refuse.
    pub fn to_rejection(&self) -> Rejection {
        let mut problem = Problem::new(self.kind());
        if let Some(detail) = self.detail() {
            problem = problem.with_detail(detail);
        }
        if let Self::Invalid(breaches) = self {
            let errors = breaches.iter().map(|breach| {
                let texts = [Cow::from("body"), breach.pointer.clone(), Cow::from(breach.detail)];
                Member::object(["in", "pointer", "detail"].into_iter().zip(texts.map(Member::Text)))
            });
            problem = problem.add_member("errors", Member::List(errors.collect()));
        }
        let rejection = Rejection::new(ORIGIN, problem);
        match self {
            Self::Unavailable(_) => rejection.with_retry_after(RETRY_AFTER),
            // RFC 9110 section 15.5.2: a 401 has a challenge.
            Self::Unauthenticated(_) => rejection.add_header(WWW_AUTHENTICATE, CHALLENGE),
            _ => rejection,
        }
    }

    /// The same as gRPC says it.
    pub fn to_status(&self) -> tonic::Status {
        let code = match self {
            Self::Malformed(_) | Self::Invalid(_) => tonic::Code::InvalidArgument,
            Self::Unauthenticated(_) => tonic::Code::Unauthenticated,
            Self::Forbidden(_) => tonic::Code::PermissionDenied,
            Self::NotFound(_) => tonic::Code::NotFound,
            Self::MethodNotAllowed => tonic::Code::Unimplemented,
            Self::Exists(_) => tonic::Code::AlreadyExists,
            Self::Conflict(_) => tonic::Code::FailedPrecondition,
            Self::Unavailable(_) => tonic::Code::Unavailable,
            Self::Internal => tonic::Code::Internal,
        };
        let message = match self {
            Self::Invalid(breaches) => {
                let lines = breaches.iter().map(|breach| format!("{}: {}", breach.pointer, breach.detail));
                lines.collect::<Vec<_>>().join("; ")
            }
            other => other.detail().unwrap_or_default().into_owned(),
        };
        tonic::Status::new(code, message)
    }
}

impl IntoResponse for Fault {
    /// A stand-in with the status, that says what is wrong in its extensions: `refusals` renders it for the client.
    fn into_response(self) -> Response {
        let mut response = self.kind().status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// SQLite: busy, locked, read-only, I/O, full, cannot open.
const SQLITE_PASSING: [u32; 6] = [5, 6, 8, 10, 13, 14];
/// PostgreSQL: connection, resources, operator's intervention, transaction rolled back, lock not available.
const POSTGRES_PASSING: [&str; 5] = ["08", "53", "57", "40", "55"];

fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) | sqlx::Error::Tls(_) => true,
        sqlx::Error::Database(database) => database.code().is_some_and(|code| match code.parse::<u32>() {
            // SQLite's extended codes have the plain one in their last byte; PostgreSQL's have five characters.
            Ok(number) if code.len() < 5 => SQLITE_PASSING.contains(&(number & 0xff)),
            _ => POSTGRES_PASSING.iter().any(|class| code.starts_with(class)),
        }),
        _ => false,
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        if may_pass(&error) {
            tracing::warn!(%error, "the database cannot do it now");
            return Self::Unavailable("The database cannot take this now. Nothing was changed; try again in a moment.");
        }
        Self::internal("the database refuses a statement", error)
    }
}
