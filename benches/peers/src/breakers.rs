//! Circuit breakers around the same handler: each has seen the same calls, and sees one more.

use std::time::Duration;

use http::{Request, Response};
use tower::{Layer, Service};

use crate::limits::{Handler, bare as handler, respond};
use crate::{Job, Jobs, Run};

/// Calls that a breaker has seen before it is measured.
const CALLS: u32 = 1000;
const WINDOW_CALLS: u32 = 100;
const WINDOW: Duration = Duration::from_secs(10);
const SLOW: Duration = Duration::from_secs(2);
const IN_A_ROW: u32 = 5;

struct Prepared<S: Service<Request<()>>> {
    service: S,
    request: Request<()>,
    answer: Option<Result<S::Response, S::Error>>,
}

impl<S: Service<Request<()>>> Run for Prepared<S> {
    fn run(&mut self) {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = self.service.poll_ready(&mut cx);
        let mut future = std::pin::pin!(self.service.call(std::mem::take(&mut self.request)));
        if let std::task::Poll::Ready(answer) = future.as_mut().poll(&mut cx) {
            self.answer = Some(answer);
        }
    }

    /// One where it was answered.
    fn fields(&self) -> usize {
        usize::from(matches!(self.answer, Some(Ok(_))))
    }
}

/// A breaker that knows its handler, about to let calls through.
pub fn jobs<S, B: 'static>(make: fn() -> S) -> Jobs
where
    S: Service<Request<()>, Response = Response<B>> + Clone + 'static,
{
    let mut service = make();
    for _ in 0..CALLS {
        let _ = respond(&mut service, Request::default());
    }
    // Each with a response of its own.
    Box::new(move || -> Job {
        Box::new(Prepared { service: service.clone(), request: Request::default(), answer: None })
    })
}

/// The handler alone: what every other measurement contains.
pub fn bare() -> Handler {
    handler()
}

pub mod rampart {
    use tower_rampart::circuit_breaker::{CircuitBreaker, CircuitBreakerClientService, CircuitBreakerService, Window};

    use super::*;

    fn of(breaker: CircuitBreaker) -> CircuitBreakerService<Handler> {
        breaker.build().expect("the settings are valid").layer(bare())
    }

    fn breaker() -> CircuitBreaker {
        CircuitBreaker::new("peer").slow_call(None)
    }

    pub fn consecutive() -> CircuitBreakerService<Handler> {
        of(breaker().failure_rate(None).consecutive_failures(IN_A_ROW))
    }

    pub fn calls() -> CircuitBreakerService<Handler> {
        of(breaker().window(Window::calls(WINDOW_CALLS)))
    }

    pub fn time_and_slow() -> CircuitBreakerService<Handler> {
        of(breaker().window(Window::time(WINDOW)).slow_call(SLOW))
    }

    fn forced_open(time: Duration) -> CircuitBreakerClientService<Handler> {
        let layer = breaker().build().expect("the settings are valid");
        layer.handle().force_open(time);
        layer.client().layer(bare())
    }

    pub fn refusing() -> CircuitBreakerClientService<Handler> {
        forced_open(Duration::MAX)
    }

    /// It asks for the time, as one does that has opened by itself.
    pub fn refusing_for_an_hour() -> CircuitBreakerClientService<Handler> {
        forced_open(Duration::from_secs(3600))
    }
}

pub mod resilience {
    use tower_resilience_circuitbreaker::{
        CircuitBreakerConfigBuilder, CircuitBreakerLayer, DefaultClassifier, SlidingWindowType,
    };

    use super::*;

    fn builder() -> CircuitBreakerConfigBuilder<DefaultClassifier> {
        CircuitBreakerLayer::builder().failure_rate_threshold(0.5)
    }

    type Service = tower_resilience_circuitbreaker::CircuitBreaker<Handler, DefaultClassifier>;

    fn of(builder: CircuitBreakerConfigBuilder<DefaultClassifier>) -> Service {
        builder.build().expect("the settings are valid").layer(bare())
    }

    pub fn consecutive() -> Service {
        of(builder().consecutive_failures(IN_A_ROW as usize))
    }

    pub fn calls() -> Service {
        of(builder().sliding_window_size(WINDOW_CALLS as usize))
    }

    pub fn time_and_slow() -> Service {
        of(builder()
            .sliding_window_type(SlidingWindowType::TimeBased)
            .sliding_window_duration(WINDOW)
            .slow_call_duration_threshold(SLOW)
            .slow_call_rate_threshold(0.8))
    }

    pub fn refusing() -> Service {
        let (layer, handle) = builder().build_with_handle().expect("the settings are valid");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(handle.force_open());
        layer.layer(bare())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(mut jobs: Jobs) -> usize {
        let mut job = jobs();
        job.run();
        job.fields()
    }

    /// A comparison counts only when everybody does the same work.
    #[test]
    fn everybody_lets_through_and_refuses_the_same() {
        for jobs in [
            jobs(bare),
            jobs(rampart::consecutive),
            jobs(rampart::calls),
            jobs(rampart::time_and_slow),
            jobs(resilience::consecutive),
            jobs(resilience::calls),
            jobs(resilience::time_and_slow),
        ] {
            assert_eq!(answers(jobs), 1);
        }
        for jobs in [jobs(rampart::refusing), jobs(rampart::refusing_for_an_hour), jobs(resilience::refusing)] {
            assert_eq!(answers(jobs), 0);
        }
    }
}
