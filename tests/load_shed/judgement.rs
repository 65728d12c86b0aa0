//! What counts as work, as overload, and as nothing.

use http::Response;
use tower_rampart::load_shed::LoadShed;
use tower_rampart::problem::{Problem, ProblemKind};
use tower_rampart::{Origin, Rejection};

use crate::support::{End, Fixture, empty, get, ms, ok, poll, status, trailers};

/// A floor of one, so that each request makes use of the limit, and 20 to begin with.
fn fixture(shed: LoadShed) -> Fixture {
    Fixture::of(shed.min_limit(1).initial_limit(1).window(ms(100)))
}

fn aimd() -> LoadShed {
    LoadShed::aimd(ms(50))
}

/// The limit after a hundred of these, one at a time, from 1: to 3, the most that one makes use of, by what is work done.
fn limit_after(shed: LoadShed, latency: u64, end: impl Fn() -> End) -> usize {
    let mut fixture = fixture(shed);
    fixture.answer(100, ms(latency), end);
    let snapshot = fixture.handle.snapshot();
    assert_eq!(snapshot.in_flight, 0);
    snapshot.limit
}

/// Whether three hundred of these take a limit of 10 down.
fn shrinks(shed: impl Fn() -> LoadShed, latency: u64, end: impl Fn() -> End) -> bool {
    let mut fixture = Fixture::of(shed().min_limit(1).initial_limit(10).window(ms(100)));
    fixture.answer(300, ms(latency), end);
    fixture.handle.snapshot().limit < 10
}

fn grpc(code: &'static str) -> impl Fn() -> End {
    move || {
        let response = Response::builder().header("content-type", "application/grpc");
        Ok(response.body(trailers(&[("grpc-status", code)])).unwrap())
    }
}

fn grpc_head(code: &'static str) -> impl Fn() -> End {
    move || {
        let response = Response::builder().header("content-type", "application/grpc").header("grpc-status", code);
        Ok(response.body(empty()).unwrap())
    }
}

fn refusal(kind: ProblemKind) -> impl Fn() -> End {
    move || {
        let mut response = Response::builder().status(kind.status()).body(empty()).unwrap();
        response.extensions_mut().insert(Rejection::new(Origin::Custom("further in"), Problem::new(kind)));
        Ok(response)
    }
}

#[test]
fn work_done_in_time_lets_the_limit_grow() {
    for code in [200, 204, 301, 400, 404, 422, 501] {
        assert_eq!(limit_after(aimd(), 10, || status(code)), 3, "{code}");
    }
    for code in ["0", "3", "5", "7"] {
        assert_eq!(limit_after(aimd(), 10, grpc(code)), 3, "{code}");
        assert_eq!(limit_after(aimd(), 10, grpc_head(code)), 3, "{code}");
    }
}

#[test]
fn want_of_capacity_shrinks_it() {
    assert!(shrinks(aimd, 10, || status(503)));
    assert!(shrinks(LoadShed::gradient2, 10, || status(503)));
    assert!(!shrinks(|| aimd().latency_only(), 10, || status(503)));
    assert!(shrinks(aimd, 10, grpc("14")));
    assert!(shrinks(aimd, 10, grpc_head("14")));
    assert!(!shrinks(|| aimd().latency_only(), 10, grpc("14")));
    assert!(shrinks(aimd, 60, ok));
}

/// What ran out of time is overload where it has taken longer than it should. A deadline is the client's own word: whoever
/// asks for an answer at once would else shut out everybody.
#[test]
fn what_is_late_counts_when_it_took_long() {
    let late: [&dyn Fn() -> End; 4] =
        [&|| status(504), &grpc("4"), &grpc_head("4"), &refusal(ProblemKind::DeadlineExceeded)];
    for (at, end) in late.into_iter().enumerate() {
        assert!(shrinks(aimd, 60, end), "{at}");
        assert!(!shrinks(|| aimd().latency_only(), 60, end), "{at}");
        assert!(!shrinks(aimd, 1, end), "{at}");
        assert_eq!(limit_after(aimd(), 1, end), 1, "{at}: nor does it look like good times");
    }
    // By the latency that is expected, where one was learnt.
    let mut fixture = Fixture::of(LoadShed::gradient2().min_limit(1).initial_limit(20).max_limit(20).window(ms(100)));
    let mut limit_after = |rounds: usize, latency, end: &dyn Fn() -> End| {
        for _ in 0..rounds {
            let calls: Vec<_> = (0..20).map(|_| fixture.start(get("/"))).collect();
            fixture.hand.advance(ms(latency));
            for mut call in calls {
                if poll(call.as_mut()).is_pending() {
                    fixture.handler.end(end());
                    assert!(poll(call.as_mut()).is_ready());
                }
            }
        }
        fixture.handle.snapshot().limit
    };
    let late = refusal(ProblemKind::DeadlineExceeded);
    assert_eq!(limit_after(200, 10, &ok), 20);
    assert_eq!(limit_after(1000, 1, &late), 20);
    assert!(limit_after(20, 100, &late) < 20);
}

/// A clock that does not move within a request, as coarse ones and those of tests do.
#[test]
fn answers_in_no_time_are_no_trap() {
    let mut fixture = Fixture::of(LoadShed::gradient2().min_limit(1).initial_limit(8).window(ms(100)));
    for _ in 0..100 {
        let calls: Vec<_> = (0..8).map(|_| fixture.start(get("/"))).collect();
        for mut call in calls {
            fixture.handler.end(ok());
            assert!(poll(call.as_mut()).is_ready());
        }
        fixture.hand.advance(ms(20));
    }
    assert!(fixture.handle.snapshot().limit >= 8, "{}", fixture.handle.snapshot().limit);
}

/// Failures are quick. Taken for quick work they would let the limit grow while everything fails.
#[test]
fn failures_say_nothing() {
    for code in [500, 502, 507, 408, 425] {
        assert_eq!(limit_after(aimd(), 1, || status(code)), 1, "{code}");
        assert!(!shrinks(aimd, 60, || status(code)), "{code}");
    }
    for code in ["2", "13", "15", "zzz"] {
        assert_eq!(limit_after(aimd(), 1, grpc(code)), 1, "{code}");
    }
    assert_eq!(limit_after(aimd(), 1, || Err("reset")), 1);
}

/// A client over its quota is not a service over its capacity; else whoever provokes 429 shuts everybody out.
#[test]
fn quotas_say_nothing_unless_they_are_ours() {
    let ends: [fn() -> End; 2] = [|| status(429), || grpc_head("8")()];
    for end in ends {
        assert!(!shrinks(aimd, 10, end));
        assert_eq!(limit_after(aimd(), 10, end), 1);
        assert!(shrinks(|| aimd().throttled_is_overload(), 10, end));
    }
}

#[test]
fn refusals_further_in_say_nothing() {
    for kind in
        [ProblemKind::QuotaExceeded, ProblemKind::Unavailable, ProblemKind::Unauthenticated, ProblemKind::BadGateway]
    {
        assert_eq!(limit_after(aimd(), 1, refusal(kind)), 1, "{kind:?}");
        assert!(!shrinks(aimd, 60, refusal(kind)), "{kind:?}");
    }
}

/// One in a hundred is an accident, one in ten is not.
#[test]
fn a_single_503_shrinks_nothing() {
    for (each, shrinks) in [(50, false), (5, true)] {
        let mut fixture = Fixture::of(aimd().min_limit(1).initial_limit(10).window(ms(100)));
        for number in 0..300 {
            fixture.answer(1, ms(10), || if number % each == 0 { status(503) } else { ok() });
        }
        let limit = fixture.handle.snapshot().limit;
        assert_eq!(limit < 10, shrinks, "{limit}");
    }
}

/// An outer timeout cuts off what is slow: without these, the slower the service, the less would be heard of it.
#[test]
fn a_client_that_leaves_counts_when_it_had_waited_long() {
    for (patience, shrinks) in [(10, false), (60, true)] {
        let mut fixture = Fixture::of(aimd().min_limit(1).initial_limit(10).window(ms(100)));
        for _ in 0..300 {
            let call = fixture.start(get("/"));
            fixture.hand.advance(ms(patience));
            drop(call);
        }
        let snapshot = fixture.handle.snapshot();
        assert_eq!((snapshot.limit < 10, snapshot.in_flight), (shrinks, 0), "{patience}");
    }
}
