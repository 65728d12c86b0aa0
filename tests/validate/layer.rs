//! Hooks, and what is logged.

use tower_rampart::validate::{Check, Decision, Inspect, Part, Validate};

use crate::log::{Log, meet_call_sites_from_anywhere};
use crate::support::{get, json, send};

struct NoCats;

impl Inspect for NoCats {
    fn inspect(&self, part: Part<'_>) -> Decision {
        let has_cat = match part {
            Part::Head(request) => request.uri().path().contains("cat"),
            Part::Body(body) => body.windows(3).any(|three| three == b"cat"),
            _ => false,
        };
        if has_cat { Decision::Refuse } else { Decision::Pass }
    }
}

#[test]
fn a_hook_judges_what_has_passed() {
    let layer = Validate::new().inspect(NoCats).build().unwrap();
    assert_eq!(send(&layer, get("/dog")).status, 200);
    let answer = send(&layer, get("/cat"));
    assert_eq!((answer.status, answer.error().0.as_str()), (400, "inspect"));
    assert_eq!(send(&layer, json("[\"cat\"]")).status, 400);
    assert_eq!(send(&layer, json("[\"dog\"]")).status, 200);
    let reporting = Validate::new().inspect(NoCats).report(Check::Inspect).build().unwrap();
    assert_eq!(send(&reporting, json("[\"cat\"]")).status, 200);
}

#[test]
fn what_a_hook_is_shown_can_be_printed_without_it() {
    let shown = format!("{:?}", Part::Body(b"secret"));
    assert_eq!(shown, "Body { bytes: 6 }");
}

/// A report holds the check and the pointer; a refusal's reason is told at debug. Neither holds a value.
#[test]
fn events_hold_checks_and_pointers_and_no_values() {
    meet_call_sites_from_anywhere();
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let reporting = Validate::new().report_all().build().unwrap();
        assert_eq!(send(&reporting, json("{\"options\":[\"s3cret\",\"s3cret\\u0000\"]}")).status, 200);
        let refusing = Validate::new().build().unwrap();
        assert_eq!(send(&refusing, json("{\"pin\":\"s3cret\\u0000\"}")).status, 400);
        assert_eq!(send(&refusing, get("/s3cret/..?s3cret")).status, 400);
    });
    let text = log.text();
    assert!(text.contains("input_validation_reported") && text.contains("#/options/1"), "{text}");
    assert!(text.contains("input_validation_fail") && text.contains("#/pin"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}
