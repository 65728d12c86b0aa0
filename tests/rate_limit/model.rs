//! The limiter beside a model that is too simple to be wrong: how long a bucket takes to be full again.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use proptest::prelude::*;
use tower::Layer;
use tower_rampart::key::HeaderKey;
use tower_rampart::rate_limit::{Policy, Quota};

use crate::support::{Fixture, call, field};

/// What a schedule does next.
#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    /// A request of this key and cost; how much of it stands is said when it ends.
    Begin {
        key: u8,
        cost: u32,
    },
    /// The oldest request that runs ends, at this true cost.
    End {
        cost: u32,
    },
    /// It is abandoned.
    Leave,
    Quota {
        limit: u32,
        window_ms: u64,
        burst: u32,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0_u64..3_000_000_000).prop_map(Step::Wait),
        2 => (0_u64..20).prop_map(|seconds| Step::Wait(seconds * 1_000_000_000)),
        12 => (0_u8..4, prop_oneof![9 => 0_u32..9, 1 => any::<u32>()]).prop_map(|(key, cost)| Step::Begin { key, cost }),
        8 => (0_u32..12).prop_map(|cost| Step::End { cost }),
        2 => Just(Step::Leave),
        1 => (1_u32..20, 1_u64..20_000, 1_u32..20)
            .prop_map(|(limit, window_ms, burst)| Step::Quota { limit, window_ms, burst }),
    ];
    proptest::collection::vec(step, 1..400)
}

/// A bucket, as one would explain it.
struct Model {
    now: u64,
    interval: u64,
    burst: u64,
    /// When each key's bucket will be full.
    full_at: HashMap<u8, u64>,
}

impl Model {
    fn debt(&self, key: u8) -> u64 {
        self.full_at.get(&key).map_or(0, |at| at.saturating_sub(self.now))
    }

    fn admits(&mut self, key: u8, cost: u32) -> bool {
        let debt = self.debt(key);
        let wanted = self.interval * u64::from(cost.max(1));
        if debt + wanted > self.interval * self.burst {
            return false;
        }
        self.full_at.insert(key, self.now + debt + self.interval * u64::from(cost));
        true
    }

    /// A charge of `reserved` tokens, which was to be back at `back_at`, turns out to have cost something else.
    fn settle(&mut self, key: u8, reserved: u32, cost: u32, back_at: u64) {
        let debt = self.debt(key);
        let debt = if cost > reserved {
            debt + self.interval * u64::from(cost - reserved)
        } else {
            // What time has brought back is not brought back again.
            let outstanding = back_at.saturating_sub(self.now);
            debt.saturating_sub(outstanding.min(self.interval * u64::from(reserved - cost)))
        };
        self.full_at.insert(key, self.now + debt);
    }

    fn remaining(&self, key: u8) -> u64 {
        (self.interval * self.burst).saturating_sub(self.debt(key)) / self.interval
    }

    fn set_quota(&mut self, interval: u64, burst: u64) {
        // A key that owes nothing is not known, and has all of the new quota.
        let owing: Vec<_> = (0..4).filter(|key| self.debt(*key) > 0).map(|key| (key, self.remaining(key))).collect();
        (self.interval, self.burst) = (interval, burst);
        self.full_at.clear();
        for (key, remaining) in owing {
            self.full_at.insert(key, self.now + interval * (burst - remaining.min(burst)));
        }
    }
}

fn request(key: u8, cost: u32) -> Request<()> {
    Request::get(format!("/{cost}")).header("k", key.to_string()).body(()).unwrap()
}

fn check(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let policy = Policy::new("p", Quota::new(10).per(Duration::from_secs(10)).burst(8))
        .key(HeaderKey::new("k".parse().unwrap()))
        .cost(|request| request.uri().path()[1..].parse().unwrap())
        .charge_after(|response| response.headers()["cost"].to_str().unwrap().parse().unwrap())
        .max_keys(16);
    let fixture = Fixture::policy(policy);
    let mut model = Model { now: 0, interval: 1_000_000_000, burst: 8, full_at: HashMap::new() };
    // The handler waits until it is told what the request cost.
    let told = Rc::new(Cell::new(None));
    let teller = Rc::clone(&told);
    let mut service = fixture.layer.layer(tower::service_fn(move |_: Request<()>| {
        let told = Rc::clone(&teller);
        std::future::poll_fn(move |_| match told.take() {
            None => std::task::Poll::Pending,
            Some(cost) => {
                let cost: u32 = cost;
                let response = Response::builder().header("cost", cost).body(Full::<bytes::Bytes>::default());
                std::task::Poll::Ready(Ok::<_, std::convert::Infallible>(response.unwrap()))
            }
        })
    }));
    let mut running = std::collections::VecDeque::new();
    for step in steps {
        match step {
            Step::Wait(nanos) => {
                fixture.hand.advance(Duration::from_nanos(nanos));
                model.now += nanos;
            }
            Step::Begin { key, cost } => {
                let mut future = Box::pin(call(&mut service, request(key, cost)));
                let refused = (&mut future).now_or_never();
                let admitted = u64::from(cost) <= model.burst && model.admits(key, cost);
                prop_assert_eq!(refused.is_none(), admitted, "key {} cost {}", key, cost);
                match refused {
                    None => running.push_back((future, key, cost, model.now + model.debt(key))),
                    Some(answer) => {
                        let answer = answer.unwrap();
                        prop_assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
                        let told = format!("\"p\";r={}", model.remaining(key));
                        prop_assert!(field(&answer, "ratelimit").starts_with(&told), "{}", field(&answer, "ratelimit"));
                        check_wait(&model, key, cost, &field(&answer, "retry-after"))?;
                    }
                }
            }
            Step::End { cost } => {
                let Some((future, key, reserved, back_at)) = running.pop_front() else { continue };
                told.set(Some(cost));
                let answer = future.now_or_never().unwrap().unwrap();
                model.settle(key, reserved, cost, back_at);
                // A charge that turned out right was told as it stood when it was made.
                if cost != reserved {
                    let told = format!("\"p\";r={}", model.remaining(key));
                    let line = field(&answer, "ratelimit");
                    prop_assert!(line == told || line.starts_with(&format!("{told};")), "{} is not {}", line, told);
                }
            }
            Step::Leave => drop(running.pop_front()),
            Step::Quota { limit, window_ms, burst } => {
                // A charge under another quota is settled by the new one: out of this model's depth.
                running.clear();
                let quota = Quota::new(limit).per(Duration::from_millis(window_ms)).burst(burst);
                fixture.handle.set_quota("p", quota).unwrap();
                model.set_quota((window_ms * 1_000_000).div_ceil(u64::from(limit)), u64::from(burst));
            }
        }
    }
    Ok(())
}

/// `Retry-After` is the first whole second at which the request would be admitted.
fn check_wait(model: &Model, key: u8, cost: u32, retry_after: &str) -> Result<(), TestCaseError> {
    if u64::from(cost) > model.burst {
        prop_assert_eq!(retry_after, "");
        return Ok(());
    }
    let wanted = model.interval * u64::from(cost.max(1));
    let wait = (model.debt(key) + wanted).saturating_sub(model.interval * model.burst);
    prop_assert_eq!(retry_after.parse::<u64>().unwrap(), wait.div_ceil(1_000_000_000).max(1));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_limiter_agrees_with_the_model(steps in steps()) {
        check(steps)?;
    }
}

/// Fixed windows, as express-rate-limit explains them: a list of what each key did since its window began.
#[derive(Default)]
struct Windows(HashMap<u8, (u64, u32)>);

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn windows_agree_with_their_model(
        steps in proptest::collection::vec((0_u64..4_000, 0_u8..4, 0_u32..6), 1..300),
        limit in 1_u32..12,
    ) {
        let quota = Quota::new(limit).per(Duration::from_secs(10)).fixed_window();
        let policy = Policy::new("w", quota)
            .key(HeaderKey::new("k".parse().unwrap()))
            .cost(|request| request.uri().path()[1..].parse().unwrap());
        let fixture = Fixture::policy(policy);
        let mut model = Windows::default();
        let mut now_ms = 0;
        for (wait_ms, key, cost) in steps {
            fixture.hand.advance(Duration::from_millis(wait_ms));
            now_ms += wait_ms;
            let held = model.0.get(&key).copied().filter(|(began, _)| now_ms - began < 10_000);
            let (began, used) = held.unwrap_or((now_ms, 0));
            let answer = fixture.send(request(key, cost));
            let admitted = cost <= limit && used + cost.max(1) <= limit;
            prop_assert_eq!(answer.status() == 200, admitted, "key {} used {} cost {}", key, used, cost);
            if admitted && used + cost > 0 {
                model.0.insert(key, (began, used + cost));
            }
        }
    }
}
