//! What a stored response is found by.

use std::borrow::{Borrow, Cow};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::Arc;

use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Uri, header};
use smallvec::SmallVec;

use super::seal::Seal;
use crate::spine::identity::Identity;
use crate::spine::request::RequestView;

/// The bytes of a key while it is looked up; longer ones go to the heap.
const INLINE_BYTES: usize = 256;

/// A key that is being made. All lengths stand in it, so that no two lists of parts make the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyBytes(SmallVec<[u8; INLINE_BYTES]>);

/// A key that is kept.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key(Arc<[u8]>);

/// Which of a resource's responses: those for GET, or for QUERY with its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class<'a> {
    Get,
    Query(&'a [u8]),
}

/// A key begins with what its parts are, and how long the first three are: authority, path and query.
const HEADER_BYTES: usize = 13;
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
}

impl<'a> Target<'a> {
    pub(super) fn new(is_https: bool, authority: &'a [u8], path: &'a str, query: Option<&'a str>) -> Self {
        Self { is_https, authority: without_idle_port(authority, is_https), path, query }
    }

    /// RFC 9110 section 7.1: an absolute target names its host, else `Host` does. `None` without one, or with several:
    /// then nobody knows whose response it is.
    pub(super) fn of(request: RequestView<'a>, is_https: bool) -> Option<Self> {
        let uri = request.uri();
        let authority = match uri.authority() {
            Some(authority) => authority.as_str().as_bytes(),
            None => {
                let mut hosts = request.headers().get_all(header::HOST).iter();
                match (hosts.next(), hosts.next()) {
                    (Some(host), None) => host.as_bytes(),
                    (None, _) => b"",
                    (Some(_), Some(_)) => return None,
                }
            }
        };
        let is_https = is_https || uri.scheme() == Some(&Scheme::HTTPS);
        Some(Self::new(is_https, authority, uri.path(), uri.query()))
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
        let target = Target { path: uri.path(), query: uri.query(), ..*self };
        (same_scheme && same_authority).then_some(target)
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

impl KeyBytes {
    /// A key of the target's response. `query` stands for the target's own, which may have been normalised.
    pub(super) fn new(class: Class<'_>, target: Target<'_>, query: Option<&[u8]>, owner: Option<&Identity>) -> Self {
        let flag = |holds, flag| if holds { flag } else { 0 };
        let flags = flag(target.is_https, HTTPS)
            | flag(query.is_some(), HAS_QUERY)
            | flag(class != Class::Get, IS_QUERY)
            | flag(owner.is_some(), IS_OWN);
        let mut key = Self::begin(flags, target.authority, target.path.as_bytes(), query.unwrap_or_default());
        if let Class::Query(content) = class {
            key.add(content);
        }
        if let Some(owner) = owner {
            key.add(owner.issuer().as_bytes());
            key.add(owner.subject().as_bytes());
        }
        key
    }

    fn begin(flags: u8, authority: &[u8], path: &[u8], query: &[u8]) -> Self {
        let [a, b, c, d] = length(authority);
        let [e, f, g, h] = length(path);
        let [i, j, k, l] = length(query);
        let mut key = SmallVec::<[u8; INLINE_BYTES]>::new();
        key.extend_from_slice(&[flags, a, b, c, d, e, f, g, h, i, j, k, l]);
        key.extend_from_slice(authority);
        lower(key.get_mut(HEADER_BYTES..).unwrap_or_default());
        key.extend_from_slice(path);
        key.extend_from_slice(query);
        Self(key)
    }

    /// A further part, of the user's.
    pub(super) fn add(&mut self, part: &[u8]) {
        self.0.extend_from_slice(&length(part));
        self.0.extend_from_slice(part);
    }

    /// Of those who are known: nothing is stored under it, but they wait for each other alone.
    pub(super) fn authorized(mut self) -> Self {
        if let Some(flags) = self.0.first_mut() {
            *flags |= IS_AUTHORIZED;
        }
        self
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn to_key(&self) -> Key {
        Key(Arc::from(&*self.0))
    }
}

fn length(part: &[u8]) -> [u8; 4] {
    u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes()
}

/// The parts of a key, as it has them.
#[derive(Debug, Default)]
struct Parts<'a> {
    flags: u8,
    authority: &'a [u8],
    path: &'a [u8],
    rest: &'a [u8],
}

impl Key {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn parts(&self) -> Parts<'_> {
        let take = || {
            let (header, rest) = self.0.split_first_chunk::<HEADER_BYTES>()?;
            let [flags, a, b, c, d, e, f, g, h, i, j, k, l] = *header;
            let bytes = |length: [u8; 4]| usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
            let (authority, rest) = rest.split_at_checked(bytes([a, b, c, d]))?;
            let (path, rest) = rest.split_at_checked(bytes([e, f, g, h]))?;
            let (_query, rest) = rest.split_at_checked(bytes([i, j, k, l]))?;
            Some(Parts { flags, authority, path, rest })
        };
        // Every key was made here, so its parts are there.
        take().unwrap_or_default()
    }

    /// The same with another query, or none.
    pub(super) fn with_query(&self, query: Option<&[u8]>) -> Self {
        let Parts { flags, authority, path, rest } = self.parts();
        let flags = if query.is_some() { flags | HAS_QUERY } else { flags & !HAS_QUERY };
        let mut key = KeyBytes::begin(flags, authority, path, query.unwrap_or_default());
        key.0.extend_from_slice(rest);
        key.to_key()
    }

    /// The path, as it came.
    pub(super) fn path(&self) -> &[u8] {
        self.parts().path
    }

    /// Whether it is HTTPS, and the authority.
    pub(super) fn origin(&self) -> (bool, &[u8]) {
        let Parts { flags, authority, .. } = self.parts();
        (flags & HTTPS != 0, authority)
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl Hash for Key {
    /// As a slice does, which stands for it in lookups.
    fn hash<H: Hasher>(&self, state: &mut H) {
        (*self.0).hash(state);
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
