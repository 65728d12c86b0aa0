//! A full table.

use tower_rampart::key::ClientIp;
use tower_rampart::rate_limit::{Overflow, Policy};

use crate::support::{Fixture, field, from, json, per, secs};

fn client(n: u32) -> String {
    format!("{}.{}.{}.{}", 1 + (n >> 24), n >> 16 & 255, n >> 8 & 255, n & 255)
}

fn small(overflow: Overflow) -> Fixture {
    Fixture::policy(Policy::new("p", per(5, 60)).key(ClientIp::new()).max_keys(100).overflow(overflow))
}

#[test]
fn an_offender_stays_one_through_a_million_new_keys() {
    let fixture = Fixture::policy(Policy::new("p", per(5, 3600)).key(ClientIp::new()).max_keys(1000));
    assert_eq!(fixture.admitted(10, || from("9.9.9.9")), 5);
    for n in 0..1_000_000 {
        fixture.send(from(&client(n)));
    }
    assert_eq!(fixture.keys(), 1000);
    assert_eq!(fixture.admitted(10, || from("9.9.9.9")), 0);
    assert!(fixture.handle.snapshot("p").map(|policy| policy.overflowed).unwrap() >= 999_001 - 5);
}

#[test]
fn newcomers_to_a_full_table_share_a_bucket() {
    let fixture = small(Overflow::Shared);
    assert_eq!((0..100).filter(|n| fixture.status(from(&client(*n))) == 200).count(), 100);
    assert_eq!(fixture.keys(), 100);
    assert_eq!((100..200).filter(|n| fixture.status(from(&client(*n))) == 200).count(), 5);
    // The others are undisturbed.
    assert_eq!((0..100).filter(|n| fixture.status(from(&client(*n))) == 200).count(), 100);
    // A key that is whole again makes room.
    fixture.hand.advance(secs(60));
    assert_eq!((200..300).filter(|n| fixture.status(from(&client(*n))) == 200).count(), 100);
    assert_eq!(fixture.keys(), 100);
}

#[test]
fn a_newcomer_may_take_a_place_with_its_debt() {
    let fixture = small(Overflow::ReplaceNearest);
    for n in 0..100 {
        fixture.send(from(&client(n)));
    }
    // Each finds the debt of one request.
    let answer = fixture.send(from(&client(1000)));
    assert_eq!(answer.status(), 200);
    assert!(field(&answer, "ratelimit").starts_with("\"p\";r=3;"));
    assert_eq!(fixture.keys(), 100);
    // However many names it takes, all of them together get no more than the places had left.
    let admitted = (2000..12_000).filter(|n| fixture.status(from(&client(*n))) == 200).count();
    assert_eq!(admitted, 100 * 4 - 1);
}

#[test]
fn newcomers_may_be_refused() {
    let fixture = small(Overflow::Refuse);
    for n in 0..100 {
        fixture.send(from(&client(n)));
    }
    let refused = fixture.send(from(&client(1000)));
    assert_eq!((refused.status().as_u16(), field(&refused, "retry-after").as_str()), (503, "1"));
    let problem = json(refused);
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity");
    assert_eq!(problem["violated-policies"], serde_json::json!(["p"]));
    assert_eq!(fixture.status(from(&client(1))), 200);
}

#[test]
fn the_smallest_table_has_one_place() {
    let fixture = Fixture::policy(Policy::new("p", per(2, 60)).key(ClientIp::new()).max_keys(1));
    assert_eq!(fixture.admitted(5, || from("10.0.0.1")), 2);
    assert_eq!(fixture.admitted(5, || from("10.0.0.2")) + fixture.admitted(5, || from("10.0.0.3")), 2);
    assert_eq!(fixture.keys(), 1);
}

#[test]
fn places_in_flight_are_never_given_away() {
    for overflow in [Overflow::Shared, Overflow::ReplaceNearest] {
        let policy = Policy::concurrent("p", 1).key(ClientIp::new()).max_keys(2).overflow(overflow);
        let fixture = Fixture::policy(policy);
        let held: Vec<_> =
            (0..5).map(|n| fixture.respond(from(&client(n)), |_| http::Response::new("x".into()))).collect();
        // Two places of their own, and one that the others share.
        let statuses: Vec<_> = held.iter().map(|answer| answer.status().as_u16()).collect();
        assert_eq!(statuses, [200, 200, 200, 429, 429], "{overflow:?}");
        drop(held);
        assert_eq!(fixture.keys(), 0);
        assert_eq!((0..5).filter(|n| fixture.status(from(&client(*n))) == 200).count(), 5);
    }
}

#[test]
fn idle_keys_are_swept_by_those_that_come() {
    let fixture = Fixture::policy(Policy::new("p", per(5, 60)).key(ClientIp::new()).max_keys(10_000));
    for round in 0..10 {
        for n in 0..5_000 {
            fixture.send(from(&client(round * 10_000 + n)));
        }
        fixture.hand.advance(secs(61));
    }
    // A sweep looks at four slots for each newcomer, so about two rounds are left at most.
    assert!(fixture.keys() <= 10_000, "{}", fixture.keys());
    assert_eq!(fixture.handle.snapshot("p").map(|policy| policy.overflowed), Some(0));
}
