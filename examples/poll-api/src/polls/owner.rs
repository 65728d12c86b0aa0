//! Whose poll it is: the one rule that the table by paths cannot hold, since the owner stands in the database.

use http::Method;
use tower_rampart::authz::{PolicyContext, PolicyTable, Predicate, Rule};
use tower_rampart::{ConfigError, Identity};

use crate::fault::{Fault, Result};

/// Owner or admin, by the same engine that decides about paths.
#[derive(Debug)]
pub struct Owners(PolicyTable);

impl Owners {
    pub fn new() -> std::result::Result<Self, ConfigError> {
        let is_theirs = Predicate::custom("the poll is the caller's", |context: &PolicyContext<'_>| {
            let owner = context.path().strip_prefix("/owners/");
            context.caller().is_some_and(|caller| owner == Some(caller.subject()))
        });
        let rule = Rule::allow("owner-or-admin", "/owners/{owner}")
            .when(Predicate::any([is_theirs, Predicate::role("admin")]));
        PolicyTable::builder().add_rule(rule).build().map(Self)
    }

    /// Whether the caller may change what this user made.
    pub fn check(&self, caller: &Identity, owner: &str) -> Result<()> {
        let path = format!("/owners/{owner}");
        let context = PolicyContext::new(&Method::POST, &path).with_caller(Some(caller));
        if self.0.decide(&context).is_allowed() {
            return Ok(());
        }
        Err(Fault::Forbidden("Only its author and admins may do this with a poll."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_and_admins_may() {
        let owners = Owners::new().unwrap();
        let ann = Identity::new("poll-api", "0193-ann").with_roles(["author"]);
        assert!(owners.check(&ann, "0193-ann").is_ok());
        assert!(owners.check(&ann, "0193-bob").is_err());
        assert!(owners.check(&Identity::new("poll-api", "root").with_roles(["admin"]), "0193-bob").is_ok());
    }
}
