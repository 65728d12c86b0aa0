//! A compartment for each key, and places for all.

use tower_rampart::bulkhead::Bulkhead;
use tower_rampart::key::{AuthorityKey, KeyWriter, MissingKey};
use tower_rampart::{RequestView, key};

use crate::support::{Call, Fixture, ms, status};

fn suppliers() -> Bulkhead {
    Bulkhead::new(4).queue(4, ms(100)).per_key(AuthorityKey, 2).max_queued_per_key(2)
}

fn statuses(calls: &mut [Call]) -> Vec<Option<u16>> {
    calls.iter_mut().map(status).collect()
}

#[test]
fn no_key_takes_all_places() {
    let mut fixture = Fixture::of(Bulkhead::new(4).per_key(AuthorityKey, 2));
    let uris = ["http://a/1", "http://a/2", "http://A/3", "http://b/4", "http://b/5", "http://c/6"];
    let mut calls: Vec<_> = uris.iter().map(|uri| fixture.start(uri)).collect();
    assert_eq!(statuses(&mut calls), [None, None, Some(503), None, None, Some(503)]);
    assert_eq!((fixture.counts(), fixture.handle.snapshot().keys), ((4, 0), 2));
    calls.clear();
    // There are no more compartments than requests.
    assert_eq!((fixture.counts(), fixture.handle.snapshot().keys), ((0, 0), 0));
}

/// One key's crowd waits for places of its own, and those of another go by.
#[test]
fn who_waits_for_a_key_holds_no_place_of_all() {
    let mut fixture = Fixture::of(suppliers());
    let mut crowd: Vec<_> = (0..5).map(|n| fixture.start(&format!("http://a/{n}"))).collect();
    assert_eq!(statuses(&mut crowd), [None, None, None, None, Some(503)]);
    assert_eq!(fixture.counts(), (2, 2));
    let mut others = vec![fixture.start("http://b/x"), fixture.start("http://c/y")];
    assert_eq!(statuses(&mut others), [None, None]);
    assert_eq!((fixture.counts(), fixture.handler.seen().len()), ((4, 2), 4));
    // Now all places are taken, and who has one of its key waits for one of all.
    others.push(fixture.start("http://b/z"));
    assert_eq!(statuses(&mut others), [None, None, None]);
    assert_eq!(fixture.counts(), (4, 3));
    fixture.handler.end("/0");
    assert_eq!(status(&mut crowd[0]), Some(200));
    // The place of all went to whoever has waited for it; that of the key to the crowd's next, who now waits for one of all.
    assert_eq!(statuses(&mut others), [None, None, None]);
    assert_eq!(statuses(&mut crowd[1..4]), [None, None, None]);
    assert_eq!((fixture.counts(), fixture.handler.seen().last().unwrap().as_str()), ((4, 2), "/z"));
    drop(crowd);
    drop(others);
    assert_eq!((fixture.counts(), fixture.handle.snapshot().keys), ((0, 0), 0));
}

#[test]
fn closures_make_keys_and_those_without_one_share() {
    let by_tenant = key::from_fn(|request, key| match request.headers().get("x-tenant") {
        Some(tenant) => {
            key.part(tenant.as_bytes());
            Ok(())
        }
        None => Err(MissingKey::new("tenant", "send `x-tenant`")),
    });
    let mut fixture = Fixture::of(Bulkhead::new(10).per_key(by_tenant, 1));
    let request = |tenant: Option<&str>| {
        let request = http::Request::get("/");
        let request = tenant.into_iter().fold(request, |request, tenant| request.header("x-tenant", tenant));
        request.body(()).unwrap()
    };
    let mut start = |tenant| -> Call { Box::pin(crate::support::start(&mut fixture.service, request(tenant))) };
    let mut calls = vec![start(Some("a")), start(Some("a")), start(Some("b")), start(None), start(None)];
    assert_eq!(statuses(&mut calls), [None, Some(503), None, None, Some(503)]);
}

#[test]
fn the_bound_of_keys_changes_while_it_runs() {
    let mut fixture = Fixture::of(suppliers());
    let mut calls: Vec<_> = (0..4).map(|n| fixture.start(&format!("http://a/{n}"))).collect();
    statuses(&mut calls);
    assert_eq!(fixture.counts(), (2, 2));
    fixture.handle.set_max_concurrent_per_key(3).unwrap();
    statuses(&mut calls);
    assert_eq!(fixture.counts(), (3, 1));
    assert_eq!(fixture.handle.snapshot().max_concurrent_per_key, 3);
}

/// Clients may write any authority: nothing stays of it.
#[test]
fn a_flood_of_keys_leaves_nothing() {
    let mut fixture = Fixture::of(Bulkhead::new(8).queue(8, ms(10)).per_key(AuthorityKey, 2));
    for n in 0..10_000 {
        let mut call = fixture.start(&format!("http://host-{n}/"));
        status(&mut call);
        assert!(fixture.handle.snapshot().keys <= 16);
    }
    assert_eq!((fixture.counts(), fixture.handle.snapshot().keys), ((0, 0), 0));
}

#[test]
fn an_authority_is_the_targets_or_the_hosts() {
    let written = |request: http::Request<()>| {
        use std::hash::Hasher as _;
        let mut hasher = std::collections::hash_map::DefaultHasher::new();
        let extracted =
            key::KeyExtractor::extract(&AuthorityKey, RequestView::of(&request), &mut KeyWriter::new(&mut hasher));
        extracted.map(|()| hasher.finish())
    };
    let target = |uri: &str| written(http::Request::get(uri).body(()).unwrap());
    let host = |host: &str| written(http::Request::get("/").header("host", host).body(()).unwrap());
    assert_eq!(target("http://Supplier.example:81/x"), host("supplier.example:81"));
    assert_ne!(target("http://supplier.example:81/x"), host("supplier.example:82"));
    assert!(target("/x").is_err());
    // However long it is.
    assert_ne!(host(&format!("{}a", "x".repeat(5000))), host(&format!("{}ab", "x".repeat(5000))));
}
