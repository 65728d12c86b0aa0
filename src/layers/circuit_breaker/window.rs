//! What was counted: failures in a row, the last calls, or the last seconds.
//!
//! Every cell carries the generation it belongs to. One of an earlier generation counts as empty, so that nothing has to
//! be cleared when a circuit closes, and a result that comes late cannot write into a later one.

use super::sync::{AtomicU64, Ordering};
use super::word::is_later;

/// What a call did to the counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) failed: bool,
    pub(super) slow: bool,
}

/// What a window holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) calls: u32,
    pub(super) failures: u32,
    pub(super) slow: u32,
}

/// A generation in the upper half, a value in the lower.
#[derive(Debug, Default)]
struct Cell(AtomicU64);

impl Cell {
    /// The value, as far as it is of this generation.
    #[inline]
    fn get(&self, generation: u32) -> u32 {
        let (held, value) = split(self.0.load(Ordering::SeqCst));
        if held == generation { value } else { 0 }
    }

    /// Changes the value and returns it as it was and as it is; `None` when a later generation holds the cell.
    #[inline]
    fn update(&self, generation: u32, change: impl Fn(u32) -> u32) -> Option<(u32, u32)> {
        let mut current = self.0.load(Ordering::SeqCst);
        loop {
            let (held, value) = split(current);
            if is_later(held, generation) {
                return None;
            }
            let before = if held == generation { value } else { 0 };
            let after = change(before);
            if held == generation && before == after {
                return Some((before, after));
            }
            let next = (u64::from(generation) << 32) | u64::from(after);
            match self.0.compare_exchange_weak(current, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return Some((before, after)),
                Err(seen) => current = seen,
            }
        }
    }
}

const fn split(bits: u64) -> (u32, u32) {
    ((bits >> 32) as u32, bits as u32)
}

/// Failures in a row.
#[derive(Debug, Default)]
pub(super) struct Row(Cell);

impl Row {
    /// The row after a failure.
    pub(super) fn failed(&self, generation: u32) -> u32 {
        self.0.update(generation, |row| row.saturating_add(1)).map_or(0, |(_, row)| row)
    }

    #[inline]
    pub(super) fn succeeded(&self, generation: u32) {
        if self.0.get(generation) != 0 {
            self.0.update(generation, |_| 0);
        }
    }
}

/// The last calls, a bit for each, and how many are set.
#[derive(Debug)]
struct Bits {
    cells: Box<[Cell]>,
    set: Cell,
}

const BITS: u32 = 32;

impl Bits {
    fn new(size: u32) -> Self {
        Self { cells: (0..size.div_ceil(BITS)).map(|_| Cell::default()).collect(), set: Cell::default() }
    }

    /// How many bits are set. One may have been cleared, and counted, before it was counted as set.
    fn count(&self, generation: u32, size: u32) -> u32 {
        u32::try_from(self.set.get(generation).cast_signed()).unwrap_or(0).min(size)
    }

    /// Writes a bit over the one that leaves the window.
    #[inline]
    fn write(&self, generation: u32, index: u32, bit: bool) {
        let (Some(cell), mask) = (self.cells.get((index / BITS) as usize), 1 << (index % BITS)) else { return };
        let written = cell.update(generation, |bits| if bit { bits | mask } else { bits & !mask });
        let Some((before, _)) = written else { return };
        match (before & mask != 0, bit) {
            (false, true) => drop(self.set.update(generation, |set| set.wrapping_add(1))),
            (true, false) => drop(self.set.update(generation, |set| set.wrapping_sub(1))),
            _ => {}
        }
    }
}

/// The last calls: a window that slides with each of them.
#[derive(Debug)]
pub(super) struct Ring {
    size: u32,
    /// Where the next call goes, and, in the highest bit, whether every place was used.
    head: Cell,
    failed: Bits,
    slow: Option<Bits>,
}

const FULL: u32 = 1 << 31;

impl Ring {
    pub(super) fn new(size: u32, counts_slow: bool) -> Self {
        let size = size.clamp(1, FULL - 1);
        Self { size, head: Cell::default(), failed: Bits::new(size), slow: counts_slow.then(|| Bits::new(size)) }
    }

    /// Counts a call, and says how many there are now; `None` when it belongs to a generation that is over.
    #[inline]
    fn add(&self, generation: u32, call: Call) -> Option<u32> {
        let advance = |head: u32| {
            let (full, next) = (head & FULL, (head & !FULL) + 1);
            if next == self.size { FULL } else { full | next }
        };
        let (head, after) = self.head.update(generation, advance)?;
        let index = head & !FULL;
        self.failed.write(generation, index, call.failed);
        if let Some(slow) = &self.slow {
            slow.write(generation, index, call.slow);
        }
        Some(self.calls(after))
    }

    const fn calls(&self, head: u32) -> u32 {
        if head & FULL == 0 { head } else { self.size }
    }

    fn totals(&self, generation: u32) -> Totals {
        Totals {
            calls: self.calls(self.head.get(generation)),
            failures: self.failed.count(generation, self.size),
            slow: self.slow.as_ref().map_or(0, |slow| slow.count(generation, self.size)),
        }
    }
}

/// A number of the bucket, a generation, and a count: `bucket:26 | generation:10 | count:28`.
#[derive(Debug, Default)]
struct BucketCell(AtomicU64);

const COUNT_BITS: u32 = 28;
/// As many as ten buckets can hold and be added up.
const MAX_COUNT: u64 = (1 << COUNT_BITS) - 1;
const GENERATION_BITS: u32 = 10;
const MAX_SHORT_GENERATION: u64 = (1 << GENERATION_BITS) - 1;
const MAX_NUMBER: u64 = (1 << (u64::BITS - COUNT_BITS - GENERATION_BITS)) - 1;

impl BucketCell {
    /// Counts one, and says the how-manieth it is: one more than there is room for where it is not counted. `None` when
    /// the cell has gone to a later bucket.
    fn add(&self, stamp: Stamp) -> Option<u64> {
        let mut current = self.0.load(Ordering::SeqCst);
        loop {
            let held = Stamp(current >> COUNT_BITS);
            let is_begun = held == stamp;
            if !is_begun && held.is_after(stamp) && current != 0 {
                return None;
            }
            let count = if is_begun { current & MAX_COUNT } else { 0 };
            if count == MAX_COUNT {
                return Some(count + 1);
            }
            let next = (stamp.0 << COUNT_BITS) | (count + 1);
            match self.0.compare_exchange_weak(current, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return Some(count + 1),
                Err(seen) => current = seen,
            }
        }
    }

    /// The count, when it is of the last `BUCKETS` buckets.
    fn get(&self, now: Stamp) -> u32 {
        let bits = self.0.load(Ordering::SeqCst);
        let held = Stamp(bits >> COUNT_BITS);
        let is_recent = held.generation() == now.generation()
            && now.number().wrapping_sub(held.number()) & MAX_NUMBER < u64::from(BUCKETS);
        if is_recent { (bits & MAX_COUNT) as u32 } else { 0 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp(u64);

impl Stamp {
    fn new(generation: u32, number: u64) -> Self {
        Self(((number & MAX_NUMBER) << GENERATION_BITS) | (u64::from(generation) & MAX_SHORT_GENERATION))
    }

    const fn generation(self) -> u64 {
        self.0 & MAX_SHORT_GENERATION
    }

    const fn number(self) -> u64 {
        self.0 >> GENERATION_BITS
    }

    /// Whether this was begun after what somebody still holds, a little after: whatever lies far ahead in numbers that
    /// begin anew lies behind. By time first, since no generation is over before its time.
    const fn is_after(self, other: Self) -> bool {
        let numbers = self.number().wrapping_sub(other.number()) & MAX_NUMBER;
        if numbers != 0 {
            return numbers <= NEAR_NUMBERS;
        }
        let generations = self.generation().wrapping_sub(other.generation()) & MAX_SHORT_GENERATION;
        generations != 0 && generations <= NEAR_GENERATIONS
    }
}

/// How far apart the stamps are that threads of one moment write.
const NEAR_NUMBERS: u64 = 4096;
const NEAR_GENERATIONS: u64 = 8;

/// A time window is divided so often: one bucket leaves it at a time.
pub(super) const BUCKETS: u32 = 10;

#[derive(Debug, Default)]
struct Bucket {
    calls: BucketCell,
    failures: BucketCell,
    slow: BucketCell,
}

/// The last seconds, in buckets: fixed memory and cost, whatever the traffic.
#[derive(Debug)]
pub(super) struct Buckets {
    width_ms: u64,
    buckets: [Bucket; BUCKETS as usize],
    /// The generation in which calls are to be judged that were too few, plus one.
    pending: AtomicU64,
}

impl Buckets {
    pub(super) fn new(window_ms: u64) -> Self {
        Self {
            width_ms: (window_ms / u64::from(BUCKETS)).max(1),
            buckets: Default::default(),
            pending: AtomicU64::new(0),
        }
    }

    /// Counts a call, and says whether its bucket was begun by it.
    fn add(&self, generation: u32, call: Call, now_ms: u64) -> Option<bool> {
        let number = now_ms / self.width_ms;
        let (stamp, bucket) = (Stamp::new(generation, number), self.bucket(number)?);
        let count = bucket.calls.add(stamp)?;
        // A bucket that is full keeps its shares.
        if call.failed && count <= MAX_COUNT {
            bucket.failures.add(stamp);
        }
        if call.slow && count <= MAX_COUNT {
            bucket.slow.add(stamp);
        }
        Some(count == 1)
    }

    fn bucket(&self, number: u64) -> Option<&Bucket> {
        self.buckets.get((number % u64::from(BUCKETS)) as usize)
    }

    fn totals(&self, generation: u32, now_ms: u64) -> Totals {
        let now = Stamp::new(generation, now_ms / self.width_ms);
        self.buckets.iter().fold(Totals::default(), |totals, bucket| Totals {
            calls: totals.calls + bucket.calls.get(now),
            failures: totals.failures + bucket.failures.get(now),
            slow: totals.slow + bucket.slow.get(now),
        })
    }
}

/// A window of calls or of time.
#[derive(Debug)]
pub(super) enum Sliding {
    Calls(Ring),
    Time(Box<Buckets>),
}

impl Sliding {
    /// Counts a call and returns the totals where they may have come to what opens a circuit: after a failure or a slow
    /// call, at the call that makes `min_calls` full, and where others have left a time window. At any other call they say
    /// what they said before, or better, so that it is as if each were judged.
    #[inline]
    pub(super) fn add(&self, generation: u32, call: Call, min_calls: u32, now_ms: impl Fn() -> u64) -> Option<Totals> {
        let is_bad = call.failed || call.slow;
        match self {
            Self::Calls(ring) => {
                let calls = ring.add(generation, call)?;
                (is_bad || calls == min_calls).then(|| ring.totals(generation))
            }
            Self::Time(buckets) => {
                let now_ms = now_ms();
                let begun = buckets.add(generation, call, now_ms)?;
                let mark = u64::from(generation) + 1;
                // The first one of a bucket finds that others have left, and perhaps too few that are.
                if is_bad || begun {
                    // Before the others' calls are looked at: whoever comes after that sees the mark.
                    buckets.pending.store(mark, Ordering::SeqCst);
                } else if buckets.pending.load(Ordering::SeqCst) != mark {
                    return None;
                }
                let totals = buckets.totals(generation, now_ms);
                if totals.calls >= min_calls {
                    // Whoever set it meanwhile looks for itself.
                    let _ = buckets.pending.compare_exchange(mark, 0, Ordering::SeqCst, Ordering::SeqCst);
                }
                Some(totals)
            }
        }
    }

    pub(super) fn totals(&self, generation: u32, now_ms: u64) -> Totals {
        match self {
            Self::Calls(ring) => ring.totals(generation),
            Self::Time(buckets) => buckets.totals(generation, now_ms),
        }
    }
}
