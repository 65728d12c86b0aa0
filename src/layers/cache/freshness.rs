//! How long a response is good, and how old it is (RFC 9111 section 4.2).

use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, StatusCode, header};

use super::directives::{MAX_SECONDS, ResponseDirectives, members, whole_number};
use crate::spine::date;

/// The most that is guessed from a `Last-Modified`: RFC 9111 section 4.2.2 wants care with what is old.
const MAX_HEURISTIC: Duration = Duration::from_secs(24 * 60 * 60);

/// When a response was asked for and when it came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    pub(super) asked: Instant,
    pub(super) answered: Instant,
    /// Wall time of the answer, for dates.
    pub(super) wall: SystemTime,
}

/// The life of a stored response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    /// When it came, by a clock that does not jump.
    pub(super) born: Instant,
    /// How old it was then.
    pub(super) initial_age: Duration,
    pub(super) lifetime: Duration,
}

impl Life {
    /// RFC 9111 section 4.2.3. A clock that goes back finds it as old as it came.
    pub(super) fn age(&self, now: Instant) -> Duration {
        self.initial_age.saturating_add(now.saturating_duration_since(self.born))
    }

    /// Fresh for so long, at an age; not at all when it is stale.
    pub(super) const fn left(&self, age: Duration) -> Duration {
        self.lifetime.saturating_sub(age)
    }

    /// Stale for so long, at an age.
    pub(super) const fn staleness(&self, age: Duration) -> Duration {
        age.saturating_sub(self.lifetime)
    }
}

/// A lifetime, and whether the response named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub(super) length: Duration,
    pub(super) is_explicit: bool,
}

/// RFC 9111 section 4.2.1 for a shared cache: `s-maxage`, `max-age`, `Expires`, and then a guess (section 4.2.2).
pub(super) fn lifetime(
    directives: &ResponseDirectives,
    headers: &HeaderMap,
    status: StatusCode,
    wall: SystemTime,
) -> Option<Lifetime> {
    let explicit = |length| Some(Lifetime { length, is_explicit: true });
    if let Some(length) = directives.s_maxage.or(directives.max_age) {
        return explicit(length);
    }
    let date = date::of(headers, &header::DATE).unwrap_or(wall);
    if !directives.targeted && headers.contains_key(header::EXPIRES) {
        // What is no date is in the past (section 5.3).
        let expires = date::of(headers, &header::EXPIRES);
        let length = expires.and_then(|expires| expires.duration_since(date).ok()).unwrap_or_default();
        return explicit(length.min(Duration::from_secs(MAX_SECONDS)));
    }
    if !(is_heuristic(status) || directives.public) {
        return None;
    }
    let modified = date::of(headers, &header::LAST_MODIFIED)?;
    let length = (date.duration_since(modified).ok()? / 10).min(MAX_HEURISTIC);
    Some(Lifetime { length, is_explicit: false })
}

/// RFC 9110 section 15.1: what may be stored without being told.
pub(super) const fn is_heuristic(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// The age of a response when it came (RFC 9111 section 4.2.3).
pub(super) fn initial_age(headers: &HeaderMap, moments: Moments) -> Duration {
    let date = date::of(headers, &header::DATE);
    let apparent = date.and_then(|date| moments.wall.duration_since(date).ok()).unwrap_or_default();
    // Dates have whole seconds: what a part of one adds is the format's, not the response's.
    let apparent = Duration::from_secs(apparent.as_secs());
    let delay = moments.answered.saturating_duration_since(moments.asked);
    apparent.max(told_age(headers).saturating_add(delay))
}

/// What `Age` says: of several the first (RFC 9111 section 5.1). One that cannot be read may hide any age, so it counts as
/// the greatest.
fn told_age(headers: &HeaderMap) -> Duration {
    let Some(line) = headers.get(header::AGE) else { return Duration::ZERO };
    let told = members(line.as_bytes()).next().and_then(whole_number);
    Duration::from_secs(told.unwrap_or(MAX_SECONDS).min(MAX_SECONDS))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::{HeaderName, HeaderValue};

    use super::*;

    fn wall() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000_000_000)
    }

    fn headers(fields: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn at(offset: i64) -> String {
        let moved = Duration::from_secs(offset.unsigned_abs());
        let at = if offset < 0 { wall() - moved } else { wall() + moved };
        date::format(at).to_str().unwrap().to_owned()
    }

    fn seconds(headers: &HeaderMap, status: u16) -> Option<(u64, bool)> {
        let directives = ResponseDirectives::of(headers, &[HeaderName::from_static("cdn-cache-control")]);
        let lifetime = lifetime(&directives, headers, StatusCode::from_u16(status).unwrap(), wall())?;
        Some((lifetime.length.as_secs(), lifetime.is_explicit))
    }

    /// RFC 9111 section 4.2.1.
    #[test]
    fn precedence() {
        let (cc, expires) = (header::CACHE_CONTROL, (header::EXPIRES, at(30)));
        let of = |value: &str| {
            let fields = [(cc.clone(), value), (expires.0.clone(), &*expires.1)];
            seconds(&headers(&fields), 200)
        };
        assert_eq!(of("max-age=20, s-maxage=10"), Some((10, true)));
        assert_eq!(of("max-age=20"), Some((20, true)));
        assert_eq!(of("public"), Some((30, true)));
        assert_eq!(of("max-age=x"), Some((0, true)), "an invalid number does not let `Expires` speak");
    }

    /// RFC 9111 section 5.3: against `Date`, or the time of receipt where that is missing.
    #[test]
    fn expires() {
        let of =
            |expires: &str, date: &str| seconds(&headers(&[(header::EXPIRES, expires), (header::DATE, date)]), 200);
        assert_eq!(of(&at(30), &at(-10)), Some((40, true)));
        assert_eq!(of(&at(30), &at(20)), Some((10, true)));
        assert_eq!(of(&at(30), "yesterday"), Some((30, true)));
        assert_eq!(of(&at(-1), &at(0)), Some((0, true)));
        for invalid in ["0", "", "-1", "soon"] {
            assert_eq!(of(invalid, &at(0)), Some((0, true)), "{invalid}");
        }
    }

    /// RFC 9213 section 2.2: a targeted field silences `Expires` and `Cache-Control`.
    #[test]
    fn targeted_fields_silence_the_others() {
        let cdn = HeaderName::from_static("cdn-cache-control");
        let fields = [(cdn, "x"), (header::CACHE_CONTROL, "max-age=9"), (header::EXPIRES, &*at(30))];
        assert_eq!(seconds(&headers(&fields), 200), None);
    }

    /// RFC 9111 section 4.2.2: a tenth, for statuses that allow it, and never beside an explicit time.
    #[test]
    fn heuristic() {
        let old = headers(&[(header::LAST_MODIFIED, &at(-1000)), (header::DATE, &at(0))]);
        for status in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
            assert_eq!(seconds(&old, status), Some((100, false)), "{status}");
        }
        for status in [201, 202, 302, 303, 307, 403, 500, 502, 503, 599] {
            assert_eq!(seconds(&old, status), None, "{status}");
        }
        let mut public = old;
        public.insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
        assert_eq!(seconds(&public, 202), Some((100, false)));
        let ancient = headers(&[(header::LAST_MODIFIED, "Sun, 06 Nov 1994 08:49:37 GMT")]);
        assert_eq!(seconds(&ancient, 200), Some((86_400, false)));
        assert_eq!(seconds(&headers(&[(header::LAST_MODIFIED, &at(10))]), 200), None, "modified in the future");
        assert_eq!(seconds(&HeaderMap::new(), 200), None);
    }

    /// RFC 9111 section 4.2.3.
    #[test]
    fn ages() {
        let asked = Instant::now();
        let answered = asked + Duration::from_secs(3);
        let of = |fields: &[(HeaderName, &str)]| {
            initial_age(&headers(fields), Moments { asked, answered, wall: wall() }).as_secs()
        };
        assert_eq!(of(&[]), 3, "the delay of the answer counts");
        assert_eq!(of(&[(header::AGE, "10")]), 13);
        assert_eq!(of(&[(header::DATE, &at(-60)), (header::AGE, "10")]), 60);
        assert_eq!(of(&[(header::DATE, &at(60))]), 3, "a clock that is fast makes nothing younger");
        let late = Moments { asked, answered: asked, wall: wall() + Duration::from_millis(999) };
        assert_eq!(initial_age(&headers(&[(header::DATE, &at(0))]), late), Duration::ZERO, "dates have whole seconds");
        assert_eq!(of(&[(header::AGE, "7, 100")]), 10);
        assert_eq!(of(&[(header::AGE, "7"), (header::AGE, "100")]), 10);
        for unreadable in ["x", "-5", "7.0", "7200a", "a7200", "7;x", "\"7\"", ""] {
            assert!(of(&[(header::AGE, unreadable)]) >= MAX_SECONDS, "{unreadable}");
        }
        assert!(of(&[(header::AGE, "99999999999999999999999")]) >= MAX_SECONDS);
    }

    #[test]
    fn a_life() {
        let born = Instant::now();
        let life = Life { born, initial_age: Duration::from_secs(2), lifetime: Duration::from_secs(10) };
        let at = |seconds| life.age(born + Duration::from_secs(seconds));
        assert_eq!((life.left(at(3)).as_secs(), life.staleness(at(3)).as_secs()), (5, 0));
        assert_eq!((life.left(at(8)).as_secs(), life.staleness(at(8)).as_secs()), (0, 0));
        assert_eq!((life.left(at(30)).as_secs(), life.staleness(at(30)).as_secs()), (0, 22));
        assert_eq!(life.age(born - Duration::from_secs(60)).as_secs(), 2, "a clock that goes back");
    }
}
