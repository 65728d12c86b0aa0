//! How much it matters that a request is answered.

/// How much it matters that a request is answered: the less, the sooner it is shed.
///
/// An outer layer may put it into the request's extensions; else [`LoadShed::criticality`](super::LoadShed::criticality)
/// says. Without either, every request is [`CriticalPlus`](Self::CriticalPlus): they are all alike, and the whole limit
/// is theirs.
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
