//! The hierarchy of roles: a graph without circles, closed when it is built.

use std::collections::{BTreeMap, BTreeSet};

use crate::spine::config::ConfigError;

/// Which roles each role has with it, itself included.
#[derive(Debug, Clone, Default)]
pub(super) struct Roles(BTreeMap<Box<str>, BTreeSet<Box<str>>>);

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
        Ok(Self(closed))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All roles of a caller who was given these.
    pub(super) fn of<'a>(&'a self, given: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
        let mut all = BTreeSet::new();
        for role in given {
            all.insert(role);
            all.extend(self.0.get(role).into_iter().flatten().map(|role| &**role));
        }
        all
    }

    /// The roles with which one has one of these.
    pub(super) fn that_have(&self, wanted: &[Box<str>]) -> BTreeSet<Box<str>> {
        let heirs = self.0.iter().filter(|(_, held)| wanted.iter().any(|role| held.contains(role)));
        heirs.map(|(role, _)| role.clone()).chain(wanted.iter().cloned()).collect()
    }
}

fn descend(role: &str, inherits: &BTreeMap<Box<str>, Vec<Box<str>>>, held: &mut BTreeSet<Box<str>>) {
    if held.insert(role.into()) {
        inherits.get(role).into_iter().flatten().for_each(|inherited| descend(inherited, inherits, held));
    }
}
