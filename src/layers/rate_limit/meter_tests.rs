//! What the model of `tests/rate_limit` does not come to: cells that others wrote, debts, refunds and their edges.

use std::time::Duration;

use super::meter::{Meter, Standing, Verdict};
use super::quota::Quota;

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
/// When a test begins, and one nanosecond off a round number.
const NOW: u64 = 5 * S + 1;

/// Ten in ten seconds: one comes back each second.
fn bucket() -> Meter {
    let quota = Quota::new(10).per(Duration::from_secs(10)).build();
    Meter::new(&quota.expect("it is valid"))
}

/// Ten in windows of ten seconds.
fn window() -> Meter {
    let quota = Quota::new(10).per(Duration::from_secs(10)).fixed_window().build();
    Meter::new(&quota.expect("it is valid"))
}

fn remaining(meter: &Meter, cell: u64, now: u64) -> u32 {
    meter.standing(cell, now).remaining
}

fn admitted(meter: &Meter, cell: u64, cost: u32, now: u64) -> u64 {
    let decision = meter.decide(cell, cost, now);
    assert_eq!(decision.verdict, Verdict::Admitted);
    decision.next
}

#[test]
fn more_than_was_reserved_is_charged_and_may_become_a_debt() {
    for meter in [bucket(), window()] {
        let cell = admitted(&meter, 0, 3, NOW);
        let cell = meter.settle(cell, 3, 5, Some(cell), NOW);
        assert_eq!(remaining(&meter, cell, NOW), 5);
        let cell = meter.settle(cell, 1, 9, Some(cell), NOW);
        assert_eq!(remaining(&meter, cell, NOW), 0);
        assert!(matches!(meter.decide(cell, 1, NOW).verdict, Verdict::Refused { wait_nanos: Some(_) }));
    }
    // A bucket owes three more tokens; a window is over when it is over.
    let owing = |meter: &Meter| {
        let cell = admitted(meter, 0, 10, NOW);
        meter.settle(cell, 1, 4, Some(cell), NOW)
    };
    let wait = |verdict| match verdict {
        Verdict::Refused { wait_nanos } => wait_nanos,
        _ => None,
    };
    assert_eq!(wait(bucket().decide(owing(&bucket()), 1, NOW).verdict), Some(4 * S));
    assert_eq!(wait(window().decide(owing(&window()), 1, NOW).verdict), Some(10 * S - 1));
    assert_eq!(window().settle(0, 0, 1, None, NOW), admitted(&window(), 0, 1, NOW), "a charge begins a window");
}

#[test]
fn as_much_as_was_reserved_changes_nothing() {
    for meter in [bucket(), window(), Meter::Concurrent { limit: 3 }] {
        let cell = admitted(&meter, 0, 1, NOW);
        assert_eq!(meter.settle(cell, 1, 1, Some(cell), NOW), cell);
    }
}

#[test]
fn a_refund_gives_back_what_was_taken_and_no_more() {
    for meter in [bucket(), window()] {
        let one = admitted(&meter, 0, 1, NOW);
        let four = admitted(&meter, one, 3, NOW);
        assert_eq!(remaining(&meter, meter.settle(four, 3, 0, Some(four), NOW), NOW), 9);
        assert_eq!(remaining(&meter, meter.settle(four, 3, 2, Some(four), NOW), NOW), 7);
        // More than there is.
        let all = meter.settle(four, 9, 0, None, NOW);
        assert_eq!((remaining(&meter, all, NOW), meter.standing(all, NOW).full_nanos), (10, 0));
    }
    let exact = admitted(&window(), 0, 4, NOW);
    assert_eq!(remaining(&window(), window().settle(exact, 4, 0, Some(exact), NOW), NOW), 10);
}

#[test]
fn a_refund_comes_too_late_for_a_window_that_is_over() {
    let before = admitted(&window(), 0, 4, NOW);
    let later = NOW + 11 * S;
    let after = admitted(&window(), before, 2, later);
    assert_eq!(window().settle(after, 4, 0, Some(before), later), after);
    assert_ne!(window().settle(after, 1, 0, Some(after), later), after);
}

#[test]
fn who_is_shut_out_gets_nothing_back_and_pays_nothing() {
    for meter in [bucket(), window()] {
        let cell = admitted(&meter, 0, 4, NOW);
        let shut = meter.block(cell, 1, 60 * S, NOW).expect("it was not shut out").next;
        let left = |cell| match meter.decide(cell, 1, NOW).verdict {
            Verdict::Blocked { wait_nanos } => wait_nanos,
            other => panic!("{other:?}"),
        };
        let wait = left(shut);
        assert!((60 * S - MS..=60 * S).contains(&wait), "{wait}");
        assert_eq!(meter.settle(shut, 4, 0, None, NOW), shut);
        assert_eq!(remaining(&meter, shut, NOW), 0);
        assert!(left(meter.settle(shut, 0, 2, None, NOW)) >= wait);
        assert!(matches!(meter.decide(shut, 1, NOW + wait - 1).verdict, Verdict::Blocked { wait_nanos: 1 }));
        assert_eq!(meter.decide(shut, 1, NOW + wait).verdict, Verdict::Admitted, "its time is over");
    }
}

/// Whoever is shut out for less than what they wait for anyway waits as long.
#[test]
fn a_short_block_ends_no_earlier_than_the_window() {
    let cell = admitted(&window(), 0, 10, NOW);
    let shut = window().block(cell, 1, S, NOW).expect("it was not shut out").next;
    assert!(matches!(window().decide(shut, 1, NOW).verdict, Verdict::Blocked { wait_nanos } if wait_nanos > 9 * S));
    let shut = window().block(admitted(&window(), 0, 1, NOW), 1, 20 * S, NOW).expect("it was not shut out").next;
    assert!(matches!(window().decide(shut, 1, NOW).verdict, Verdict::Blocked { wait_nanos } if wait_nanos > 19 * S));
}

#[test]
fn a_bucket_is_shut_once_until_something_is_admitted() {
    let shut = bucket().block(0, 1, S, NOW).expect("it was not shut out").next;
    assert_eq!(bucket().block(shut, 1, S, NOW), None);
    let open = admitted(&bucket(), shut, 1, NOW + S);
    assert!(bucket().block(open, 1, S, NOW + S).is_some());
    assert_eq!(Meter::Concurrent { limit: 1 }.block(1, 1, S, NOW), None);
}

#[test]
fn a_window_is_over_at_its_end() {
    let cell = admitted(&window(), 0, 10, NOW);
    let end = window().expiry(cell);
    assert_eq!(end, (NOW + 10 * S) / MS * MS, "cut to the millisecond");
    assert!(matches!(window().decide(cell, 1, end - 1).verdict, Verdict::Refused { wait_nanos: Some(1) }));
    assert_eq!(window().decide(cell, 1, end).verdict, Verdict::Admitted);
    assert_eq!(remaining(&window(), cell, end), 10);
}

/// A window of less than a millisecond ends with the next one, since a cell has no finer time.
#[test]
fn the_shortest_window() {
    let quota = Quota::new(1).per(Duration::from_micros(1)).fixed_window().build().expect("it is valid");
    let meter = Meter::new(&quota);
    let cell = admitted(&meter, 0, 1, NOW);
    assert_eq!(meter.expiry(cell), 5 * S + MS);
}

#[test]
fn when_there_is_more_and_when_there_is_all() {
    let cell = admitted(&bucket(), 0, 4, NOW);
    let full = |seconds| seconds * S - u64::from(bucket().limit());
    let at = |after| {
        let Standing { remaining, next_nanos, full_nanos, .. } = bucket().standing(cell, NOW + after);
        (remaining, next_nanos, full_nanos)
    };
    assert_eq!(at(0), (6, S, full(4)));
    assert_eq!(at(S / 4), (6, 3 * S / 4, full(4) - S / 4));
    assert_eq!(at(S), (7, S, full(3)));
    assert_eq!(at(4 * S), (10, 0, 0));
    // In debt: as long as it takes to one token.
    let owing = bucket().settle(admitted(&bucket(), 0, 10, NOW), 0, 2, None, NOW);
    let standing = bucket().standing(owing, NOW);
    assert_eq!((standing.remaining, standing.next_nanos), (0, 3 * S));
    let empty = bucket().standing(admitted(&bucket(), 0, 10, NOW), NOW);
    assert_eq!((empty.remaining, empty.next_nanos), (0, S));
    let window_standing = window().standing(admitted(&window(), 0, 4, NOW), NOW);
    assert_eq!((window_standing.remaining, window_standing.next_nanos), (6, 10 * S - 1));
    assert_eq!(window().standing(0, NOW).next_nanos, 0);
}

/// Cells of which another instance says how they stand.
#[test]
fn what_others_say_is_taken_over() {
    for meter in [bucket(), window()] {
        assert_eq!(meter.cell_of(10, 0, false, NOW), 0);
        let cell = meter.cell_of(6, 4 * S, false, NOW);
        assert_eq!((remaining(&meter, cell, NOW), meter.decide(cell, 7, NOW).verdict == Verdict::Admitted), (6, false));
        let shut = meter.cell_of(0, 30 * S, true, NOW);
        assert!(matches!(meter.decide(shut, 1, NOW).verdict, Verdict::Blocked { wait_nanos } if wait_nanos > 20 * S));
    }
    let concurrent = Meter::Concurrent { limit: 3 };
    assert_eq!((concurrent.cell_of(1, S, false, NOW), concurrent.cell_of(5, S, false, NOW)), (2, 0));
}

/// Cells that a larger quota wrote count no longer than one of ours could.
#[test]
fn what_others_wrote_is_cut() {
    let long = NOW + 100 * S;
    assert_eq!(bucket().cut(long, 0, NOW), NOW + 10 * S);
    assert_eq!(bucket().cut(long, 5 * S, NOW), NOW + 15 * S);
    assert_eq!(bucket().cut(NOW + S, 0, NOW), NOW + S);
    let shut = bucket().block(0, 1, 60 * S, NOW).expect("it was not shut out").next;
    assert_eq!(bucket().cut(shut, 0, NOW), shut);
    let hour = Meter::new(&Quota::new(100).per(Duration::from_secs(3600)).fixed_window().build().expect("it is valid"));
    let used = admitted(&hour, 0, 7, NOW);
    let cut = window().cut(used, 0, NOW);
    assert_eq!((remaining(&window(), cut, NOW), window().expiry(cut)), (3, (NOW + 10 * S) / MS * MS));
    let short = admitted(&window(), 0, 7, NOW - S);
    assert_eq!(window().cut(short, 0, NOW), short);
    let shut = window().block(0, 1, 60 * S, NOW).expect("it was not shut out").next;
    assert_eq!(window().cut(shut, 0, NOW), shut);
    assert_eq!(Meter::Concurrent { limit: 3 }.cut(2, 0, NOW), 2);
}

/// A quota that is changed gives no credit.
#[test]
fn a_cell_in_the_terms_of_another_meter() {
    let double = Meter::new(&Quota::new(20).per(Duration::from_secs(10)).build().expect("it is valid"));
    let cell = admitted(&bucket(), 0, 4, NOW);
    assert_eq!(remaining(&double, double.translate(&bucket(), cell, NOW), NOW), 6);
    assert_eq!(remaining(&window(), window().translate(&bucket(), cell, NOW), NOW), 6);
    let over = bucket().expiry(cell);
    assert_eq!(double.translate(&bucket(), cell, over), 0);
    assert_ne!(double.translate(&bucket(), cell, over - 1), 0);
    let rich = admitted(&double, 0, 1, NOW);
    assert_eq!(bucket().translate(&double, rich, NOW), 0, "nineteen are more than it holds");
    assert_eq!(Meter::Concurrent { limit: 3 }.translate(&Meter::Concurrent { limit: 9 }, 5, NOW), 5);
}

#[test]
fn a_request_of_its_own_quota_is_counted_in_the_tables_kind() {
    let own = Quota::new(3).per(Duration::from_secs(1)).build().expect("it is valid");
    assert_eq!(bucket().for_quota(Some(&own)).limit(), 3);
    assert!(matches!(window().for_quota(Some(&own)), Meter::FixedWindow(window) if window.limit() == 3));
    assert_eq!(window().for_quota(None), window());
    let concurrent = Meter::Concurrent { limit: 9 };
    assert_eq!(concurrent.for_quota(Some(&own)), concurrent);
    assert_eq!((bucket().paces(), window().paces(), concurrent.paces()), (true, false, false));
}
