//! Watching and changing a running layer.

use std::sync::Arc;
use std::time::Duration;

use super::criticality::Criticality;
use super::layer::check;
use super::limit::Range;
use super::state::State;
use crate::spine::config::ConfigError;

/// Watches and changes a running [`LoadShedLayer`](super::LoadShedLayer), from anywhere. Clones are the same handle.
///
/// ```
/// use tower_rampart::load_shed::LoadShed;
///
/// let handle = LoadShed::gradient2().build()?.handle();
/// assert_eq!(handle.snapshot().limit, 20);
/// // An incident: no more than ten at once, whatever the latency says.
/// handle.set_limits(1, 10)?;
/// assert_eq!(handle.snapshot().limit, 10);
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct LoadShedHandle {
    state: Arc<State>,
}

impl LoadShedHandle {
    pub(super) const fn of(state: Arc<State>) -> Self {
        Self { state }
    }

    pub(super) const fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// How the layer is doing.
    #[must_use]
    pub fn snapshot(&self) -> LoadShedSnapshot {
        let state = &self.state;
        let classes =
            [Criticality::Sheddable, Criticality::SheddablePlus, Criticality::Critical, Criticality::CriticalPlus];
        LoadShedSnapshot {
            limit: state.limit(),
            in_flight: state.in_flight(),
            expected_latency: state.expected().map(|nanos| Duration::from_nanos(nanos as u64)),
            by_criticality: classes.map(|criticality| state.shed(criticality)),
        }
    }

    /// Changes floor and cap. Requests in flight that are over the limit go on.
    ///
    /// # Errors
    ///
    /// A floor of 0, or a cap below it.
    pub fn set_limits(&self, min: usize, max: usize) -> Result<(), ConfigError> {
        check(Range { min, initial: min, max })?;
        self.state.set_range(min, max);
        Ok(())
    }
}

/// How a layer was doing at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadShedSnapshot {
    /// How many requests may be in flight; 0 where nothing is shed.
    pub limit: usize,
    /// How many are.
    pub in_flight: usize,
    /// The latency of work that nobody waits for, as far as it is known.
    pub expected_latency: Option<Duration>,
    by_criticality: [u64; Criticality::COUNT],
}

impl LoadShedSnapshot {
    /// Requests that were shed since the start.
    #[must_use]
    pub fn shed(&self) -> u64 {
        self.by_criticality.iter().sum()
    }

    /// Those that mattered so much.
    #[must_use]
    pub fn shed_of(&self, criticality: Criticality) -> u64 {
        self.by_criticality.get(criticality.index()).copied().unwrap_or(0)
    }
}
