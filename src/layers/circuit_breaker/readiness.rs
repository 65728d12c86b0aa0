//! What circuits mean for a program's readiness.

use super::handle::CircuitBreakerHandle;
use super::state::State;

/// Says whether a program can do its work, by the circuits it cannot do without.
///
/// This is for readiness, never for liveness: a restart mends no dependency. And an instance that all of its siblings
/// resemble should stay in service and refuse quickly, so name only what makes this one worse than the others.
///
/// ```
/// use tower_rampart::circuit_breaker::{CircuitBreaker, Readiness};
///
/// let database = CircuitBreaker::new("database").build()?;
/// let avatars = CircuitBreaker::new("avatars").build()?;
/// let readiness = Readiness::new().add_critical(database.handle()).add_shown(avatars.handle());
/// assert!(readiness.is_ready());
/// for (name, state) in readiness.circuits() {
///     println!("{name}: {state}");
/// }
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    circuits: Vec<(CircuitBreakerHandle, bool)>,
}

/// Openings in a row from which on a critical circuit tells: the first may be a hiccup, and a program that goes in and
/// out of service is worse than one that refuses for a second.
const TELLING_ATTEMPTS: u32 = 2;

impl Readiness {
    /// Of no circuit yet: ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A circuit that is shown.
    #[must_use]
    pub fn add_shown(mut self, handle: CircuitBreakerHandle) -> Self {
        self.circuits.push((handle, false));
        self
    }

    /// A circuit that the program cannot do without.
    #[must_use]
    pub fn add_critical(mut self, handle: CircuitBreakerHandle) -> Self {
        self.circuits.push((handle, true));
        self
    }

    /// Whether no critical circuit has stayed open: forced open, or opened again by its probes. It is ready again once
    /// the circuit has closed, and not while it is only tried.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.circuits.iter().filter(|(_, is_critical)| *is_critical).all(|(handle, _)| {
            let snapshot = handle.snapshot();
            match snapshot.state {
                State::ForcedOpen => false,
                State::Open | State::HalfOpen => snapshot.openings_in_a_row < TELLING_ATTEMPTS,
                State::Closed | State::RampUp | State::Disabled => true,
            }
        })
    }

    /// The circuits' names and states, in the order in which they were added.
    pub fn circuits(&self) -> impl Iterator<Item = (&str, State)> {
        self.circuits.iter().map(|(handle, _)| (handle.name(), handle.snapshot().state))
    }
}
