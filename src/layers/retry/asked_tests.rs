use std::time::UNIX_EPOCH;

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

/// Sun, 06 Nov 1994 08:49:37 GMT.
fn wall() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(784_111_777)
}

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
}

fn judge(status: u16, fields: &[(&'static str, &str)]) -> Option<Asked> {
    Signs::default().judge(StatusCode::from_u16(status).unwrap(), &headers(fields), wall())
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn statuses() {
    for status in [502, 503, 504] {
        assert_eq!(judge(status, &[]), Some(Asked::Freely), "{status}");
        assert_eq!(judge(status, &[("retry-after", "7")]), Some(Asked::AtLeast(secs(7))), "{status}");
        assert_eq!(judge(status, &[("retry-after", "soon")]), Some(Asked::Freely), "{status}");
    }
    for status in [200, 204, 301, 304, 400, 404, 408, 409, 425, 500, 501, 505] {
        assert_eq!(judge(status, &[("retry-after", "1")]), None, "{status}");
    }
}

/// 429 without a wait says nothing about when another try would fare better.
#[test]
fn too_many_requests_with_a_wait_alone() {
    assert_eq!(judge(429, &[]), None);
    assert_eq!(judge(429, &[("retry-after", "-1")]), None);
    assert_eq!(judge(429, &[("retry-after", "0")]), Some(Asked::AtLeast(Duration::ZERO)));
    assert_eq!(judge(429, &[("retry-after", "30")]), Some(Asked::AtLeast(secs(30))));
}

/// RFC 9110 section 10.2.3: a delay in seconds or an HTTP-date.
#[test]
fn retry_after_in_both_forms() {
    let asked = |value: &str| retry_after(&headers(&[("retry-after", value)]), wall);
    assert_eq!(asked("120"), Some(secs(120)));
    assert_eq!(asked("99999999999999999999999"), Some(Duration::MAX));
    for (date, wait) in [
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60),
        ("Sun Nov  6 08:50:37 1994", 60),
        // What lies behind us is now.
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0),
    ] {
        assert_eq!(asked(date), Some(secs(wait)), "{date}");
    }
    for text in
        ["", "+1", "-1", "1.5", "1s", "0x10", "Sun, 06 Nov 1994 08:50:37", "Sun, 06 Nov 1994 08:50:37 CET", "soon"]
    {
        assert_eq!(asked(text), None, "{text}");
    }
}

#[test]
fn a_date_is_compared_with_the_servers_own() {
    let fields = [("date", "Sun, 06 Nov 1994 09:00:00 GMT"), ("retry-after", "Sun, 06 Nov 1994 09:00:05 GMT")];
    assert_eq!(retry_after(&headers(&fields), wall), Some(secs(5)));
}

#[test]
fn of_several_lines_the_longest_counts() {
    let mut fields = headers(&[("retry-after", "3")]);
    for more in ["9", "soon", "1"] {
        fields.append("retry-after", HeaderValue::from_static(more));
    }
    assert_eq!(retry_after(&fields, wall), Some(secs(9)));
}

const GRPC: (&str, &str) = ("content-type", "application/grpc");

#[test]
fn grpc_by_the_status_in_the_head() {
    assert_eq!(judge(200, &[GRPC, ("grpc-status", "14")]), Some(Asked::Freely));
    for status in ["0", "1", "2", "4", "8", "13", "014", "14 ", "x"] {
        assert_eq!(judge(200, &[GRPC, ("grpc-status", status)]), None, "{status}");
    }
    // The head of a stream, and a plain answer with a stray field.
    assert_eq!(judge(200, &[GRPC]), None);
    assert_eq!(judge(200, &[("grpc-status", "14")]), None);
    // A proxy's word.
    assert_eq!(judge(503, &[]), Some(Asked::Freely));
}

/// gRPC's retry design (A6), "Pushback": negative or unparsable means no retry.
#[test]
fn pushback_is_obeyed() {
    let asked = |pushback| judge(200, &[GRPC, ("grpc-status", "14"), ("grpc-retry-pushback-ms", pushback)]);
    assert_eq!(asked("0"), Some(Asked::Exactly(Duration::ZERO)));
    assert_eq!(asked("1500"), Some(Asked::Exactly(Duration::from_millis(1500))));
    for pushback in ["-1", "", "soon", "1.5", "+1", "2147483648", "99999999999999999999"] {
        assert_eq!(asked(pushback), None, "{pushback}");
        assert_eq!(judge(503, &[("grpc-retry-pushback-ms", pushback)]), None, "{pushback}");
    }
    let mut twice = headers(&[GRPC, ("grpc-status", "14"), ("grpc-retry-pushback-ms", "1")]);
    twice.append("grpc-retry-pushback-ms", HeaderValue::from_static("1"));
    assert_eq!(Signs::default().judge(StatusCode::OK, &twice, wall()), None);
}

proptest! {
    #[test]
    fn any_field_is_read_without_a_panic(retry in "\\PC{0,40}", date in "\\PC{0,40}", pushback in "[0-9-]{0,12}", status in 100_u16..600) {
        let mut fields = HeaderMap::new();
        for (name, value) in [("retry-after", &retry), ("date", &date), ("grpc-retry-pushback-ms", &pushback)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                fields.insert(name, value);
            }
        }
        let _ = Signs::default().judge(StatusCode::from_u16(status).unwrap(), &fields, wall());
    }

    #[test]
    fn whole_seconds_are_seconds(seconds: u64) {
        prop_assert_eq!(retry_after(&headers(&[("retry-after", &seconds.to_string())]), wall), Some(secs(seconds)));
    }
}
