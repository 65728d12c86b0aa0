//! `Cache-Status` (RFC 9211) and `Age` (RFC 9111 section 5.1), as values that are made once.

use std::sync::OnceLock;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::entry::{EMPTY_SEAT, SEAT};

pub(super) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Seconds whose values are kept ready: what is older is written anew for each response.
const READY: usize = 1024;

/// Why a request went on to the origin (RFC 9211 section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forward {
    Bypass,
    Method,
    UriMiss,
    VaryMiss,
    Request,
    Stale,
    Partial,
}

impl Forward {
    const fn name(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

/// What became of a request that went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Forwarded {
    pub(super) why: Forward,
    /// The origin's status, when the client is told another.
    pub(super) status: Option<u16>,
    pub(super) is_stored: bool,
    /// Whether it was answered with another request's response; `Some(false)`: it waited in vain.
    pub(super) collapsed: Option<bool>,
    pub(super) detail: Option<&'static str>,
}

impl Forwarded {
    pub(super) const fn new(why: Forward) -> Self {
        Self { why, status: None, is_stored: false, collapsed: None, detail: None }
    }
}

/// Writes both fields.
#[derive(Debug)]
pub(super) struct Writer {
    /// The cache's name; none, and no `Cache-Status` is sent.
    name: Option<Box<str>>,
    ages: Box<[OnceLock<HeaderValue>]>,
    hits: Box<[OnceLock<HeaderValue>]>,
}

impl Writer {
    pub(super) fn new(name: Option<Box<str>>) -> Self {
        let ready = || (0..READY).map(|_| OnceLock::new()).collect();
        Self { name, ages: ready(), hits: ready() }
    }

    pub(super) const fn is_silent(&self) -> bool {
        self.name.is_none()
    }

    /// Writes both into the seats of a stored response.
    pub(super) fn write_hit(&self, headers: &mut HeaderMap, age: Duration, left: Result<Duration, Duration>) {
        let mut age = Some(self.age(age.as_secs()));
        let mut status = self.name.as_ref().map(|name| self.hit(name, left));
        // The seats come first, and to look them up by their names would cost more than all else here.
        let mut fields = headers.iter_mut();
        if let Some((name, seat)) = fields.next()
            && *name == header::AGE
        {
            *seat = age.take().unwrap_or(SEAT);
        }
        if let Some((name, seat)) = fields.next()
            && *name == CACHE_STATUS
            && seat.is_empty()
        {
            *seat = status.take().unwrap_or(EMPTY_SEAT);
        }
        if let Some(age) = age {
            headers.insert(header::AGE, age);
        }
        if let Some(status) = status {
            put(headers, status);
        }
    }

    fn hit(&self, name: &str, left: Result<Duration, Duration>) -> HeaderValue {
        match left {
            Ok(left) => {
                let write = || text(format!("{name}; hit; ttl={}", left.as_secs()));
                ready(&self.hits, left.as_secs(), write)
            }
            // There is no negative zero (RFC 9651 section 3.3.1).
            Err(stale) if stale.as_secs() == 0 => text(format!("{name}; hit; ttl=0")),
            Err(stale) => text(format!("{name}; hit; ttl=-{}", stale.as_secs())),
        }
    }

    /// Writes what became of a request that went on. `seated` headers come out of the store.
    pub(super) fn write_forwarded(&self, headers: &mut HeaderMap, forwarded: Forwarded) {
        let Some(name) = &self.name else { return };
        let mut line = format!("{name}; fwd={}", forwarded.why.name());
        if let Some(status) = forwarded.status {
            line.push_str("; fwd-status=");
            line.push_str(&status.to_string());
        }
        if forwarded.is_stored {
            line.push_str("; stored");
        }
        match forwarded.collapsed {
            Some(true) => line.push_str("; collapsed"),
            Some(false) => line.push_str("; collapsed=?0"),
            None => {}
        }
        if let Some(detail) = forwarded.detail {
            line.push_str("; detail=");
            line.push_str(detail);
        }
        put(headers, text(line));
    }

    pub(super) fn age(&self, seconds: u64) -> HeaderValue {
        ready(&self.ages, seconds, || HeaderValue::from(seconds))
    }
}

fn ready(values: &[OnceLock<HeaderValue>], seconds: u64, write: impl FnOnce() -> HeaderValue) -> HeaderValue {
    match usize::try_from(seconds).ok().and_then(|at| values.get(at)) {
        Some(value) => value.get_or_init(write).clone(),
        None => write(),
    }
}

fn text(line: String) -> HeaderValue {
    HeaderValue::try_from(line).unwrap_or(HeaderValue::from_static(""))
}

/// RFC 9211 section 2: every cache appends, so the last member is the one closest to the client. A stored response has an
/// empty last line for ours.
fn put(headers: &mut HeaderMap, value: HeaderValue) {
    match headers.get_mut(&CACHE_STATUS) {
        Some(seat) if seat.is_empty() => *seat = value,
        _ => drop(headers.append(CACHE_STATUS, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> Writer {
        Writer::new(Some(Box::from("rampart")))
    }

    fn lines(headers: &HeaderMap) -> Vec<&str> {
        headers.get_all(CACHE_STATUS).iter().map(|line| line.to_str().unwrap()).collect()
    }

    /// RFC 9211 section 2; RFC 9111 section 5.1: one `Age`.
    #[test]
    fn hits() {
        let mut headers = HeaderMap::from_iter([(header::AGE, HeaderValue::from_static("9"))]);
        headers.append(CACHE_STATUS, HeaderValue::from_static(""));
        for _ in 0..2 {
            let mut sent = headers.clone();
            writer().write_hit(&mut sent, Duration::from_millis(2900), Ok(Duration::from_secs(57)));
            assert_eq!(sent.get_all(header::AGE).iter().collect::<Vec<_>>(), ["2"]);
            assert_eq!(lines(&sent), ["rampart; hit; ttl=57"]);
        }
        let mut stale = headers.clone();
        writer().write_hit(&mut stale, Duration::from_secs(100_000), Err(Duration::from_secs(12)));
        assert_eq!(stale[header::AGE], "100000");
        assert_eq!(lines(&stale), ["rampart; hit; ttl=-12"]);
        // RFC 9211 section 2.4, RFC 9651 section 3.3.1: an integer, of which none is a negative zero.
        for (left, told) in [(999, "0"), (1000, "-1"), (1999, "-1")] {
            let mut stale = headers.clone();
            writer().write_hit(&mut stale, Duration::ZERO, Err(Duration::from_millis(left)));
            assert_eq!(lines(&stale), [format!("rampart; hit; ttl={told}")]);
        }
        let mut silent = HeaderMap::new();
        Writer::new(None).write_hit(&mut silent, Duration::ZERO, Ok(Duration::ZERO));
        assert_eq!(silent.len(), 1);
    }

    /// RFC 9211 sections 2.2 to 2.8, and its rule to append.
    #[test]
    fn what_went_on() {
        let mut headers = HeaderMap::from_iter([(CACHE_STATUS, HeaderValue::from_static("origin; hit"))]);
        let forwarded = Forwarded {
            status: Some(304),
            is_stored: true,
            collapsed: Some(true),
            detail: Some("x"),
            ..Forwarded::new(Forward::Stale)
        };
        writer().write_forwarded(&mut headers, forwarded);
        let expected = "rampart; fwd=stale; fwd-status=304; stored; collapsed; detail=x";
        assert_eq!(lines(&headers), ["origin; hit", expected]);
        for (why, name) in [
            (Forward::Bypass, "bypass"),
            (Forward::Method, "method"),
            (Forward::UriMiss, "uri-miss"),
            (Forward::VaryMiss, "vary-miss"),
            (Forward::Request, "request"),
            (Forward::Partial, "partial"),
        ] {
            let mut headers = HeaderMap::new();
            let alone = Forwarded { collapsed: Some(false), ..Forwarded::new(why) };
            writer().write_forwarded(&mut headers, alone);
            assert_eq!(lines(&headers), [format!("rampart; fwd={name}; collapsed=?0")]);
        }
    }
}
