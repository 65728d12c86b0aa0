//! What is logged and counted.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tower_rampart::problem::{Problem, ProblemKind};
use tower_rampart::{Clock, Origin, Refuser, Rejection, RequestFacts, RequestView, ResponseBody};

use crate::log::{Log, meet_call_sites_from_anywhere};

fn logged(run: impl FnOnce()) -> Vec<String> {
    meet_call_sites_from_anywhere();
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).without_time().finish();
    tracing::subscriber::with_default(subscriber, run);
    log.text().lines().map(str::to_owned).collect()
}

fn refuse(refuser: &Refuser, kind: ProblemKind) {
    let request = Request::get("/?token=s3cret")
        .header("authorization", "s3cret")
        .header("x-request-id", "r-1")
        .body(())
        .unwrap();
    let rejection = Rejection::new(Origin::Custom("gate"), Problem::new(kind).with_detail("s3cret"));
    let _: http::Response<ResponseBody<http_body_util::Empty<Bytes>>> =
        refuser.refuse(rejection, &RequestFacts::of(RequestView::of(&request)));
}

#[test]
fn a_refusal_is_an_event_without_secrets() {
    let lines = logged(|| refuse(&Refuser::new(), ProblemKind::Forbidden));
    assert_eq!(lines.len(), 1);
    for part in ["WARN", "tower_rampart::custom", "layer=\"gate\"", "authz_fail", "status=403", "r-1"] {
        assert!(lines[0].contains(part), "{part} in {}", lines[0]);
    }
    assert!(!lines[0].contains("s3cret"));
}

#[test]
fn events_have_their_names_in_the_owasp_vocabulary() {
    for (kind, name) in [
        (ProblemKind::Unauthenticated, "authn_login_fail"),
        (ProblemKind::QuotaExceeded, "excess_rate_limit_exceeded"),
        (ProblemKind::UnprocessableContent, "input_validation_fail"),
        (ProblemKind::BadGateway, "request_refused"),
    ] {
        let lines = logged(|| refuse(&Refuser::new(), kind));
        assert!(lines[0].contains(name), "{}", lines[0]);
    }
}

#[test]
fn a_flood_of_refusals_is_no_flood_of_lines() {
    let (clock, hand) = Clock::manual();
    let refuser = Refuser::new().with_clock(clock);
    let lines = logged(|| {
        for _ in 0..1000 {
            refuse(&refuser, ProblemKind::Forbidden);
        }
        hand.advance(Duration::from_secs(1));
        refuse(&refuser.clone(), ProblemKind::Forbidden);
    });
    assert_eq!(lines.len(), 11, "ten in the first second, one in the next");
    assert!(lines[10].contains("suppressed=990"), "{}", lines[10]);
}

#[cfg(feature = "metrics")]
#[test]
fn every_refusal_is_counted() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let refuser = Refuser::new();
        for _ in 0..50 {
            refuse(&refuser, ProblemKind::QuotaExceeded);
        }
    });
    let counted = snapshotter.snapshot().into_vec();
    let (key, _, _, value) = &counted[0];
    assert_eq!(key.key().name(), "rampart_custom_refused_total");
    let labels: Vec<_> = key.key().labels().map(|label| (label.key(), label.value())).collect();
    assert_eq!(labels, [("layer", "gate"), ("status", "429")]);
    assert_eq!(*value, DebugValue::Counter(50));
}
