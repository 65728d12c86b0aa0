//! What a stored response is found by.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::Arc;

use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Uri, header};
use quick_cache::Equivalent;

use super::scan::{Hosts, Scan};
use super::seal::Seal;
use crate::spine::identity::Identity;
use crate::spine::request::RequestView;

/// The key of a request, by its parts where they stand: a usual one is copied only when something is kept.
#[derive(Clone)]
pub(super) struct RequestKey<'a> {
    flags: u8,
    authority: Cow<'a, [u8]>,
    /// The path and, where there is a query, `?` and that.
    target: Cow<'a, [u8]>,
    /// Further parts, with their lengths; most keys have none.
    rest: Vec<u8>,
}

/// A key that is kept: its parts in one piece. All lengths stand in it, so that no two lists of parts make the same bytes.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key(Arc<[u8]>);

/// Which of a resource's responses: those for GET, or for QUERY with its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class<'a> {
    Get,
    Query(&'a [u8]),
}

/// Room for what a proxy, or whoever knows the caller, usually adds.
const USUAL_REST_BYTES: usize = 128;
/// A key begins with what its parts are, and how long the first two are: authority and target.
const HEADER_BYTES: usize = 9;
const HTTPS: u8 = 1;
/// `/x` and `/x?` are two resources.
const HAS_QUERY: u8 = 1 << 1;
const IS_QUERY: u8 = 1 << 2;
const IS_OWN: u8 = 1 << 3;
const IS_AUTHORIZED: u8 = 1 << 4;

/// What a request is for: the origin and the target, as they came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) is_https: bool,
    /// Without a port that says nothing. Its case says nothing either, and is left to who compares or copies it.
    pub(super) authority: &'a [u8],
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    /// Both in one piece, where they came so.
    whole: Option<&'a str>,
}

impl<'a> Target<'a> {
    pub(super) fn new(is_https: bool, authority: &'a [u8], uri: &'a Uri) -> Self {
        Self::of_origin(is_https, without_idle_port(authority, is_https), uri)
    }

    /// One of an origin whose authority a target had.
    pub(super) fn of_origin(is_https: bool, authority: &'a [u8], uri: &'a Uri) -> Self {
        // `http://a?x` has no path in that piece, and `/` for one.
        let whole = uri.path_and_query().map(PathAndQuery::as_str).filter(|whole| whole.starts_with('/'));
        Self { is_https, authority, path: uri.path(), query: uri.query(), whole }
    }

    /// RFC 9110 section 7.1: an absolute target names its host, else `Host` does. `None` without one, or with several:
    /// then nobody knows whose response it is.
    pub(super) fn of(request: RequestView<'a>, scan: Scan<'a>, is_https: bool) -> Option<Self> {
        let uri = request.uri();
        let authority = match (uri.authority(), scan.hosts()) {
            (Some(authority), _) => authority.as_str().as_bytes(),
            (None, Hosts::None) => b"",
            (None, Hosts::One(host)) => host.as_bytes(),
            (None, Hosts::Many) => return None,
        };
        let is_https = is_https || uri.scheme() == Some(&Scheme::HTTPS);
        Some(Self::new(is_https, authority, uri))
    }

    #[cfg(test)]
    pub(super) const fn of_parts(is_https: bool, authority: &'a [u8], path: &'a str, query: Option<&'a str>) -> Self {
        Self { is_https, authority, path, query, whole: None }
    }

    pub(super) const fn scheme(&self) -> &'static str {
        if self.is_https { "https" } else { "http" }
    }

    /// The target of a URI in a field of this target's response, when it has the same origin.
    pub(super) fn same_origin<'b>(&self, uri: &'b Uri) -> Option<Target<'b>>
    where
        'a: 'b,
    {
        let same_scheme = match uri.scheme() {
            None => true,
            Some(scheme) => *scheme == if self.is_https { Scheme::HTTPS } else { Scheme::HTTP },
        };
        let same_authority = uri.authority().is_none_or(|other| {
            without_idle_port(other.as_str().as_bytes(), self.is_https).eq_ignore_ascii_case(self.authority)
        });
        (same_scheme && same_authority).then(|| Target::of_origin(self.is_https, self.authority, uri))
    }
}

/// RFC 9110 section 4.2.3: a port that is the scheme's own, or empty, is as if it were not there.
fn without_idle_port(authority: &[u8], is_https: bool) -> &[u8] {
    let port: &[u8] = if is_https { b":443" } else { b":80" };
    authority.strip_suffix(port).or_else(|| authority.strip_suffix(b":")).unwrap_or(authority)
}

/// The same section: case says nothing in a host. Nearly all have none to lose.
pub(super) fn lowered(authority: &[u8]) -> Cow<'_, [u8]> {
    let mut lowered = Cow::Borrowed(authority);
    if authority.iter().any(u8::is_ascii_uppercase) {
        lower(lowered.to_mut());
    }
    lowered
}

/// Behind a user's name, where there is one: its case is its own (RFC 3986 section 3.2.1).
fn lower(authority: &mut [u8]) {
    let host = authority.iter().rposition(|&byte| byte == b'@').map_or(0, |at| at + 1);
    authority.get_mut(host..).unwrap_or_default().make_ascii_lowercase();
}

impl<'a> RequestKey<'a> {
    /// A key of the target's response. `query` is the target's own, or what became of it.
    pub(super) fn new(
        class: Class<'_>,
        target: Target<'a>,
        query: Option<Cow<'a, [u8]>>,
        owner: Option<&Identity>,
    ) -> Self {
        let flag = |holds, flag| if holds { flag } else { 0 };
        let flags = flag(target.is_https, HTTPS)
            | flag(query.is_some(), HAS_QUERY)
            | flag(class != Class::Get, IS_QUERY)
            | flag(owner.is_some(), IS_OWN);
        let mut key = Self {
            flags,
            authority: lowered(target.authority),
            target: match (target.whole, query) {
                (Some(whole), Some(Cow::Borrowed(query))) if whole.len() == target.path.len() + 1 + query.len() => {
                    Cow::Borrowed(whole.as_bytes())
                }
                (_, None) => Cow::Borrowed(target.path.as_bytes()),
                (_, Some(query)) => Cow::Owned(joined(target.path.as_bytes(), &query)),
            },
            rest: Vec::new(),
        };
        if let Class::Query(content) = class {
            key.add(content);
        }
        if let Some(owner) = owner {
            key.add(owner.issuer().as_bytes());
            key.add(owner.subject().as_bytes());
        }
        key
    }

    /// A further part.
    pub(super) fn add(&mut self, part: &[u8]) {
        if self.rest.is_empty() {
            self.rest.reserve(USUAL_REST_BYTES.max(size_of::<u32>() + part.len()));
        }
        self.rest.extend_from_slice(&length(part));
        self.rest.extend_from_slice(part);
    }

    /// That of those who are known: nothing is stored under it, but they wait for each other alone.
    pub(super) fn to_authorized_key(&self) -> Key {
        let parts = self.parts();
        Parts { flags: parts.flags | IS_AUTHORIZED, ..parts }.to_key()
    }

    /// How long it is when it is kept.
    pub(super) fn len(&self) -> usize {
        self.parts().len()
    }

    pub(super) fn to_key(&self) -> Key {
        self.parts().to_key()
    }

    fn parts(&self) -> Parts<'_> {
        let Self { flags, authority, target, rest } = self;
        Parts { flags: *flags, authority, target, rest }
    }
}

fn joined(path: &[u8], query: &[u8]) -> Vec<u8> {
    [path, query].join(&b'?')
}

fn length(part: &[u8]) -> [u8; 4] {
    u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes()
}

/// The parts of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Parts<'a> {
    flags: u8,
    authority: &'a [u8],
    target: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Parts<'a> {
    const fn len(&self) -> usize {
        HEADER_BYTES + self.authority.len() + self.target.len() + self.rest.len()
    }

    fn to_key(self) -> Key {
        let mut bytes = Vec::with_capacity(self.len());
        bytes.push(self.flags);
        for part in [self.authority, self.target] {
            bytes.extend_from_slice(&length(part));
        }
        for part in [self.authority, self.target, self.rest] {
            bytes.extend_from_slice(part);
        }
        Key(Arc::from(bytes))
    }

    /// Without its query.
    fn path(&self) -> &'a [u8] {
        self.target.split(|&byte| byte == b'?').next().unwrap_or_default()
    }
}

impl Hash for Parts<'_> {
    /// Where one part ends and the next begins says the comparison, and the hash nearly always.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [authority, target] = [self.authority, self.target].map(|part| part.len() as u64);
        state.write_u64((u64::from(self.flags) << 56) ^ (authority << 32) ^ target);
        state.write(self.authority);
        state.write(self.target);
        if !self.rest.is_empty() {
            state.write(self.rest);
        }
    }
}

impl Hash for RequestKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl Equivalent<Key> for RequestKey<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.parts() == key.parts()
    }
}

impl std::fmt::Debug for RequestKey<'_> {
    /// As a key that is kept.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestKey").field("bytes", &self.len()).finish()
    }
}

impl Key {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn parts(&self) -> Parts<'_> {
        let take = || {
            let (header, rest) = self.0.split_first_chunk::<HEADER_BYTES>()?;
            let [flags, a, b, c, d, e, f, g, h] = *header;
            let bytes = |length: [u8; 4]| usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
            let (authority, rest) = rest.split_at_checked(bytes([a, b, c, d]))?;
            let (target, rest) = rest.split_at_checked(bytes([e, f, g, h]))?;
            Some(Parts { flags, authority, target, rest })
        };
        // Every key was made here, so its parts are there.
        take().unwrap_or_default()
    }

    /// The same with another query, or none.
    pub(super) fn with_query(&self, query: Option<&[u8]>) -> Self {
        let parts = self.parts();
        match query {
            Some(query) => {
                let target = &joined(parts.path(), query);
                Parts { flags: parts.flags | HAS_QUERY, target, ..parts }.to_key()
            }
            None => Parts { flags: parts.flags & !HAS_QUERY, target: parts.path(), ..parts }.to_key(),
        }
    }

    /// The path, as it came.
    pub(super) fn path(&self) -> &[u8] {
        self.parts().path()
    }

    /// Whether it is HTTPS, and the authority.
    pub(super) fn origin(&self) -> (bool, &[u8]) {
        let Parts { flags, authority, .. } = self.parts();
        (flags & HTTPS != 0, authority)
    }
}

impl Hash for Key {
    /// As that of the request that it is found by.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl std::fmt::Debug for Key {
    /// Without its bytes: they are a client's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("bytes", &self.0.len()).finish()
    }
}

/// Hashes names that responses and purges have in common, with a secret of this cache's, or of all that share its store.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks {
    own: RandomState,
    shared: Option<Seal>,
}

const TAG: u8 = 0;
const GROUP: u8 = 1;
const PATH: u8 = 2;
const URI: u8 = 3;
const ETAG: u8 = 4;
const ETAG_TOO: u8 = 5;

impl Marks {
    /// Those that all instances make alike.
    pub(super) fn shared(seal: Seal) -> Self {
        Self { own: RandomState::new(), shared: Some(seal) }
    }

    fn hash(&self, kind: u8, parts: &[&[u8]]) -> u64 {
        match &self.shared {
            Some(seal) => seal.mark(kind, parts),
            None => self.own.hash_one((kind, parts)),
        }
    }

    /// A number that was not there before, as far as anybody can tell.
    pub(super) fn draw(&self) -> u64 {
        // Each of these has keys of its own.
        RandomState::new().hash_one(self.own.hash_one(0_u8))
    }

    pub(super) fn tag(&self, tag: &str) -> u64 {
        self.hash(TAG, &[tag.as_bytes()])
    }

    /// RFC 9875 section 2: groups are an origin's own.
    pub(super) fn group(&self, origin: (bool, &[u8]), group: &str) -> u64 {
        let (is_https, authority) = origin;
        self.hash(GROUP, &[&[u8::from(is_https)], authority, group.as_bytes()])
    }

    pub(super) fn path(&self, path: &[u8]) -> u64 {
        self.hash(PATH, &[path])
    }

    /// A tag for what has none: strong, since the same bytes under the same type make the same tag.
    pub(super) fn etag(&self, body: &[u8], headers: &HeaderMap) -> HeaderValue {
        let described = [header::CONTENT_TYPE, header::CONTENT_ENCODING].map(|name| headers.get(name));
        let [kind, coding] = described.map(|value| value.map_or(&b""[..], HeaderValue::as_bytes));
        let tag = |half| self.hash(half, &[body, kind, coding]);
        let text = format!("\"{:016x}{:016x}\"", tag(ETAG), tag(ETAG_TOO));
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("\"0\""))
    }

    /// Whatever the scheme is: who purges a URI need not know how it was asked for. So the ports of both say nothing.
    pub(super) fn uri(&self, authority: &[u8], path: &[u8], query: Option<&[u8]>) -> u64 {
        let authority = without_idle_port(without_idle_port(authority, false), true);
        let has_query = [u8::from(query.is_some())];
        self.hash(URI, &[&lowered(authority), path, &has_query, query.unwrap_or_default()])
    }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
