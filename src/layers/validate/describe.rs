//! The layers on one line.

use super::breach::Check;
use super::layer::{Bodies, UnknownPaths, ValidateLayer};
use crate::spine::describe::{Describe, bytes, count};

impl Describe for ValidateLayer {
    fn describe(&self) -> Option<String> {
        let shared = &self.shared;
        if shared.is_empty {
            return None;
        }
        let body = format!("bodies up to {}", bytes(shared.limits.body_bytes as u64));
        let routes = match (shared.routes.len(), shared.unknown_paths) {
            (0, _) => String::new(),
            (routes, UnknownPaths::Pass) if shared.bodies == Bodies::Described => {
                format!(", {} described, other bodies unread", count(routes, "route"))
            }
            (routes, UnknownPaths::Pass) => format!(", {} described", count(routes, "route")),
            (routes, UnknownPaths::Refuse) => format!(", {} described, unknown paths refused", count(routes, "route")),
        };
        let mode = match shared.reported.len() {
            0 => "",
            all if all == Check::ALL.len() => "; reports and refuses nothing",
            _ => "; reports some checks only",
        };
        Some(format!("{body}{routes}{mode}"))
    }
}
