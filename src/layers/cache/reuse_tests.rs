use std::time::Instant;

use http::{HeaderMap, StatusCode};

use super::super::entry::Rules;
use super::super::freshness::Life;
use super::super::key::{Class, RequestKey, Target};
use super::super::purge::Begun;
use super::*;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A response that is good for ten seconds.
fn head(born: Instant, rules: Rules) -> Head {
    let target = Target::of_parts(false, b"a", "/", None);
    let key = RequestKey::new(Class::Get, target, None, None).to_key();
    let life = Life { born, initial_age: seconds(0), lifetime: seconds(10) };
    let marked = (Box::default(), 0, Begun::default());
    let date = std::time::UNIX_EPOCH;
    Head::new(key, StatusCode::OK, HeaderMap::new(), Box::default(), date, life, rules, marked)
}

fn at(age: u64, rules: Rules, asked: RequestDirectives, settings: &Settings) -> Reuse {
    let born = Instant::now();
    reuse(&head(born, rules), &asked, seconds(age), settings)
}

const VALIDATE: Reuse = Reuse::Validate { by_request: false };
const BY_REQUEST: Reuse = Reuse::Validate { by_request: true };

/// RFC 9111 section 4; section 5.2.2.4.
#[test]
fn age_decides() {
    let (plain, none) = (Settings::default(), RequestDirectives::default());
    assert_eq!(at(9, Rules::default(), none, &plain), Reuse::Fresh);
    assert_eq!(at(10, Rules::default(), none, &plain), VALIDATE);
    assert_eq!(at(0, Rules { no_cache: true, ..Rules::default() }, none, &plain), VALIDATE);
}

/// RFC 5861 section 3.
#[test]
fn stale_while_revalidate() {
    let (plain, none) = (Settings::default(), RequestDirectives::default());
    let rules = Rules { stale_while_revalidate: seconds(5), ..Rules::default() };
    assert_eq!(at(9, rules, none, &plain), Reuse::Fresh);
    assert_eq!(at(14, rules, none, &plain), Reuse::WhileRevalidate);
    assert_eq!(at(15, rules, none, &plain), VALIDATE);
}

/// RFC 9111 section 5.2.1.
#[test]
fn what_clients_ask() {
    let ask = |age, asked| at(age, Rules::default(), asked, &Settings::default());
    let none = RequestDirectives::default();
    assert_eq!(ask(0, RequestDirectives { no_cache: true, ..none }), BY_REQUEST);
    assert_eq!(ask(5, RequestDirectives { max_age: Some(seconds(5)), ..none }), Reuse::Fresh);
    assert_eq!(ask(6, RequestDirectives { max_age: Some(seconds(5)), ..none }), BY_REQUEST);
    assert_eq!(ask(0, RequestDirectives { max_age: Some(seconds(0)), ..none }), BY_REQUEST);
    assert_eq!(ask(5, RequestDirectives { min_fresh: Some(seconds(5)), ..none }), Reuse::Fresh);
    assert_eq!(ask(6, RequestDirectives { min_fresh: Some(seconds(5)), ..none }), BY_REQUEST);
    assert_eq!(ask(15, RequestDirectives { max_stale: Some(seconds(5)), ..none }), Reuse::Stale);
    assert_eq!(ask(16, RequestDirectives { max_stale: Some(seconds(5)), ..none }), VALIDATE);
    let most = Settings { max_stale: seconds(3), ..Settings::default() };
    for (age, expected) in [(13, Reuse::Stale), (14, VALIDATE)] {
        assert_eq!(
            at(age, Rules::default(), RequestDirectives { max_stale: Some(seconds(5)), ..none }, &most),
            expected
        );
    }
    let forbids = Rules { forbids_stale: true, ..Rules::default() };
    let takes = RequestDirectives { max_stale: Some(seconds(50)), ..none };
    assert_eq!(at(15, forbids, takes, &Settings::default()), VALIDATE, "the response's word counts for more");
}

#[test]
fn an_origins_policy_does_not_listen() {
    let origin = Settings { policy: Policy::Origin, ..Settings::default() };
    let demanding = RequestDirectives {
        no_cache: true,
        max_age: Some(seconds(0)),
        min_fresh: Some(seconds(99)),
        max_stale: Some(seconds(99)),
        ..RequestDirectives::default()
    };
    assert_eq!(at(5, Rules::default(), demanding, &origin), Reuse::Fresh);
    assert_eq!(at(15, Rules::default(), demanding, &origin), VALIDATE);
}

/// RFC 8246 section 2: a reload finds the same, unless it is forced (RFC 9111 section 5.2.1.4).
#[test]
fn what_is_immutable_is_not_reloaded_unless_by_force() {
    let rules = Rules { immutable: true, ..Rules::default() };
    let none = RequestDirectives::default();
    let reload = RequestDirectives { max_age: Some(seconds(0)), ..none };
    assert_eq!(at(5, rules, reload, &Settings::default()), Reuse::Fresh);
    assert_eq!(at(10, rules, reload, &Settings::default()), BY_REQUEST);
    assert_eq!(
        at(5, rules, RequestDirectives { min_fresh: Some(seconds(9)), ..none }, &Settings::default()),
        Reuse::Fresh
    );
    let forced = RequestDirectives { no_cache: true, ..reload };
    assert_eq!(at(5, rules, forced, &Settings::default()), BY_REQUEST);
    let origin = Settings { policy: Policy::Origin, ..Settings::default() };
    assert_eq!(at(5, rules, forced, &origin), Reuse::Fresh);
}

#[test]
fn what_was_expired_is_stale_however_young() {
    let born = Instant::now();
    let head = head(born, Rules::default());
    head.expire();
    assert_eq!(reuse(&head, &RequestDirectives::default(), seconds(0), &Settings::default()), VALIDATE);
}

/// RFC 9111 sections 4.2.4 and 5.2.2.2; RFC 5861 section 4.
#[test]
fn when_the_origin_fails() {
    let born = Instant::now();
    let silent = RequestDirectives::default();
    let after = |age, rules, failure, settings: &Settings| {
        fallback(&head(born, rules), &silent, failure, seconds(age), settings)
    };
    let (gone, error) = (Failure::Disconnected, Failure::Error);
    let plain = Settings::default();
    let none = Rules::default();
    assert_eq!(after(20, none, gone, &plain), Fallback::Stale);
    assert_eq!(after(20, none, error, &plain), Fallback::Pass);
    assert_eq!(after(10, none, error, &plain), Fallback::Pass, "no longer fresh is stale");
    assert_eq!(after(10 + 86_400, none, gone, &plain), Fallback::Stale);
    assert_eq!(after(11 + 86_400, none, gone, &plain), Fallback::Pass, "older than anything served");
    let sie = Rules { stale_if_error: Some(seconds(5)), ..none };
    assert_eq!(after(15, sie, error, &plain), Fallback::Stale);
    assert_eq!(after(16, sie, error, &plain), Fallback::Pass);
    assert_eq!(after(15, sie, gone, &plain), Fallback::Stale);
    assert_eq!(after(16, sie, gone, &plain), Fallback::Pass, "the response's word is the most");
    let never_stale = Rules { stale_if_error: Some(seconds(0)), ..none };
    let told = Settings { stale_if_error: seconds(5), ..Settings::default() };
    for failure in [gone, error] {
        assert_eq!(after(9, never_stale, failure, &told), Fallback::Stale, "it is fresh");
        assert_eq!(after(11, never_stale, failure, &told), Fallback::Pass);
    }
    assert_eq!(after(15, none, error, &told), Fallback::Stale, "where it says nothing the cache does");
    assert_eq!(after(16, none, error, &told), Fallback::Pass);
    let strict = Rules { forbids_stale: true, ..none };
    assert_eq!(after(20, strict, gone, &plain), Fallback::Refuse);
    assert_eq!(after(20, strict, error, &plain), Fallback::Pass);
    let no_cache = Rules { no_cache: true, forbids_stale: true, ..none };
    assert_eq!(after(1, no_cache, gone, &plain), Fallback::Refuse);
    // A client that wanted it validated gets what is fresh.
    assert_eq!(after(5, none, error, &plain), Fallback::Stale);
    let never = Settings { stale_when_disconnected: false, ..Settings::default() };
    assert_eq!(after(20, none, gone, &never), Fallback::Pass);
    assert_eq!(after(15, sie, gone, &never), Fallback::Stale);
}

/// RFC 5861 section 4: a client may take what is stale in the place of an error, where the response does not forbid it.
#[test]
fn a_client_takes_stale_for_an_error() {
    let born = Instant::now();
    let asked = RequestDirectives { stale_if_error: Some(seconds(5)), ..RequestDirectives::default() };
    let after =
        |age, rules, settings: &Settings| fallback(&head(born, rules), &asked, Failure::Error, seconds(age), settings);
    let none = Rules::default();
    assert_eq!(after(15, none, &Settings::default()), Fallback::Stale);
    assert_eq!(after(16, none, &Settings::default()), Fallback::Pass);
    assert_eq!(after(15, Rules { forbids_stale: true, ..none }, &Settings::default()), Fallback::Pass);
    let origin = Settings { policy: Policy::Origin, ..Settings::default() };
    assert_eq!(after(15, none, &origin), Fallback::Pass, "clients are not heard");
    let sie = Rules { stale_if_error: Some(seconds(2)), ..none };
    assert_eq!(after(12, sie, &Settings::default()), Fallback::Stale);
    assert_eq!(after(13, sie, &Settings::default()), Fallback::Pass, "and for more than the client's");
    let short = Settings { max_stale: seconds(2), ..Settings::default() };
    assert_eq!(after(12, none, &short), Fallback::Stale);
    assert_eq!(after(13, none, &short), Fallback::Pass);
}
