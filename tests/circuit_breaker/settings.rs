//! What cannot be built, and what it says.

use std::time::Duration;

use tower_rampart::circuit_breaker::{CircuitBreaker, CircuitBreakerLayer, Window};
use tower_rampart::key::GlobalKey;

use crate::support::ms;

fn breaker() -> CircuitBreaker {
    CircuitBreaker::new("x")
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let year = Duration::from_secs(365 * 86_400);
    for (built, setting) in [
        (breaker().window(Window::calls(0)).build(), "window"),
        (breaker().window(Window::calls(1_000_001)).build(), "window"),
        (breaker().window(Window::time(ms(99))).build(), "window"),
        (breaker().window(Window::time(year)).build(), "window"),
        (breaker().min_calls(0).build(), "min_calls"),
        (breaker().window(Window::calls(10)).min_calls(11).build(), "min_calls"),
        (breaker().failure_rate(0.0).build(), "failure_rate"),
        (breaker().failure_rate(1.1).build(), "failure_rate"),
        (breaker().failure_rate(f64::NAN).build(), "failure_rate"),
        (breaker().slow_rate(-1.0).build(), "slow_rate"),
        (breaker().slow_call(Duration::ZERO).build(), "slow_call"),
        (breaker().consecutive_failures(0).build(), "consecutive_failures"),
        (breaker().open_for(Duration::ZERO).build(), "open_for"),
        (breaker().open_for(ms(100)).max_open(ms(99)).build(), "max_open"),
        (breaker().jitter(1.0).build(), "jitter"),
        (breaker().jitter(f64::NAN).build(), "jitter"),
        (breaker().probes(0).build(), "probes"),
        (breaker().probes(17).build(), "probes"),
        (breaker().probes(2).probes_needed(3).build(), "probes_needed"),
        (breaker().probes_needed(0).build(), "probes_needed"),
        (breaker().probe_lease(Duration::ZERO).build(), "probe_lease"),
        (breaker().ramp_up(year).build(), "ramp_up"),
        (breaker().forget_after(Duration::ZERO).build(), "forget_after"),
        (breaker().per_key(GlobalKey, 0).build(), "max_keys"),
        (breaker().failure_rate(None).slow_call(None).build(), "failure_rate"),
    ] {
        let error = built.map(|_: CircuitBreakerLayer| ()).unwrap_err();
        assert_eq!(error.setting(), format!("circuit breaker \"x\".{setting}"), "{error}");
    }
    let error = CircuitBreaker::new("").build().map(|_| ()).unwrap_err();
    assert_eq!(error.setting(), "circuit breaker.name", "{error}");
}

#[test]
fn extremes_can_be() {
    let _ = breaker().window(Window::calls(1)).build().unwrap();
    let _ = breaker().window(Window::calls(1_000_000)).probes(16).jitter(0.99).build().unwrap();
    let _ = breaker().window(Window::time(Duration::from_secs(86_400))).min_calls(u32::MAX).build().unwrap();
    let _ = breaker().window(Window::calls(3)).build().unwrap();
}
