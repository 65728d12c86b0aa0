//! The hierarchy of roles: a graph without circles, closed when it is built.

use std::collections::{BTreeMap, BTreeSet};

use crate::spine::config::ConfigError;

/// The most roles that inherit others: each is looked at with all that it inherits.
const MAX_HEIRS: usize = 1000;

/// Which roles each role has with it, itself included.
#[derive(Debug, Clone, Default)]
pub(super) struct Roles {
    closed: BTreeMap<Box<str>, BTreeSet<Box<str>>>,
    /// Which roles have a permission, as they are written.
    permitted: BTreeMap<Box<str>, Vec<Box<str>>>,
}

impl Roles {
    /// Closes a hierarchy: `admin` inherits `author`, `author` inherits `voter`.
    pub(super) fn close(inherits: &BTreeMap<Box<str>, Vec<Box<str>>>) -> Result<Self, ConfigError> {
        if inherits.len() > MAX_HEIRS {
            return Err(ConfigError::new("roles", inherits.len(), "are too many that inherit", "write at most 1000"));
        }
        let mut closed = BTreeMap::new();
        for (role, direct) in inherits {
            let mut held = descend(direct, inherits);
            // It was not put there for being itself, so a circle led back to it.
            if !held.insert(role.clone()) {
                return Err(ConfigError::new("roles", role, "inherits itself", "let roles inherit in one direction"));
            }
            closed.insert(role.clone(), held);
        }
        Ok(Self { closed, permitted: BTreeMap::new() })
    }

    /// Gives roles permissions.
    pub(super) fn permit(mut self, permissions: BTreeMap<Box<str>, Vec<Box<str>>>) -> Self {
        for (role, permissions) in permissions {
            for permission in permissions {
                self.permitted.entry(permission).or_default().push(role.clone());
            }
        }
        self
    }

    /// The roles with which one has a permission.
    pub(super) fn that_are_permitted(&self, permission: &str) -> BTreeSet<Box<str>> {
        self.permitted.get(permission).map(|roles| self.that_have(roles)).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.closed.is_empty()
    }

    /// All roles of a caller who was given these.
    pub(super) fn of<'a>(&'a self, given: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
        let mut all = BTreeSet::new();
        for role in given {
            all.insert(role);
            all.extend(self.closed.get(role).into_iter().flatten().map(|role| &**role));
        }
        all
    }

    /// The roles with which one has one of these.
    pub(super) fn that_have(&self, wanted: &[Box<str>]) -> BTreeSet<Box<str>> {
        let heirs = self.closed.iter().filter(|(_, held)| wanted.iter().any(|role| held.contains(role)));
        heirs.map(|(role, _)| role.clone()).chain(wanted.iter().cloned()).collect()
    }
}

/// These roles, and all that they inherit. A list of what is left to do instead of a call within a call: chains may be
/// long.
fn descend(roles: &[Box<str>], inherits: &BTreeMap<Box<str>, Vec<Box<str>>>) -> BTreeSet<Box<str>> {
    let (mut held, mut left) = (BTreeSet::new(), roles.iter().collect::<Vec<_>>());
    while let Some(role) = left.pop() {
        if held.insert(role.clone()) {
            left.extend(inherits.get(role).into_iter().flatten());
        }
    }
    held
}
