//! A stored response as bytes, for a second tier.
//!
//! A response that does not vary stands under its resource's key. Else what stands there names the fields that choose, and
//! a generation; and the variants stand each under the resource's key, the generation, and what the fields say. So one
//! removal makes them all unreachable.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::entry::{Entry, Head, Rules};
use super::freshness::Life;
use super::key::Key;
use super::purge::Begun;
use super::range::Part;
use super::storable::pack;
use super::vary::{self, Selector};

/// The first byte of every record: what is written in another way is no record.
const VERSION: u8 = 2;
const WHOLE: u8 = 0;
const VARIANTS: u8 = 1;
/// The most fields or marks of a record.
const MAX_COUNT: usize = 1024;

/// What stands under a resource's key.
#[derive(Debug)]
pub(super) enum Primary {
    Whole(Entry),
    Variants { names: Vec<HeaderName>, generation: u64 },
}

/// What a reader must know that is not in the record.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) key: &'a Key,
    pub(super) uri: u64,
    /// What stood when the store was asked.
    pub(super) begun: Begun,
    pub(super) now: Instant,
    pub(super) wall: SystemTime,
}

/// The key of a variant.
pub(super) fn variant_key(key: &Key, generation: u64, selectors: &[Selector]) -> Vec<u8> {
    let mut bytes = key.as_bytes().to_vec();
    bytes.extend_from_slice(&generation.to_le_bytes());
    for selector in selectors {
        let value = selector.normal();
        bytes.push(u8::from(value.is_some()));
        let value = value.unwrap_or_default();
        bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
        bytes.extend_from_slice(value);
    }
    bytes
}

/// What stands under the key of a resource that varies.
pub(super) fn variants(selectors: &[Selector], generation: u64) -> BytesMut {
    let mut record = BytesMut::new();
    record.put_slice(&[VERSION, VARIANTS]);
    record.put_u64_le(generation);
    put_count(&mut record, selectors.len());
    for selector in selectors {
        put(&mut record, selector.name().as_str().as_bytes());
    }
    record
}

/// A response as it is kept.
pub(super) fn write(entry: &Entry, now: Instant, wall: SystemTime) -> BytesMut {
    let head = &*entry.head;
    let mut record = BytesMut::with_capacity(entry.weight());
    record.put_slice(&[VERSION, WHOLE]);
    record.put_u64_le(millis(wall));
    record.put_u64_le(duration_millis(head.life.age(now)));
    record.put_u64_le(duration_millis(head.life.lifetime));
    record.put_u64_le(millis(head.date));
    let Rules { no_cache, forbids_stale, immutable, stale_while_revalidate, stale_if_error, is_private, is_apart } =
        head.rules;
    let flags = [no_cache, forbids_stale, immutable, is_private, is_apart, head.is_expired(), stale_if_error.is_some()];
    record.put_u8(flags.iter().rev().fold(0, |all, flag| (all << 1) | u8::from(*flag)));
    record.put_u64_le(duration_millis(stale_while_revalidate));
    record.put_u64_le(duration_millis(stale_if_error.unwrap_or_default()));
    record.put_u16_le(head.status.as_u16());
    put_fields(&mut record, &head.headers);
    put_count(&mut record, head.selectors.len());
    for selector in &head.selectors {
        put(&mut record, selector.name().as_str().as_bytes());
        put_optional(&mut record, selector.normal());
    }
    match head.part {
        None => record.put_u8(0),
        Some(Part { start, end, total }) => {
            record.put_u8(1);
            [start, end, total].into_iter().for_each(|number| record.put_u64_le(number));
        }
    }
    put_count(&mut record, head.marks.len());
    head.marks.iter().for_each(|mark| record.put_u64_le(*mark));
    match entry.trailers.as_deref() {
        None => record.put_u8(0),
        Some(trailers) => {
            record.put_u8(1);
            put_fields(&mut record, trailers);
        }
    }
    put(&mut record, &entry.body);
    record
}

/// Reads what stands under a resource's key; `None` for what is no record.
pub(super) fn read(mut record: Bytes, reading: &Reading<'_>) -> Option<Primary> {
    if record.try_get_u8().ok()? != VERSION {
        return None;
    }
    match record.try_get_u8().ok()? {
        WHOLE => read_entry(&mut record, reading).map(Primary::Whole),
        VARIANTS => {
            let generation = record.try_get_u64_le().ok()?;
            let names = (0..get_count(&mut record)?).map(|_| name(&mut record)).collect::<Option<_>>()?;
            Some(Primary::Variants { names, generation })
        }
        _ => None,
    }
}

fn read_entry(record: &mut Bytes, reading: &Reading<'_>) -> Option<Entry> {
    let mut number = || record.try_get_u64_le().ok();
    let (stored, age, lifetime, date) = (number()?, number()?, number()?, number()?);
    let flags = record.try_get_u8().ok()?;
    let (revalidate, if_error) = (record.try_get_u64_le().ok()?, record.try_get_u64_le().ok()?);
    let status = StatusCode::from_u16(record.try_get_u16_le().ok()?).ok()?;
    let headers = get_fields(record)?;
    let selectors = (0..get_count(record)?)
        .map(|_| Some(Selector::new(name(record)?, get_optional(record)?)))
        .collect::<Option<Box<[_]>>>()?;
    let part = match record.try_get_u8().ok()? {
        0 => None,
        _ => {
            let mut number = || record.try_get_u64_le().ok();
            Some(Part { start: number()?, end: number()?, total: number()? })
        }
    };
    let marks = (0..get_count(record)?).map(|_| record.try_get_u64_le().ok()).collect::<Option<Box<[_]>>>()?;
    let trailers = match record.try_get_u8().ok()? {
        0 => None,
        _ => Some(Box::new(get_fields(record)?)),
    };
    let body = get(record)?;
    // Time went on while it lay there. Clocks of two instances differ, so it is never younger than it was.
    let lain = millis(reading.wall).saturating_sub(stored);
    let life = Life {
        born: reading.now,
        initial_age: Duration::from_millis(age.saturating_add(lain)),
        lifetime: Duration::from_millis(lifetime),
    };
    let flag = |at: u8| flags >> at & 1 == 1;
    let rules = Rules {
        no_cache: flag(0),
        forbids_stale: flag(1),
        immutable: flag(2),
        is_private: flag(3),
        is_apart: flag(4),
        stale_while_revalidate: Duration::from_millis(revalidate),
        // Records of before have a time alone, and none where nothing was said.
        stale_if_error: (flag(6) || if_error > 0).then(|| Duration::from_millis(if_error)),
    };
    let date = UNIX_EPOCH.checked_add(Duration::from_millis(date))?;
    let marked = (marks, reading.uri, reading.begun);
    let mut head = Head::new(reading.key.clone(), status, headers, selectors, date, life, rules, marked);
    if flag(5) {
        head.expire();
    }
    head.part = part;
    // A copy of its own, since a store may hand out a part of something large.
    Some(Entry::new(Arc::new(head), Bytes::copy_from_slice(&body), trailers))
}

/// The selectors that a request has in these fields.
pub(super) fn selectors(names: &[HeaderName], request: &HeaderMap) -> Option<Box<[Selector]>> {
    vary::selectors(names, request)
}

fn millis(at: SystemTime) -> u64 {
    duration_millis(at.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn duration_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn put(record: &mut BytesMut, bytes: &[u8]) {
    record.put_u64_le(bytes.len() as u64);
    record.put_slice(bytes);
}

fn get(record: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(record.try_get_u64_le().ok()?).ok()?;
    (length <= record.len()).then(|| record.split_to(length))
}

fn put_optional(record: &mut BytesMut, bytes: Option<&[u8]>) {
    record.put_u8(u8::from(bytes.is_some()));
    put(record, bytes.unwrap_or_default());
}

fn get_optional(record: &mut Bytes) -> Option<Option<Bytes>> {
    let is_some = record.try_get_u8().ok()? == 1;
    Some(Some(get(record)?).filter(|_| is_some))
}

fn put_count(record: &mut BytesMut, count: usize) {
    record.put_u32_le(u32::try_from(count).unwrap_or(u32::MAX));
}

fn get_count(record: &mut Bytes) -> Option<usize> {
    usize::try_from(record.try_get_u32_le().ok()?).ok().filter(|count| *count <= MAX_COUNT)
}

fn put_fields(record: &mut BytesMut, headers: &HeaderMap) {
    put_count(record, headers.len());
    for (name, value) in headers {
        put(record, name.as_str().as_bytes());
        put(record, value.as_bytes());
    }
}

fn get_fields(record: &mut Bytes) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for _ in 0..get_count(record)? {
        headers.append(name(record)?, HeaderValue::from_maybe_shared(get(record)?).ok()?);
    }
    // Slices of the record would keep it whole, body and all.
    pack(&mut headers);
    Some(headers)
}

fn name(record: &mut Bytes) -> Option<HeaderName> {
    HeaderName::from_bytes(&get(record)?).ok()
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
