//! What bounds requests in flight: each has room, or none, and answers one request more.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, Service};

use crate::{Job, Jobs, Run, stay_in};

type Body = Full<Bytes>;

/// A handler with its response ready, but for one path, which is never answered.
#[derive(Debug, Clone, Copy, Default)]
pub struct Handler;

/// Its future.
#[derive(Debug)]
pub struct Handled(Option<Response<Body>>);

impl Service<Request<()>> for Handler {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Handled;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Handled {
        Handled((request.uri().path() != NEVER).then(|| Response::new(Full::from("{}"))))
    }
}

impl Future for Handled {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(response)))
    }
}

const NEVER: &str = "/never";

fn request(path: &'static str) -> Request<()> {
    Request::get(path).body(()).unwrap_or_default()
}

struct Prepared<S: Service<Request<()>>> {
    service: S,
    request: Request<()>,
    /// Whoever has taken the one place.
    _inside: Option<Rc<Pin<Box<S::Future>>>>,
    answered: bool,
}

impl<S, B> Prepared<S>
where
    S: Service<Request<()>, Response = Response<B>>,
{
    fn respond(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let _ = self.service.poll_ready(&mut cx);
        let request = std::mem::take(&mut self.request);
        // The answer is dropped here, so that giving a place back is counted, whoever holds it until then.
        if let Poll::Ready(result) = pin!(self.service.call(request)).poll(&mut cx) {
            self.answered = result.is_ok_and(|response| response.status().is_success());
        }
    }
}

impl<S, B> Run for Prepared<S>
where
    S: Service<Request<()>, Response = Response<B>>,
{
    fn run(&mut self) {
        self.respond();
    }

    /// 1 for an answer of the handler, 0 for a refusal.
    fn fields(&self) -> usize {
        usize::from(self.answered)
    }
}

/// Jobs of a contender with room, which has answered before.
pub fn with_room<S, B: 'static>(make: fn(usize) -> S) -> Jobs
where
    S: Service<Request<()>, Response = Response<B>> + Clone + 'static,
{
    let service = make(100);
    let job = move || Prepared { service: service.clone(), request: request("/"), _inside: None, answered: false };
    job().respond();
    Box::new(move || -> Job { Box::new(job()) })
}

/// Jobs of a contender whose one place is taken, and which has refused before.
pub fn full<S, B: 'static>(make: fn(usize) -> S) -> Jobs
where
    S: Service<Request<()>, Response = Response<B>> + Clone + 'static,
{
    let mut cx = Context::from_waker(Waker::noop());
    let service = make(1);
    let mut holder = service.clone();
    let _ = holder.poll_ready(&mut cx);
    let mut inside = Box::pin(holder.call(request(NEVER)));
    let _ = inside.as_mut().poll(&mut cx);
    let inside = Some(Rc::new(inside));
    let job = move || {
        let service = service.clone();
        Prepared { service, request: request("/"), _inside: inside.clone(), answered: false }
    };
    job().respond();
    Box::new(move || -> Job { Box::new(job()) })
}

/// The handler alone: what every other measurement contains.
pub fn bare(_: usize) -> Handler {
    Handler
}

pub mod rampart {
    use tower_rampart::bulkhead::{Bulkhead, BulkheadService};
    use tower_rampart::client::AsError;
    use tower_rampart::key::GlobalKey;
    use tower_rampart::load_shed::{AdaptiveThrottle, AdaptiveThrottleService, LoadShed, LoadShedService};

    use super::*;

    pub fn bulkhead(limit: usize) -> BulkheadService<Handler> {
        Bulkhead::new(limit).build().expect("the bound is valid").layer(Handler)
    }

    pub fn bulkhead_by_key(limit: usize) -> BulkheadService<Handler> {
        Bulkhead::new(limit).per_key(GlobalKey, limit).build().expect("the bound is valid").layer(Handler)
    }

    pub fn bulkhead_typed(limit: usize) -> BulkheadService<Handler, AsError> {
        Bulkhead::new(limit).build().expect("the bound is valid").client().layer(Handler)
    }

    fn limited(shed: LoadShed, limit: usize) -> LoadShed {
        shed.min_limit(1).initial_limit(limit).max_limit(limit)
    }

    pub fn gradient2(limit: usize) -> LoadShedService<Handler> {
        limited(LoadShed::gradient2(), limit).build().expect("the limit is valid").layer(Handler)
    }

    pub fn gradient2_typed(limit: usize) -> LoadShedService<Handler, AsError> {
        limited(LoadShed::gradient2(), limit).build().expect("the limit is valid").client().layer(Handler)
    }

    pub fn aimd(limit: usize) -> LoadShedService<Handler> {
        limited(LoadShed::aimd(Duration::from_secs(1)), limit).build().expect("the limit is valid").layer(Handler)
    }

    pub fn throttle(_: usize) -> AdaptiveThrottleService<Handler> {
        AdaptiveThrottle::new().build().expect("the settings are valid").layer(Handler)
    }
}

pub mod tower_limits {
    use tower::limit::{ConcurrencyLimit, GlobalConcurrencyLimitLayer};
    use tower::load_shed::{LoadShed, LoadShedLayer};

    use super::*;

    pub fn limit(limit: usize) -> ConcurrencyLimit<Handler> {
        GlobalConcurrencyLimitLayer::new(limit).layer(Handler)
    }

    pub fn limit_and_shed(limit: usize) -> LoadShed<ConcurrencyLimit<Handler>> {
        LoadShedLayer::new().layer(self::limit(limit))
    }
}

pub mod tower_resilience {
    use tower_resilience_adaptive::{AdaptiveLimiterLayer, AdaptiveService, Aimd, Gradient2};
    use tower_resilience_bulkhead::{Bulkhead, BulkheadLayer};

    use super::*;

    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("timers need nothing"));

    pub fn bulkhead(limit: usize) -> Bulkhead<Handler> {
        // It sets a timer for each call, of no time when it is to refuse at once.
        stay_in(&RUNTIME);
        let layer = BulkheadLayer::builder().max_concurrent_calls(limit).reject_when_full().build();
        layer.expect("the bound is valid").layer(Handler)
    }

    pub fn aimd(limit: usize) -> AdaptiveService<Handler, Aimd> {
        let aimd = Aimd::builder().initial_limit(limit).min_limit(1).max_limit(limit).build();
        AdaptiveLimiterLayer::new(aimd.expect("the limit is valid")).layer(Handler)
    }

    pub fn gradient2(limit: usize) -> AdaptiveService<Handler, Gradient2> {
        let gradient = Gradient2::builder().initial_limit(limit).min_limit(1).max_limit(limit).build();
        AdaptiveLimiterLayer::new(gradient.expect("the limit is valid")).layer(Handler)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(mut jobs: Jobs) -> usize {
        let mut job = jobs();
        job.run();
        job.fields()
    }

    /// A comparison counts only when everybody does the same work.
    #[test]
    fn everybody_answers_with_room_and_refuses_without() {
        let with_room = [
            with_room(bare),
            with_room(rampart::bulkhead),
            with_room(rampart::bulkhead_by_key),
            with_room(rampart::bulkhead_typed),
            with_room(rampart::gradient2),
            with_room(rampart::aimd),
            with_room(rampart::throttle),
            with_room(tower_limits::limit),
            with_room(tower_limits::limit_and_shed),
            with_room(tower_resilience::bulkhead),
            with_room(tower_resilience::aimd),
            with_room(tower_resilience::gradient2),
        ];
        for jobs in with_room {
            assert_eq!(answered(jobs), 1);
        }
        let full = [
            full(rampart::bulkhead),
            full(rampart::bulkhead_typed),
            full(rampart::gradient2),
            full(rampart::gradient2_typed),
            full(tower_limits::limit_and_shed),
            full(tower_resilience::bulkhead),
        ];
        for jobs in full {
            assert_eq!(answered(jobs), 0);
        }
    }
}
