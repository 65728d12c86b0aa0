//! The circuit breaker's engine under loom, which tries every interleaving of two or three threads; and the same with
//! faults put in, which must be found.

/// The models, over an engine that is as it stands or has a fault.
macro_rules! models {
    ($engine:ident) => {
        #[allow(unused, unreachable_pub, clippy::all, reason = "the engine's files, whole")]
        mod $engine {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($engine), ".rs"));

            pub(super) mod models {
                use loom::sync::Arc;
                use loom::thread;

                use super::machine::{Heard, Kind, Machine, Outcome, Ticket};
                use super::state::State;
                use super::terms::{Rate, Span, Terms};
                use super::word::{Phase, Slot};

                fn terms(span: Span, min_calls: u32) -> Terms {
                    Terms {
                        span,
                        min_calls,
                        consecutive: None,
                        failure_rate: Rate::new(0.5),
                        slow_rate: None,
                        open_for: 1000,
                        max_open: 8000,
                        jitter: 0,
                        decay: 8000,
                        probes: 2,
                        needed: 2,
                        lease: 5000,
                        ramp: 0,
                    }
                }

                fn machine() -> Machine {
                    Machine::new(terms(Span::Calls(2), 2), 1, 0)
                }

                fn admit(machine: &Machine, now: u64) -> Option<Ticket> {
                    machine.admit(|| now, &mut |_| {}).ok()
                }

                fn hear(machine: &Machine, ticket: Ticket, outcome: Outcome, now: u64) -> Heard {
                    machine.hear(ticket, outcome, false, None, || now, &mut |_| {})
                }

                fn open(machine: &Machine) {
                    for _ in 0..2 {
                        let ticket = admit(machine, 0).unwrap();
                        hear(machine, ticket, Outcome::Failure, 0);
                    }
                    assert_eq!(machine.word().phase(), Phase::Open);
                }

                /// Of three that come at the end of the interval, two are let through.
                pub(crate) fn as_many_probes_as_there_are() {
                    let machine = Arc::new(machine());
                    open(&machine);
                    let ask = |machine: &Arc<Machine>| {
                        let machine = Arc::clone(machine);
                        thread::spawn(move || u32::from(admit(&machine, 1000).is_some()))
                    };
                    let others = [ask(&machine), ask(&machine)];
                    let mine = u32::from(admit(&machine, 1000).is_some());
                    let admitted = others.into_iter().fold(mine, |sum, other| sum + other.join().unwrap());
                    assert_eq!(admitted, 2);
                    assert_eq!(machine.word().count(Slot::InFlight), 2);
                }

                /// Who finds all slots taken knows when to look again, even as the last one is being taken.
                pub(crate) fn whoever_waits_knows_how_long() {
                    let machine =
                        Arc::new(Machine::new(Terms { probes: 1, needed: 1, ..terms(Span::Calls(2), 2) }, 1, 0));
                    open(&machine);
                    let probe = {
                        let machine = Arc::clone(&machine);
                        thread::spawn(move || admit(&machine, 1000))
                    };
                    let refused = [machine.would_refuse(|| 1000), machine.admit(|| 1000, &mut |_| {}).err()];
                    assert!(refused.into_iter().flatten().all(|shut| shut.wait == Some(5000)));
                    probe.join().unwrap();
                }

                /// A slot that is given back while another asks is lost to nobody.
                pub(crate) fn a_slot_that_is_given_back_is_there() {
                    let machine = Arc::new(machine());
                    open(&machine);
                    let (first, second) = (admit(&machine, 1000).unwrap(), admit(&machine, 1000).unwrap());
                    let left = {
                        let machine = Arc::clone(&machine);
                        thread::spawn(move || hear(&machine, first, Outcome::Neutral, 1000))
                    };
                    let asked = admit(&machine, 1000);
                    assert_eq!(left.join().unwrap(), Heard::Counted);
                    let third = asked.or_else(|| admit(&machine, 1000)).unwrap();
                    hear(&machine, second, Outcome::Success, 1000);
                    hear(&machine, third, Outcome::Success, 1000);
                    assert_eq!(machine.word().phase(), Phase::Closed);
                }

                /// A result from before changes nothing, whenever it comes.
                pub(crate) fn what_is_stale_changes_nothing() {
                    let machine = Arc::new(machine());
                    let stale = [admit(&machine, 0).unwrap(), admit(&machine, 0).unwrap()];
                    open(&machine);
                    let late = {
                        let machine = Arc::clone(&machine);
                        thread::spawn(move || {
                            for ticket in stale {
                                hear(&machine, ticket, Outcome::Failure, 3000);
                            }
                        })
                    };
                    for _ in 0..2 {
                        let probe = admit(&machine, 1000).unwrap();
                        assert!(matches!(probe.kind, Kind::Probe(_)));
                        hear(&machine, probe, Outcome::Success, 1000);
                    }
                    late.join().unwrap();
                    assert_eq!(machine.word().phase(), Phase::Closed);
                    assert_eq!(machine.totals(3000).failures, 0);
                    assert_eq!(machine.totals(3000).calls, 0);
                }

                /// One whose lease is over while it answers is heard once.
                pub(crate) fn a_lease_ends_or_an_answer_comes() {
                    let machine = Arc::new(machine());
                    open(&machine);
                    let (first, second) = (admit(&machine, 1000).unwrap(), admit(&machine, 4000).unwrap());
                    let expirer = {
                        let machine = Arc::clone(&machine);
                        thread::spawn(move || admit(&machine, 6000))
                    };
                    let heard = hear(&machine, first, Outcome::Success, 6000);
                    assert_eq!(expirer.join().unwrap(), None);
                    let phase = machine.word().phase();
                    match heard {
                        Heard::Counted => {
                            assert_eq!(phase, Phase::HalfOpen);
                            hear(&machine, second, Outcome::Success, 6000);
                            assert_eq!(machine.word().phase(), Phase::Closed);
                        }
                        Heard::Stale => assert_eq!(phase, Phase::Open),
                    }
                }

                /// A slot that goes from one hand to the next is not taken back for the lease of the first.
                pub(crate) fn a_lease_is_its_holders() {
                    let machine = Arc::new(machine());
                    open(&machine);
                    let (first, second) = (admit(&machine, 1000).unwrap(), admit(&machine, 6000).unwrap());
                    let expirer = {
                        let machine = Arc::clone(&machine);
                        thread::spawn(move || admit(&machine, 6000))
                    };
                    // It says nothing, just as its lease is over, and its slot goes on.
                    let gave_back = hear(&machine, first, Outcome::Neutral, 6000);
                    let third = admit(&machine, 6000);
                    let fourth = expirer.join().unwrap();
                    if gave_back == Heard::Counted {
                        assert!(third.is_some() || fourth.is_some());
                        assert_eq!(machine.word().phase(), Phase::HalfOpen, "a fresh probe was taken for a hung one");
                        assert_eq!(machine.word().count(Slot::Failed), 0);
                    }
                    assert!(matches!(second.kind, Kind::Probe(1)));
                }

                /// A probe of an earlier round answers when others have its slot.
                pub(crate) fn a_probe_from_before_changes_nothing() {
                    let machine = Arc::new(machine());
                    open(&machine);
                    let (late, failing) = (admit(&machine, 1000).unwrap(), admit(&machine, 1000).unwrap());
                    hear(&machine, failing, Outcome::Failure, 1000);
                    assert_eq!(machine.word().phase(), Phase::Open);
                    let answers = {
                        let machine = Arc::clone(&machine);
                        thread::spawn(move || hear(&machine, late, Outcome::Success, 3000))
                    };
                    let probe = admit(&machine, 3000).unwrap();
                    hear(&machine, probe, Outcome::Failure, 3000);
                    assert_eq!(answers.join().unwrap(), Heard::Stale);
                    assert_eq!(machine.word().phase(), Phase::Open);
                }

                /// Who took a slot in one round and writes the lease only in the next takes no lease from its holder.
                pub(crate) fn a_lease_that_begins_late_is_nobody_elses() {
                    let machine = Arc::new(machine());
                    open(&machine);
                    let late = {
                        let machine = Arc::clone(&machine);
                        thread::spawn(move || admit(&machine, 1000))
                    };
                    let failing = admit(&machine, 1000).unwrap();
                    hear(&machine, failing, Outcome::Failure, 1000);
                    let second: Vec<_> = (0..2).filter_map(|_| admit(&machine, 3000)).collect();
                    let Some(Ticket { generation, kind: Kind::Probe(slot) }) = late.join().unwrap() else { return };
                    if second.iter().any(|ticket| ticket.generation == generation) {
                        return;
                    }
                    // The slot that the late one had is held by one that hangs.
                    for ticket in second.into_iter().filter(|ticket| ticket.kind != Kind::Probe(slot)) {
                        assert_eq!(hear(&machine, ticket, Outcome::Success, 3000), Heard::Counted);
                    }
                    assert_eq!(admit(&machine, 8000), None);
                    assert_eq!(machine.word().phase(), Phase::Open, "a probe that hangs holds its slot for ever");
                }

                /// Whatever is forced stands, whoever answers meanwhile.
                pub(crate) fn what_is_forced_stands() {
                    let machine = Arc::new(machine());
                    let tickets = [admit(&machine, 0).unwrap(), admit(&machine, 0).unwrap()];
                    let answers = {
                        let machine = Arc::clone(&machine);
                        thread::spawn(move || {
                            for ticket in tickets {
                                hear(&machine, ticket, Outcome::Failure, 0);
                            }
                        })
                    };
                    machine.force(Phase::Disabled, u64::MAX, super::state::Reason::Forced, 0, &mut |_| {});
                    answers.join().unwrap();
                    assert_eq!(machine.state(0), State::Disabled);
                }

                /// No failure is lost, and two threads' failures open it as one's do.
                pub(crate) fn nothing_is_lost_from_the_ring() {
                    let machine = Arc::new(Machine::new(terms(Span::Calls(3), 3), 1, 0));
                    let ticket = admit(&machine, 0).unwrap();
                    hear(&machine, ticket, Outcome::Success, 0);
                    let fail = |machine: &Arc<Machine>, ticket: Ticket| {
                        let machine = Arc::clone(machine);
                        thread::spawn(move || hear(&machine, ticket, Outcome::Failure, 0))
                    };
                    let (one, two) = (admit(&machine, 0).unwrap(), admit(&machine, 0).unwrap());
                    let threads = [fail(&machine, one), fail(&machine, two)];
                    for thread in threads {
                        assert_eq!(thread.join().unwrap(), Heard::Counted);
                    }
                    assert_eq!(machine.word().phase(), Phase::Open);
                }

                /// What leaves the ring is no longer counted, whoever pushes it out.
                pub(crate) fn what_leaves_the_ring_is_gone() {
                    let mut terms = terms(Span::Calls(2), 2);
                    terms.failure_rate = Rate::new(1.0);
                    let machine = Arc::new(Machine::new(terms, 1, 0));
                    let say = |ticket: Ticket, outcome| {
                        let machine = Arc::clone(&machine);
                        thread::spawn(move || hear(&machine, ticket, outcome, 0))
                    };
                    let tickets: Vec<_> = (0..4).map(|_| admit(&machine, 0).unwrap()).collect();
                    hear(&machine, tickets[0], Outcome::Failure, 0);
                    hear(&machine, tickets[1], Outcome::Success, 0);
                    let threads = [say(tickets[2], Outcome::Success), say(tickets[3], Outcome::Success)];
                    for thread in threads {
                        thread.join().unwrap();
                    }
                    assert_eq!((machine.totals(0).calls, machine.totals(0).failures), (2, 0));
                }

                /// Two that enter a bucket at once, whose place held another's counts, lose none.
                pub(crate) fn a_new_bucket_loses_no_count() {
                    let machine = Arc::new(Machine::new(terms(Span::Millis(10_000), 100), 1, 0));
                    let ticket = || admit(&machine, 0).unwrap();
                    hear(&machine, ticket(), Outcome::Failure, 0);
                    let later = |ticket: Ticket| {
                        let machine = Arc::clone(&machine);
                        thread::spawn(move || hear(&machine, ticket, Outcome::Failure, 10_000))
                    };
                    let threads = [later(ticket()), later(ticket())];
                    for thread in threads {
                        thread.join().unwrap();
                    }
                    let totals = machine.totals(10_000);
                    assert_eq!((totals.calls, totals.failures), (2, 2));
                }
            }
        }
    };
}

models!(sound);
models!(no_generation);
models!(any_probe);
models!(no_exchange);
models!(no_returns);
models!(late_lease);
models!(lost_count);
models!(torn_count);

fn explore(model: fn()) {
    let mut builder = loom::model::Builder::new();
    // Switches that a thread is forced into; loom's authors find that faults need two or three.
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// Whether a fault is found.
fn finds(model: fn()) -> bool {
    std::panic::catch_unwind(|| explore(model)).is_err()
}

mod tests {
    use super::*;

    macro_rules! holds {
        ($($model:ident),* $(,)?) => {$(
            #[test]
            fn $model() {
                explore(sound::models::$model);
            }
        )*};
    }

    holds! {
        as_many_probes_as_there_are,
        whoever_waits_knows_how_long,
        a_slot_that_is_given_back_is_there,
        what_is_stale_changes_nothing,
        a_lease_ends_or_an_answer_comes,
        a_lease_is_its_holders,
        a_lease_that_begins_late_is_nobody_elses,
        a_probe_from_before_changes_nothing,
        what_is_forced_stands,
        nothing_is_lost_from_the_ring,
        what_leaves_the_ring_is_gone,
        a_new_bucket_loses_no_count,
    }

    /// A check that cannot fail proves nothing.
    #[test]
    fn faults_are_found() {
        assert!(finds(no_generation::models::what_is_stale_changes_nothing), "results without a generation");
        assert!(finds(any_probe::models::a_probe_from_before_changes_nothing), "slots of an earlier round");
        assert!(finds(no_exchange::models::as_many_probes_as_there_are), "slots taken without an exchange");
        assert!(finds(no_returns::models::a_lease_is_its_holders), "slots given back without a trace");
        assert!(
            finds(late_lease::models::a_lease_that_begins_late_is_nobody_elses),
            "leases that are written whoever holds them"
        );
        assert!(finds(lost_count::models::what_leaves_the_ring_is_gone), "failures that never leave the ring");
        assert!(finds(torn_count::models::nothing_is_lost_from_the_ring), "counts in two steps");
    }
}
