//! What a response's body holds.

use super::places::Permit;
use crate::spine::classify::BodyEnd;
use crate::spine::outcome::ObserveEnd;

/// The place of a request, held until the body of its response has ended.
#[derive(Debug)]
pub struct Held {
    _permit: Permit,
}

impl Held {
    pub(super) const fn new(permit: Permit) -> Self {
        Self { _permit: permit }
    }
}

impl ObserveEnd for Held {
    fn ended(self, _: BodyEnd<'_>) {}
}
