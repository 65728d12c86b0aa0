//! The simulated server under more than it can do. `benches/overload.rs` prints the same as a table.

use std::time::Duration;

use crate::simulation::{Guard, Phase, Server, Tally, simulate};

fn half_then_five_times(server: Server, guard: Guard, seconds: u64) -> [Tally; 2] {
    let capacity = server.capacity();
    let phases = [Phase { rate: capacity / 2.0, seconds: 20 }, Phase { rate: capacity * 5.0, seconds }];
    simulate(server, guard, &phases).try_into().expect("two phases")
}

#[test]
fn without_a_guard_everything_is_done_and_nothing_in_time() {
    for guard in [Guard::Nothing, Guard::Fixed(500)] {
        let [_, overload] = half_then_five_times(Server::TWENTY, guard, 60);
        assert!(overload.goodput(&Server::TWENTY) < 0.05, "{guard:?}: {overload:?}");
        assert!(overload.late > 20_000, "{guard:?}: {overload:?}");
    }
}

#[test]
fn a_limit_that_finds_itself_keeps_the_goodput() {
    for guard in [Guard::Gradient2, Guard::Aimd] {
        let [before, overload] = half_then_five_times(Server::TWENTY, guard, 60);
        let goodput = overload.goodput(&Server::TWENTY);
        assert!(goodput >= 0.9, "{guard:?}: {goodput}, {overload:?}");
        assert!(overload.late * 1000 < overload.in_time, "{guard:?}: {overload:?}");
        // Nobody is turned away while there is room.
        assert_eq!((before.shed, before.late), (0, 0), "{guard:?}: {before:?}");
    }
}

/// The overload is there before anything is known of the service, and for long enough to creep.
#[test]
fn gradient2_needs_no_quiet_time_and_does_not_creep() {
    let server = Server::TWENTY;
    let phases = [60, 60, 120].map(|seconds| Phase { rate: server.capacity() * 5.0, seconds });
    for tally in simulate(server, Guard::Gradient2, &phases) {
        assert!(tally.goodput(&server) >= 0.9, "{tally:?}");
        assert!(tally.latency() < server.service * 5 / 2, "{:?}, {tally:?}", tally.latency());
        assert!((20..80).contains(&tally.limit), "{tally:?}");
    }
}

/// Nothing is tuned to twenty workers.
#[test]
fn gradient2_finds_the_limit_of_any_server() {
    let service = Duration::from_millis(50);
    for (workers, service) in [(4, service), (50, service), (200, Duration::from_millis(10)), (20, service * 10)] {
        let server = Server { workers, service, patience: service * 10 };
        let [_, overload] = half_then_five_times(server, Guard::Gradient2, 20);
        let goodput = overload.goodput(&server);
        assert!(goodput >= 0.9, "{server:?}: {goodput}, {overload:?}");
    }
}

#[test]
fn a_little_too_much_costs_a_little() {
    let server = Server::TWENTY;
    let phases =
        [Phase { rate: server.capacity() / 2.0, seconds: 20 }, Phase { rate: server.capacity() * 1.2, seconds: 60 }];
    let overload = simulate(server, Guard::Gradient2, &phases)[1];
    assert!(overload.goodput(&server) >= 0.9, "{overload:?}");
}

/// When the load is over nobody is turned away any more.
#[test]
fn it_is_forgotten_when_it_is_over() {
    let server = Server::TWENTY;
    let rates = [5.0, 0.5, 0.5].map(|times| Phase { rate: server.capacity() * times, seconds: 30 });
    for guard in [Guard::Gradient2, Guard::Aimd] {
        let tallies = simulate(server, guard, &rates);
        let after = tallies[2];
        assert!(after.shed * 500 < after.offered && after.late == 0, "{guard:?}: {after:?}");
    }
}
