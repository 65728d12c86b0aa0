//! What becomes of a request by its head, and what its body has to go through.

use std::time::Duration;

use http::{Extensions, HeaderValue, header};

use super::breach::{Breach, Check};
use super::grpc::{MessageFault, Messages};
use super::inside::Inside;
use super::inspect::{Decision, Part};
use super::layer::{Bodies, Shared, UnknownPaths};
use super::limits::Limits;
use super::media::{BodyKind, Coded, boundary, check_encoding, coded, kind_of};
use super::multipart::{Multipart, PartFault};
#[cfg(feature = "json-schema")]
use super::parsed::ParsedJson;
use super::route::{Expected, Found, Route};
#[cfg(feature = "json-schema")]
use super::schema;
use super::{content, head};
use crate::spine::coding::{Coding, DecodeFault};
use crate::spine::event::{self, Origin};
use crate::spine::problem::{Problem, ProblemKind};
use crate::spine::rejection::Rejection;
use crate::spine::request::RequestView;
use crate::wiring;
#[cfg(feature = "json-schema")]
use crate::wiring::JsonValue;

/// What is done with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    /// There is none, or nobody minds.
    Pass,
    /// It streams through, so long and in such a time, and what is in it is followed.
    Watch { inside: Option<Inside>, max_bytes: usize },
    /// It is read before the service is called.
    Read { wanted: Wanted, max_bytes: usize },
}

/// What a body that is read has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) kind: BodyKind,
    /// What is undone before it is looked at.
    coding: Option<Coding>,
    of: Option<Of>,
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
        // What may be empty is not refused for what it may be.
        let may_be_empty = has_body && declared_bytes.is_none() && route.is_some_and(Route::forbids_body);
        let (kind, media) = self
            .kind_and_media(request, route, has_body && !may_be_empty)
            .map_err(|breach| self.refusal(breach, None))?;
        if may_be_empty {
            let wanted = Wanted { kind: BodyKind::Nothing, coding: None, of: None };
            return Ok((Plan::Read { wanted, max_bytes: 0 }, route));
        }
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
            return Ok((Plan::Watch { inside: None, max_bytes }, route));
        }
        let plan = match kind {
            BodyKind::Grpc | BodyKind::Other | BodyKind::Nothing => {
                Plan::Watch { inside: grpc.map(Inside::Messages), max_bytes }
            }
            BodyKind::Multipart => Plan::Watch { inside: self.parts(request)?, max_bytes },
            BodyKind::Json | BodyKind::Form => {
                let coding = match coded(request.headers()) {
                    Coded::By(coding) => Some(coding),
                    Coded::AsItIs | Coded::Unknown => None,
                };
                let wanted = Wanted { kind, coding, of: route.map(|route| Of { route: route.index, media }) };
                Plan::Read { wanted, max_bytes }
            }
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

    /// The parts of a multipart form, which are found by what its type says.
    fn parts(&self, request: RequestView<'_>) -> Result<Option<Inside>, Refusal> {
        if let Some(boundary) = boundary(request.headers()) {
            let Limits { multipart_parts, multipart_part_bytes, .. } = self.limits;
            let parts = Multipart::new(boundary, multipart_parts, multipart_part_bytes);
            return Ok(Some(Inside::Parts(Box::new(parts))));
        }
        const DETAIL: &str = "The content type has no boundary, or none that is taken.";
        let breach = Breach::new(Check::Multipart, ProblemKind::BadRequest, DETAIL);
        self.tell(breach).map(|()| None).map_err(|breach| self.refusal(breach, None))
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
        match route.map(|route| route.body) {
            None if self.bodies == Bodies::Described => return Ok(BodyKind::Other),
            Some(Expected::Nothing) if has_body => self.tell(unexpected())?,
            Some(Expected::Json | Expected::Form | Expected::Multipart | Expected::Grpc { .. }) if !has_body => {
                self.tell(missing())?
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
            Some(Expected::Multipart) => Some(BodyKind::Multipart),
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
            // What cannot be looked at is not let through as if it had been.
            Ok(kind) if !is_anything(route) && is_hidden(kind, request) => {
                const DETAIL: &str = "A body of this type is not taken in this encoding.";
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
    pub(super) fn judge_body(&self, wanted: Wanted, body: &[u8], handed: &mut Extensions) -> Result<(), Refusal> {
        if wanted.kind == BodyKind::Nothing {
            return Ok(());
        }
        let Some(coding) = wanted.coding else { return self.judge_plain(wanted, body, handed) };
        // What comes out is held as long as it is looked at.
        let mut held = self.buffers.hold();
        let max_bytes = self.limits.decoded_bytes;
        let breach = match wiring::decode(coding, body, max_bytes, &mut |bytes| held.take(bytes)) {
            Ok(decoded) => return self.judge_plain(wanted, &decoded, handed),
            Err(DecodeFault::NoRoom) => return Err(Box::new(no_room())),
            Err(DecodeFault::TooLong) => decoded_too_long(max_bytes),
            Err(DecodeFault::Malformed) => {
                const DETAIL: &str = "The body cannot be decoded.";
                Breach::new(Check::ContentEncoding, ProblemKind::BadRequest, DETAIL)
            }
        };
        self.tell(breach).map_err(|breach| self.refusal(breach, None))
    }

    fn judge_plain(&self, wanted: Wanted, body: &[u8], handed: &mut Extensions) -> Result<(), Refusal> {
        if let Some(breach) = self.check_body(wanted, body, handed) {
            self.tell(breach).map_err(|breach| self.refusal(breach, None))?;
        }
        self.inspected(Part::Body(body))
    }

    #[cfg(feature = "json-schema")]
    fn check_body(&self, wanted: Wanted, body: &[u8], handed: &mut Extensions) -> Option<Breach> {
        let Wanted { kind, of: Some(of), .. } = wanted else { return content::check(wanted.kind, body, &self.limits) };
        let Some(route) = self.routes.get(of.route) else { return content::check(kind, body, &self.limits) };
        let judge = route.judged_by(of.media);
        if kind == BodyKind::Json && (judge.is_some() || route.is_parsed) {
            // One reading serves all.
            return match JsonValue::read(body, &self.limits.json(body.len())) {
                Ok(value) => {
                    let breach = judge.and_then(|judge| schema::check(judge, &value, body.len(), self.schema_errors));
                    ParsedJson::hand_on(value, handed);
                    breach
                }
                Err(stop) => Some(content::no_json(stop.fault, stop.pointer())),
            };
        }
        let breach = content::check(kind, body, &self.limits);
        #[cfg(feature = "openapi")]
        if let (None, BodyKind::Form, Some(described)) = (&breach, kind, &route.described) {
            let limits = self.limits.json(body.len());
            return described.operation.check_form(of.media, body, &limits, self.schema_errors);
        }
        breach
    }

    #[cfg(not(feature = "json-schema"))]
    fn check_body(&self, wanted: Wanted, body: &[u8], _: &mut Extensions) -> Option<Breach> {
        content::check(wanted.kind, body, &self.limits)
    }

    /// Whether the value of a body is handed on, where one can be made.
    #[cfg(feature = "json-schema")]
    pub(super) fn hands_on(&self, wanted: Wanted) -> bool {
        wanted.of.and_then(|of| self.routes.get(of.route)).is_some_and(Route::hands_on)
    }

    fn inspected(&self, part: Part<'_>) -> Result<(), Refusal> {
        match self.inspect.0.as_ref().map(|hook| hook.inspect(part)) {
            None | Some(Decision::Pass) => Ok(()),
            Some(Decision::Refuse) => {
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

/// Whether a body is to be looked at, and its encoding does not let it.
pub(super) fn is_hidden(kind: BodyKind, request: RequestView<'_>) -> bool {
    match kind {
        BodyKind::Json | BodyKind::Form => coded(request.headers()) == Coded::Unknown,
        // It is followed as it comes.
        BodyKind::Multipart => coded(request.headers()) != Coded::AsItIs,
        BodyKind::Grpc | BodyKind::Other | BodyKind::Nothing => false,
    }
}

pub(super) fn unexpected() -> Breach {
    Breach::new(Check::BodyPresence, ProblemKind::BadRequest, "There is a body where none may be.")
}

pub(super) fn missing() -> Breach {
    Breach::new(Check::BodyPresence, ProblemKind::BadRequest, "There is no body where one must be.")
}

pub(super) fn too_long(max_bytes: usize) -> Breach {
    Breach::new(Check::BodyBytes, ProblemKind::ContentTooLarge, format!("The body is longer than {max_bytes} bytes."))
}

fn decoded_too_long(max_bytes: usize) -> Breach {
    let detail = format!("The body is longer than {max_bytes} bytes when it is decoded.");
    Breach::new(Check::DecodedBytes, ProblemKind::ContentTooLarge, detail)
}

/// All bodies that are held together are too large for now.
pub(super) fn no_room() -> Rejection {
    const WAIT: Duration = Duration::from_secs(1);
    let problem = Problem::new(ProblemKind::Unavailable).with_detail("Too many bodies are being read at the moment.");
    Rejection::new(Origin::Validate, problem).with_retry_after(WAIT)
}

pub(super) fn bad_part(fault: PartFault) -> Breach {
    let kind = if fault == PartFault::TooLong { ProblemKind::ContentTooLarge } else { ProblemKind::BadRequest };
    Breach::new(Check::Multipart, kind, fault.detail())
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
