use std::time::Duration;

use http::{HeaderMap, HeaderValue, Response};
use tower_rampart::ResponseView;
use tower_rampart::classify::{BodyEnd, HeadVerdict, Verdict, classify_end, classify_head};

fn response(status: u16, fields: &[(&'static str, &'static str)]) -> Response<()> {
    let mut builder = Response::builder().status(status);
    for (name, value) in fields {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap()
}

fn verdict(status: u16, fields: &[(&'static str, &'static str)]) -> Verdict {
    classify_end(classify_head(ResponseView::of(&response(status, fields))), BodyEnd::Complete(None))
}

fn trailers(status: &'static str) -> HeaderMap {
    HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static(status))])
}

#[test]
fn statuses() {
    for status in [200, 204, 301, 304, 400, 401, 403, 404, 409, 422, 501, 505] {
        assert_eq!(verdict(status, &[]), Verdict::Success, "{status}");
    }
    for status in [408, 425, 500, 502, 503, 504, 507, 599] {
        assert_eq!(verdict(status, &[]), Verdict::Failure, "{status}");
    }
    assert_eq!(verdict(429, &[]), Verdict::Overload { retry_after: None });
    let asked = |value| verdict(429, &[("retry-after", value)]);
    assert_eq!(asked("7"), Verdict::Overload { retry_after: Some(Duration::from_secs(7)) });
    // More than anybody waits is no less than that.
    assert_eq!(asked("99999999999999999999999"), Verdict::Overload { retry_after: Some(Duration::MAX) });
    // RFC 9110 section 10.2.3 has one line; of several the longest counts, for breakers as for retries.
    let several = [("retry-after", "3"), ("retry-after", "9"), ("retry-after", "soon"), ("retry-after", "1")];
    assert_eq!(verdict(429, &several), Verdict::Overload { retry_after: Some(Duration::from_secs(9)) });
    for unreadable in ["-1", "1.5", "Fri, 31 Dec 1999 23:59:59 GMT", "", "+5"] {
        assert_eq!(asked(unreadable), Verdict::Overload { retry_after: None }, "{unreadable}");
    }
}

#[test]
fn grpc_by_its_status_wherever_it_stands() {
    const GRPC: (&str, &str) = ("content-type", "application/grpc+proto");
    assert_eq!(verdict(200, &[GRPC, ("grpc-status", "14")]), Verdict::Failure);
    assert_eq!(verdict(200, &[GRPC, ("grpc-status", "5")]), Verdict::Success);
    assert_eq!(
        verdict(200, &[GRPC, ("grpc-status", "8"), ("grpc-retry-pushback-ms", "1500")]),
        Verdict::Overload { retry_after: Some(Duration::from_millis(1500)) },
    );

    // gRPC A6, "Pushback": an int32, once. What is none asks for no wait.
    for pushback in ["-1", "soon", "2147483648", ""] {
        let fields = [GRPC, ("grpc-status", "8"), ("grpc-retry-pushback-ms", pushback)];
        assert_eq!(verdict(200, &fields), Verdict::Overload { retry_after: None }, "{pushback}");
    }
    let twice = [GRPC, ("grpc-status", "8"), ("grpc-retry-pushback-ms", "1"), ("grpc-retry-pushback-ms", "2")];
    assert_eq!(verdict(200, &twice), Verdict::Overload { retry_after: None });

    let head = classify_head(ResponseView::of(&response(200, &[GRPC])));
    assert_eq!(head, HeadVerdict::AwaitsTrailers);
    for (status, expected) in [
        ("0", Verdict::Success),
        ("1", Verdict::Success),
        ("2", Verdict::Failure),
        ("4", Verdict::Failure),
        ("8", Verdict::Overload { retry_after: None }),
        ("13", Verdict::Failure),
        ("15", Verdict::Failure),
        ("16", Verdict::Success),
        ("17", Verdict::Failure),
        ("abc", Verdict::Failure),
    ] {
        assert_eq!(classify_end(head, BodyEnd::Complete(Some(&trailers(status)))), expected, "{status}");
    }
    assert_eq!(classify_end(head, BodyEnd::Complete(None)), Verdict::Failure);
    assert_eq!(classify_end(head, BodyEnd::Complete(Some(&HeaderMap::new()))), Verdict::Failure);
    assert_eq!(verdict(503, &[GRPC]), Verdict::Failure, "a proxy's own error page");
}

#[test]
fn a_broken_body_is_a_failure_and_a_reader_who_leaves_is_not() {
    let fine = classify_head(ResponseView::of(&response(200, &[])));
    assert_eq!(classify_end(fine, BodyEnd::Broken), Verdict::Failure);
    assert_eq!(classify_end(fine, BodyEnd::Abandoned), Verdict::Success);
    let streaming = classify_head(ResponseView::of(&response(200, &[("content-type", "application/grpc")])));
    assert_eq!(classify_end(streaming, BodyEnd::Abandoned), Verdict::Neutral);
    assert_eq!(classify_end(streaming, BodyEnd::Broken), Verdict::Failure);
}
