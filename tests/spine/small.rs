use std::time::Duration;

use http::Request;
use tower_rampart::{Clock, ConfigError, Identity, RequestView};

#[test]
fn a_manual_clock_moves_by_hand_and_clones_agree() {
    let (clock, hand) = Clock::manual();
    let other = clock.clone();
    let (start, wall) = (clock.now(), clock.wall());
    assert_eq!(clock.now(), start, "it stands still");
    hand.advance(Duration::from_secs(86_400 * 365));
    assert_eq!(other.now() - start, Duration::from_secs(86_400 * 365));
    assert_eq!(other.wall().duration_since(wall).unwrap(), Duration::from_secs(86_400 * 365));
}

#[test]
fn the_system_clock_does_not_go_back() {
    let clock = Clock::system();
    let before = clock.now();
    assert!(clock.now() >= before);
}

#[test]
fn an_identity_keeps_its_subject_out_of_debug() {
    let identity = Identity::new("https://idp.example/", "alice@example.org").with_tenant("acme").with_roles(["admin"]);
    assert!(!format!("{identity:?}").contains("alice"));
    assert_eq!((identity.subject(), identity.tenant()), ("alice@example.org", Some("acme")));
    assert!(identity.has_role("admin") && !identity.has_role("adm") && !identity.has_scope("admin"));
    let request = Request::get("/").extension(identity.clone()).body(()).unwrap();
    assert_eq!(Identity::of(RequestView::of(&request)), Some(&identity));
}

#[test]
fn a_request_view_hides_what_may_be_secret() {
    let request = Request::get("/?token=s3cret").header("authorization", "s3cret").body(()).unwrap();
    assert!(!format!("{:?}", RequestView::of(&request)).contains("s3cret"));
}

#[test]
fn a_configuration_error_names_everything_and_forges_no_lines() {
    let error = ConfigError::new("quota", "1\n2\u{1b}[31m", "is no number", "write 100").at("app.toml", 7);
    assert_eq!(error.to_string(), "app.toml:7: quota: `1\u{fffd}2\u{fffd}[31m` is no number; write 100");
    assert_eq!((error.setting(), error.line(), error.mend()), ("quota", Some(7), "write 100"));
    let long = ConfigError::new("quota", "x".repeat(10_000), "is long", "shorten it");
    assert!(long.to_string().len() < 300);
}
