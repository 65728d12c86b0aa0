//! A response made of a stored one: whole, a part, or only that nothing changed.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};

use super::conditional;
use super::entry::{Entry, Head, remove_digests};
use super::range::{self, Part, Wanted};
use super::scan::{Kinds, Scan};
use super::status::{Forwarded, Writer};

/// What is sent behind the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Whole,
    Nothing,
    /// Bytes of what is stored.
    Slice {
        start: u64,
        end: u64,
    },
}

/// How the client is told of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Told {
    Hit,
    Forwarded(Forwarded),
}

/// The request's side of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) method: &'a Method,
    pub(super) headers: &'a HeaderMap,
    pub(super) scan: Scan<'a>,
}

impl<'a> Request<'a> {
    pub(super) fn of(method: &'a Method, headers: &'a HeaderMap) -> Self {
        Self { method, headers, scan: Scan::of(headers) }
    }

    /// Whether the client has what is stored.
    fn has(&self, stored: &HeaderMap) -> bool {
        self.scan.has(Kinds::CONDITION) && conditional::is_not_modified(self.headers, stored)
    }
}

/// The head of a response, and what follows.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) content: Content,
}

/// Serves a request from what is stored, and has come to an age.
pub(super) fn serve(entry: &Entry, request: Request<'_>, age: Duration, told: Told, writer: &Writer) -> Option<Served> {
    let head = &*entry.head;
    let is_plain = *request.method == Method::GET;
    // RFC 9110 section 13.2.1: conditions are for what would be a success without them.
    let may_choose = head.status == StatusCode::OK || head.part.is_some();
    let mut served = if may_choose && request.has(&head.headers) {
        Served { status: StatusCode::NOT_MODIFIED, headers: entry.not_modified().clone(), content: Content::Nothing }
    } else {
        match part(entry, request)? {
            Wanted::All => Served { status: head.status, headers: head.headers.clone(), content: Content::Whole },
            Wanted::Part(part) => slice(entry, part),
            Wanted::Unsatisfiable => unsatisfiable(head, entry.body.len() as u64),
        }
    };
    if !is_plain && served.content != Content::Nothing {
        // RFC 9110 section 9.3.2: a HEAD is told what a GET would be.
        if served.content == Content::Whole && !has_no_content(head.status) {
            let length = entry.body.len();
            served.headers.entry(header::CONTENT_LENGTH).or_insert_with(|| length.into());
        }
        served.content = Content::Nothing;
    }
    tell(&mut served.headers, head, age, told, writer);
    Some(served)
}

/// Serves a request from a response that is still coming.
pub(super) fn serve_coming(head: &Head, request: Request<'_>, age: Duration, told: Told, writer: &Writer) -> Served {
    let mut served = if head.status == StatusCode::OK && request.has(&head.headers) {
        let entry = Entry::not_modified_of(head);
        Served { status: StatusCode::NOT_MODIFIED, headers: entry, content: Content::Nothing }
    } else {
        Served { status: head.status, headers: head.headers.clone(), content: Content::Whole }
    };
    tell(&mut served.headers, head, age, told, writer);
    served
}

fn tell(headers: &mut HeaderMap, head: &Head, age: Duration, told: Told, writer: &Writer) {
    match told {
        Told::Hit => writer.write_hit(headers, age, head.left(age)),
        Told::Forwarded(forwarded) => {
            headers.insert(header::AGE, writer.age(age.as_secs()));
            writer.write_forwarded(headers, forwarded);
        }
    }
    if writer.is_silent() {
        remove_seat(headers);
    }
}

/// The empty line that waits for a `Cache-Status`.
fn remove_seat(headers: &mut HeaderMap) {
    if headers.get(&super::status::CACHE_STATUS).is_some_and(http::HeaderValue::is_empty) {
        headers.remove(&super::status::CACHE_STATUS);
    }
}

const fn has_no_content(status: StatusCode) -> bool {
    matches!(status.as_u16(), 204 | 205 | 304)
}

/// What the request wants of what there is; `None` when that is not there.
fn part(entry: &Entry, request: Request<'_>) -> Option<Wanted> {
    let head = &*entry.head;
    let asks = request.scan.has(Kinds::RANGE) && *request.method == Method::GET;
    match head.part {
        None if !asks || head.status != StatusCode::OK => Some(Wanted::All),
        None if !conditional::range_holds(request.headers, &head.headers) => Some(Wanted::All),
        None => Some(range::wanted(request.headers, entry.body.len() as u64)),
        Some(held) if asks && conditional::range_holds(request.headers, &head.headers) => {
            match range::wanted(request.headers, held.total) {
                Wanted::Part(wanted) if held.contains(wanted) => Some(Wanted::Part(wanted)),
                Wanted::Unsatisfiable => Some(Wanted::Unsatisfiable),
                _ => None,
            }
        }
        Some(_) => None,
    }
}

/// RFC 9110 section 15.3.7.
fn slice(entry: &Entry, part: Part) -> Served {
    let mut headers = entry.head.headers.clone();
    remove_digests(&mut headers);
    headers.insert(header::CONTENT_RANGE, part.content_range());
    headers.insert(header::CONTENT_LENGTH, (part.end - part.start).into());
    let first = entry.head.part.map_or(0, |held| held.start);
    let content = Content::Slice { start: part.start - first, end: part.end - first };
    Served { status: StatusCode::PARTIAL_CONTENT, headers, content }
}

/// RFC 9110 section 15.5.17.
fn unsatisfiable(head: &Head, length: u64) -> Served {
    let total = head.part.map_or(length, |part| part.total);
    let mut headers = head.headers.clone();
    for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LENGTH] {
        headers.remove(name);
    }
    headers.insert(header::CONTENT_RANGE, range::unsatisfied(total));
    headers.insert(header::CONTENT_LENGTH, 0.into());
    Served { status: StatusCode::RANGE_NOT_SATISFIABLE, headers, content: Content::Nothing }
}

/// The bytes of a slice.
pub(super) fn bytes(body: &Bytes, start: u64, end: u64) -> Bytes {
    let bound = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(body.len());
    let (start, end) = (bound(start), bound(end));
    body.slice(start.min(end)..end)
}

/// Two parts of one content that touch, as one (RFC 9111 section 3.4). `None` when they are not of the same.
pub(super) fn joined(held: &Entry, new: &Entry) -> Option<(Part, Bytes)> {
    let (a, b) = (held.head.part?, new.head.part?);
    if !conditional::same_strong(&held.head.headers, &new.head.headers) {
        return None;
    }
    let ((first, first_body), (later, later_body)) =
        if a.start <= b.start { ((a, &held.body), (b, &new.body)) } else { ((b, &new.body), (a, &held.body)) };
    if !first.touches(later) || first.contains(later) {
        return None;
    }
    let mut whole = first_body.to_vec();
    whole.extend_from_slice(&bytes(later_body, first.end - later.start, u64::MAX));
    Some((Part { start: first.start, end: later.end, total: first.total }, Bytes::from(whole)))
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
