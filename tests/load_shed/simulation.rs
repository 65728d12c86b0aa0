//! A server with so many workers and a queue without end, asked for more than it can do: on a clock that the simulation
//! moves, with draws that are the same each time. The layers in front of it are the real ones.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use tower::{Layer, Service};
use tower_rampart::bulkhead::Bulkhead;
use tower_rampart::load_shed::{LoadShed, LoadShedLayer};
use tower_rampart::{Clock, ClockHand, Rejection};

/// What is asked of the server, in requests a second, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Phase {
    pub rate: f64,
    pub seconds: u64,
}

/// What the server can do.
#[derive(Debug, Clone, Copy)]
pub struct Server {
    pub workers: usize,
    /// The mean of an exponential distribution.
    pub service: Duration,
    /// An answer that comes later is worth nothing.
    pub patience: Duration,
}

impl Server {
    /// Twenty workers, each busy for 50 ms with a request: 400 requests a second. Clients wait half a second.
    pub const TWENTY: Self =
        Self { workers: 20, service: Duration::from_millis(50), patience: Duration::from_millis(500) };

    /// Requests a second.
    pub fn capacity(&self) -> f64 {
        self.workers as f64 / self.service.as_secs_f64()
    }
}

/// What a phase came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    pub offered: u64,
    pub in_time: u64,
    pub late: u64,
    pub shed: u64,
    latency_sum: f64,
    /// The limit at its end.
    pub limit: usize,
    seconds: f64,
}

impl Tally {
    /// What was answered in time, as a share of what the server could do at most.
    pub fn goodput(&self, server: &Server) -> f64 {
        self.in_time as f64 / (server.capacity() * self.seconds)
    }

    /// The mean latency of all that was answered.
    pub fn latency(&self) -> Duration {
        Duration::from_secs_f64(self.latency_sum / (self.in_time + self.late).max(1) as f64)
    }
}

type Answer = Result<Response<Empty<Bytes>>, Infallible>;

/// Jobs by number, and who is done.
#[derive(Default)]
struct Jobs {
    queue: VecDeque<usize>,
    done: Vec<bool>,
}

#[derive(Clone)]
struct Handler(Rc<RefCell<Jobs>>);

struct Job(Rc<RefCell<Jobs>>, usize);

impl Service<Request<()>> for Handler {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Job;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Job {
        let mut jobs = self.0.borrow_mut();
        let number = jobs.done.len();
        jobs.done.push(false);
        jobs.queue.push_back(number);
        Job(Rc::clone(&self.0), number)
    }
}

impl Future for Job {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Answer> {
        if self.0.borrow().done[self.1] { Poll::Ready(Ok(Response::default())) } else { Poll::Pending }
    }
}

/// SplitMix64: the same draws each time.
pub struct Draws(pub u64);

impl Draws {
    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

/// What stands before the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    Nothing,
    /// A fixed limit.
    Fixed(usize),
    Aimd,
    Gradient2,
}

/// A request under way: since when, and the future that a server would poll.
struct Call<F> {
    since: f64,
    future: Pin<Box<F>>,
}

/// Runs one phase after the other against a server behind a guard.
pub fn simulate(server: Server, guard: Guard, phases: &[Phase]) -> Vec<Tally> {
    let (clock, hand) = Clock::manual();
    let jobs = Rc::new(RefCell::new(Jobs::default()));
    let handler = Handler(Rc::clone(&jobs));
    let world = World { server, jobs, hand, draws: Draws(1), now: 0.0, busy: BinaryHeap::new() };
    let shedding = |shed: LoadShed| shed.with_clock(clock.clone()).build().expect("the settings are valid");
    match guard {
        Guard::Nothing => world.run(LoadShedLayer::empty().layer(handler), phases, || 0),
        Guard::Fixed(limit) => {
            let layer = Bulkhead::new(limit).with_clock(clock.clone()).build().expect("the limit is valid");
            world.run(layer.layer(handler), phases, || limit)
        }
        Guard::Aimd => {
            let layer = shedding(LoadShed::aimd(server.patience / 3));
            let handle = layer.handle();
            world.run(layer.layer(handler), phases, || handle.snapshot().limit)
        }
        Guard::Gradient2 => {
            let layer = shedding(LoadShed::gradient2());
            let handle = layer.handle();
            world.run(layer.layer(handler), phases, || handle.snapshot().limit)
        }
    }
}

struct World {
    server: Server,
    jobs: Rc<RefCell<Jobs>>,
    hand: ClockHand,
    draws: Draws,
    /// Seconds since the beginning.
    now: f64,
    /// When which job is done, in nanoseconds, the soonest first.
    busy: BinaryHeap<Reverse<(u64, usize)>>,
}

impl World {
    fn run<S, B>(mut self, mut service: S, phases: &[Phase], limit: impl Fn() -> usize) -> Vec<Tally>
    where
        S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    {
        let mut calls: Vec<Option<Call<S::Future>>> = Vec::new();
        let mut tallies = Vec::new();
        for phase in phases {
            let end = self.now + phase.seconds as f64;
            let mut tally = Tally { seconds: phase.seconds as f64, ..Tally::default() };
            let mut arrival = self.now + self.draws.exponential(1.0 / phase.rate);
            loop {
                let done = self.busy.peek().map(|Reverse((nanos, _))| *nanos as f64 / 1e9);
                let next = done.map_or(arrival, |done| done.min(arrival));
                if next >= end {
                    self.go_to(end);
                    break;
                }
                self.go_to(next);
                if done.is_some_and(|done| done <= arrival) {
                    self.finish_one(&mut calls, &mut tally);
                } else {
                    arrival = next + self.draws.exponential(1.0 / phase.rate);
                    self.arrive(&mut service, &mut calls, &mut tally);
                }
                self.start_work();
            }
            tally.limit = limit();
            tallies.push(tally);
        }
        tallies
    }

    fn go_to(&mut self, time: f64) {
        self.hand.advance(Duration::from_secs_f64((time - self.now).max(0.0)));
        self.now = time;
    }

    fn arrive<S, B>(&mut self, service: &mut S, calls: &mut Vec<Option<Call<S::Future>>>, tally: &mut Tally)
    where
        S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    {
        tally.offered += 1;
        let mut cx = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut cx).is_ready());
        let mut future = Box::pin(service.call(Request::new(())));
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(Ok(response)) => {
                assert!(response.extensions().get::<Rejection>().is_some(), "the server needs time for its answers");
                tally.shed += 1;
            }
            Poll::Pending => calls.push(Some(Call { since: self.now, future })),
        }
        // Jobs and calls have the same numbers: what was refused has become none.
        assert_eq!(calls.len(), self.jobs.borrow().done.len());
    }

    fn start_work(&mut self) {
        while self.busy.len() < self.server.workers
            && let Some(job) = self.jobs.borrow_mut().queue.pop_front()
        {
            let time = self.draws.exponential(self.server.service.as_secs_f64());
            self.busy.push(Reverse((((self.now + time) * 1e9) as u64, job)));
        }
    }

    fn finish_one<F, B>(&mut self, calls: &mut [Option<Call<F>>], tally: &mut Tally)
    where
        F: Future<Output = Result<Response<B>, Infallible>>,
    {
        let Some(Reverse((_, job))) = self.busy.pop() else { return };
        self.jobs.borrow_mut().done[job] = true;
        let Some(Call { since, mut future }) = calls[job].take() else { return };
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
        let latency = self.now - since;
        tally.latency_sum += latency;
        if latency <= self.server.patience.as_secs_f64() {
            tally.in_time += 1;
        } else {
            tally.late += 1;
        }
    }
}
