//! The layer on one line.

use super::layer::AuthzLayer;
use super::policy::Policy;
use crate::spine::describe::{Describe, count};

/// What a policy says of itself.
fn text(policy: &dyn Policy) -> String {
    policy.rules().map_or_else(|| String::from("a policy of your own"), |rules| count(rules, "rule"))
}

impl Describe for AuthzLayer {
    fn describe(&self) -> Option<String> {
        let policies = self.policies.now();
        let enforced = policies.enforced.map(|policy| text(&*policy))?;
        let shadow = policies.shadow.map(|policy| format!("; in shadow {}", text(&*policy))).unwrap_or_default();
        Some(format!("{enforced}, what none allows is refused{shadow}"))
    }

    fn public_rule(&self) -> Option<String> {
        self.policies.now().enforced.and_then(|policy| policy.public_rule().map(str::to_owned))
    }
}
