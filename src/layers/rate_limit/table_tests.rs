use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;

use super::meter::Meter;
use super::place::{Full, Overflow, Place, Tag};
use super::quota::Quota;
use super::table::Table;

const MS: u64 = 1_000_000;

/// Ten in a window; the tests write when it ends.
fn meter() -> Meter {
    let quota = Quota::new(10).per(Duration::from_secs(60)).fixed_window().build();
    Meter::new(&quota.expect("it is valid"))
}

/// A cell of which so much is used, until then.
const fn cell(end_ms: u64, used: u64) -> u64 {
    end_ms << 24 | used
}

/// Tags of one shard that stand in each other's way.
const fn tag(number: u64) -> Tag {
    Tag::new((number << 6) | (number % 3) << 62)
}

fn table(max_keys: usize, overflow: Overflow) -> Table {
    Table::new(max_keys, overflow, meter())
}

/// Writes a cell, and says what stood there.
fn write(table: &Table, tag: Tag, next: u64, now: u64) -> Result<(u64, Place), Full> {
    table.access(tag, now, |_, held, _| (next, held))
}

fn look(table: &Table, tag: Tag, now: u64) -> Result<(u64, Place), Full> {
    table.access(tag, now, |_, held, _| (held, held))
}

#[test]
fn newcomers_to_a_full_table_are_refused_until_a_place_says_nothing() {
    let table = table(4, Overflow::Refuse);
    for number in 1..=4 {
        assert_eq!(write(&table, tag(number), cell(number * 10, 1), 0), Ok((0, Place::Own)));
    }
    assert_eq!((write(&table, tag(5), cell(99, 1), 0), table.keys(), table.overflowed()), (Err(Full), 4, 1));
    assert_eq!(look(&table, tag(5), 0), Err(Full), "a look sees what the newcomer would get");
    assert_eq!(look(&table, tag(1), 0), Ok((cell(10, 1), Place::Own)));
    assert_eq!(look(&table, tag(5), 10 * MS), Ok((0, Place::Own)));
    assert_eq!(write(&table, tag(5), cell(99, 1), 10 * MS), Ok((0, Place::Own)));
    assert_eq!((write(&table, tag(6), cell(99, 1), 10 * MS), table.overflowed()), (Err(Full), 2));
}

#[test]
fn newcomers_to_a_full_table_share_a_bucket() {
    let table = table(1, Overflow::Shared);
    assert_eq!(write(&table, tag(1), cell(50, 1), 0), Ok((0, Place::Own)));
    assert_eq!(write(&table, tag(2), cell(50, 7), 0), Ok((0, Place::Shared)));
    assert_eq!(look(&table, tag(3), 0), Ok((cell(50, 7), Place::Shared)));
    table.revisit(tag(3), Place::Shared, 0, |_, held| held - 2);
    assert_eq!(look(&table, tag(3), 0), Ok((cell(50, 5), Place::Shared)));
    table.clear();
    assert_eq!((table.keys(), look(&table, tag(3), 0)), (0, Ok((0, Place::Own))));
    assert_eq!(write(&table, tag(4), cell(50, 1), 0), Ok((0, Place::Own)));
    assert_eq!(write(&table, tag(5), cell(50, 1), 0), Ok((0, Place::Shared)), "it was forgotten too");
    assert!(table.overflows_as(Overflow::Shared) && !table.overflows_as(Overflow::Refuse));
}

#[test]
fn a_newcomer_takes_the_place_and_the_debt_of_the_nearest() {
    for keys in [3, 2000] {
        let table = table(keys, Overflow::ReplaceNearest);
        // Many are spread over all shards, of which the newcomer's own is looked at.
        let tag =
            |number: u64| if keys == 3 { tag(number) } else { Tag::new(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) };
        for number in 1..=keys as u64 {
            let end_ms = if number == 2 { 20 } else { 1000 + number };
            assert_eq!(write(&table, tag(number), cell(end_ms, 1), 0), Ok((0, Place::Own)));
        }
        let newcomer = tag(9999);
        assert_eq!(write(&table, newcomer, cell(30, 2), 0).map(|(_, place)| place), Ok(Place::Own));
        assert_eq!((look(&table, newcomer, 0), table.keys()), (Ok((cell(30, 2), Place::Own)), keys));
        assert_eq!(table.overflowed(), 1);
        if keys == 3 {
            assert_eq!(look(&table, tag(1), 0), Ok((cell(1001, 1), Place::Own)));
            assert_eq!(table.access(tag(2), 0, |_, held, _| (held, held)), Ok((cell(30, 2), Place::Own)), "it is new");
        }
    }
}

#[test]
fn another_size_holds_at_once() {
    let table = table(2, Overflow::Refuse);
    for number in 1..=2 {
        assert!(write(&table, tag(number), cell(50, 1), 0).is_ok());
    }
    assert!(write(&table, tag(3), cell(50, 1), 0).is_err());
    table.resize(4, 0);
    for number in 3..=4 {
        assert!(write(&table, tag(number), cell(50, 1), 0).is_ok());
    }
    table.resize(1, 0);
    assert_eq!((table.keys(), look(&table, tag(4), 0)), (4, Ok((cell(50, 1), Place::Own))), "nobody loses theirs");
    assert!(write(&table, tag(5), cell(50, 1), 0).is_err());
    table.resize(1000, 50 * MS);
    assert_eq!(table.keys(), 0, "what says nothing is dropped");
}

#[test]
fn a_quick_charge_is_for_those_who_have_a_cell_and_tokens() {
    let table = table(10, Overflow::Shared);
    assert!(!table.admits(tag(1), 0), "it has none");
    assert!(write(&table, tag(1), cell(50, 8), 0).is_ok());
    assert!(table.admits(tag(1), 0) && table.admits(tag(1), 0) && !table.admits(tag(1), 0));
    assert_eq!(look(&table, tag(1), 0), Ok((cell(50, 10), Place::Own)));
}

#[test]
fn a_charge_is_revisited_where_it_was_made() {
    let table = table(10, Overflow::Shared);
    assert!(write(&table, tag(1), cell(50, 8), 0).is_ok());
    table.revisit(tag(1), Place::Own, 0, |_, held| held - 3);
    assert_eq!(look(&table, tag(1), 0), Ok((cell(50, 5), Place::Own)));
    table.revisit(tag(1), Place::Own, 0, |_, _| 0);
    assert_eq!(table.keys(), 0, "what says nothing takes no place");
    table.revisit(tag(2), Place::Own, 0, |_, held| held);
    assert_eq!(table.keys(), 0);
    table.revisit(tag(2), Place::Own, 50 * MS, |_, _| cell(50, 1));
    assert_eq!(table.keys(), 0, "it ends now");
    table.revisit(tag(2), Place::Own, 0, |_, _| cell(50, 1));
    assert_eq!((table.keys(), look(&table, tag(2), 0)), (1, Ok((cell(50, 1), Place::Own))), "a debt is put back");
}

#[test]
fn another_quota_holds_for_all_that_there_is() {
    let table = table(1, Overflow::Shared);
    assert!(write(&table, tag(1), cell(60_000, 4), 0).is_ok());
    assert!(write(&table, tag(2), cell(60_000, 4), 0).is_ok());
    let (generation, before) = (table.generation(), table.meter());
    table.set_meter(before, 0);
    assert_eq!(table.generation(), generation, "nothing has changed");
    let twenty = Quota::new(20).per(Duration::from_secs(60)).fixed_window().build();
    table.set_meter(Meter::new(&twenty.expect("it is valid")), 0);
    assert_eq!((table.generation(), table.meter().limit()), (generation + 1, 20));
    for (number, place) in [(1, Place::Own), (2, Place::Shared)] {
        assert_eq!(look(&table, tag(number), 0), Ok((cell(60_000, 14), place)), "six remain");
    }
    table.set_meter(before, 60_000 * MS);
    assert_eq!(table.keys(), 0);
}

proptest! {
    /// Whatever comes and goes, each key finds its own cell as long as it says something.
    #[test]
    fn it_is_a_map(ops in prop::collection::vec((1..60_u64, 1..30_u64, 0..3_u64), 1..600)) {
        let (table, mut model, mut now_ms) = (table(100_000, Overflow::Refuse), HashMap::new(), 0);
        for (number, for_ms, later) in ops {
            now_ms += later;
            let (now, next) = (now_ms * MS, cell(now_ms + for_ms, number));
            let held = model.insert(number, next).filter(|held| meter().expiry(*held) > now);
            let found = write(&table, tag(number), next, now).map(|(held, _)| held);
            prop_assert_eq!(found.map(|held| Some(held).filter(|held| meter().expiry(*held) > now)), Ok(held));
            let alive = model.values().filter(|held| meter().expiry(**held) > now).count();
            prop_assert!((alive..=model.len()).contains(&table.keys()), "{} of {}", table.keys(), alive);
        }
    }
}
