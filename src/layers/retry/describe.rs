//! The layer on one line.

use super::layer::RetryLayer;
use crate::spine::describe::{Describe, bytes};

impl<V: 'static> Describe for RetryLayer<V> {
    fn describe(&self) -> Option<String> {
        let core = self.policy.core();
        if core.bounds.attempts == 1 {
            return None;
        }
        let (percent, floor) = (core.budget.percent, core.budget.floor);
        let body = bytes(core.body_bytes as u64);
        let attempts = core.bounds.attempts;
        Some(format!("{attempts} tries, {percent} % of recent requests and {floor} more; bodies up to {body} kept"))
    }
}
