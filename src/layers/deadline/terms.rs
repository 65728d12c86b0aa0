//! Which deadline a request gets.

use std::time::{Duration, Instant};

use http::HeaderMap;

use super::timeout::{Malformed, TimeoutField};
use crate::spine::deadline::Deadline;

/// What bounds the time of requests.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) fields: Vec<TimeoutField>,
    pub(super) max: Option<Duration>,
}

impl Terms {
    /// The shortest of what the client asks for and what there is at most.
    pub(super) fn timeout(&self, headers: &HeaderMap) -> Result<Option<Duration>, Malformed> {
        let mut shortest = self.max;
        for field in &self.fields {
            let asked = field.read(headers)?;
            shortest = shortest.into_iter().chain(asked).min();
        }
        Ok(shortest)
    }
}

/// The earlier of a deadline that stands and one that is so far away; a time that no clock will show is none.
pub(super) fn earlier(standing: Option<Deadline>, timeout: Option<Duration>, now: Instant) -> Option<Deadline> {
    let own = timeout.and_then(|timeout| now.checked_add(timeout)).map(Deadline::at);
    standing.into_iter().chain(own).min()
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn secs(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn the_shortest_counts() {
        let x = HeaderName::from_static("x-timeout");
        let terms = |max| Terms { fields: vec![TimeoutField::grpc(), TimeoutField::seconds(x.clone())], max };
        let mut headers = HeaderMap::new();
        assert_eq!(terms(None).timeout(&headers), Ok(None));
        assert_eq!(terms(secs(9)).timeout(&headers), Ok(secs(9)));
        headers.insert("grpc-timeout", HeaderValue::from_static("7S"));
        assert_eq!(terms(None).timeout(&headers), Ok(secs(7)));
        assert_eq!(terms(secs(9)).timeout(&headers), Ok(secs(7)));
        assert_eq!(terms(secs(5)).timeout(&headers), Ok(secs(5)));
        headers.insert(x.clone(), HeaderValue::from_static("3"));
        assert_eq!(terms(secs(5)).timeout(&headers), Ok(secs(3)));
        headers.insert(x.clone(), HeaderValue::from_static("soon"));
        assert_eq!(terms(secs(5)).timeout(&headers), Err(Malformed));
    }

    #[test]
    fn the_earlier_counts() {
        let now = Instant::now();
        let in_secs = |seconds| Deadline::at(now + Duration::from_secs(seconds));
        assert_eq!(earlier(None, None, now), None);
        assert_eq!(earlier(Some(in_secs(2)), None, now), Some(in_secs(2)));
        assert_eq!(earlier(Some(in_secs(2)), secs(3), now), Some(in_secs(2)));
        assert_eq!(earlier(Some(in_secs(2)), secs(1), now), Some(in_secs(1)));
        assert_eq!(earlier(None, Some(Duration::MAX), now), None);
    }
}
