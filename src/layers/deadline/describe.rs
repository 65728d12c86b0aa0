//! The layers on one line.

use super::layer::{Core, DeadlineBodyLayer, DeadlineLayer};
use super::propagate::PropagateDeadlineLayer;
use super::try_timeout::TryTimeoutLayer;
use crate::spine::describe::{Describe, list, time};

impl Core {
    fn describe(&self) -> String {
        let max = self.terms.max.map_or_else(|| String::from("no maximum"), |max| format!("{} at most", time(max)));
        match &*self.terms.fields {
            [] => max,
            fields => format!("{max}, less by {}", list(fields.iter().map(|field| field.name()))),
        }
    }
}

impl Describe for DeadlineLayer {
    fn describe(&self) -> Option<String> {
        Some(format!("{}, up to the head", self.core.as_ref()?.describe()))
    }
}

impl Describe for DeadlineBodyLayer {
    fn describe(&self) -> Option<String> {
        Some(format!("{}, up to the end of the body", self.core.describe()))
    }
}

impl<A: Send + Sync + 'static> Describe for TryTimeoutLayer<A> {
    fn describe(&self) -> Option<String> {
        self.core.timeout.map(|timeout| format!("{} for each try", time(timeout)))
    }
}

impl Describe for PropagateDeadlineLayer {
    fn describe(&self) -> Option<String> {
        let of = if self.core.is_for_all { "" } else { " of gRPC" };
        Some(format!("what is left, in {}{of}", self.core.field.name()))
    }
}
