//! What do leases admit, waste and ask, by the number of instances? `cargo run --release --example leases --features
//! rate-limit`
//!
//! One client has 10,000 requests a minute and sends twice as many, evenly over all instances, for two minutes of a clock
//! that is moved by hand. The store is in memory, and counts what it is asked.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt as _, service_fn};
use tower_rampart::Clock;
use tower_rampart::key::GlobalKey;
use tower_rampart::rate_limit::{
    Answer, Ask, MemoryStore, Policy, Quota, RateLimit, Settlement, SharedCounts, Store, StoreFuture,
};

const QUOTA: u32 = 10_000;
const MINUTE: Duration = Duration::from_secs(60);
const REQUESTS: u32 = 4 * QUOTA;

struct Counted(MemoryStore, AtomicU64);

impl Store for Counted {
    fn take<'a>(&'a self, asks: &'a [Ask]) -> StoreFuture<'a, Vec<Answer>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.take(asks)
    }

    fn settle<'a>(&'a self, settlement: &'a Settlement) -> StoreFuture<'a, ()> {
        self.0.settle(settlement)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("| instances | mode | admitted | under-use | questions a second |");
    println!("|---|---|---|---|---|");
    for instances in [2, 10, 100, 1000] {
        for leased in [false, true] {
            let (admitted, asked) = simulate(instances, leased)?;
            // A full bucket, and what comes back in two minutes.
            let quota = 3 * QUOTA;
            let unused = f64::from(quota.saturating_sub(admitted)) / f64::from(quota) * 100.0;
            let mode = if leased { "leased" } else { "strict" };
            println!("| {instances} | {mode} | {admitted} of {quota} | {unused:.1} % | {:.1} |", asked as f64 / 120.0);
            assert!(admitted <= quota);
        }
    }
    Ok(())
}

fn simulate(instances: usize, leased: bool) -> Result<(u32, u64), Box<dyn Error>> {
    let (clock, hand) = Clock::manual();
    let store = Arc::new(Counted(MemoryStore::new().with_clock(clock.clone()), AtomicU64::new(0)));
    let layers = (0..instances).map(|_| {
        RateLimit::new()
            .add_policy(Policy::new("default", Quota::new(QUOTA).per(MINUTE)).key(GlobalKey).max_keys(64))
            .shared_counts(SharedCounts::new(store.clone()).leased(leased))
            .with_clock(clock.clone())
            .build_throttle()
    });
    let layers = layers.collect::<Result<Vec<_>, _>>()?;
    let mut admitted = 0;
    for turn in 0..REQUESTS {
        hand.advance(2 * MINUTE / REQUESTS);
        // In no order: which instance a balancer chooses is chance.
        let Some(layer) = layers.get(turn.wrapping_mul(2_654_435_761) as usize % layers.len()) else { continue };
        let service =
            layer.layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::<Full<Bytes>>::default())));
        let answer = service.oneshot(Request::new(())).now_or_never().ok_or("the store answers at once")??;
        admitted += u32::from(answer.status() == 200);
    }
    Ok((admitted, store.1.load(Ordering::Relaxed)))
}
