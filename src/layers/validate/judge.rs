//! What becomes of a request by its head, and what its body has to go through.

use http::{HeaderValue, header};

use super::breach::{Breach, Check};
use super::grpc::{MessageFault, Messages};
use super::inspect::{Part, Verdict};
use super::layer::{Bodies, Shared, UnknownPaths};
use super::media::{BodyKind, check_encoding, kind_of};
use super::route::{Expected, Found, Route};
use super::{content, head};
use crate::spine::event::{self, Origin};
use crate::spine::problem::ProblemKind;
use crate::spine::rejection::Rejection;
use crate::spine::request::RequestView;
use crate::wiring;

/// What is done with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    /// There is none, or nobody minds.
    Pass,
    /// It streams through, so long and in such a time.
    Watch { max_bytes: usize },
    /// gRPC messages stream through.
    WatchMessages { messages: Messages, max_bytes: usize },
    /// It is read before the service is called.
    Read { kind: BodyKind, route: Option<Of>, max_bytes: usize },
}

/// The route of a body, and which of its types it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Of {
    pub(super) route: usize,
    #[cfg_attr(not(feature = "openapi"), allow(dead_code, reason = "there is one type"))]
    pub(super) media: usize,
}

/// A breach, and the methods that there are instead.
type Refusal = Box<Rejection>;

impl Shared {
    /// Judges a head. `has_body` says whether a body follows, `declared_bytes` how long it says it is.
    pub(super) fn judge(
        &self,
        request: RequestView<'_>,
        has_body: bool,
        declared_bytes: Option<u64>,
    ) -> Result<(Plan, Option<&Route>), Refusal> {
        let tell = &mut |breach: Breach| self.tell(breach);
        head::check(request, &self.limits, &self.methods, tell).map_err(|breach| self.refusal(breach, None))?;
        self.inspected(Part::Head(request))?;
        let route = self.route(request)?;
        let (kind, media) =
            self.kind_and_media(request, route, has_body).map_err(|breach| self.refusal(breach, None))?;
        if !has_body {
            return Ok((Plan::Pass, route));
        }
        let grpc = route.and_then(|route| match route.body {
            Expected::Grpc { message_bytes, allows_compressed } => {
                Some(Messages::new(message_bytes, allows_compressed))
            }
            _ => None,
        });
        // A stream of messages may go on; each of them is bounded.
        let default = if grpc.is_some() { usize::MAX } else { self.limits.body_bytes };
        let max_bytes = route.and_then(|route| route.body_bytes).unwrap_or(default);
        if declared_bytes.is_some_and(|bytes| bytes > max_bytes as u64) {
            self.tell(too_long(max_bytes)).map_err(|breach| self.refusal(breach, None))?;
            // It is only reported, so that nothing of it is held.
            return Ok((Plan::Watch { max_bytes }, route));
        }
        let plan = match kind {
            BodyKind::Other => match grpc {
                Some(messages) => Plan::WatchMessages { messages, max_bytes },
                None => Plan::Watch { max_bytes },
            },
            kind => Plan::Read { kind, route: route.map(|route| Of { route: route.index, media }), max_bytes },
        };
        Ok((plan, route))
    }

    /// What kind of body it is, and which of the types that an OpenAPI document describes.
    #[cfg_attr(not(feature = "openapi"), allow(clippy::unnecessary_wraps, reason = "there is one type"))]
    fn kind_and_media(
        &self,
        request: RequestView<'_>,
        route: Option<&Route>,
        has_body: bool,
    ) -> Result<(BodyKind, usize), Breach> {
        #[cfg(feature = "openapi")]
        if let Some(described) = route.and_then(|route| route.described.as_ref()) {
            return self.described(request, described, has_body);
        }
        self.kind(request, route, has_body).map(|kind| (kind, 0))
    }

    /// The route that describes the request, if one does, or need not.
    fn route(&self, request: RequestView<'_>) -> Result<Option<&Route>, Refusal> {
        // A preflight asks about another request.
        if self.routes.is_empty() || request.is_preflight() {
            return Ok(None);
        }
        let path = wiring::original_path(request.extensions()).unwrap_or_else(|| request.uri().path());
        let (breach, allow) = match self.routes.find(request.method(), path) {
            Found::Route(route) => return Ok(Some(route)),
            Found::Unknown if self.unknown_paths == UnknownPaths::Pass => return Ok(None),
            Found::Unknown => (Breach::new(Check::Route, ProblemKind::NotFound, "There is no such path."), None),
            Found::OtherMethods(allow) => {
                const DETAIL: &str = "The path has other methods.";
                (Breach::new(Check::Route, ProblemKind::MethodNotAllowed, DETAIL), Some(allow))
            }
        };
        self.tell(breach).map(|()| None).map_err(|breach| self.refusal(breach, allow))
    }

    /// What kind of body it is, as far as it is to be read.
    fn kind(&self, request: RequestView<'_>, route: Option<&Route>, has_body: bool) -> Result<BodyKind, Breach> {
        let presence = |detail: &'static str| Breach::new(Check::BodyPresence, ProblemKind::BadRequest, detail);
        match route.map(|route| route.body) {
            None if self.bodies == Bodies::Described => return Ok(BodyKind::Other),
            Some(Expected::Nothing) if has_body => self.tell(presence("There is a body where none may be."))?,
            Some(Expected::Json | Expected::Form | Expected::Grpc { .. }) if !has_body => {
                self.tell(presence("There is no body where one must be."))?
            }
            _ => {}
        }
        if !has_body {
            return Ok(BodyKind::Other);
        }
        if let Some(breach) = check_encoding(request.headers(), &self.content_encodings) {
            self.tell(breach)?;
            return Ok(BodyKind::Other);
        }
        let wanted = match route.map(|route| route.body) {
            Some(Expected::Json) => Some(BodyKind::Json),
            Some(Expected::Form) => Some(BodyKind::Form),
            Some(Expected::Grpc { .. }) => Some(BodyKind::Grpc),
            Some(_) | None => None,
        };
        let kind = kind_of(request.headers(), &self.content_types).and_then(|kind| {
            if wanted.is_none_or(|wanted| wanted == kind) {
                return Ok(kind);
            }
            const DETAIL: &str = "The content type is another than is taken here.";
            let breach = Breach::new(Check::ContentType, ProblemKind::UnsupportedMediaType, DETAIL);
            Err(breach.named("content-type"))
        });
        match kind {
            // Nothing is decoded here, and what cannot be looked at is not let through as if it had been.
            Ok(BodyKind::Json | BodyKind::Form) if is_encoded(request) && !is_anything(route) => {
                const DETAIL: &str = "A body that is read here comes as it is.";
                let breach = Breach::new(Check::ContentEncoding, ProblemKind::UnsupportedMediaType, DETAIL);
                self.tell(breach.named("content-encoding")).map(|()| BodyKind::Other)
            }
            Ok(_) if is_anything(route) => Ok(BodyKind::Other),
            Ok(BodyKind::Grpc) => Ok(BodyKind::Other),
            Ok(kind) => Ok(kind),
            Err(breach) => self.tell(breach).map(|()| BodyKind::Other),
        }
    }

    /// Judges a body that was read whole.
    pub(super) fn judge_body(&self, kind: BodyKind, route: Option<Of>, body: &[u8]) -> Result<(), Refusal> {
        if let Some(breach) = self.check_body(kind, route, body) {
            self.tell(breach).map_err(|breach| self.refusal(breach, None))?;
        }
        self.inspected(Part::Body(body))
    }

    #[cfg(feature = "json-schema")]
    fn check_body(&self, kind: BodyKind, route: Option<Of>, body: &[u8]) -> Option<Breach> {
        let found = route.and_then(|of| self.routes.get(of.route));
        #[cfg(feature = "openapi")]
        if let (Some(described), Some(of)) = (found.and_then(|route| route.described.as_ref()), route) {
            return self.check_described(kind, described, of.media, body);
        }
        match found.and_then(|route| route.schema.as_ref()) {
            // One reading serves both.
            Some(schema) if kind == BodyKind::Json => schema.check(body, &self.limits, self.schema_errors),
            _ => content::check(kind, body, &self.limits),
        }
    }

    #[cfg(not(feature = "json-schema"))]
    fn check_body(&self, kind: BodyKind, _: Option<Of>, body: &[u8]) -> Option<Breach> {
        content::check(kind, body, &self.limits)
    }

    fn inspected(&self, part: Part<'_>) -> Result<(), Refusal> {
        match self.inspect.0.as_ref().map(|hook| hook.inspect(part)) {
            None | Some(Verdict::Pass) => Ok(()),
            Some(Verdict::Refuse) => {
                let breach = Breach::new(Check::Inspect, ProblemKind::BadRequest, "The request is not acceptable.");
                self.tell(breach).map_err(|breach| self.refusal(breach, None))
            }
        }
    }

    /// Whether a check only reports.
    pub(super) fn is_reported(&self, check: Check) -> bool {
        self.reported.contains(&check)
    }

    /// Reports a breach; it is given back where it is to be refused.
    pub(super) fn tell(&self, breach: Breach) -> Result<(), Breach> {
        let is_reported = self.is_reported(breach.check);
        event::validation_failed(breach.check.name(), breach.pointer(), is_reported, &self.sampler, &self.clock);
        if is_reported { Ok(()) } else { Err(breach) }
    }

    /// The refusal of a breach.
    pub(super) fn refusal(&self, breach: Breach, allow: Option<HeaderValue>) -> Refusal {
        let allow = allow.or_else(|| {
            let methods: Vec<_> = self.methods.iter().map(http::Method::as_str).collect();
            HeaderValue::try_from(methods.join(", ")).ok().filter(|_| breach.check == Check::Method)
        });
        let rejection = Rejection::new(Origin::Validate, breach.into_problem());
        Box::new(match allow {
            Some(allow) => rejection.add_header(header::ALLOW, allow),
            None => rejection,
        })
    }
}

fn is_anything(route: Option<&Route>) -> bool {
    route.is_some_and(|route| route.body == Expected::Anything)
}

pub(super) fn is_encoded(request: RequestView<'_>) -> bool {
    let mut encodings = request.headers().get_all(header::CONTENT_ENCODING).iter();
    encodings.any(|encoding| !encoding.is_empty() && !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

pub(super) fn too_long(max_bytes: usize) -> Breach {
    Breach::new(Check::BodyBytes, ProblemKind::ContentTooLarge, format!("The body is longer than {max_bytes} bytes."))
}

pub(super) fn too_slow() -> Breach {
    Breach::new(Check::BodyTimeout, ProblemKind::RequestTimeout, "The body did not arrive in time.")
}

pub(super) fn bad_message(fault: MessageFault) -> Breach {
    let (kind, detail) = match fault {
        MessageFault::TooLong => (ProblemKind::ContentTooLarge, "A message is longer than is taken."),
        MessageFault::Compressed => (ProblemKind::NotImplemented, "Compressed messages are not taken."),
        MessageFault::Malformed => (ProblemKind::BadRequest, "A message is malformed."),
    };
    Breach::new(Check::Grpc, kind, detail)
}

pub(super) fn broken_off() -> Breach {
    Breach::new(Check::BodyBytes, ProblemKind::BadRequest, "The body broke off.")
}
