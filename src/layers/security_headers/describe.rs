//! The layer on one line.

use super::layer::SecurityHeadersLayer;
use crate::spine::describe::Describe;

impl Describe for SecurityHeadersLayer {
    fn describe(&self) -> Option<String> {
        self.plans.describe()
    }
}
