//! Whether a response may be stored, for whom, and what of it (RFC 9111 section 3).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::conditional::{has_validator, is_conditional};
use super::decline::Decline;
use super::directives::{RequestDirectives, ResponseDirectives, members};
use super::entry::{EMPTY_SEAT, Head, Rules, SEAT};
use super::freshness::{Life, Lifetime, Moments, initial_age, lifetime};
use super::key::{Key, Marks};
use super::purge::Begun;
use super::range::{self, Part, Wanted};
use super::route::CacheHint;
use super::settings::{Policy, Settings};
use super::status::CACHE_STATUS;
use super::tags::{self, Names};
use super::vary;
use crate::spine::date;

/// What is kept of a request while the origin answers it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) directives: RequestDirectives,
    /// Whether somebody is known to ask (RFC 9111 section 3.5).
    pub(super) is_authorized: bool,
    /// The key of what is for everybody.
    pub(super) shared_key: Key,
    /// The key of what is the caller's own.
    pub(super) own_key: Option<Key>,
    /// The key of those it may wait for: what a known caller gets is often not for others, who would wait in vain.
    pub(super) flight_key: Key,
    /// Whether the key is made of more than the URI, so that an unsafe request does not find it.
    pub(super) has_parts: bool,
    /// Whether nothing of it is for the cache, which only takes note.
    pub(super) goes_past: bool,
    pub(super) uri: u64,
    /// What the route says: a time, tags, and what a response says that says nothing.
    pub(super) ttl: Option<Duration>,
    pub(super) tags: Vec<String>,
    /// The marks of a stored part that becomes part of the answer.
    pub(super) inherited: Box<[u64]>,
    /// The query as it came, where a response may say what of it matters.
    pub(super) query: Option<Option<String>>,
    pub(super) cache_control: Option<HeaderValue>,
}

impl Asked {
    /// What is served to it.
    pub(super) fn request(&self) -> super::serve::Request<'_> {
        super::serve::Request::of(&self.method, &self.headers)
    }
}

/// A response that came, without its body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) hint: Option<&'a CacheHint>,
    pub(super) moments: Moments,
    pub(super) begun: Begun,
}

/// RFC 9110 section 15: statuses whose caching this cache knows, for `must-understand` (RFC 9111 section 5.2.2.3).
const fn is_understood(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200 | 201 | 202 | 203 | 204 | 205 | 206 | 300..=303 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 451
            | 500..=505
    )
}

/// RFC 6585 sections 3 to 6: what says something of one client, or of the network that it is in.
const fn is_never_stored(status: StatusCode) -> bool {
    matches!(status.as_u16(), 428 | 429 | 431 | 511)
}

/// Whether it answers a field of the request that is no part of any key: kept, it would answer who has sent no such field.
fn is_for_one_request(status: StatusCode, request: &HeaderMap) -> bool {
    match status {
        StatusCode::PRECONDITION_FAILED => is_conditional(request),
        StatusCode::RANGE_NOT_SATISFIABLE => request.contains_key(header::RANGE),
        StatusCode::EXPECTATION_FAILED => request.contains_key(header::EXPECT),
        _ => false,
    }
}

/// What has been decided about a response.
#[derive(Debug)]
pub(super) struct Judgement {
    key: Key,
    directives: ResponseDirectives,
    lifetime: Duration,
    names: Names,
    selecting: Vec<HeaderName>,
    is_private: bool,
    is_explicit: bool,
}

impl Judgement {
    /// Whether the response says itself for how long it is good.
    pub(super) const fn is_explicit(&self) -> bool {
        self.is_explicit
    }
}

/// Whether the response to this request may be stored.
pub(super) fn judge(asked: &Asked, answer: &Answer<'_>, settings: &Settings) -> Result<Judgement, Decline> {
    let Answer { status, headers, hint, moments, .. } = *answer;
    let mut directives = ResponseDirectives::of(headers, &settings.targets);
    let is_final = !status.is_informational() && status != StatusCode::NOT_MODIFIED;
    if !is_final || is_never_stored(status) {
        return Err(Decline::Status);
    }
    // RFC 9110 section 15.3.7: to `If-Range` a part has the least fields, which are too few for anybody else.
    let is_for_others = || Part::of_content_range(headers).is_some() && !asked.headers.contains_key(header::IF_RANGE);
    if status == StatusCode::PARTIAL_CONTENT && !is_for_others() {
        return Err(Decline::Range);
    }
    if directives.must_understand {
        if !is_understood(status) {
            return Err(Decline::Status);
        }
        directives.no_store = false;
    }
    if directives.no_store || hint.is_some_and(|hint| hint.is_kept_out) {
        return Err(Decline::NoStore);
    }
    // One that is named is not stored, and the rest is (RFC 9111 sections 5.2.2.4 and 5.2.2.7).
    if headers.contains_key(header::SET_COOKIE) && !directives.withheld.contains(&header::SET_COOKIE) {
        return Err(Decline::SetCookie);
    }
    if holds_nonce(headers) {
        return Err(Decline::Nonce);
    }
    let selecting = vary::selecting_fields(headers).ok_or(Decline::Vary)?;
    // What is written further in chooses, and cannot be seen from here.
    let is_unseen = |name: &HeaderName| settings.written_inside.iter().any(|written| is_named(name.as_str(), written));
    if selecting.iter().any(is_unseen) {
        return Err(Decline::Vary);
    }
    let names = tags::of_response(headers).ok_or(Decline::Tags)?;
    let lifetime = time(asked, answer, &directives, settings);
    let is_stale = lifetime.is_none_or(|life| life.length <= initial_age(headers, moments));
    let is_heuristic = super::freshness::is_heuristic(status) || directives.public;
    // What says nothing about its freshness is kept only when it may be asked about.
    let is_useful = if is_stale {
        (has_validator(headers) && (lifetime.is_some() || is_heuristic))
            || (lifetime.is_some() && may_be_stale(&directives, settings))
    } else {
        lifetime.is_some_and(|life| life.is_explicit || is_heuristic)
    };
    if !is_useful || (directives.no_cache && !has_validator(headers)) {
        return Err(Decline::NoUse);
    }
    // What lies in the request comes last: it is to blame only where nothing in the response is.
    let (key, is_private) = owner(asked, &directives)?;
    if asked.directives.no_store && settings.policy == Policy::Shared {
        return Err(Decline::Refused);
    }
    if is_for_one_request(status, &asked.headers) {
        return Err(Decline::OneRequest);
    }
    let is_explicit = lifetime.is_some_and(|life| life.is_explicit);
    let lifetime = lifetime.map_or(Duration::ZERO, |life| life.length);
    Ok(Judgement { key, directives, lifetime, names, selecting, is_private, is_explicit })
}

/// Whether a response that is stale already answers for a while.
fn may_be_stale(directives: &ResponseDirectives, settings: &Settings) -> bool {
    let rules = rules(directives, settings, false, false);
    let if_error = rules.stale_if_error.unwrap_or(settings.stale_if_error);
    !rules.stale_while_revalidate.is_zero() || (!rules.forbids_stale && !if_error.is_zero())
}

/// Whether a name is this one, or one of those that begin so when this ends with a hyphen or its look-alike.
fn is_named(name: &str, written: &str) -> bool {
    name == written || (written.ends_with(['-', '_']) && name.starts_with(written))
}

/// Whose it is: everybody's, or the caller's (RFC 9111 sections 3.5 and 5.2.2.7).
fn owner(asked: &Asked, directives: &ResponseDirectives) -> Result<(Key, bool), Decline> {
    let own = |otherwise| asked.own_key.clone().map(|key| (key, true)).ok_or(otherwise);
    if directives.private {
        return own(Decline::Private);
    }
    let is_allowed = directives.public || directives.s_maxage.is_some() || directives.must_revalidate;
    if asked.is_authorized && !is_allowed {
        return own(Decline::Authorized);
    }
    Ok((asked.shared_key.clone(), false))
}

/// How long it is fresh: as handler, route or response say, and else as the cache was told.
fn time(asked: &Asked, answer: &Answer<'_>, directives: &ResponseDirectives, settings: &Settings) -> Option<Lifetime> {
    let explicit = |length| Lifetime { length, is_explicit: true };
    let told = answer.hint.and_then(|hint| hint.ttl).or(asked.ttl);
    if let Some(told) = told {
        return Some(explicit(told));
    }
    let own = lifetime(directives, answer.headers, answer.status, answer.moments.wall);
    let negative = || settings.negative_ttl.iter().find(|(status, _)| *status == answer.status).map(|(_, ttl)| *ttl);
    let default = || settings.default_ttl.filter(|_| super::freshness::is_heuristic(answer.status));
    own.or_else(|| negative().map(explicit)).or_else(|| default().map(explicit))
}

/// A nonce in a policy stands in the page too.
fn holds_nonce(headers: &HeaderMap) -> bool {
    [header::CONTENT_SECURITY_POLICY, header::CONTENT_SECURITY_POLICY_REPORT_ONLY].iter().any(|name| {
        let lines = headers.get_all(name).iter();
        lines.map(|line| line.as_bytes().to_ascii_lowercase()).any(|line| contains(&line, b"'nonce-"))
    })
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The head that is stored.
pub(super) fn head(
    asked: &Asked,
    answer: &Answer<'_>,
    judgement: Judgement,
    settings: &Settings,
    marks: &Marks,
) -> Result<Head, Decline> {
    let Judgement { key, directives, lifetime, names, selecting, is_private, .. } = judgement;
    let Answer { status, moments, begun, .. } = *answer;
    let selectors = vary::selectors(&selecting, &asked.headers).ok_or(Decline::Vary)?;
    let life = Life { born: moments.answered, initial_age: initial_age(answer.headers, moments), lifetime };
    let hinted = answer.hint.into_iter().flat_map(|hint| &hint.tags);
    let tagged = names.tags.iter().chain(hinted).chain(&asked.tags);
    let mut marked: Vec<_> = tagged.map(|tag| marks.tag(tag)).collect();
    marked.extend(names.groups.iter().map(|group| marks.group(key.origin(), group)));
    marked.truncate(tags::MAX_TAGS * 2);
    marked.push(marks.path(key.path()));
    marked.push(asked.uri);
    let rules = rules(&directives, settings, is_private, is_private || asked.has_parts);
    let mut headers = kept(answer.headers, &directives, moments);
    pack(&mut headers);
    let date = date::of(&headers, &header::DATE).unwrap_or(moments.wall);
    let mut head = Head::new(key, status, headers, selectors, date, life, rules, (marked.into(), asked.uri, begun));
    head.add_marks(&asked.inherited);
    head.is_exact = head.part.is_some_and(|part| range::wanted(&asked.headers, part.total) == Wanted::Part(part));
    Ok(head)
}

/// A head that is sent and not stored: what a 304 has confirmed but may not be kept.
pub(super) fn passing_head(asked: &Asked, answer: &Answer<'_>, settings: &Settings) -> Head {
    let directives = ResponseDirectives::of(answer.headers, &settings.targets);
    let life = Life {
        born: answer.moments.answered,
        initial_age: initial_age(answer.headers, answer.moments),
        lifetime: Duration::ZERO,
    };
    let headers = kept(answer.headers, &directives, answer.moments);
    let marked = (Box::default(), asked.uri, answer.begun);
    let (key, date) = (asked.shared_key.clone(), answer.moments.wall);
    Head::new(key, answer.status, headers, Box::default(), date, life, Rules::default(), marked)
}

fn rules(directives: &ResponseDirectives, settings: &Settings, is_private: bool, is_apart: bool) -> Rules {
    let forbids_stale = directives.forbids_stale();
    let stale = |told: Duration| if forbids_stale { Duration::ZERO } else { told.min(settings.max_stale) };
    let while_revalidate = directives.stale_while_revalidate.unwrap_or(settings.stale_while_revalidate);
    Rules {
        no_cache: directives.no_cache,
        forbids_stale,
        immutable: directives.immutable,
        stale_while_revalidate: stale(while_revalidate),
        stale_if_error: directives.stale_if_error.map(stale),
        is_private,
        is_apart,
    }
}

/// RFC 9111 section 3.1: fields of one connection, and of proxies' own authentication.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-authentication-info"),
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Whether a field speaks of the moment of one answer: of a quota that is another one's by now.
fn is_momentary(name: &HeaderName) -> bool {
    let name = name.as_str();
    ["ratelimit", "x-ratelimit", "x-rate-limit"].iter().any(|prefix| name.starts_with(prefix))
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let lines = headers.get_all(header::CONNECTION).iter();
    lines.flat_map(|line| members(line.as_bytes())).filter_map(|name| HeaderName::from_bytes(name).ok()).collect()
}

/// The fields that are stored, with seats for ours.
fn kept(headers: &HeaderMap, directives: &ResponseDirectives, moments: Moments) -> HeaderMap {
    let named = named_by_connection(headers);
    // RFC 9112 section 6.3: it says nothing, and does not stand beside what overrides it any longer.
    let is_coded = headers.contains_key(header::TRANSFER_ENCODING);
    let goes = |name: &HeaderName| {
        (is_coded && *name == header::CONTENT_LENGTH)
            || HOP_BY_HOP.contains(name)
            || named.contains(name)
            || directives.withheld.contains(name)
            || is_momentary(name)
    };
    let mut kept = HeaderMap::with_capacity(headers.keys_len() + 3);
    // Ours come first, where they are found without being looked up.
    kept.insert(header::AGE, SEAT);
    if !headers.contains_key(&CACHE_STATUS) {
        kept.insert(CACHE_STATUS, EMPTY_SEAT);
    }
    for (name, value) in headers {
        if *name != header::AGE && !goes(name) {
            kept.append(name.clone(), value.clone());
        }
    }
    tags::strip(&mut kept);
    // A server would write the moment of the hit, by which the response looks young.
    kept.entry(header::DATE).or_insert_with(|| date::format(moments.wall));
    kept
}

/// Copies all values into one allocation of their size: they come as slices of a connection's buffer, which each stored
/// response would keep whole. A seat is nobody's.
pub(super) fn pack(headers: &mut HeaderMap) {
    let is_ours = |name: &HeaderName, value: &HeaderValue| *name == header::AGE || value.is_empty();
    let theirs = || headers.iter().filter(|(name, value)| !is_ours(name, value));
    let mut all = Vec::with_capacity(theirs().map(|(_, value)| value.len()).sum());
    theirs().for_each(|(_, value)| all.extend_from_slice(value.as_bytes()));
    let mut all = Bytes::from(all);
    for (name, value) in headers.iter_mut() {
        if is_ours(name, value) {
            continue;
        }
        if let Ok(mut packed) = HeaderValue::from_maybe_shared(all.split_to(value.len())) {
            packed.set_sensitive(value.is_sensitive());
            *value = packed;
        }
    }
}

/// The fields of a stored response after a 304, or a HEAD's answer, has told new ones (RFC 9111 section 3.2).
pub(super) fn updated(stored: &HeaderMap, told: &HeaderMap, moments: Moments) -> HeaderMap {
    const FIXED: [HeaderName; 4] =
        [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::CONTENT_RANGE, header::TRAILER];
    let mut headers = stored.clone();
    headers.remove(header::AGE);
    headers.remove(&CACHE_STATUS);
    headers.remove(header::DATE);
    let named = named_by_connection(told);
    let is_kept = |name: &&HeaderName| !FIXED.contains(name) && !HOP_BY_HOP.contains(name) && !named.contains(name);
    for name in told.keys().filter(is_kept) {
        headers.remove(name);
        for value in told.get_all(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    // RFC 9110 section 6.6.1: who receives a response without a date notes when it came.
    headers.entry(header::DATE).or_insert_with(|| date::format(moments.wall));
    headers
}

/// A head made of a stored one and what was told anew; or why that is not stored, and the head for the one who asked.
pub(super) fn freshened(
    stored: &Arc<super::entry::Entry>,
    asked: &Asked,
    told: &Answer<'_>,
    settings: &Settings,
    marks: &Marks,
) -> Result<Head, (Decline, Box<Head>)> {
    let headers = updated(&stored.head.headers, told.headers, told.moments);
    let answer = Answer { status: stored.head.status, headers: &headers, ..*told };
    let made = judge(asked, &answer, settings).and_then(|judgement| {
        let mut head = head(asked, &answer, judgement, settings, marks)?;
        // Surrogate keys are not kept as fields, and a 304 need not repeat them.
        head.add_marks(&stored.head.marks);
        Ok(head)
    });
    made.map_err(|decline| (decline, Box::new(passing_head(asked, &answer, settings))))
}

#[cfg(test)]
#[path = "storable_tests.rs"]
mod tests;
