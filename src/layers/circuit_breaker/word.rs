//! All that decides about a call, in one word: every transition is one exchange of it.
//!
//! ```text
//! phase:3 | attempts:5 | generation:18 | payload:38
//! ```
//!
//! The payload is a time in milliseconds, or, in half-open, two bits for each probe and, above them, how often a slot
//! was given back: a word that comes again would hide that from whoever compares.

/// What a circuit does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Closed,
    Open,
    HalfOpen,
    RampUp,
    ForcedOpen,
    Disabled,
}

const PAYLOAD_BITS: u32 = 38;
const GENERATION_BITS: u32 = 18;
const ATTEMPT_BITS: u32 = 5;
const GENERATION_SHIFT: u32 = PAYLOAD_BITS;
const ATTEMPT_SHIFT: u32 = GENERATION_SHIFT + GENERATION_BITS;
const PHASE_SHIFT: u32 = ATTEMPT_SHIFT + ATTEMPT_BITS;
const MAX_PAYLOAD: u64 = (1 << PAYLOAD_BITS) - 1;
const MAX_GENERATION: u32 = (1 << GENERATION_BITS) - 1;
/// Openings in a row that are told apart; the interval has long reached its cap by then.
const MAX_ATTEMPTS: u32 = (1 << ATTEMPT_BITS) - 1;

const RETURNS_SHIFT: u32 = 2 * MAX_PROBES;

/// A time that never comes; all others lie within the eight years before it.
pub(super) const NEVER: u64 = MAX_PAYLOAD;
/// As many as have room in a word.
pub(super) const MAX_PROBES: u32 = 16;

/// Where a probe stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(super) enum Slot {
    Free = 0,
    InFlight = 1,
    Succeeded = 2,
    Failed = 3,
}

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(u64);

impl Word {
    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    pub(super) fn new(phase: Phase, attempts: u32, generation: u32, payload: u64) -> Self {
        let phase = match phase {
            Phase::Closed => 0,
            Phase::Open => 1,
            Phase::HalfOpen => 2,
            Phase::RampUp => 3,
            Phase::ForcedOpen => 4,
            Phase::Disabled => 5,
        };
        Self(
            (phase << PHASE_SHIFT)
                | (u64::from(attempts.min(MAX_ATTEMPTS)) << ATTEMPT_SHIFT)
                | (u64::from(generation & MAX_GENERATION) << GENERATION_SHIFT)
                | payload.min(MAX_PAYLOAD),
        )
    }

    /// The word of the next generation: what was admitted before says nothing about it.
    pub(super) fn next(self, phase: Phase, attempts: u32, payload: u64) -> Self {
        Self::new(phase, attempts, self.generation().wrapping_add(1), payload)
    }

    /// Whether calls pass and are counted, and nothing else is to be looked at.
    pub(super) const fn is_closed(self) -> bool {
        self.0 >> PHASE_SHIFT == 0
    }

    pub(super) const fn phase(self) -> Phase {
        match self.0 >> PHASE_SHIFT {
            0 => Phase::Closed,
            1 => Phase::Open,
            2 => Phase::HalfOpen,
            3 => Phase::RampUp,
            4 => Phase::ForcedOpen,
            _ => Phase::Disabled,
        }
    }

    /// Whether it stays so until somebody says otherwise: no time ends it, and none need be asked for.
    pub(super) const fn is_for_ever(self) -> bool {
        self.time() == NEVER && matches!(self.phase(), Phase::ForcedOpen | Phase::Disabled)
    }

    /// How often in a row it has opened.
    pub(super) const fn attempts(self) -> u32 {
        (self.0 >> ATTEMPT_SHIFT) as u32 & MAX_ATTEMPTS
    }

    pub(super) const fn generation(self) -> u32 {
        (self.0 >> GENERATION_SHIFT) as u32 & MAX_GENERATION
    }

    /// When the phase ends, or when it began.
    pub(super) const fn time(self) -> u64 {
        self.0 & MAX_PAYLOAD
    }

    pub(super) const fn slot(self, index: u32) -> Slot {
        match (self.0 >> (2 * index)) & 3 {
            0 => Slot::Free,
            1 => Slot::InFlight,
            2 => Slot::Succeeded,
            _ => Slot::Failed,
        }
    }

    pub(super) const fn with_slot(self, index: u32, slot: Slot) -> Self {
        Self((self.0 & !(3 << (2 * index))) | ((slot as u64) << (2 * index)))
    }

    /// The slot is given back.
    pub(super) const fn with_returned(self, index: u32) -> Self {
        let returned = (self.time() + (1 << RETURNS_SHIFT)) & MAX_PAYLOAD;
        Self((self.0 & !MAX_PAYLOAD) | returned).with_slot(index, Slot::Free)
    }

    /// How many of the probes stand so.
    pub(super) fn count(self, slot: Slot) -> u32 {
        (0..MAX_PROBES).filter(|index| self.slot(*index) == slot).count() as u32
    }

    pub(super) fn free_slot(self, probes: u32) -> Option<u32> {
        (0..probes.min(MAX_PROBES)).find(|index| self.slot(*index) == Slot::Free)
    }
}

/// How far apart generations are that threads of one moment know.
const NEAR: u32 = 64;

/// Whether generation `a` comes after `b`, which somebody still holds: a little after, since in numbers that begin anew
/// whatever lies far ahead lies behind, and was left long ago.
pub(super) const fn is_later(a: u32, b: u32) -> bool {
    let ahead = a.wrapping_sub(b) & MAX_GENERATION;
    ahead != 0 && ahead <= NEAR
}
