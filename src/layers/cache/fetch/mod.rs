//! The way to the origin: behind somebody who goes there already, or oneself.

mod future;
mod keep;
mod settle;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response, header};
use http_body::Body;
use tower_service::Service;

use self::future::{Waited, wait};
pub(super) use self::keep::keep;
use self::settle::{Asking, Trip, settle};
use super::conditional;
use super::core::{Core, Found, Ready, Shared};
use super::entry::Entry;
use super::flight::{Lead, Role, Terms};
use super::key::Key;
use super::purge::Begun;
use super::reuse::{Reuse, reuse};
use super::route::EmptyBody;
use super::serve::{Content, Told, serve, serve_coming};
use super::service::{Answer, respond};
use super::settings::Policy;
use super::status::{Forward, Forwarded};
use super::storable::Asked;
use super::tier::{self, Claimed};
use crate::spine::body::ResponseBody;
use crate::spine::key::SecureTransport;
use crate::spine::request::{RequestFacts, RequestView};
use crate::spine::shared::SharedBody;
use crate::wiring;

/// How often a request whose leader failed waits for another; then it goes alone.
const MAX_ATTEMPTS: usize = 3;
/// How long a refresh in the background may take in all: nobody waits for it, and nobody would end it.
const MAX_REFRESH: Duration = Duration::from_secs(60);

/// What a refresh in the background leaves out of the request that it is made of.
pub(super) const NOT_LENT: [HeaderName; 6] = [
    header::COOKIE,
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::RANGE,
    header::CACHE_CONTROL,
    header::PRAGMA,
];

/// A request that others wait for: here, and perhaps in other instances.
pub(super) struct Leading {
    lead: Lead<Key, Shared>,
    claim: Option<Claimed>,
}

impl Leading {
    pub(super) const fn new(lead: Lead<Key, Shared>) -> Self {
        Self { lead, claim: None }
    }

    /// Shares this with all who wait here; those elsewhere find it in the store.
    fn share(&self, shared: Shared, now: Instant) {
        self.lead.share(shared, now);
    }

    /// Tells all who wait that there is nothing to share.
    fn decline(self, now: Instant) {
        if let Some(mut claim) = self.claim {
            claim.decline();
        }
        self.lead.decline(now);
    }

    /// The claim, to be held until the store has what was fetched, or to be given up when that is for nobody else.
    fn take_claim(&mut self, is_shared: bool) -> Option<Claimed> {
        let mut claim = self.claim.take()?;
        if !is_shared {
            claim.decline();
        }
        Some(claim)
    }
}

/// Answers a request that nothing stored answers as it is.
pub(super) async fn fetch<S, ReqB, ResB>(
    core: Arc<Core>,
    service: S,
    request: Request<ReqB>,
    asked: Asked,
) -> Result<Answer<ResB>, S::Error>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    ReqB: 'static,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Send + 'static,
{
    let facts = RequestFacts::of(RequestView::of(&request));
    // Who asks for a part, for news, or that nothing be stored is answered with something that others cannot use.
    let refuses = asked.directives.no_store && core.settings.policy == Policy::Shared;
    let waits = asked.method != http::Method::HEAD
        && !refuses
        && !asked.headers.contains_key(header::RANGE)
        && !core.is_marked(&asked.flight_key, core.clock.now());
    let mut collapsed = None;
    let mut lead = None;
    let mut found = core.find_again(&asked, core.clock.now());
    for attempt in 0.. {
        if !waits || attempt >= MAX_ATTEMPTS || (found.entry.is_none() && conditional::is_conditional(&asked.headers)) {
            break;
        }
        let now = core.clock.now();
        match core
            .flights
            .join(&asked.flight_key, terms(&core, &asked, now), |shared| shared.head().selects(&asked.headers))
        {
            Role::Alone => break,
            Role::Leader(leading) => {
                lead = Some(Leading::new(leading));
                break;
            }
            Role::Follower(follow) => {
                collapsed = Some(false);
                match wait(follow, core.clock.sleep(core.settings.wait)).await {
                    Waited::Shared(shared) => {
                        if let Some(answer) = follow_up(&core, &asked, &found, shared) {
                            core.counts.collapsed.fetch_add(1, Ordering::Relaxed);
                            return Ok(answer);
                        }
                    }
                    Waited::Failed => {}
                    Waited::Declined | Waited::TooLong => break,
                }
            }
        }
        // What has been stored meanwhile may answer now.
        found = core.find_again(&asked, core.clock.now());
        if let Some(answer) = found.entry.as_ref().and_then(|entry| hit(&core, &asked, entry)) {
            return Ok(answer);
        }
    }
    if let Some(answer) = look_further(&core, &asked, &mut found, &mut lead).await {
        return Ok(answer);
    }
    // What is whole is asked about.
    let is_whole = found.entry.as_ref().is_some_and(|entry| entry.head.part.is_none());
    let completion = if is_whole { None } else { core.completion(&asked) };
    let why = if completion.is_some() { Forward::Partial } else { why(&core, &asked, &found) };
    let forwarded = Forwarded { collapsed, ..Forwarded::new(why) };
    let trip = Trip { asked, facts, stale: found.entry, completion, forwarded, lead };
    go(core, service, request, trip).await
}

/// What stands elsewhere may answer, or be asked about: where nothing is here, or what is here is no longer fresh.
async fn look_further<B>(
    core: &Arc<Core>,
    asked: &Asked,
    found: &mut Found,
    lead: &mut Option<Leading>,
) -> Option<Answer<B>> {
    let is_fresh = found.entry.as_ref().is_some_and(|entry| entry.head.is_fresh(core.clock.now()));
    if core.tier.is_none() || is_fresh || asked.method != http::Method::GET {
        return None;
    }
    let fetched = tier::fetch(core, asked, found.entry.as_ref(), lead.is_some()).await;
    if let Some(lead) = lead {
        lead.claim = fetched.claim;
    }
    let entry = fetched.entry?;
    // What is stale is only something to ask about: to answer with it would end the trip, and nobody would refresh it.
    let answer = hit(core, asked, &entry).filter(|_| entry.head.is_fresh(core.clock.now()));
    if answer.is_some()
        && let Some(lead) = lead
    {
        lead.share(Shared::Ready(Arc::clone(&entry)), core.clock.now());
    }
    found.entry = Some(entry);
    answer
}

/// Why a request goes on.
fn why(core: &Core, asked: &Asked, found: &Found) -> Forward {
    match &found.entry {
        Some(entry) => {
            match reuse(&entry.head, &asked.directives, entry.head.life.age(core.clock.now()), &core.settings) {
                Reuse::Validate { by_request: true } => Forward::Request,
                Reuse::Validate { .. } | Reuse::WhileRevalidate => Forward::Stale,
                _ => Forward::Partial,
            }
        }
        None if found.has_variants => Forward::VaryMiss,
        None => Forward::UriMiss,
    }
}

/// Asks the origin anew for what was answered already, and reads the answer to its end.
pub(super) async fn refresh<S, ReqB, ResB>(
    core: Arc<Core>,
    service: S,
    request: Request<ReqB>,
    mut asked: Asked,
    lead: Leading,
    _running: Running,
) where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    ReqB: 'static,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Send + 'static,
{
    let facts = RequestFacts::of(RequestView::of(&request));
    let (mut parts, body) = request.into_parts();
    // Nobody is to know who asked first.
    for name in &NOT_LENT {
        parts.headers.remove(name);
    }
    conditional::strip(&mut parts.headers);
    // The scheme is part of what was asked for, and stands nowhere else.
    let secure = parts.extensions.remove::<SecureTransport>();
    parts.extensions.clear();
    if let Some(secure) = secure {
        parts.extensions.insert(secure);
    }
    parts.method = http::Method::GET;
    let mut found = core.find_again(&asked, core.clock.now());
    asked.method = http::Method::GET;
    asked.directives = super::directives::RequestDirectives::default();
    // `Vary` may name a field that was taken away: then this is another variant's answer.
    asked.headers = parts.headers.clone();
    let mut lead = Some(lead);
    // Another instance may have been there.
    if look_further::<ResB>(&core, &asked, &mut found, &mut lead).await.is_some() {
        return;
    }
    let forwarded = Forwarded::new(Forward::Stale);
    let is_same = found.entry.as_ref().is_some_and(|entry| entry.head.selects(&asked.headers));
    let stale = found.entry.filter(|_| is_same);
    let trip = Trip { asked, facts, stale, completion: None, forwarded, lead };
    let deadline = core.clock.sleep(MAX_REFRESH);
    let work = async {
        if let Ok(answer) = go(core, service, Request::from_parts(parts, body), trip).await {
            let mut body = pin!(answer.into_body());
            while poll_fn(|cx| body.as_mut().poll_frame(cx)).await.is_some_and(|frame| frame.is_ok()) {}
        }
    };
    let mut work = pin!(work);
    let mut deadline = deadline;
    poll_fn(|cx| {
        if work.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match &mut deadline {
            Some(deadline) => Pin::new(deadline).poll(cx),
            None => Poll::Pending,
        }
    })
    .await;
}

/// One of the refreshes that run.
pub(super) struct Running(Arc<Core>);

impl Running {
    /// One more, if there may be.
    pub(super) fn begin(core: &Arc<Core>) -> Option<Self> {
        let take = |running: usize| (running < core.settings.refreshes).then_some(running + 1);
        core.refreshes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok().map(|_| Self(Arc::clone(core)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.refreshes.fetch_sub(1, Ordering::Relaxed);
    }
}

fn terms(core: &Core, asked: &Asked, now: Instant) -> Terms {
    Terms {
        now,
        patience: core.settings.wait,
        not_before: core.purges.last_write(asked.uri),
        number: core.purges.begin(),
    }
}

/// Calls the origin, once it is ready; twice, where it has confirmed something else than it was asked about.
async fn go<S, ReqB, ResB>(
    core: Arc<Core>,
    mut service: S,
    request: Request<ReqB>,
    mut trip: Trip,
) -> Result<Answer<ResB>, S::Error>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    ReqB: 'static,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Send + 'static,
{
    let (mut parts, body) = request.into_parts();
    let begun = core.begin();
    // Who waited for another instance may have something that was purged meanwhile.
    trip.stale = trip.stale.filter(|stale| stale.head.is_good(&core.purges));
    let stale = trip.stale.as_ref().filter(|stale| may_validate(stale));
    let is_validation = stale.is_some();
    if let Some(stale) = stale {
        ask_for_news(&mut parts.headers, stale);
    }
    trip.completion = trip.completion.filter(|completion| completion.held().head.is_good(&core.purges));
    if let Some(completion) = &trip.completion {
        completion.ask(&mut parts.headers);
    }
    let empty = || parts.extensions.get().map_or_else(wiring::empty_body, |empty: &EmptyBody<ReqB>| Some(empty.make()));
    // A QUERY without its content is another one.
    let may_be_empty = matches!(trip.asked.method, Method::GET | Method::HEAD);
    let again = (is_validation && may_be_empty).then(empty).flatten().map(|empty| (parts.clone(), empty));
    let request = Request::from_parts(parts, body);
    let (result, asking) = send(&core, &mut service, request, begun, is_validation).await;
    let is_astray = is_validation && result.as_ref().is_ok_and(|response| settle::is_astray(&trip, response));
    let Some((mut parts, empty)) = again.filter(|_| is_astray) else { return settle(&core, trip, result, asking) };
    drop(result);
    settle::let_go(&core, &mut trip);
    conditional::strip(&mut parts.headers);
    let begun = core.begin();
    let (result, asking) = send(&core, &mut service, Request::from_parts(parts, empty), begun, false).await;
    settle::settle_again(&core, trip, result, asking)
}

/// Sends a request. A stale response is better than none where it may be used, so a service that is not ready is one that
/// failed.
async fn send<S, ReqB, ResB>(
    core: &Core,
    service: &mut S,
    request: Request<ReqB>,
    begun: Begun,
    is_validation: bool,
) -> (Result<Response<ResB>, S::Error>, Asking)
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
{
    let nonce = settle::nonce_of(request.extensions());
    if let Err(error) = poll_fn(|cx| service.poll_ready(cx)).await {
        return (Err(error), Asking { begun, asked_at: core.clock.now(), is_validation, nonce });
    }
    let asked_at = core.clock.now();
    (service.call(request).await, Asking { begun, asked_at, is_validation, nonce })
}

fn may_validate(stale: &Arc<Entry>) -> bool {
    stale.head.part.is_none() && conditional::has_validator(&stale.head.headers)
}

/// RFC 9111 section 4.3.1: the stored validators in the place of the client's, which are for what the client has.
fn ask_for_news(headers: &mut HeaderMap, stale: &Entry) {
    conditional::strip(headers);
    headers.remove(header::RANGE);
    for (name, value) in conditional::validators(&stale.head.headers) {
        headers.insert(name, value);
    }
}

fn hit<B>(core: &Core, asked: &Asked, entry: &Entry) -> Option<Answer<B>> {
    let now = core.clock.now();
    match reuse(&entry.head, &asked.directives, entry.head.life.age(now), &core.settings) {
        Reuse::Validate { .. } => None,
        _ => serve(entry, asked.request(), entry.head.life.age(now), Told::Hit, &core.writer)
            .map(|head| respond(Ready::new(head, entry))),
    }
}

/// Another's response, for one who waited for it, having found something or nothing.
fn follow_up<B>(core: &Core, asked: &Asked, found: &Found, shared: Shared) -> Option<Answer<B>> {
    if !shared.head().selects(&asked.headers) || !shared.head().is_good(&core.purges) {
        return None;
    }
    let now = core.clock.now();
    let forwarded = Forwarded { collapsed: Some(true), ..Forwarded::new(why(core, asked, found)) };
    let told = Told::Forwarded(forwarded);
    match shared {
        Shared::Ready(entry) => serve(&entry, asked.request(), entry.head.life.age(now), told, &core.writer)
            .map(|head| respond(Ready::new(head, &entry))),
        Shared::Coming(head, stream) => {
            let served = serve_coming(&head, asked.request(), head.life.age(now), told, &core.writer);
            let body = match served.content {
                Content::Whole => ResponseBody::inner(SharedBody::read(stream.attach()?)),
                _ => ResponseBody::default(),
            };
            let mut response = Response::new(body);
            *response.status_mut() = served.status;
            *response.headers_mut() = served.headers;
            Some(response)
        }
    }
}
