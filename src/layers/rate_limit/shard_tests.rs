use std::collections::HashMap;

use proptest::prelude::*;

use super::meter::Meter;
use super::quota::Quota;
use super::shard::{Found, SMALL_SLOTS, SWEPT_AT_ONCE, Shard};

const MS: u64 = 1_000_000;

/// Its cells end with a window: the tests write when.
fn meter() -> Meter {
    let quota = Quota::new(10).per(std::time::Duration::from_secs(60)).fixed_window().build();
    Meter::new(&quota.expect("it is valid"))
}

/// A cell that says something until then.
fn cell(end_ms: u64) -> u64 {
    end_ms << 24 | 1
}

fn shard(keys: usize) -> Shard {
    Shard::new(keys, meter())
}

/// Tags whose homes are spread over the slots.
fn tag(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

fn fill(shard: &mut Shard, numbers: std::ops::Range<u64>, end_ms: u64) {
    for number in numbers {
        shard.insert(tag(number), cell(end_ms));
    }
}

fn holds(shard: &Shard, tag: u64) -> Option<u64> {
    match shard.find(tag) {
        Found::At(_, cell) => Some(cell),
        Found::Free(_) => None,
    }
}

#[test]
fn it_doubles_when_three_quarters_are_taken_and_not_before() {
    let mut shard = shard(10_000);
    fill(&mut shard, 0..23, 100);
    assert_eq!((shard.grow(0), shard.slots.len()), (None, 32));
    fill(&mut shard, 23..24, 100);
    assert_eq!((shard.grow(0), shard.slots.len()), (Some(0), 64));
    assert!((0..24).all(|number| holds(&shard, tag(number)) == Some(cell(100))));
    fill(&mut shard, 24..47, 100);
    assert_eq!((shard.grow(0), shard.slots.len()), (None, 64));
    fill(&mut shard, 47..48, 100);
    assert_eq!((shard.grow(0), shard.slots.len()), (Some(0), 128));
}

#[test]
fn it_stays_as_large_as_it_is_where_fewer_than_half_still_count() {
    let mut few = shard(10_000);
    fill(&mut few, 0..9, 1);
    fill(&mut few, 9..24, 100);
    assert_eq!((few.grow(MS), few.slots.len(), few.len), (Some(9), 32, 15));
    let mut half = shard(10_000);
    fill(&mut half, 0..8, 1);
    fill(&mut half, 8..24, 100);
    assert_eq!((half.grow(MS), half.slots.len(), half.len), (Some(8), 64, 16));
}

#[test]
fn it_is_never_larger_than_it_may_be_and_full_at_seven_eighths() {
    // 8 keys, 4 more, 8 times 2 for chance, and 32.
    let mut shard = shard(8);
    assert_eq!(shard.max_slots, 60);
    fill(&mut shard, 0..24, 100);
    assert_eq!((shard.grow(0), shard.slots.len()), (Some(0), 60));
    fill(&mut shard, 24..48, 100);
    assert_eq!(shard.grow(0), None);
    assert!(!shard.is_full(), "48 of 60 are taken");
    fill(&mut shard, 48..49, 100);
    assert!(shard.is_full(), "60 / 8 * 7 = 49");
}

#[test]
fn one_that_may_grow_is_not_full() {
    let mut shard = shard(10_000);
    fill(&mut shard, 0..31, 100);
    assert!(!shard.is_full());
}

#[test]
fn a_sweep_drops_what_ends_now_and_looks_at_no_more_than_it_was_told() {
    let mut shard = shard(10_000);
    // One in each of the first slots, so that it is known who stands where.
    for slot in 0..10_u64 {
        shard.insert((slot << 59) | 1, cell(if slot < 4 { 5 } else { 6 }));
    }
    assert_eq!(shard.sweep(32, 5 * MS - 1), 0);
    // One is dropped, and then its slot, where another may have moved, is found free.
    assert_eq!(shard.sweep(2, 5 * MS), 1);
    assert_eq!((shard.len, shard.cursor), (9, 1));
    assert_eq!(shard.sweep(1000, 5 * MS), 3);
    assert_eq!(shard.len, 6);
}

#[test]
fn a_full_one_is_not_swept_again_until_something_ends() {
    let mut shard = shard(8);
    fill(&mut shard, 0..3, 7);
    fill(&mut shard, 3..10, 9);
    assert_eq!(shard.sweep_when_full(6 * MS), 0);
    assert_eq!(shard.earliest_expiry, 7 * MS);
    assert_eq!(shard.sweep_when_full(7 * MS - 1), 0);
    assert_eq!(shard.sweep_when_full(7 * MS), 3);
    assert_eq!(shard.earliest_expiry, 9 * MS);
    // Whoever comes, or is changed, may end earlier.
    shard.insert(tag(20), cell(8));
    assert_eq!(shard.earliest_expiry, 8 * MS);
    let Found::At(at, _) = shard.find(tag(20)) else { panic!("it was put there") };
    shard.set(at, cell(7));
    assert_eq!(shard.earliest_expiry, 7 * MS);
    assert_eq!(shard.sweep_when_full(8 * MS), 1);
}

#[test]
fn a_large_one_is_swept_in_parts() {
    let mut shard = shard(100_000);
    while shard.slots.len() <= SMALL_SLOTS {
        let taken = shard.len as u64;
        fill(&mut shard, taken..taken + 8, 5);
        shard.grow(0);
    }
    let taken = shard.len;
    let dropped = shard.sweep_when_full(5 * MS);
    assert!((1..=SWEPT_AT_ONCE).contains(&dropped), "{dropped} of {taken}");
    assert_eq!(shard.len, taken - dropped);
    let before = shard.len;
    assert_eq!(shard.sweep_when_full(5 * MS - 1), 0, "of what does not end yet, nothing is dropped");
    assert_eq!(shard.len, before);
}

#[test]
fn the_nearest_is_the_one_that_ends_first() {
    let mut shard = shard(10_000);
    assert!(shard.nearest().is_none());
    for (number, end_ms) in [(1, 9), (2, 4), (3, 6), (4, 4_000)] {
        shard.insert(tag(number), cell(end_ms));
    }
    let (at, nearest) = shard.nearest().expect("there are four");
    assert_eq!(nearest, cell(4));
    shard.remove(at);
    assert_eq!(holds(&shard, tag(2)), None);
    assert_eq!(shard.nearest().map(|(_, cell)| cell), Some(cell(6)));
}

#[test]
fn another_size_drops_what_is_over_and_nobody_else() {
    let mut shard = shard(10_000);
    fill(&mut shard, 0..10, 5);
    fill(&mut shard, 10..24, 9);
    shard.grow(0);
    fill(&mut shard, 24..40, 9);
    assert_eq!((shard.slots.len(), shard.len), (64, 40));
    assert_eq!(shard.resize(1, 5 * MS), 10);
    // As if for the 30 that there are: 30, 15 more, 8 times 5, and 32.
    assert_eq!((shard.max_slots, shard.slots.len(), shard.len), (117, 64, 30));
    assert!((10..40).all(|number| holds(&shard, tag(number)) == Some(cell(9))));
    assert_eq!(shard.resize(1, 9 * MS), 30);
    // 1, 8 times 1, and 32: what was larger is made smaller.
    assert_eq!((shard.max_slots, shard.slots.len(), shard.len), (41, 41, 0));
}

#[test]
fn what_is_rewritten_as_nothing_is_dropped_and_counted() {
    let mut shard = shard(100);
    fill(&mut shard, 0..3, 5);
    fill(&mut shard, 3..7, 9);
    let longer = |held: u64| if held == cell(5) { 0 } else { cell(20) };
    assert_eq!(shard.translate(longer, meter()), 3);
    assert_eq!((shard.len, holds(&shard, tag(3)), holds(&shard, tag(0))), (4, Some(cell(20)), None));
    assert_eq!((shard.clear(), shard.len), (4, 0));
}

#[derive(Debug, Clone)]
enum Op {
    Insert(u64, u64),
    Remove(u64),
    Grow,
    Sweep(usize),
    Later(u64),
}

/// Tags close together, so that they stand in each other's way, at the end of the slots too.
fn op() -> impl Strategy<Value = Op> {
    let tag = prop_oneof![0..40_u64, u64::MAX - 40..=u64::MAX, any::<u64>()].prop_map(|tag| tag.max(1));
    prop_oneof![
        4 => (tag.clone(), 1..50_u64).prop_map(|(tag, end)| Op::Insert(tag, end)),
        2 => tag.prop_map(Op::Remove),
        2 => Just(Op::Grow),
        1 => (0..8_usize).prop_map(Op::Sweep),
        1 => (0..3_u64).prop_map(Op::Later),
    ]
}

proptest! {
    /// Whatever happens, what still says something is found, and nothing else is counted.
    #[test]
    fn it_is_a_map(ops in prop::collection::vec(op(), 1..400)) {
        let (mut shard, mut model, mut now_ms) = (shard(200), HashMap::new(), 0);
        for op in ops {
            match op {
                Op::Insert(tag, end_ms) => {
                    shard.grow(now_ms * MS);
                    if !model.contains_key(&tag) && !shard.is_full() {
                        shard.insert(tag, cell(end_ms));
                        model.insert(tag, cell(end_ms));
                    }
                }
                Op::Remove(tag) => {
                    if let Found::At(at, _) = shard.find(tag) {
                        shard.remove(at);
                    }
                    model.remove(&tag);
                }
                Op::Grow => drop(shard.grow(now_ms * MS)),
                Op::Sweep(slots) => drop(shard.sweep(slots, now_ms * MS)),
                Op::Later(ms) => now_ms += ms,
            }
            // What is over may stay or go.
            model.retain(|tag, cell| meter().expiry(*cell) > now_ms * MS || holds(&shard, *tag).is_some());
            prop_assert_eq!(shard.len, model.len());
            prop_assert_eq!(shard.slots.iter().filter(|[tag, _]| *tag != 0).count(), model.len());
            for (tag, cell) in &model {
                prop_assert_eq!(holds(&shard, *tag), Some(*cell));
            }
        }
    }
}
