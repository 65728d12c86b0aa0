//! The hierarchy of roles: a graph without circles, closed when it is built.

use std::collections::{BTreeMap, BTreeSet};

use crate::spine::config::ConfigError;

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
        let mut closed = BTreeMap::new();
        for role in inherits.keys() {
            let mut held = BTreeSet::new();
            descend(role, inherits, &mut held);
            let in_circle = |inherited: &str| {
                inherits.get(inherited).is_some_and(|further| {
                    let mut back = BTreeSet::new();
                    further.iter().for_each(|role| descend(role, inherits, &mut back));
                    back.contains(role) && held.contains(inherited)
                })
            };
            if held.iter().any(|inherited| in_circle(inherited)) {
                const MEND: &str = "let roles inherit in one direction";
                return Err(ConfigError::new("roles", role, "inherits itself", MEND));
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

fn descend(role: &str, inherits: &BTreeMap<Box<str>, Vec<Box<str>>>, held: &mut BTreeSet<Box<str>>) {
    if held.insert(role.into()) {
        inherits.get(role).into_iter().flatten().for_each(|inherited| descend(inherited, inherits, held));
    }
}
