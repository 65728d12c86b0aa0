//! The layer on one line.

use super::layer::BulkheadLayer;
use crate::spine::describe::{Describe, time};
use crate::spine::form::Form;

impl<F: Form> Describe for BulkheadLayer<F> {
    fn describe(&self) -> Option<String> {
        let core = self.core.as_ref()?;
        let places = &self.places;
        let each = match &core.key {
            Some(_) => format!(", {} of each key", places.max_concurrent_per_key()),
            None => String::new(),
        };
        let queue = match places.max_queued() {
            0 => String::new(),
            queued => format!("; {queued} wait up to {}", time(core.max_wait)),
        };
        Some(format!("{}: {} in flight{each}{queue}", core.name, places.max_concurrent()))
    }
}
