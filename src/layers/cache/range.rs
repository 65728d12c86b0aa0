//! Ranges of bytes (RFC 9110 section 14), cut from what is stored.

use http::{HeaderMap, HeaderValue, header};

use super::directives::whole_number;

/// Bytes `start..end` of a representation of `total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) total: u64,
}

/// What a request wants of a representation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    All,
    Part(Part),
    /// Nothing of it is there.
    Unsatisfiable,
}

impl Part {
    /// Reads `Content-Range: bytes 0-4/10`. One that tells no total, or lies about its own bounds, is none.
    pub(super) fn of_content_range(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(header::CONTENT_RANGE)?.as_bytes().trim_ascii();
        let (unit, range) = text.split_at_checked(6)?;
        if !unit.eq_ignore_ascii_case(b"bytes ") {
            return None;
        }
        let (bounds, total) = split_once(range.trim_ascii(), b'/')?;
        let (first, last) = split_once(bounds, b'-')?;
        let (start, last, total) = (whole_number(first)?, whole_number(last)?, whole_number(total)?);
        (start <= last && last < total).then_some(Self { start, end: last + 1, total })
    }

    pub(super) fn content_range(self) -> HeaderValue {
        let Self { start, end, total } = self;
        let text = format!("bytes {start}-{}/{total}", end.saturating_sub(1));
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("bytes */*"))
    }

    /// Whether it is the whole.
    pub(super) const fn is_all(self) -> bool {
        self.start == 0 && self.end == self.total
    }

    pub(super) const fn contains(self, other: Self) -> bool {
        self.total == other.total && self.start <= other.start && other.end <= self.end
    }

    /// Whether another begins within this one or where it ends.
    pub(super) const fn touches(self, later: Self) -> bool {
        self.total == later.total && self.start <= later.start && later.start <= self.end
    }

    /// What is missing of this one where another is there; `None` when that is all of it, or nothing, or in two places.
    pub(super) fn without(self, held: Self) -> Option<Self> {
        let overlaps = self.total == held.total && held.start < self.end && self.start < held.end;
        match (overlaps && held.start <= self.start, overlaps && self.end <= held.end) {
            (true, false) => Some(Self { start: held.end, ..self }),
            (false, true) => Some(Self { end: held.start, ..self }),
            _ => None,
        }
    }

    /// `Range` that asks for this one.
    pub(super) fn range(self) -> HeaderValue {
        let Self { start, end, total } = self;
        let text =
            if end == total { format!("bytes={start}-") } else { format!("bytes={start}-{}", end.saturating_sub(1)) };
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("bytes=0-"))
    }
}

/// How long a message says that its content is. RFC 9112 section 6.3: beside `Transfer-Encoding` that says nothing.
pub(super) fn told_length(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH).filter(|_| !headers.contains_key(header::TRANSFER_ENCODING))?;
    whole_number(length.as_bytes())
}

/// What `416` says of a representation.
pub(super) fn unsatisfied(total: u64) -> HeaderValue {
    HeaderValue::try_from(format!("bytes */{total}")).unwrap_or(HeaderValue::from_static("bytes */*"))
}

/// Reads `Range` against a representation of `total` bytes. Several ranges, other units and what is malformed get the
/// whole, as a server may always send (RFC 9110 section 14.2).
pub(super) fn wanted(request: &HeaderMap, total: u64) -> Wanted {
    let mut lines = request.get_all(header::RANGE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return Wanted::All };
    read(line.as_bytes(), total).unwrap_or(Wanted::All)
}

fn read(line: &[u8], total: u64) -> Option<Wanted> {
    let (unit, set) = split_once(line.trim_ascii(), b'=')?;
    if !unit.eq_ignore_ascii_case(b"bytes") || set.contains(&b',') {
        return None;
    }
    let (first, last) = split_once(set.trim_ascii(), b'-')?;
    if first.is_empty() {
        // RFC 9110 section 14.1.2: the last so many bytes.
        let length = whole_number(last)?.min(total);
        return Some(if length == 0 {
            Wanted::Unsatisfiable
        } else {
            Wanted::Part(Part { start: total - length, end: total, total })
        });
    }
    let start = whole_number(first)?;
    let end = match last {
        b"" => total,
        last => {
            let last = whole_number(last)?;
            if last < start {
                return None;
            }
            last.saturating_add(1).min(total)
        }
    };
    Some(if start < total { Wanted::Part(Part { start, end, total }) } else { Wanted::Unsatisfiable })
}

fn split_once(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = text.iter().position(|&byte| byte == at)?;
    let (before, after) = text.split_at_checked(place)?;
    Some((before, after.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: &str) -> Wanted {
        wanted(&HeaderMap::from_iter([(header::RANGE, HeaderValue::from_str(range).unwrap())]), 10)
    }

    const fn part(start: u64, end: u64) -> Wanted {
        Wanted::Part(Part { start, end, total: 10 })
    }

    /// RFC 9110 sections 14.1.2 and 14.2.
    #[test]
    fn ranges() {
        for (range, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=0-4", part(0, 5)),
            ("Bytes=2-", part(2, 10)),
            ("bytes=2-99", part(2, 10)),
            ("bytes=-3", part(7, 10)),
            ("bytes=-99", part(0, 10)),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=10-", Wanted::Unsatisfiable),
            ("bytes=99999999999999999999999-", Wanted::Unsatisfiable),
            ("bytes=0-18446744073709551615", part(0, 10)),
            ("bytes=4-2", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes", Wanted::All),
            ("lines=0-1", Wanted::All),
        ] {
            assert_eq!(of(range), expected, "{range}");
        }
        let empty = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static("bytes=0-"))]);
        assert_eq!(wanted(&empty, 0), Wanted::Unsatisfiable);
        assert_eq!(wanted(&HeaderMap::new(), 10), Wanted::All);
    }

    #[test]
    fn what_is_missing() {
        let of = |start, end| Part { start, end, total: 10 };
        for (wanted, held, missing) in [
            (of(0, 10), of(0, 5), Some((of(5, 10), "bytes=5-"))),
            (of(0, 10), of(4, 10), Some((of(0, 4), "bytes=0-3"))),
            (of(2, 8), of(0, 5), Some((of(5, 8), "bytes=5-7"))),
            (of(2, 8), of(5, 9), Some((of(2, 5), "bytes=2-4"))),
            (of(2, 8), of(2, 3), Some((of(3, 8), "bytes=3-7"))),
            // There already, in the middle, beside it, elsewhere, of another length.
            (of(2, 8), of(2, 8), None),
            (of(2, 8), of(0, 10), None),
            (of(2, 8), of(3, 5), None),
            (of(2, 8), of(8, 10), None),
            (of(2, 8), of(0, 2), None),
            (of(2, 8), Part { total: 9, ..of(0, 5) }, None),
        ] {
            assert_eq!(
                wanted.without(held).map(|part| (part, part.range())),
                missing.map(|(part, text)| (part, text.parse().unwrap())),
                "{wanted:?} {held:?}"
            );
        }
    }

    /// RFC 9112 section 6.3.
    #[test]
    fn lengths() {
        let of = |lines: &[(&'static str, &'static str)]| {
            let field = |(name, value): &(&'static str, &'static str)| {
                (http::HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            told_length(&lines.iter().map(field).collect())
        };
        assert_eq!(of(&[("content-length", "4")]), Some(4));
        assert_eq!(of(&[("content-length", "4"), ("transfer-encoding", "chunked")]), None);
        assert_eq!(of(&[("content-length", "x")]), None);
        assert_eq!(of(&[]), None);
    }

    /// RFC 9110 section 14.4.
    #[test]
    fn content_ranges() {
        let of = |text: &str| {
            let value = HeaderValue::from_str(text).unwrap();
            Part::of_content_range(&HeaderMap::from_iter([(header::CONTENT_RANGE, value)]))
        };
        let whole = Part { start: 2, end: 5, total: 10 };
        assert_eq!(of("bytes 2-4/10"), Some(whole));
        assert_eq!(whole.content_range(), "bytes 2-4/10");
        assert_eq!(unsatisfied(10), "bytes */10");
        for bad in ["bytes 2-4/*", "bytes 4-2/10", "bytes 2-10/10", "bytes */10", "lines 2-4/10", "bytes 2-4", "2-4/10"]
        {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
