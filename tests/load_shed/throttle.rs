//! The client's side.

use std::task::Poll;

use http::Response;
use tower::Layer;
use tower_rampart::client::ClientError;
use tower_rampart::load_shed::{AdaptiveThrottle, AdaptiveThrottleHandle, AdaptiveThrottleService};
use tower_rampart::problem::{Problem, ProblemKind};
use tower_rampart::{Clock, ClockHand, Origin, Rejection};

use crate::support::{End, Held, empty, get, ms, ok, poll, start, status, trailers};

struct Throttled {
    service: AdaptiveThrottleService<Held>,
    handle: AdaptiveThrottleHandle,
    hand: ClockHand,
}

fn throttled(throttle: AdaptiveThrottle) -> Throttled {
    let (clock, hand) = Clock::manual();
    let layer = throttle.with_clock(clock).build().unwrap();
    Throttled { service: layer.layer(Held::default()), handle: layer.handle(), hand }
}

impl Throttled {
    /// How many of so many calls get through, each of which ends so.
    fn made(&mut self, calls: usize, end: impl Fn() -> End) -> usize {
        let mut made = 0;
        for _ in 0..calls {
            let mut call = Box::pin(start(&mut self.service, get("/")));
            if self.service.get_ref().calls() == 1 {
                made += 1;
                self.service.get_ref().end(end());
            }
            let Poll::Ready(answer) = poll(call.as_mut()) else { panic!("it has ended") };
            if let Ok(response) = answer {
                let mut body = response.into_body();
                let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
                let _ = http_body::Body::poll_frame(std::pin::Pin::new(&mut body), &mut cx);
            }
        }
        made
    }
}

#[test]
fn a_service_that_accepts_is_never_throttled() {
    let mut throttled = throttled(AdaptiveThrottle::new());
    assert_eq!(throttled.made(1000, ok), 1000);
    assert_eq!((throttled.handle.snapshot().requests, throttled.handle.snapshot().accepted), (1000, 1000));
    assert_eq!((throttled.handle.snapshot().probability, throttled.handle.snapshot().throttled), (0.0, 0));
}

#[test]
fn one_that_refuses_is_asked_less_and_less_and_told_when_it_is_well() {
    let mut throttled = throttled(AdaptiveThrottle::new());
    let made = throttled.made(2000, || status(503));
    // All but one in twenty, at the end; the draws differ, and this far off once in many lifetimes.
    assert!((50..300).contains(&made), "{made}");
    assert_eq!(throttled.handle.snapshot().probability, 0.95);
    assert_eq!(throttled.handle.snapshot().throttled as usize, 2000 - made);
    // What was two minutes ago is forgotten, and what works is asked for again.
    throttled.hand.advance(ms(130_000));
    assert_eq!(throttled.handle.snapshot().probability, 0.0);
    assert_eq!(throttled.made(100, ok), 100);
}

/// With K = 2, a service that accepts half of what it is asked for is left alone; one that can take a quarter of it is
/// asked for about twice what it takes.
#[test]
fn k_times_what_is_accepted_is_asked_for() {
    let mut half = throttled(AdaptiveThrottle::new());
    for _ in 0..500 {
        half.made(1, ok);
        half.made(1, || status(429));
    }
    assert!(half.handle.snapshot().throttled < 20, "{}", half.handle.snapshot().throttled);

    let mut quarter = throttled(AdaptiveThrottle::new());
    let (mut made, mut accepted, mut room) = (0_usize, 0_usize, 0_usize);
    for request in 0..8000 {
        room = (room + usize::from(request % 4 == 0)).min(10);
        let through = quarter.made(1, || if room > 0 { ok() } else { status(503) });
        if through > 0 && room > 0 {
            room -= 1;
            accepted += 1;
        }
        made += through;
    }
    let handle = &quarter.handle;
    assert_eq!((handle.snapshot().requests, handle.snapshot().accepted), (8000, accepted as u64));
    let expected = (8000.0 - 2.0 * accepted as f64) / 8001.0;
    assert!((handle.snapshot().probability - expected).abs() < 1e-9);
    // All that it can take, and about as much again.
    assert!(accepted > 1900 && (2 * accepted).abs_diff(made) < 600, "{accepted} of {made}");
}

#[test]
fn what_counts_as_accepted() {
    let counts = |end: &dyn Fn() -> End| {
        let mut throttled = throttled(AdaptiveThrottle::new());
        throttled.made(1, end);
        (throttled.handle.snapshot().requests, throttled.handle.snapshot().accepted)
    };
    let grpc = |code: &'static str| {
        move || {
            let response = Response::builder().header("content-type", "application/grpc");
            Ok(response.body(trailers(&[("grpc-status", code)])).unwrap())
        }
    };
    let refused_further_in = || {
        let mut response = Response::builder().status(503).body(empty()).unwrap();
        let problem = Problem::new(ProblemKind::Unavailable);
        response.extensions_mut().insert(Rejection::new(Origin::Custom("breaker"), problem));
        Ok(response)
    };
    assert_eq!(counts(&ok), (1, 1));
    assert_eq!(counts(&|| status(404)), (1, 1));
    assert_eq!(counts(&grpc("0")), (1, 1));
    for rejected in [|| status(429), || status(503), || status(500), || Err("reset")] as [fn() -> End; 4] {
        assert_eq!(counts(&rejected), (1, 0));
    }
    for code in ["8", "14"] {
        assert_eq!(counts(&grpc(code)), (1, 0));
    }
    assert_eq!(counts(&refused_further_in), (0, 0));
    // Left by its caller.
    let mut left = throttled(AdaptiveThrottle::new());
    drop(start(&mut left.service, get("/")));
    assert_eq!((left.handle.snapshot().requests, left.handle.snapshot().accepted), (0, 0));
}

#[test]
fn refusals_are_typed_or_answers() {
    let throttle = || AdaptiveThrottle::new().max_probability(1.0).retry_after(ms(5000));
    let mut answering = throttled(throttle());
    answering.made(5000, || status(503));
    let mut call = Box::pin(start(&mut answering.service, get("/")));
    let Poll::Ready(Ok(response)) = poll(call.as_mut()) else { panic!("one in five thousand is made") };
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &"5".parse().unwrap()));

    let layer = throttle().build().unwrap().client();
    let mut service = layer.layer(Held::default());
    let refused = (0..5000).find_map(|_| {
        let mut call = Box::pin(start(&mut service, get("/")));
        if service.get_ref().calls() == 1 {
            service.get_ref().end(status(503));
        }
        match poll(call.as_mut()) {
            Poll::Ready(Err(ClientError::Refused(rejection))) => Some(rejection),
            _ => None,
        }
    });
    assert_eq!(refused.unwrap().origin(), Origin::AdaptiveThrottle);
}

#[test]
fn what_cannot_be_is_told_with_its_mend() {
    for (throttle, setting) in [
        (AdaptiveThrottle::new().k(0.5), "k: `0.5`"),
        (AdaptiveThrottle::new().k(f64::NAN), "k: `NaN`"),
        (AdaptiveThrottle::new().max_probability(1.5), "max_probability: `1.5`"),
        (AdaptiveThrottle::new().window(ms(10)), "window: `10ms`"),
    ] {
        let told = throttle.build().map(drop).unwrap_err().to_string();
        assert!(told.starts_with(setting), "{told}");
    }
}
