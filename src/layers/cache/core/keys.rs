//! Which key a request has, and which requests have none.

use std::borrow::Cow;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use http::{HeaderMap, header};

use super::super::key::{Class, Key, RequestKey, Target, lowered};
use super::super::query;
use super::super::route::CacheBypass;
use super::super::scan::{FORWARDED, Kinds, Scan};
use super::super::search::SearchRule;
use super::super::storable::Asked;
use super::Core;
use crate::spine::identity::Identity;
use crate::spine::key::SecureTransport;
use crate::spine::request::RequestView;

impl Core {
    /// The content of a QUERY, where the user says what that is.
    pub(super) fn query_content(&self, request: RequestView<'_>) -> Option<Vec<u8>> {
        (request.method().as_str() == "QUERY").then_some(())?;
        self.settings.query_content.as_ref()?(request)
    }

    /// The keys under which a response to this request may stand; `None` when it is not for the cache.
    pub(in super::super) fn keys<'a>(
        &self,
        request: RequestView<'a>,
        class: Class<'_>,
        scan: Scan<'a>,
    ) -> Option<Keys<'a>> {
        let target = Target::of(request, scan, SecureTransport::holds_for(request))?;
        let route = self.settings.route(target.path);
        if route.is_some_and(|route| route.is_bypassed) {
            return None;
        }
        let query = self.query(target);
        let owner = self.settings.private_per_subject.then(|| request.extensions().get::<Identity>()).flatten();
        let mut own = owner.map(|owner| RequestKey::new(class, target, query.clone(), Some(owner)));
        let mut shared = RequestKey::new(class, target, query, None);
        let plain_bytes = shared.len();
        for key in own.as_mut().into_iter().chain([&mut shared]) {
            if scan.has(Kinds::X_FORWARDED) {
                add_forwarded(key, request.headers());
            }
            self.settings.add_parts(key, request, route)?;
        }
        let has_parts = shared.len() != plain_bytes || class != Class::Get;
        let fits = |key: &RequestKey<'_>| key.len() <= self.settings.key_bytes;
        (fits(&shared) && own.as_ref().is_none_or(fits)).then_some(Keys { shared, own, has_parts })
    }

    /// The keys of a request that says more than its URI, as if it did not.
    pub(super) fn plain_keys<'a>(&self, request: RequestView<'a>, scan: Scan<'a>) -> Option<Keys<'a>> {
        let target = Target::of(request, scan, SecureTransport::holds_for(request))?;
        let shared = RequestKey::new(Class::Get, target, self.query(target), None);
        Some(Keys { shared, own: None, has_parts: false })
    }

    /// The key of everybody's response to a plain GET.
    pub(in super::super) fn key_of(&self, target: Target<'_>) -> Key {
        RequestKey::new(Class::Get, target, self.query(target), None).to_key()
    }

    /// What of the query is in the key.
    fn query<'a>(&self, target: Target<'a>) -> Option<Cow<'a, [u8]>> {
        match self.search_rule(target) {
            Some(rule) => target.query.and_then(|query| rule.apply(query)).map(Cow::Owned),
            None => target.query.and_then(|query| query::normalised(query, &self.settings.query)),
        }
    }

    pub(super) fn uri_mark(&self, request: RequestView<'_>, scan: Scan<'_>) -> u64 {
        let authority = Target::of(request, scan, false).map_or(&b""[..], |target| target.authority);
        self.mark_of_uri(authority, request.uri().path(), request.uri().query())
    }

    /// The mark of a URI, by which unsafe requests and purges find what stands under any key of it: of all queries that are one
    /// by what the user said of them.
    pub(in super::super) fn mark_of_uri(&self, authority: &[u8], path: &str, query: Option<&str>) -> u64 {
        let query = query.and_then(|query| query::normalised(query, &self.settings.query));
        self.marks.uri(authority, path.as_bytes(), query.as_deref())
    }

    fn search_rule(&self, target: Target<'_>) -> Option<Arc<SearchRule>> {
        if !self.settings.query.heeds_responses {
            return None;
        }
        self.searches.get(&self.search_key(target.is_https, target.authority, target.path.as_bytes()))
    }

    fn search_key(&self, is_https: bool, authority: &[u8], path: &[u8]) -> u64 {
        self.marker_hasher.hash_one((is_https, &*lowered(authority), path))
    }

    /// Takes note of what a response says of its path's queries, and stores it by that.
    pub(in super::super) fn learn(&self, asked: &mut Asked, answer: &HeaderMap) {
        let Some(query) = asked.query.take().filter(|_| self.settings.query.heeds_responses) else { return };
        let (is_https, authority) = asked.shared_key.origin();
        let place = self.search_key(is_https, authority, asked.shared_key.path());
        let query = match SearchRule::of(answer) {
            Some(rule) => {
                let left = query.as_deref().and_then(|query| rule.apply(query));
                self.searches.insert(place, Arc::new(rule));
                left
            }
            None => {
                self.searches.remove(&place);
                query.and_then(|query| query::normalised(&query, &self.settings.query).map(Cow::into_owned))
            }
        };
        asked.shared_key = asked.shared_key.with_query(query.as_deref());
        asked.own_key = asked.own_key.as_ref().map(|key| key.with_query(query.as_deref()));
    }
}

/// The keys of a request.
#[derive(Debug)]
pub(in super::super) struct Keys<'a> {
    pub(super) shared: RequestKey<'a>,
    pub(super) own: Option<RequestKey<'a>>,
    pub(super) has_parts: bool,
}

/// A host that a proxy names is a part of the key, since an origin may write it into what it answers.
fn add_forwarded(key: &mut RequestKey<'_>, headers: &HeaderMap) {
    for name in FORWARDED {
        for value in headers.get_all(name) {
            key.add(name.as_bytes());
            key.add(value.as_bytes());
        }
    }
}

/// Requests whose answers are nobody else's business, whatever they say.
pub(super) fn is_odd(request: RequestView<'_>, scan: Scan<'_>) -> bool {
    let names_host = || {
        let mut lines = request.headers().get_all(header::FORWARDED).iter();
        lines.any(|line| line.as_bytes().to_ascii_lowercase().windows(5).any(|window| window == b"host="))
    };
    scan.has(Kinds::ODD)
        || (scan.has(Kinds::FORWARDED) && names_host())
        || request.extensions().get::<CacheBypass>().is_some()
}
