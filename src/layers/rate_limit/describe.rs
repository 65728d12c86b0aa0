//! The layers on one line.

use std::time::Duration;

use super::choice::Mode;
use super::layer::{Core, RateLimitLayer};
use super::rule::Rule;
use super::throttle::ThrottleLayer;
use crate::spine::describe::{Describe, time};

impl Rule {
    fn describe(&self) -> String {
        let meter = self.table.meter();
        let limit = match meter.refill_nanos() {
            Some(nanos) => format!("{} per {}", meter.limit(), time(Duration::from_nanos(nanos))),
            None => format!("{} in flight", meter.limit()),
        };
        let wait = match self.policy.max_wait {
            Duration::ZERO => String::new(),
            wait => format!(", waits up to {}", time(wait)),
        };
        let mode = match self.policy.mode {
            Mode::Enforce => String::new(),
            Mode::Shadow => String::from(", shadow"),
            Mode::EnforceShare { percent } => format!(", for {percent} % of the keys"),
        };
        format!("{}: {limit}{wait}{mode}", self.policy.name)
    }
}

impl Core {
    fn describe(&self) -> Option<String> {
        let rules = &self.limiter.rules;
        (!rules.is_empty()).then(|| rules.iter().map(Rule::describe).collect::<Vec<_>>().join("; "))
    }

    fn policies(&self) -> Vec<String> {
        self.limiter.rules.iter().map(|rule| String::from(&*rule.policy.name)).collect()
    }
}

impl Describe for RateLimitLayer {
    fn describe(&self) -> Option<String> {
        self.core.describe()
    }

    fn policies(&self) -> Vec<String> {
        self.core.policies()
    }
}

impl Describe for ThrottleLayer {
    fn describe(&self) -> Option<String> {
        self.core.describe()
    }

    fn policies(&self) -> Vec<String> {
        self.core.policies()
    }
}
