//! What is wrong with a request, in words that hold nothing of it.

use std::borrow::Cow;
use std::str::FromStr;

use crate::spine::config::ConfigError;
use crate::spine::problem::{Member, Problem, ProblemKind};
#[cfg(feature = "json-schema")]
use crate::wiring::{MAX_BREACHES, SchemaBreach};

/// What is checked, for reports and for rules that are only reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Check {
    /// The method is one that is allowed.
    Method,
    /// The target is not too long.
    UriLength,
    /// Everybody reads the path in the same way.
    Path,
    /// The query has not too many parameters, nor too long ones, and can be decoded.
    Query,
    /// Header fields are not too many or too long, and what stands once stands once.
    Headers,
    /// No field names another method than the request.
    MethodOverride,
    /// The body is of a type that is taken, in UTF-8.
    ContentType,
    /// The body is encoded in a way that is taken.
    ContentEncoding,
    /// There is a body where one must be, and none where none may be.
    BodyPresence,
    /// The body is not too long.
    BodyBytes,
    /// The body is not too long once it is decompressed.
    DecodedBytes,
    /// The body arrives in time.
    BodyTimeout,
    /// JSON is what everybody reads in the same way, and not too deep or large.
    Json,
    /// A form is not too large, and can be decoded.
    Form,
    /// The parts of a multipart form are not too many or too long, and everybody reads them in the same way.
    Multipart,
    /// JSON is as the route's schema describes it.
    Schema,
    /// Parameters are as an OpenAPI document describes them.
    Parameters,
    /// Responses are as an OpenAPI document describes them.
    Response,
    /// gRPC messages are not too long, and compressed only where that is taken.
    Grpc,
    /// The path is one that is described.
    Route,
    /// What a hook finds.
    Inspect,
}

impl Check {
    /// Every check there is.
    pub const ALL: &'static [Self] = &[
        Self::Method,
        Self::UriLength,
        Self::Path,
        Self::Query,
        Self::Headers,
        Self::MethodOverride,
        Self::ContentType,
        Self::ContentEncoding,
        Self::BodyPresence,
        Self::BodyBytes,
        Self::DecodedBytes,
        Self::BodyTimeout,
        Self::Json,
        Self::Form,
        Self::Multipart,
        Self::Schema,
        Self::Parameters,
        Self::Response,
        Self::Grpc,
        Self::Route,
        Self::Inspect,
    ];

    /// The name in events and problems.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::UriLength => "uri-length",
            Self::Path => "path",
            Self::Query => "query",
            Self::Headers => "headers",
            Self::MethodOverride => "method-override",
            Self::ContentType => "content-type",
            Self::ContentEncoding => "content-encoding",
            Self::BodyPresence => "body-presence",
            Self::BodyBytes => "body-bytes",
            Self::DecodedBytes => "decoded-bytes",
            Self::BodyTimeout => "body-timeout",
            Self::Json => "json",
            Self::Form => "form",
            Self::Multipart => "multipart",
            Self::Schema => "schema",
            Self::Parameters => "parameters",
            Self::Response => "response",
            Self::Grpc => "grpc",
            Self::Route => "route",
            Self::Inspect => "inspect",
        }
    }

    /// The part of the request that it looks at (RFC 9457's `errors` have an `in`).
    const fn place(self) -> &'static str {
        match self {
            Self::Method | Self::MethodOverride => "method",
            Self::UriLength | Self::Path | Self::Route => "path",
            // Each parameter says by itself where it stands.
            Self::Query | Self::Parameters => "query",
            Self::Headers | Self::ContentType | Self::ContentEncoding => "header",
            Self::BodyPresence
            | Self::BodyBytes
            | Self::DecodedBytes
            | Self::BodyTimeout
            | Self::Json
            | Self::Form
            | Self::Multipart
            | Self::Schema
            | Self::Grpc => "body",
            Self::Response => "response",
            Self::Inspect => "request",
        }
    }
}

impl FromStr for Check {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        let named = Self::ALL.iter().find(|check| check.name() == name);
        named.copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|check| check.name()).collect();
            ConfigError::new("check", name, "is none", format!("write one of `{}`", names.join("`, `")))
        })
    }
}

/// A check that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Breach {
    pub(super) check: Check,
    pub(super) kind: ProblemKind,
    detail: Cow<'static, str>,
    errors: Vec<Error>,
    /// Whether there is more that is wrong.
    is_truncated: bool,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Error {
    /// The part of the request, where it is not the check's own.
    pub(super) place: Option<&'static str>,
    /// Where in the body, as a JSON pointer.
    pub(super) pointer: Option<String>,
    /// The header field or so that is meant: ours to name, never the client's text.
    pub(super) name: Option<Cow<'static, str>>,
    pub(super) keyword: Cow<'static, str>,
    pub(super) detail: Cow<'static, str>,
}

impl Breach {
    pub(super) fn new(check: Check, kind: ProblemKind, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        let error =
            Error { place: None, pointer: None, name: None, keyword: check.name().into(), detail: detail.clone() };
        Self { check, kind, detail, errors: vec![error], is_truncated: false }
    }

    /// Several things that are wrong.
    #[cfg(feature = "json-schema")]
    pub(super) fn listed(
        check: Check,
        kind: ProblemKind,
        detail: &'static str,
        errors: Vec<Error>,
        is_truncated: bool,
    ) -> Self {
        Self { check, kind, detail: detail.into(), errors, is_truncated }
    }

    /// What a schema finds in one body.
    #[cfg(feature = "json-schema")]
    pub(super) fn of_schema(breaches: Vec<SchemaBreach>, kind: ProblemKind) -> Self {
        let is_truncated = breaches.len() > MAX_BREACHES;
        let errors = breaches.into_iter().take(MAX_BREACHES).map(|breach| Error {
            place: None,
            pointer: Some(breach.pointer),
            name: None,
            keyword: breach.keyword.into(),
            detail: breach.detail.into(),
        });
        Self::listed(Check::Schema, kind, "The body is not as described.", errors.collect(), is_truncated)
    }

    pub(super) fn at(mut self, pointer: String) -> Self {
        self.errors.iter_mut().for_each(|error| error.pointer = Some(pointer.clone()));
        self
    }

    pub(super) fn named(mut self, name: &'static str) -> Self {
        self.errors.iter_mut().for_each(|error| error.name = Some(name.into()));
        self
    }

    /// Where the first thing is that is wrong.
    pub(super) fn pointer(&self) -> Option<&str> {
        self.errors.first()?.pointer.as_deref()
    }

    /// What the client is told.
    pub(super) fn into_problem(self) -> Problem {
        let place = self.check.place();
        let error = |error: Error| {
            let mut members = vec![("in", Member::from(error.place.unwrap_or(place)))];
            members.extend(error.pointer.map(|pointer| ("pointer", Member::from(pointer))));
            members.extend(error.name.map(|name| ("name", Member::Text(name))));
            members.push(("keyword", Member::Text(error.keyword)));
            members.push(("detail", Member::Text(error.detail)));
            Member::object(members)
        };
        let errors: Vec<_> = self.errors.into_iter().map(error).collect();
        let problem = Problem::new(self.kind).with_detail(self.detail).add_member("errors", errors);
        if self.is_truncated { problem.add_member("truncated", true) } else { problem }
    }
}
