//! The layers on one line.

use std::time::Duration;

use super::layer::LoadShedLayer;
use super::limit::Algorithm;
use super::throttle::AdaptiveThrottleLayer;
use crate::spine::describe::{Describe, list, time};
use crate::spine::form::Form;

impl<F: Form> Describe for LoadShedLayer<F> {
    fn describe(&self) -> Option<String> {
        let core = self.core.as_ref()?;
        let algorithm = match &core.algorithm {
            Algorithm::Gradient2(_) => String::from("gradient2"),
            Algorithm::Aimd(aimd) => {
                format!("aimd, {} on the mean", time(Duration::from_nanos(aimd.latency_limit as u64)))
            }
        };
        let range = self.state.range();
        let spared = match &*core.spared.paths {
            [] => String::new(),
            paths => format!("; never {}", list(paths.iter().map(|path| path.as_str()))),
        };
        Some(format!("{algorithm}; limit {} at the moment, {} to {}{spared}", self.state.limit(), range.min, range.max))
    }
}

impl<F: Form> Describe for AdaptiveThrottleLayer<F> {
    fn describe(&self) -> Option<String> {
        Some(self.core.describe())
    }
}
