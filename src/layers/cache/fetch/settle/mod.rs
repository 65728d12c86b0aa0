//! What the origin's answer comes to: for the client, for the store, and for those who wait.

mod confirm;
mod rest;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{Extensions, HeaderMap, Method, Response, StatusCode, header};
use http_body::Body;

use self::confirm::{ASTRAY, confirmed};
pub(super) use self::confirm::{is_astray, let_go};
use super::super::completion::Completion;
use super::super::conditional;
use super::super::core::{Core, Ready, Shared};
use super::super::decline::Decline;
use super::super::directives::whole_number;
use super::super::entry::{Entry, Head};
use super::super::freshness::Moments;
use super::super::purge::Begun;
use super::super::reuse::{Failure, Fallback, fallback};
use super::super::route::CacheHint;
use super::super::serve::{Told, serve};
use super::super::service::{Answer, refuse, respond};
use super::super::status::Forwarded;
use super::super::storable::{self, Asked, freshened, head, judge};
use super::super::tags;
use super::super::tier;
use super::Leading;
use super::keep::keep;
use crate::spine::body::ResponseBody;
use crate::spine::event::Origin;
use crate::spine::problem::{Problem, ProblemKind};
use crate::spine::rejection::Rejection;
use crate::spine::request::RequestFacts;
use crate::spine::response::ResponseView;
use crate::spine::shared::SharedBody;
use crate::wiring;

/// A request on its way.
pub(in super::super) struct Trip {
    pub(in super::super) asked: Asked,
    pub(in super::super) facts: RequestFacts,
    pub(in super::super) stale: Option<Arc<Entry>>,
    /// What of a stored part was asked for.
    pub(in super::super) completion: Option<Completion>,
    pub(in super::super) forwarded: Forwarded,
    pub(in super::super) lead: Option<Leading>,
}

/// How it was sent.
pub(in super::super) struct Asking {
    pub(in super::super) begun: Begun,
    pub(in super::super) asked_at: Instant,
    /// Whether it carried the stored validators.
    pub(in super::super) is_validation: bool,
    pub(in super::super) nonce: Option<Nonce>,
}

/// The nonce that an inner page may draw.
#[cfg(feature = "security-headers")]
pub(in super::super) type Nonce = crate::spine::nonce::CspNonce;
#[cfg(not(feature = "security-headers"))]
pub(in super::super) type Nonce = std::convert::Infallible;

/// The nonce of a request whose page gets one.
#[cfg(feature = "security-headers")]
pub(in super::super) fn nonce_of(extensions: &Extensions) -> Option<Nonce> {
    extensions.get::<Nonce>().cloned()
}

/// Nobody draws one.
#[cfg(not(feature = "security-headers"))]
pub(in super::super) const fn nonce_of(_: &Extensions) -> Option<Nonce> {
    None
}

fn is_drawn(nonce: Option<&Nonce>) -> bool {
    #[cfg(feature = "security-headers")]
    return nonce.is_some_and(|nonce| nonce.drawn().is_some());
    #[cfg(not(feature = "security-headers"))]
    return nonce.is_some();
}

/// Settles a request whose answer, or none, has come.
pub(in super::super) fn settle<B, E>(
    core: &Arc<Core>,
    mut trip: Trip,
    result: Result<Response<B>, E>,
    asking: Asking,
) -> Result<Answer<B>, E>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Send + 'static,
{
    let moments = Moments { asked: asking.asked_at, answered: core.clock.now(), wall: core.clock.wall() };
    let response = match result {
        Ok(response) => response,
        Err(error) => return fall_back(core, &mut trip, Failure::Disconnected, None, moments).ok_or(error),
    };
    if let Some(failure) = failure_of(core, &response) {
        // RFC 9211 section 2.3: what nobody answered has no status.
        let status = (failure == Failure::Error).then(|| response.status().as_u16());
        if let Some(answer) = fall_back(core, &mut trip, failure, status, moments) {
            return Ok(answer);
        }
    }
    if asking.is_validation
        && response.status() == StatusCode::NOT_MODIFIED
        && let Some(stale) = trip.stale.take()
    {
        return Ok(confirmed(core, trip, &stale, &response, &asking, moments));
    }
    if let Some(completion) = trip.completion.take() {
        return Ok(rest::completed(core, trip, completion, response, asking, moments));
    }
    if trip.asked.method == Method::HEAD {
        return Ok(head_answered(core, trip, response, &asking, moments));
    }
    Ok(answered(core, trip, response, asking, moments))
}

/// What comes of the second time. A 304 answers a condition that nobody made then.
pub(in super::super) fn settle_again<B, E>(
    core: &Arc<Core>,
    trip: Trip,
    result: Result<Response<B>, E>,
    asking: Asking,
) -> Result<Answer<B>, E>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Send + 'static,
{
    match result {
        Ok(response) if response.status() == StatusCode::NOT_MODIFIED => Ok(refused(core, &trip.facts, ASTRAY)),
        result => settle(core, trip, result, asking),
    }
}

/// How an answer says that the origin failed, if it does.
fn failure_of<B>(core: &Core, response: &Response<B>) -> Option<Failure> {
    let view = ResponseView::of(response);
    // What a layer further in has refused (a circuit breaker, or a proxy whose upstream is gone) never reached the origin.
    let is_refused = response.status().is_server_error() && response.extensions().get::<Rejection>().is_some();
    if is_refused || core.settings.unreachable.as_ref().is_some_and(|unreachable| unreachable(view)) {
        return Some(Failure::Disconnected);
    }
    matches!(response.status().as_u16(), 500 | 502 | 503 | 504).then_some(Failure::Error)
}

/// What is stored, in the place of an answer that did not come.
fn fall_back<B>(
    core: &Arc<Core>,
    trip: &mut Trip,
    failure: Failure,
    status: Option<u16>,
    moments: Moments,
) -> Option<Answer<B>> {
    let now = moments.answered;
    // It may have been purged while the origin was asked.
    let stale = trip.stale.as_ref().filter(|stale| stale.head.is_good(&core.purges))?;
    match fallback(&stale.head, &trip.asked.directives, failure, stale.head.life.age(now), &core.settings) {
        Fallback::Pass => None,
        Fallback::Refuse => Some(refuse(core, &trip.facts, "The origin cannot be reached, and must be asked.")),
        Fallback::Stale => {
            let told = Told::Forwarded(Forwarded { status, ..trip.forwarded });
            let served = serve(stale, trip.asked.request(), stale.head.life.age(now), told, &core.writer)?;
            if let Some(lead) = &trip.lead {
                lead.share(Shared::Ready(Arc::clone(stale)), now);
            }
            Some(respond(Ready::new(served, stale)))
        }
    }
}

/// The origin's answer fits nothing that it was asked.
fn refused<B>(core: &Core, facts: &RequestFacts, why: &'static str) -> Answer<B> {
    let problem = Problem::new(ProblemKind::BadGateway).with_detail(why);
    core.refuser.refuse(Rejection::new(Origin::Cache, problem), facts)
}

fn forget(core: &Arc<Core>, gone: &Arc<Entry>) {
    core.memory.update(&gone.head.key, |held| held.and_then(|held| held.without(gone)));
    // Parts stand in memory alone; what the second tier has is another response.
    if gone.head.part.is_none() {
        tier::remove(core, gone.head.key.clone());
    }
}

/// RFC 9111 section 4.3.5: a HEAD's answer tells of what a GET's would be.
fn head_answered<B>(
    core: &Arc<Core>,
    trip: Trip,
    response: Response<B>,
    asking: &Asking,
    moments: Moments,
) -> Answer<B> {
    let Trip { asked, stale, forwarded, .. } = trip;
    let mut is_stored = false;
    let is_whole = |stale: &Arc<Entry>| stale.head.part.is_none();
    if let Some(stale) = stale.filter(|stale| response.status() == StatusCode::OK && is_whole(stale)) {
        let headers = response.headers();
        let status = stale.head.status;
        let told = storable::Answer { status, headers, hint: None, moments, begun: asking.begun };
        let made = freshened(&stale, &asked, &told, &core.settings, &core.marks);
        if conditional::contradicts(&stale.head.headers, stale.body.len(), headers) {
            // What a caller who is known is told may be of that caller's own.
            let is_own = |decline| decline == Decline::Authorized || is_for_the_caller(&asked, decline, &stale);
            if !made.is_err_and(|(decline, _)| is_own(decline)) {
                stale.head.expire();
            }
        } else if let Ok(head) = made {
            is_stored = core.keep(Arc::new(stale.with_head(head)), None);
        }
    }
    let mut response = response;
    tell(core, response.headers_mut(), Forwarded { is_stored, ..forwarded });
    response.map(|body| ResponseBody::inner(SharedBody::inner(body)))
}

fn tell(core: &Core, headers: &mut HeaderMap, forwarded: Forwarded) {
    tags::strip(headers);
    core.writer.write_forwarded(headers, forwarded);
}

/// A new response.
fn answered<B>(core: &Arc<Core>, trip: Trip, response: Response<B>, asking: Asking, moments: Moments) -> Answer<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Send + 'static,
{
    let Trip { mut asked, stale, forwarded, lead, .. } = trip;
    let (mut parts, body) = response.into_parts();
    core.learn(&mut asked, &parts.headers);
    if let Some(value) = &asked.cache_control {
        parts.headers.entry(header::CACHE_CONTROL).or_insert_with(|| value.clone());
    }
    let hint = parts.extensions.remove::<CacheHint>();
    let told = storable::Answer {
        status: parts.status,
        headers: &parts.headers,
        hint: hint.as_ref(),
        moments,
        begun: asking.begun,
    };
    let judged = if wiring::has_header_overrides(&parts.extensions) {
        // They stand in its extensions, which nobody keeps.
        Err(Decline::Overrides)
    } else {
        decide(core, &asked, &told, &body, asking.nonce.as_ref())
    };
    let is_told = asking.is_validation && parts.extensions.get::<Rejection>().is_none();
    let status = forwarded.status.or_else(|| is_told.then_some(parts.status.as_u16()));
    let forwarded = Forwarded { status, is_stored: judged.is_ok(), ..forwarded };
    match judged {
        Err(decline) => {
            // What the request forbids, or is for one caller, does not say that what is stored is no longer true; nor does
            // another part of it.
            let says_nothing = |stale: &Arc<Entry>| {
                decline.is_for_the_request()
                    || is_for_the_caller(&asked, decline, stale)
                    || conditional::same_strong(&stale.head.headers, &parts.headers)
            };
            if let Some(stale) = stale.filter(|stale| is_replaced_by(parts.status) && !says_nothing(stale)) {
                forget(core, &stale);
            }
            declined(core, &asked, lead, parts.status, moments.answered);
            let detail = Some(decline.name());
            tell(core, &mut parts.headers, Forwarded { detail, ..forwarded });
            Response::from_parts(parts, ResponseBody::inner(SharedBody::inner(body)))
        }
        Ok(head) => {
            let expected = expected_bytes(&parts.headers, &head);
            let body = keep(core, Arc::new(head), lead, body, expected, moments.answered);
            tell(core, &mut parts.headers, forwarded);
            Response::from_parts(parts, body)
        }
    }
}

/// Whether a caller who is known was answered with something of that caller's, where what is stored is everybody's.
fn is_for_the_caller(asked: &Asked, decline: Decline, stale: &Entry) -> bool {
    let is_own = matches!(decline, Decline::Private | Decline::NoStore | Decline::SetCookie);
    asked.is_authorized && is_own && !stale.head.rules.is_private
}

/// Whether a response that is not stored tells of the resource and not of who asked, so that what was stored is no longer
/// true (RFC 9111 section 4.3.3). A 401 or 429 is for one client, and takes nothing from the others.
fn is_replaced_by(status: StatusCode) -> bool {
    status.is_success()
        || matches!(
            status,
            StatusCode::MOVED_PERMANENTLY | StatusCode::PERMANENT_REDIRECT | StatusCode::NOT_FOUND | StatusCode::GONE
        )
}

fn decide<B: Body>(
    core: &Core,
    asked: &Asked,
    told: &storable::Answer<'_>,
    body: &B,
    nonce: Option<&Nonce>,
) -> Result<Head, Decline> {
    let judgement = judge(asked, told, &core.settings)?;
    if is_drawn(nonce) {
        return Err(Decline::Nonce);
    }
    let told_bytes = told.headers.get(header::CONTENT_LENGTH).and_then(|length| whole_number(length.as_bytes()));
    let least_bytes = told_bytes.unwrap_or_default().max(body.size_hint().lower());
    if least_bytes > core.settings.entry_bytes as u64 {
        return Err(Decline::TooLarge);
    }
    head(asked, told, judgement, &core.settings, &core.marks)
}

/// Tells those who wait that there is nothing for them.
fn declined(core: &Core, asked: &Asked, lead: Option<Leading>, status: StatusCode, now: Instant) {
    let Some(lead) = lead else { return };
    // A failure is no word about the next burst. Who has waited for it waits for no other, which would come as late.
    if !status.is_server_error() {
        core.mark(&asked.flight_key, now);
    }
    lead.decline(now);
}

fn expected_bytes(headers: &HeaderMap, head: &Head) -> Option<u64> {
    match head.part {
        Some(part) => Some(part.end - part.start),
        None => headers.get(header::CONTENT_LENGTH).and_then(|length| whole_number(length.as_bytes())),
    }
}
