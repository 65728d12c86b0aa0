//! The rate limiter's table, the cache's flights, the fetches of keys with the signal that they give, a bulkhead's places, the
//! limit of load shedding and the budget of retries, with the locks and atomics of a model checker in the place of the standard
//! library's.
//!
//! The engine's own files are compiled here, as they stand; only `sync` is another.
#![allow(dead_code, reason = "not every part of an engine has to do with threads")]

#[path = "../../../src/layers/rate_limit/agreement.rs"]
mod agreement;
#[path = "../../../src/layers/load_shed/aimd.rs"]
mod aimd;
#[path = "../../../src/layers/rate_limit/bucket.rs"]
mod bucket;
#[path = "../../../src/layers/retry/budget.rs"]
mod budget;
#[cfg(test)]
mod circuit;
#[path = "../../../src/layers/bulkhead/compartment.rs"]
mod compartment;
#[path = "../../../src/spine/config.rs"]
mod config;
#[path = "../../../src/layers/load_shed/criticality.rs"]
mod criticality;
#[path = "../../../src/layers/auth/jwt/remote/desk.rs"]
mod desk;
#[path = "../../../src/layers/cache/flight.rs"]
mod flight;
#[path = "../../../src/layers/load_shed/gradient2.rs"]
mod gradient2;
#[path = "../../../src/layers/bulkhead/level.rs"]
mod level;
#[path = "../../../src/layers/load_shed/limit.rs"]
mod limit;
#[path = "../../../src/layers/rate_limit/meter.rs"]
mod meter;
#[path = "../../../src/layers/rate_limit/place.rs"]
mod place;
#[path = "../../../src/layers/bulkhead/places.rs"]
mod places;
#[path = "../../../src/layers/rate_limit/quota.rs"]
mod quota;
#[path = "../../../src/layers/auth/jwt/remote/refresh.rs"]
mod refresh;
#[path = "../../../src/layers/load_shed/sample.rs"]
mod sample;
#[path = "../../../src/layers/rate_limit/shard.rs"]
mod shard;
#[path = "../../../src/spine/signal.rs"]
mod signal;
#[path = "../../../src/layers/load_shed/state.rs"]
mod state;
#[path = "../../../src/layers/rate_limit/table.rs"]
mod table;
#[path = "../../../src/layers/rate_limit/window.rs"]
mod window;

mod spine {
    pub(crate) use crate::{config, signal, sync};
}

mod sync {
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
    pub(crate) use shuttle::sync::{Arc, Mutex, MutexGuard};
}

#[cfg(test)]
mod pressure;
#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::{Future as _, poll_fn};
    use std::task::{Context, Wake, Waker};
    use std::time::{Duration, Instant};

    use shuttle::sync::Arc;
    use shuttle::sync::atomic::{AtomicUsize, Ordering};
    use shuttle::thread;

    use crate::agreement::{Charge, Terms, charge_all};
    use crate::desk::{Ahead, Desk, Fetching, Turn};
    use crate::flight::{Flights, Outcome, Role, Terms as Joining};
    use crate::meter::{Meter, Verdict};
    use crate::place::{Overflow, Tag};
    use crate::quota::Quota;
    use crate::refresh::{Need, Rules};
    use crate::signal::{Signal, Wait};
    use crate::table::Table;

    const NOW: u64 = 1_000_000_000;
    const SCHEDULES: usize = 2000;

    fn rate(limit: u32) -> Meter {
        Meter::new(&Quota::new(limit).per(Duration::from_secs(3600)).build().unwrap())
    }

    fn window(limit: u32) -> Meter {
        Meter::new(&Quota::new(limit).per(Duration::from_secs(3600)).fixed_window().build().unwrap())
    }

    fn tag(table: &Table, key: u8) -> Tag {
        let write = |hasher: &mut dyn std::hash::Hasher| {
            hasher.write_u8(key);
            Ok::<_, Infallible>(())
        };
        table.tag(write).unwrap()
    }

    fn charge<'a>(index: usize, table: &'a Table, key: u8) -> Charge<'a> {
        Charge::new(index, table, Terms::default(), tag(table, key), 1)
    }

    fn remaining(table: &Table, key: u8) -> u32 {
        table.access(tag(table, key), NOW, |meter, cell, _| (cell, meter.standing(cell, NOW).remaining)).unwrap().0
    }

    /// Runs so many threads, under many schedules, and counts those that are told yes.
    fn race(threads: usize, try_once: impl Fn(usize) -> bool + Send + Sync + 'static) -> usize {
        let (try_once, admitted) = (Arc::new(try_once), Arc::new(AtomicUsize::new(0)));
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                let (try_once, admitted) = (Arc::clone(&try_once), Arc::clone(&admitted));
                thread::spawn(move || admitted.fetch_add(usize::from(try_once(thread)), Ordering::SeqCst))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        admitted.load(Ordering::SeqCst)
    }

    #[test]
    fn a_key_gets_exactly_its_quota() {
        for meter in [rate(2), window(2), Meter::Concurrent { limit: 2 }] {
            shuttle::check_random(
                move || {
                    let table = Arc::new(Table::new(8, Overflow::Shared, meter));
                    let admitted = race(4, move |_| charge_all(&mut [charge(0, &table, 1)], NOW));
                    assert_eq!(admitted, 2);
                },
                SCHEDULES,
            );
        }
    }

    #[test]
    fn of_several_policies_all_are_charged_or_none() {
        shuttle::check_random(
            || {
                let tables =
                    Arc::new([rate(3), window(1), rate(2)].map(|meter| Table::new(8, Overflow::Shared, meter)));
                let asked = Arc::clone(&tables);
                let admitted = race(3, move |_| {
                    let [a, b, c] = &*asked;
                    charge_all(&mut [charge(0, a, 1), charge(1, b, 1), charge(2, c, 1)], NOW)
                });
                // Two that charge at once may undo each other, but never may both be let in.
                assert!(admitted <= 1);
                let left: Vec<_> = tables.iter().map(|table| remaining(table, 1)).collect();
                assert_eq!(left, [3, 1, 2].map(|limit| limit - admitted as u32));
            },
            SCHEDULES,
        );
    }

    #[test]
    fn a_table_never_holds_more_than_it_may_and_forgets_nobody() {
        shuttle::check_random(
            || {
                let table = Arc::new(Table::new(2, Overflow::Shared, Meter::Concurrent { limit: 1 }));
                let shared = Arc::clone(&table);
                race(4, move |thread| {
                    let mut charges = [charge(0, &shared, thread as u8)];
                    let admitted = charge_all(&mut charges, NOW);
                    assert!(shared.keys() <= 2);
                    let [charge] = &charges;
                    if admitted {
                        let (place, after) = (charge.place, charge.cell);
                        shared
                            .revisit(charge.tag, place, NOW, |meter, cell| meter.settle(cell, 1, 0, Some(after), NOW));
                    }
                    admitted
                });
                assert_eq!(table.keys(), 0);
                assert!((0..4).all(|key| remaining(&table, key) == 1));
            },
            SCHEDULES,
        );
    }

    #[test]
    fn a_quota_that_changes_meanwhile_lets_nobody_slip_by() {
        shuttle::check_random(
            || {
                let table = Arc::new(Table::new(8, Overflow::Shared, rate(2)));
                let changed = Arc::clone(&table);
                let change = thread::spawn(move || changed.set_meter(window(3), NOW));
                let asked = Arc::clone(&table);
                let admitted = race(5, move |_| charge_all(&mut [charge(0, &asked, 1)], NOW));
                change.join().unwrap();
                // Two of the old quota at most, or three of the new one.
                assert!((2..=3).contains(&admitted), "{admitted}");
            },
            SCHEDULES,
        );
    }

    #[test]
    fn a_table_that_shrinks_meanwhile_keeps_what_it_knows() {
        shuttle::check_random(
            || {
                let table = Arc::new(Table::new(64, Overflow::Shared, rate(1)));
                let resized = Arc::clone(&table);
                let resize = thread::spawn(move || [1, 1000].into_iter().for_each(|keys| resized.resize(keys, NOW)));
                let asked = Arc::clone(&table);
                let admitted = race(4, move |thread| {
                    let mut charges = [charge(0, &asked, thread as u8 % 2)];
                    charge_all(&mut charges, NOW);
                    charges[0].verdict == Verdict::Admitted
                });
                resize.join().unwrap();
                // One for each key, and one for the bucket that a newcomer to the small table finds.
                assert!((2..=3).contains(&admitted), "{admitted}");
            },
            SCHEDULES,
        );
    }

    /// What the first one who leads does with its flight.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Fate {
        Shares,
        Declines,
        /// Is dropped on its way.
        Leaves,
    }

    /// Asks as a request does, until there is an answer; counts how often somebody leads.
    fn ask(flights: &Arc<Flights<u8, u8>>, led: &AtomicUsize, fate: Fate) -> Option<u8> {
        let joining = Joining { now: Instant::now(), patience: Duration::from_secs(3600), not_before: 0, number: 0 };
        loop {
            match flights.join(&1, joining, |_| true) {
                Role::Leader(lead) => match (led.fetch_add(1, Ordering::SeqCst), fate) {
                    (0, Fate::Leaves) => {
                        drop(lead);
                        // Its request is gone.
                        return None;
                    }
                    (_, Fate::Declines) => {
                        lead.decline(joining.now);
                        return Some(0);
                    }
                    _ => {
                        lead.share(7, joining.now);
                        return Some(7);
                    }
                },
                Role::Follower(follow) => match shuttle::future::block_on(poll_fn(|cx| follow.poll(cx.waker()))) {
                    Outcome::Shared(shared) => return Some(shared),
                    Outcome::Declined => return Some(0),
                    Outcome::Failed => {}
                },
                Role::Alone => panic!("there is room"),
            }
        }
    }

    #[test]
    fn whoever_waits_is_told_and_nothing_flies_on() {
        for fate in [Fate::Shares, Fate::Declines, Fate::Leaves] {
            shuttle::check_random(
                move || {
                    let flights = Arc::new(Flights::new(8, 8));
                    let led = Arc::new(AtomicUsize::new(0));
                    let threads: Vec<_> = (0..4)
                        .map(|_| {
                            let (flights, led) = (Arc::clone(&flights), Arc::clone(&led));
                            thread::spawn(move || ask(&flights, &led, fate))
                        })
                        .collect();
                    let answers: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
                    let expected = if fate == Fate::Declines { 0 } else { 7 };
                    let unanswered = answers.iter().filter(|answer| answer.is_none()).count();
                    assert_eq!(unanswered, usize::from(fate == Fate::Leaves));
                    assert!(answers.iter().flatten().all(|answer| *answer == expected), "{answers:?}");
                    assert_eq!(flights.len(), 0, "nothing flies");
                },
                SCHEDULES,
            );
        }
    }

    /// A flight that is held open is followed by all who come.
    #[test]
    fn nobody_leads_beside_a_leader() {
        shuttle::check_random(
            || {
                let flights = Arc::new(Flights::new(8, 8));
                let joining =
                    Joining { now: Instant::now(), patience: Duration::from_secs(3600), not_before: 0, number: 0 };
                let Role::Leader(lead) = flights.join(&1, joining, |_: &u8| true) else { panic!("the first leads") };
                let led = Arc::new(AtomicUsize::new(1));
                let threads: Vec<_> = (0..3)
                    .map(|_| {
                        let (flights, led) = (Arc::clone(&flights), Arc::clone(&led));
                        thread::spawn(move || ask(&flights, &led, Fate::Shares))
                    })
                    .collect();
                lead.share(7, joining.now);
                for thread in threads {
                    assert_eq!(thread.join().unwrap(), Some(7));
                }
                assert_eq!(led.load(Ordering::SeqCst), 1);
                drop(lead);
                assert_eq!(flights.len(), 0);
            },
            SCHEDULES,
        );
    }

    #[test]
    fn a_signal_is_lost_on_nobody() {
        shuttle::check_random(
            || {
                let signal = Signal::new(3);
                // A wait counts from when it began, whenever it is polled.
                let waits: Vec<_> = (0..3).map(|_| signal.wait().unwrap()).collect();
                assert!(signal.wait().is_none(), "no more than may wait");
                let threads: Vec<_> = waits
                    .into_iter()
                    .enumerate()
                    .map(|(at, wait)| {
                        thread::spawn(move || if at == 0 { drop(wait) } else { shuttle::future::block_on(wait) })
                    })
                    .collect();
                let given = Arc::clone(&signal);
                let giver = thread::spawn(move || given.give().wake());
                for thread in threads {
                    thread.join().unwrap();
                }
                giver.join().unwrap();
                let again: Vec<_> = (0..3).map(|_| signal.wait()).collect();
                assert!(again.iter().all(Option::is_some), "the room is given back");
            },
            SCHEDULES,
        );
    }

    /// A waker that holds the last of a task drops what the task held, and that may be another wait.
    #[test]
    fn a_waker_may_hold_another_wait() {
        struct Holder {
            _wait: Option<Wait>,
        }
        impl Wake for Holder {
            fn wake(self: Arc<Self>) {}
        }
        shuttle::check_random(
            || {
                let signal = Signal::new(4);
                let mut wait = Box::pin(signal.wait().unwrap());
                for _ in 0..2 {
                    let waker = Waker::from(Arc::new(Holder { _wait: signal.wait() }));
                    assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
                }
                drop(wait);
                let again: Vec<_> = (0..4).map(|_| signal.wait()).collect();
                assert!(again.iter().all(Option::is_some));
            },
            1,
        );
    }

    const FETCHES: Rules = Rules {
        cooldown: Duration::from_secs(30),
        refresh_after: Duration::from_secs(3600),
        max_stale: Duration::from_secs(86_400),
    };

    /// Runs a fetch in a thread of its own, as the layer does in a task, and counts it.
    fn run(fetching: Fetching, succeeds: bool, now: Instant, counts: &Arc<[AtomicUsize; 2]>) -> thread::JoinHandle<()> {
        let counts = Arc::clone(counts);
        thread::spawn(move || {
            let [running, fetches] = &*counts;
            assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
            fetches.fetch_add(1, Ordering::SeqCst);
            thread::yield_now();
            running.fetch_sub(1, Ordering::SeqCst);
            if succeeds {
                fetching.succeeded(now);
            }
        })
    }

    #[test]
    fn keys_are_fetched_once_and_whoever_waits_is_told() {
        for succeeds in [true, false] {
            shuttle::check_random(
                move || {
                    let (desk, now) = (Arc::new(Desk::new(FETCHES, 8)), Instant::now());
                    let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
                    let mut threads: Vec<_> = (0..3)
                        .map(|_| {
                            let (desk, counts) = (Arc::clone(&desk), Arc::clone(&counts));
                            thread::spawn(move || {
                                let (turn, fetching) = desk.ask(now, Need::Keys, false, true);
                                let fetch = fetching.map(|fetching| run(fetching, succeeds, now, &counts));
                                let turn = match turn {
                                    Turn::Wait(wait) => {
                                        shuttle::future::block_on(wait);
                                        desk.ask(now, Need::Keys, true, true).0
                                    }
                                    turn => turn,
                                };
                                assert_eq!(matches!(turn, Turn::GoOn), succeeds);
                                if let Some(fetch) = fetch {
                                    fetch.join().unwrap();
                                }
                            })
                        })
                        .collect();
                    let (ahead, counted) = (Arc::clone(&desk), Arc::clone(&counts));
                    threads.push(thread::spawn(move || {
                        let (next, fetching) = ahead.ahead(now);
                        let fetch = fetching.map(|fetching| run(fetching, succeeds, now, &counted));
                        if let Ahead::Fetch(wait) | Ahead::Wait(wait) = next {
                            shuttle::future::block_on(wait.unwrap());
                            assert!(matches!(ahead.ahead(now).0, Ahead::Sleep(_)));
                        }
                        if let Some(fetch) = fetch {
                            fetch.join().unwrap();
                        }
                    }));
                    for thread in threads {
                        thread.join().unwrap();
                    }
                    assert_eq!(counts[1].load(Ordering::SeqCst), 1);
                },
                SCHEDULES,
            );
        }
    }

    /// Who begins a fetch just when another one ends waits for its own.
    #[test]
    fn a_wait_ends_with_the_fetch_that_it_began_for() {
        shuttle::check_random(
            || {
                let (desk, start) = (Arc::new(Desk::new(FETCHES, 8)), Instant::now());
                let (_, first) = desk.ask(start, Need::Keys, true, true);
                let ending = thread::spawn(move || drop(first));
                // The first one took longer than its cooldown.
                let later = start + Duration::from_secs(60);
                let (turn, second) = desk.ask(later, Need::Keys, false, true);
                let Turn::Wait(wait) = turn else { panic!("it waits for one or the other") };
                let ended = Arc::new(AtomicUsize::new(0));
                let fetch = second.map(|second| {
                    let ended = Arc::clone(&ended);
                    thread::spawn(move || {
                        thread::yield_now();
                        ended.store(1, Ordering::SeqCst);
                        second.succeeded(later);
                    })
                });
                shuttle::future::block_on(wait);
                if let Some(fetch) = fetch {
                    assert_eq!(ended.load(Ordering::SeqCst), 1);
                    fetch.join().unwrap();
                }
                ending.join().unwrap();
            },
            SCHEDULES,
        );
    }
}
