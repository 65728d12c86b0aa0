//! A stored response.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::freshness::Life;
use super::key::Key;
use super::purge::{Begun, Purges, Standing};
use super::range::{self, Part, Wanted};
use super::vary::{self, Selector};

/// What a stored response costs beside its fields and its body: its own structures, those of the store, and what an
/// allocator adds to a dozen allocations.
const OVERHEAD_BYTES: usize = 1024;
/// What a field costs beside its bytes: the map's entry and index, and the value's own allocation.
const FIELD_BYTES: usize = 152;

/// All of a response but its body: what is known when its head has come.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) key: Key,
    pub(super) status: StatusCode,
    /// As they are sent, with seats for `Age` and `Cache-Status`.
    pub(super) headers: HeaderMap,
    pub(super) selectors: Box<[Selector]>,
    pub(super) date: SystemTime,
    pub(super) life: Life,
    pub(super) rules: Rules,
    /// The bytes that a 206 has.
    pub(super) part: Option<Part>,
    /// Whether it is the very part that was asked for, and not less.
    pub(super) is_exact: bool,
    /// What a purge may name: tags, groups, the path, the URI.
    pub(super) marks: Box<[u64]>,
    /// The mark of the URI, by which unsafe requests are known.
    pub(super) uri: u64,
    /// What stood when its fill began.
    pub(super) begun: Begun,
    /// The last purge that was looked at.
    looked: AtomicU64,
    /// Stale whatever its age is: by a soft purge, or because a HEAD told of another content.
    is_expired: AtomicBool,
}

/// How a response may be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rules {
    /// Validated on every use.
    pub(super) no_cache: bool,
    pub(super) forbids_stale: bool,
    pub(super) immutable: bool,
    pub(super) stale_while_revalidate: Duration,
    /// What the response says, which is the most; `None`, and it is the cache's to say.
    pub(super) stale_if_error: Option<Duration>,
    /// Belongs to one caller.
    pub(super) is_private: bool,
    /// Stands under a key that an unsafe request does not find.
    pub(super) is_apart: bool,
}

/// A response as it is stored: whole, or one part of it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) head: Arc<Head>,
    pub(super) body: Bytes,
    pub(super) trailers: Option<Box<HeaderMap>>,
    /// The fields of a 304, made when one is first sent.
    not_modified: OnceLock<HeaderMap>,
}

impl Head {
    #[expect(clippy::too_many_arguments, reason = "they are the fields, and all differ in type or stand in one place")]
    pub(super) fn new(
        key: Key,
        status: StatusCode,
        headers: HeaderMap,
        selectors: Box<[Selector]>,
        date: SystemTime,
        life: Life,
        rules: Rules,
        marked: (Box<[u64]>, u64, Begun),
    ) -> Self {
        let (marks, uri, begun) = marked;
        let part = if status == StatusCode::PARTIAL_CONTENT { Part::of_content_range(&headers) } else { None };
        Self {
            key,
            status,
            headers,
            selectors,
            date,
            life,
            rules,
            part,
            marks,
            uri,
            begun,
            looked: AtomicU64::new(begun.number),
            is_expired: AtomicBool::new(false),
            is_exact: false,
        }
    }

    fn with_headers(&self, status: StatusCode, headers: HeaderMap) -> Self {
        let marked = (self.marks.clone(), self.uri, self.begun);
        let (key, selectors) = (self.key.clone(), self.selectors.clone());
        let head = Self::new(key, status, headers, selectors, self.date, self.life, self.rules, marked);
        Self { is_exact: self.is_exact, ..head }
    }

    /// With what another response of the same content is marked with, too: it is purged with that one.
    pub(super) fn add_marks(&mut self, others: &[u64]) {
        let mut marked = self.marks.to_vec();
        marked.extend(others.iter().filter(|mark| !self.marks.contains(mark)));
        marked.truncate(super::tags::MAX_TAGS * 2 + 2);
        self.marks = marked.into();
    }

    /// For more of the same content; all of it is a whole.
    pub(super) fn with_part(&self, part: Part) -> Self {
        let mut headers = self.headers.clone();
        remove_digests(&mut headers);
        headers.insert(header::CONTENT_LENGTH, (part.end - part.start).into());
        if part.is_all() {
            headers.remove(header::CONTENT_RANGE);
            return self.with_headers(StatusCode::OK, headers);
        }
        headers.insert(header::CONTENT_RANGE, part.content_range());
        self.with_headers(self.status, headers)
    }

    /// With a tag of our own making.
    pub(super) fn with_etag(&self, tag: &HeaderValue) -> Self {
        let mut headers = self.headers.clone();
        headers.insert(header::ETAG, tag.clone());
        self.with_headers(self.status, headers)
    }

    /// Whether purges and writes leave it; a soft purge makes it stale.
    pub(super) fn is_good(&self, purges: &Purges) -> bool {
        if self.rules.is_apart && purges.is_written(self.uri, self.begun.number) {
            return false;
        }
        let noted = purges.noted();
        if noted <= self.looked.load(Ordering::Acquire) {
            return true;
        }
        match purges.standing(&self.marks, self.key.path(), self.begun.number) {
            Standing::Gone => return false,
            Standing::Stale => self.expire(),
            Standing::Good => {}
        }
        self.looked.fetch_max(noted, Ordering::AcqRel);
        true
    }

    /// Makes it stale.
    pub(super) fn expire(&self) {
        self.is_expired.store(true, Ordering::Release);
    }

    pub(super) fn is_expired(&self) -> bool {
        self.is_expired.load(Ordering::Acquire)
    }

    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        self.is_fresh_at(self.life.age(now))
    }

    /// The same at an age.
    pub(super) fn is_fresh_at(&self, age: Duration) -> bool {
        !self.is_expired() && self.life.left(age) > Duration::ZERO
    }

    /// How long it is fresh still, or how long it has been stale.
    pub(super) fn left(&self, age: Duration) -> Result<Duration, Duration> {
        if self.is_fresh_at(age) { Ok(self.life.left(age)) } else { Err(self.life.staleness(age)) }
    }

    /// Whether a request asks for this variant.
    pub(super) fn selects(&self, request: &HeaderMap) -> bool {
        vary::matches(&self.selectors, request)
    }

    fn weight(&self) -> usize {
        fields_weight(&self.headers) + vary::weight(&self.selectors) + size_of_val(&*self.marks)
    }
}

impl Entry {
    pub(super) fn new(head: Arc<Head>, body: Bytes, trailers: Option<Box<HeaderMap>>) -> Self {
        Self { head, body, trailers, not_modified: OnceLock::new() }
    }

    /// The same content under another head.
    pub(super) fn with_head(&self, head: Head) -> Self {
        Self::new(Arc::new(head), self.body.clone(), self.trailers.clone())
    }

    /// What it costs to keep.
    pub(super) fn weight(&self) -> usize {
        let trailers = self.trailers.as_deref().map_or(0, fields_weight);
        OVERHEAD_BYTES + self.head.weight() + self.body.len() + trailers
    }

    /// About how long its record is.
    pub(super) fn record_bytes(&self) -> usize {
        let fields = |headers: &HeaderMap| -> usize {
            headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
        };
        self.body.len() + fields(&self.head.headers) + self.trailers.as_deref().map_or(0, fields)
    }

    /// RFC 9110 section 15.4.5: what a 304 repeats of the fields of a 200.
    pub(super) fn not_modified(&self) -> &HeaderMap {
        self.not_modified.get_or_init(|| Self::not_modified_of(&self.head))
    }

    /// The same for a response that is still coming.
    pub(super) fn not_modified_of(head: &Head) -> HeaderMap {
        let mut fields = HeaderMap::with_capacity(8);
        copy(&head.headers, [header::AGE, super::status::CACHE_STATUS], &mut fields);
        if !head.headers.contains_key(header::ETAG)
            && let Some(modified) = head.headers.get(header::LAST_MODIFIED)
        {
            // What a client without a tag knows its copy by.
            fields.insert(header::LAST_MODIFIED, modified.clone());
        }
        let repeated = [
            header::CACHE_CONTROL,
            header::CONTENT_LOCATION,
            header::DATE,
            header::ETAG,
            header::EXPIRES,
            header::VARY,
        ];
        copy(&head.headers, repeated, &mut fields);
        fields
    }
}

fn copy<const N: usize>(from: &HeaderMap, names: [HeaderName; N], to: &mut HeaderMap) {
    for name in names {
        for value in from.get_all(&name) {
            to.append(name.clone(), value.clone());
        }
    }
}

/// Digests of a message's content are of the one message, and not of what is cut from it or pieced together (RFC 9530 section 2).
pub(super) fn remove_digests(headers: &mut HeaderMap) {
    headers.remove("content-digest");
    headers.remove("content-md5");
}

fn fields_weight(headers: &HeaderMap) -> usize {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    // Value stored is what was sent; seats for two fields of ours are among them.
    bytes + headers.len() * FIELD_BYTES
}

/// The variants of one resource.
#[derive(Debug, Clone, Default)]
pub(super) struct Resource {
    pub(super) variants: Vec<Arc<Entry>>,
    weight: usize,
}

impl Resource {
    fn of(variants: Vec<Arc<Entry>>) -> Option<Self> {
        let weight = variants.iter().map(|entry| entry.weight()).sum();
        (!variants.is_empty()).then_some(Self { variants, weight })
    }

    pub(super) const fn weight(&self) -> usize {
        self.weight
    }

    /// The variant that a request asks for: of several one that says for whom it is, and of those the most recent (RFC 9111
    /// sections 4 and 4.1).
    pub(super) fn select(
        &self,
        request: &HeaderMap,
        purges: &Purges,
        parts: bool,
        now: Instant,
    ) -> Option<&Arc<Entry>> {
        let asked = |entry: &&Arc<Entry>| {
            (parts || entry.head.part.is_none()) && entry.head.selects(request) && entry.head.is_good(purges)
        };
        // One that is whole has no other beside it to be ranked with.
        if let [only] = &*self.variants
            && only.head.part.is_none()
        {
            return Some(only).filter(asked);
        }
        let has_range =
            |part: Part| matches!(range::wanted(request, part.total), Wanted::Part(wanted) if part.contains(wanted));
        let rank = |entry: &&Arc<Entry>| {
            let (part, varies) = (entry.head.part, !entry.head.selectors.is_empty());
            (part.is_none(), part.is_some_and(has_range), varies && entry.head.is_fresh(now), entry.head.date)
        };
        let found = self.variants.iter().filter(asked).max_by_key(rank)?;
        if found.head.part.is_some() || !parts || found.head.is_fresh(now) {
            return Some(found);
        }
        // A part that is newer than a whole that is stale answers for itself.
        let answers = |entry: &&Arc<Entry>| entry.head.part.is_some_and(has_range) && entry.head.is_fresh(now);
        Some(self.variants.iter().filter(asked).filter(answers).max_by_key(rank).unwrap_or(found))
    }

    /// The parts of the variant that a request asks for.
    pub(super) fn parts<'a>(
        &'a self,
        request: &'a HeaderMap,
        purges: &'a Purges,
    ) -> impl Iterator<Item = &'a Arc<Entry>> + 'a {
        let is_one = |entry: &&Arc<Entry>| entry.head.part.is_some();
        self.variants.iter().filter(is_one).filter(|entry| entry.head.selects(request) && entry.head.is_good(purges))
    }

    /// With another variant in it: in the place of those that it replaces, and of the oldest when there are too many. What is
    /// older and is for the same request by fewer fields is replaced as well (RFC 9111 section 4.1).
    pub(super) fn with(
        held: Option<&Self>,
        entry: Arc<Entry>,
        gone: Option<&Arc<Entry>>,
        max_variants: usize,
        purges: &Purges,
    ) -> Option<Self> {
        let is_replaced = |held: &Arc<Entry>| {
            let same_part = match (held.head.part, entry.head.part) {
                (Some(held), Some(new)) => new.contains(held),
                // A whole replaces its parts; a part leaves a whole that is good.
                (_, None) => true,
                (None, Some(_)) => false,
            };
            let is_wider =
                held.head.date <= entry.head.date && vary::contains(&held.head.selectors, &entry.head.selectors);
            let is_gone = gone.is_some_and(|gone| Arc::ptr_eq(gone, held));
            is_gone || (same_part && (is_wider || held.head.selectors == entry.head.selectors))
        };
        let mut variants: Vec<_> = held
            .into_iter()
            .flat_map(|held| &held.variants)
            .filter(|held| !is_replaced(held) && held.head.is_good(purges))
            .cloned()
            .collect();
        while variants.len() >= max_variants.max(1) {
            let oldest = variants.iter().enumerate().min_by_key(|(_, entry)| entry.head.life.born).map(|(at, _)| at);
            match oldest {
                Some(at) => drop(variants.swap_remove(at)),
                None => break,
            }
        }
        variants.push(entry);
        Self::of(variants)
    }

    /// Without one variant.
    pub(super) fn without(&self, gone: &Arc<Entry>) -> Option<Self> {
        Self::of(self.variants.iter().filter(|entry| !Arc::ptr_eq(entry, gone)).cloned().collect())
    }

    /// Whether anything of it can still be used.
    pub(super) fn is_good(&self, purges: &Purges) -> bool {
        self.variants.iter().any(|entry| entry.head.is_good(purges))
    }
}

/// A value that is written over before it is sent.
pub(super) const SEAT: HeaderValue = HeaderValue::from_static("0");
/// One that nobody may see: it is written over or taken out.
pub(super) const EMPTY_SEAT: HeaderValue = HeaderValue::from_static("");

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;
