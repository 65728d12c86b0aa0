//! What is stored in part, made what a request wants by asking for the rest alone (RFC 9111 section 3.4).

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};

use super::conditional;
use super::entry::Entry;
use super::freshness::Moments;
use super::range::{self, Part, Wanted};
use super::serve;
use super::storable::updated;

/// A part that is stored, and what of a wanted one is missing beside it.
#[derive(Debug)]
pub(super) struct Completion {
    held: Arc<Entry>,
    part: Part,
    wanted: Part,
    missing: Part,
}

impl Completion {
    /// What could be asked for, where a stored part is some of what the request wants. Parts of one content are known by
    /// a strong tag only.
    pub(super) fn of(held: &Arc<Entry>, request: &HeaderMap) -> Option<Self> {
        let part = held.head.part?;
        let tag = held.head.headers.get(header::ETAG)?;
        if !conditional::is_strong(tag) || conditional::is_conditional(request) {
            return None;
        }
        let wanted = match range::wanted(request, part.total) {
            Wanted::All if !request.contains_key(header::RANGE) => {
                Part { start: 0, end: part.total, total: part.total }
            }
            Wanted::Part(wanted) => wanted,
            // Several ranges, or something else that only the origin knows.
            Wanted::All | Wanted::Unsatisfiable => return None,
        };
        let missing = wanted.without(part)?;
        Some(Self { held: Arc::clone(held), part, wanted, missing })
    }

    /// How many bytes of it are there.
    pub(super) const fn held_bytes(&self) -> u64 {
        (self.wanted.end - self.wanted.start) - (self.missing.end - self.missing.start)
    }

    pub(super) const fn held(&self) -> &Arc<Entry> {
        &self.held
    }

    /// Asks for what is missing, if the content is still the one that is stored; for all of it, if not (RFC 9110 section
    /// 13.1.5).
    pub(super) fn ask(&self, request: &mut HeaderMap) {
        request.insert(header::RANGE, self.missing.range());
        if let Some(tag) = self.held.head.headers.get(header::ETAG) {
            request.insert(header::IF_RANGE, tag.clone());
        }
    }

    /// Whether a 206 is what was asked for.
    pub(super) fn is_answered_by(&self, answer: &HeaderMap) -> bool {
        Part::of_content_range(answer) == Some(self.missing)
            && conditional::same_strong(&self.held.head.headers, answer)
    }

    /// Status and fields of the wanted response: the stored ones, and those that the new part has told anew.
    pub(super) fn head(&self, answer: &HeaderMap, moments: Moments) -> (StatusCode, HeaderMap) {
        let mut headers = updated(&self.held.head.headers, answer, moments);
        headers.insert(header::CONTENT_LENGTH, (self.wanted.end - self.wanted.start).into());
        if self.wanted.is_all() {
            headers.remove(header::CONTENT_RANGE);
            return (StatusCode::OK, headers);
        }
        headers.insert(header::CONTENT_RANGE, self.wanted.content_range());
        (StatusCode::PARTIAL_CONTENT, headers)
    }

    /// What stands before and behind the new part.
    pub(super) fn around(&self) -> (Bytes, Bytes) {
        let slice = |start: u64, end: u64| {
            let within = |at: u64| at.saturating_sub(self.part.start);
            serve::bytes(&self.held.body, within(start), within(end))
        };
        if self.missing.start == self.wanted.start {
            (Bytes::new(), slice(self.missing.end, self.wanted.end))
        } else {
            (slice(self.wanted.start, self.missing.start), Bytes::new())
        }
    }
}
