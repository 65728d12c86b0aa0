//! The layer on one line.

use super::layer::CacheLayer;
use super::settings::Policy;
use crate::spine::describe::{Describe, bytes};

impl Describe for CacheLayer {
    fn describe(&self) -> Option<String> {
        let core = self.core.as_ref()?;
        let settings = &core.settings;
        let room = bytes(core.memory.room());
        let entry = bytes(settings.entry_bytes as u64);
        let policy = match settings.policy {
            Policy::Shared => "clients may ask for what is newer",
            Policy::Origin => "clients' directives are not heard",
        };
        let private = if settings.private_per_subject { "kept for its caller" } else { "not kept" };
        let tier = if core.tier.is_some() { "; a second tier" } else { "" };
        Some(format!("{room}, entries up to {entry}; {policy}; what is private is {private}{tier}"))
    }
}
