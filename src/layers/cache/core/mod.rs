//! What all services of a cache share, and what it makes of a request.

mod keep;
mod keys;
mod parts;
mod past;

use std::fmt;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use quick_cache::Equivalent;
use quick_cache::sync::Cache as Table;

use self::keys::{Keys, is_odd};
use self::past::directives;
use super::directives::RequestDirectives;
use super::entry::{Entry, Head, Resource};
use super::fetch::NOT_LENT;
use super::flight::Flights;
use super::key::{Class, Key, Marks, RequestKey};
use super::memory::Memory;
use super::purge::{Aim, Begun, Purge, Purges};
use super::reuse::{Reuse, reuse};
use super::scan::{Kinds, Scan};
use super::seal::Seal;
use super::search::SearchRule;
use super::serve::{Content, Request, Served, Told, bytes, serve};
use super::settings::{Policy, Settings};
use super::status::{Forward, Writer};
use super::storable::Asked;
use super::store::{Store, StorePurge};
use super::tier::{self, Tier};
use super::vary;
use crate::spine::clock::Clock;
use crate::spine::event::Sampler;
use crate::spine::identity::Identity;
use crate::spine::rejection::Refuser;
use crate::spine::request::{Protocol, RequestView};
use crate::spine::shared::Stream;

/// Keys whose responses cannot be shared, so that requests for them do not wait for each other.
const MAX_MARKERS: usize = 65_536;
/// How long a key is remembered so.
const MARKER: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct Core {
    pub(super) settings: Settings,
    pub(super) memory: Memory,
    pub(super) tier: Option<Tier>,
    pub(super) flights: Arc<Flights<Key, Shared>>,
    pub(super) purges: Purges,
    pub(super) marks: Marks,
    pub(super) writer: Writer,
    pub(super) clock: Clock,
    pub(super) refuser: Refuser,
    pub(super) sampler: Sampler,
    pub(super) refreshes: AtomicUsize,
    pub(super) counts: Counts,
    markers: Table<u64, Instant>,
    /// What responses said of their paths' queries.
    searches: Table<u64, Arc<SearchRule>>,
    marker_hasher: RandomState,
}

/// What happened, for whoever asks.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) stores: AtomicU64,
    pub(super) collapsed: AtomicU64,
    pub(super) swept: AtomicU64,
}

/// What requests for one resource share.
#[derive(Debug, Clone)]
pub(super) enum Shared {
    /// A response whose body is on its way.
    Coming(Arc<Head>, Arc<Stream>),
    /// One that is whole.
    Ready(Arc<Entry>),
}

impl Shared {
    pub(super) fn head(&self) -> &Head {
        match self {
            Self::Coming(head, _) => head,
            Self::Ready(entry) => &entry.head,
        }
    }
}

/// What is made of a request.
#[derive(Debug)]
pub(super) enum Step {
    /// Past the cache, without a word where that would change somebody's protocol.
    Pass(Option<Forward>),
    /// Past the cache, which takes note (RFC 9111 section 4.4).
    Write(Box<Asked>),
    /// Answered.
    Serve(Ready),
    /// Answered, and the origin is asked for the next time.
    Refresh(Ready, Box<Asked>),
    /// To the origin, or behind somebody who has gone there.
    Fetch(Box<Asked>),
    /// `only-if-cached`, and it is not.
    Unavailable,
}

/// An answer out of the store.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) head: Served,
    pub(super) body: Bytes,
    pub(super) trailers: Option<Box<HeaderMap>>,
}

impl Ready {
    pub(super) fn new(head: Served, entry: &Entry) -> Self {
        let (body, trailers) = match head.content {
            Content::Whole => (entry.body.clone(), entry.trailers.clone()),
            Content::Slice { start, end } => (bytes(&entry.body, start, end), None),
            Content::Nothing => (Bytes::new(), None),
        };
        Self { head, body, trailers }
    }
}

/// What was found for a request.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) entry: Option<Arc<Entry>>,
    /// Whether the resource has other variants.
    pub(super) has_variants: bool,
}

impl Core {
    pub(super) fn new(
        settings: Settings,
        memory: Memory,
        store: Option<Arc<dyn Store>>,
        writer: Writer,
        clock: Clock,
        refuser: Refuser,
    ) -> Self {
        let seal = store.as_ref().map(|store| Seal::new(&store.secret()));
        let marks = seal.clone().map_or_else(Marks::default, Marks::shared);
        let (name, has_store) = (marks.draw(), store.is_some());
        Self {
            flights: Arc::new(Flights::new(settings.flights, settings.waiters)),
            settings,
            memory,
            tier: store.zip(seal).map(|(store, seal)| Tier::new(store, seal, name)),
            purges: Purges::new(has_store),
            marks,
            writer,
            clock,
            refuser,
            sampler: Sampler::default(),
            refreshes: AtomicUsize::new(0),
            counts: Counts::default(),
            markers: Table::new(MAX_MARKERS),
            searches: Table::new(MAX_MARKERS),
            marker_hasher: RandomState::new(),
        }
    }

    /// What is to be done with a request.
    pub(super) fn receive(&self, request: RequestView<'_>) -> Step {
        let method = request.method();
        if *method == Method::POST && Protocol::of_headers(request.headers()) == Protocol::Grpc {
            return Step::Pass(None);
        }
        let class = match *method {
            Method::GET | Method::HEAD => None,
            Method::OPTIONS | Method::TRACE | Method::CONNECT => return Step::Pass(Some(Forward::Method)),
            _ => match self.query_content(request) {
                Some(content) => Some(content),
                None if is_safe(method) => return Step::Pass(Some(Forward::Method)),
                // RFC 9110 section 9.2.1: a method that is not known may be unsafe.
                None => return self.write_step(request),
            },
        };
        let scan = Scan::of(request.headers());
        if is_odd(request, scan) || (class.is_none() && scan.has(Kinds::BODY)) {
            return self.past(request, scan, Forward::Bypass);
        }
        if scan.has(Kinds::PRECONDITION) {
            return self.past(request, scan, Forward::Request);
        }
        let class = class.as_deref().map_or(Class::Get, Class::Query);
        let Some(keys) = self.keys(request, class, scan) else { return Step::Pass(Some(Forward::Bypass)) };
        let directives = directives(request, scan);
        let now = self.clock.now();
        let mut found = self.find(&keys, request.headers(), scan.has(Kinds::RANGE), now);
        if found.entry.is_none() && self.tier.is_some() {
            let key = keys.shared.to_key();
            found.entry = tier::at_hand(self, &key, self.uri_mark(request, scan), request.headers());
        }
        if let Some(entry) = &found.entry {
            let age = entry.head.life.age(now);
            let reuse = reuse(&entry.head, &directives, age, &self.settings);
            let asking = Request { method, headers: request.headers(), scan };
            // A refresh without the field that chose it would renew another variant: this one is asked about first.
            let is_unlent = || vary::chose(&NOT_LENT, &entry.head.selectors, request.headers());
            let must_wait = reuse == Reuse::WhileRevalidate && !directives.only_if_cached && is_unlent();
            if !must_wait
                && !matches!(reuse, Reuse::Validate { .. })
                && let Some(served) = serve(entry, asking, age, Told::Hit, &self.writer)
            {
                self.counts.hits.fetch_add(1, Ordering::Relaxed);
                let ready = Ready::new(served, entry);
                return match reuse {
                    Reuse::WhileRevalidate => {
                        Step::Refresh(ready, Box::new(self.asked(request, scan, &keys, directives)))
                    }
                    _ => Step::Serve(ready),
                };
            }
        }
        if directives.only_if_cached && self.settings.policy == Policy::Shared {
            return Step::Unavailable;
        }
        self.counts.misses.fetch_add(1, Ordering::Relaxed);
        Step::Fetch(Box::new(self.asked(request, scan, &keys, directives)))
    }

    fn write_step(&self, request: RequestView<'_>) -> Step {
        let directives = RequestDirectives::default();
        let scan = Scan::of(request.headers());
        if let Some(keys) = self.keys(request, Class::Get, scan) {
            // What an odd one has changed, or made, may be something else than its URI names.
            let goes_past = is_odd(request, scan);
            return Step::Write(Box::new(Asked { goes_past, ..self.asked(request, scan, &keys, directives) }));
        }
        // What goes past the cache changes what is in it all the same.
        match self.plain_keys(request, scan) {
            Some(keys) => {
                Step::Write(Box::new(Asked { goes_past: true, ..self.asked(request, scan, &keys, directives) }))
            }
            None => Step::Pass(Some(Forward::Method)),
        }
    }

    /// What is kept of a request.
    fn asked(&self, request: RequestView<'_>, scan: Scan<'_>, keys: &Keys<'_>, directives: RequestDirectives) -> Asked {
        let (path, query) = (request.uri().path(), request.uri().query());
        let route = self.settings.route(path);
        let mut tags = route.map(|route| route.tags.clone()).unwrap_or_default();
        tags.extend(self.settings.taggers.iter().flat_map(|tagger| tagger(request)));
        tags.truncate(super::tags::MAX_TAGS);
        let is_known = request.extensions().get::<Identity>().is_some();
        let is_authorized = is_known || request.headers().contains_key(header::AUTHORIZATION);
        let (shared_key, own_key) = (keys.shared.to_key(), keys.own.as_ref().map(RequestKey::to_key));
        let flight_key = match &own_key {
            Some(own) => own.clone(),
            None if is_authorized => keys.shared.to_authorized_key(),
            None => shared_key.clone(),
        };
        Asked {
            method: request.method().clone(),
            headers: request.headers().clone(),
            directives,
            is_authorized,
            flight_key,
            shared_key,
            own_key,
            has_parts: keys.has_parts,
            goes_past: false,
            uri: self.uri_mark(request, scan),
            ttl: route.and_then(|route| route.ttl),
            tags,
            inherited: Box::default(),
            query: self.settings.query.heeds_responses.then(|| query.map(str::to_owned)),
            cache_control: route.and_then(|route| route.cache_control.clone()),
        }
    }

    /// The stored response that a request asks for: the caller's own before everybody's, unless that alone is fresh.
    pub(super) fn find(&self, keys: &Keys<'_>, request: &HeaderMap, parts: bool, now: Instant) -> Found {
        self.find_under(&keys.shared, keys.own.as_ref(), request, parts, now)
    }

    /// The same for a request that has waited.
    pub(super) fn find_again(&self, asked: &Asked, now: Instant) -> Found {
        let parts = asked.headers.contains_key(header::RANGE);
        self.find_under(&asked.shared_key, asked.own_key.as_ref(), &asked.headers, parts, now)
    }

    fn find_under<K>(&self, shared: &K, own: Option<&K>, asked: &HeaderMap, parts: bool, now: Instant) -> Found
    where
        K: Hash + Equivalent<Key>,
    {
        let select = |resource: &Option<Arc<Resource>>| {
            resource.as_ref().and_then(|resource| resource.select(asked, &self.purges, parts, now).cloned())
        };
        let mine = own.and_then(|own| select(&self.memory.get(own)));
        if mine.as_ref().is_some_and(|entry| entry.head.is_fresh(now)) {
            return Found { entry: mine, has_variants: false };
        }
        let everybodys = self.memory.get(shared);
        let entry = select(&everybodys);
        let entry = match (mine, entry) {
            (Some(mine), Some(shared)) => Some(if shared.head.is_fresh(now) { shared } else { mine }),
            (mine, shared) => mine.or(shared),
        };
        Found { has_variants: entry.is_none() && everybodys.is_some(), entry }
    }

    fn marker(&self, key: &Key) -> u64 {
        self.marker_hasher.hash_one(key)
    }

    /// Whether responses under this key were found to be nobody else's.
    pub(super) fn is_marked(&self, key: &Key, now: Instant) -> bool {
        self.markers.get(&self.marker(key)).is_some_and(|until| now < until)
    }

    pub(super) fn mark(&self, key: &Key, now: Instant) {
        if let Some(until) = now.checked_add(MARKER) {
            self.markers.insert(self.marker(key), until);
        }
    }

    pub(super) fn unmark(&self, key: &Key) {
        self.markers.remove(&self.marker(key));
    }

    /// What stands for a fill that begins.
    pub(super) fn begin(&self) -> Begun {
        let moment = self.tier.as_ref().and_then(Tier::begin);
        Begun { number: self.purges.begin(), moment }
    }

    /// Purges, here and for all that share the second tier, which knows no prefixes: there it is everything.
    pub(super) fn purge(self: &Arc<Self>, aim: Aim<'_>, how: Purge) {
        let mark = if let Aim::Mark(mark) = aim { Some(mark) } else { None };
        tier::owe(self, StorePurge { mark, how });
        self.purges.note(aim, how);
    }

    /// Notes an unsafe request for a URI, here and for all that share the second tier.
    pub(super) fn write(self: &Arc<Self>, uri: u64) {
        tier::owe(self, StorePurge { mark: Some(uri), how: Purge::Hard });
        self.purges.write(uri);
    }
}

/// Whether a method is registered as a safe one that no cache answers (RFC 9110 section 16.1).
fn is_safe(method: &Method) -> bool {
    matches!(method.as_str(), "PROPFIND" | "REPORT" | "SEARCH" | "QUERY")
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("memory", &self.memory)
            .field("in_flight", &self.flights.len())
            .finish_non_exhaustive()
    }
}
