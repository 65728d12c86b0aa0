//! How much it matters that a request is answered.

use std::fmt;
use std::str::FromStr;

use crate::spine::config::ConfigError;

/// How much it matters that a request is answered: the less, the sooner it is shed.
///
/// An outer layer may put it into the request's extensions; else [`LoadShed::criticality`](super::LoadShed::criticality)
/// says. Without either, every request is [`CriticalPlus`](Self::CriticalPlus): they are all alike, and the whole limit
/// is theirs.
///
/// ```
/// use tower_rampart::load_shed::Criticality;
///
/// let said: Criticality = "sheddable-plus".parse()?;
/// assert_eq!((said, said.to_string().as_str()), (Criticality::SheddablePlus, "sheddable-plus"));
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Criticality {
    /// Work for nobody who waits: shed above half of the limit.
    Sheddable,
    /// What can be tried again later: shed above 70 % of the limit.
    SheddablePlus,
    /// What somebody waits for: shed above 90 % of the limit.
    Critical,
    /// What must go on while everything else does not: it has all of the limit.
    #[default]
    CriticalPlus,
}

impl Criticality {
    /// How many there are.
    pub(super) const COUNT: usize = 4;

    /// The name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sheddable => "sheddable",
            Self::SheddablePlus => "sheddable-plus",
            Self::Critical => "critical",
            Self::CriticalPlus => "critical-plus",
        }
    }

    const fn percent(self) -> u64 {
        match self {
            Self::Sheddable => 50,
            Self::SheddablePlus => 70,
            Self::Critical => 90,
            Self::CriticalPlus => 100,
        }
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// How many requests may be in flight for one of these to come in; never none, so that each is heard of again.
    pub(super) const fn share(self, limit: usize) -> usize {
        (limit as u64 * self.percent()).div_ceil(100) as usize
    }
}

impl fmt::Display for Criticality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Criticality {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        const MEND: &str = "write `sheddable`, `sheddable-plus`, `critical` or `critical-plus`";
        let all = [Self::Sheddable, Self::SheddablePlus, Self::Critical, Self::CriticalPlus];
        let named = all.into_iter().find(|criticality| criticality.name() == name);
        named.ok_or_else(|| ConfigError::new("criticality", name, "is none", MEND))
    }
}
