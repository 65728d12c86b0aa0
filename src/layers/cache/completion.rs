//! What is stored in part, made what a request wants by asking for the rest alone (RFC 9111 section 3.4).

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};

use super::conditional;
use super::directives::whole_number;
use super::entry::{Entry, remove_digests};
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
    /// Whether the client said nothing of a range, and can take none.
    pub(super) wants_all: bool,
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
        let wants_all = !request.contains_key(header::RANGE);
        let wanted = match range::wanted(request, part.total) {
            // An origin that sends less than it is asked for would answer this with less, too.
            Wanted::All if wants_all && held.head.is_exact => Part { start: 0, end: part.total, total: part.total },
            Wanted::Part(wanted) => wanted,
            // Several ranges, or something else that only the origin knows.
            Wanted::All | Wanted::Unsatisfiable => return None,
        };
        let missing = wanted.without(part)?;
        Some(Self { held: Arc::clone(held), part, wanted, missing, wants_all })
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

    /// Narrows what is wanted to what a 206 brings; `None` when it does not fit what is there. RFC 9110 section 15.3.7: a server
    /// may send less than it is asked for.
    pub(super) fn answered_by(mut self, answer: &HeaderMap) -> Option<Self> {
        let brought = Part::of_content_range(answer)?;
        let held = &self.held.head.headers;
        let is_same = conditional::same_strong(held, answer)
            && brought.total == self.missing.total
            && brought.start == self.missing.start
            && brought.end <= self.missing.end;
        let coding = answer.get(header::CONTENT_ENCODING);
        let same_coding = coding.is_none() || coding == held.get(header::CONTENT_ENCODING);
        // RFC 9112 section 6.3: beside a transfer coding it says nothing.
        let length = answer.get(header::CONTENT_LENGTH).filter(|_| !answer.contains_key(header::TRANSFER_ENCODING));
        let length = length.map(|length| whole_number(length.as_bytes()));
        let is_as_long = length.is_none_or(|length| length == Some(brought.end - brought.start));
        if !is_same || !same_coding || !is_as_long {
            return None;
        }
        if brought.end < self.missing.end {
            if self.wants_all {
                return None;
            }
            self.wanted.end = brought.end;
            self.missing.end = brought.end;
        }
        Some(self)
    }

    /// How many bytes are to come.
    pub(super) const fn missing_bytes(&self) -> u64 {
        self.missing.end - self.missing.start
    }

    /// Status and fields of the wanted response: the stored ones, and those that the new part has told anew.
    pub(super) fn head(&self, answer: &HeaderMap, moments: Moments) -> (StatusCode, HeaderMap) {
        let mut headers = updated(&self.held.head.headers, answer, moments);
        remove_digests(&mut headers);
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
