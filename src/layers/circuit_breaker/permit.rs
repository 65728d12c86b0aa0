//! What a call holds until it is known what it came to.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, SystemTime};

use http::{Method, Response};

use super::circuit::{Circuit, NANOS_PER_MS};
use super::judge::{self, Judgement};
use super::machine::{Heard, Kind, Outcome, Ticket};
use super::stalls::Probe;
use crate::spine::classify::{BodyEnd, HeadVerdict, Verdict, classify_head, classify_status};
use crate::spine::deadline::TimedOut;
use crate::spine::holdup::Holdup;
use crate::spine::outcome::ObserveEnd;
use crate::spine::problem::ProblemKind;
use crate::spine::rejection::Rejection;
use crate::spine::request::RequestView;
use crate::spine::response::ResponseView;

/// The leave to make one call, from [`CircuitBreakerHandle::admit`](super::CircuitBreakerHandle::admit) where there is
/// no service to put a layer around.
///
/// Say what the call came to; a permit that is dropped is a call that was left, which counts when it was slow, or a
/// panic, which counts.
#[must_use = "a permit that is dropped is a call that was left"]
pub struct Permit {
    circuit: Arc<Circuit>,
    ticket: Ticket,
    /// In nanoseconds; zero where nobody asks.
    started: u64,
    /// The time of this moment, in nanoseconds, where it was asked; zero where it was not.
    seen: u64,
    flags: Flags,
    held: Held,
}

/// What can hold the call up.
enum Held {
    ByNothing,
    By(Holdup),
    /// Its slot may be taken from it meanwhile.
    Probe(Arc<Probe>),
}

#[derive(Clone, Copy, Default)]
struct Flags {
    is_heard: bool,
    /// It is being polled: whatever drops it then unwinds.
    is_polling: bool,
    is_slow: bool,
    /// gRPC's requests are all POST: no other's response is looked at for its content-type.
    may_be_grpc: bool,
    /// What the head was, where the body has a say.
    expects_trailers: bool,
    is_answered: bool,
}

impl Permit {
    #[inline]
    pub(super) fn new(circuit: Arc<Circuit>, ticket: Ticket) -> Self {
        let started = if circuit.shared.slow_after.is_some() { circuit.shared.time.now_nanos() } else { 0 };
        let flags = Flags { may_be_grpc: true, ..Flags::default() };
        Self { circuit, ticket, started, seen: 0, flags, held: Held::ByNothing }
    }

    /// For this request.
    #[inline]
    pub(super) fn of_request(mut self, request: RequestView<'_>) -> Self {
        self.flags.may_be_grpc = *request.method() == Method::POST;
        if let Some(holdup) = Holdup::of(request) {
            self.watch(holdup);
        }
        self
    }

    #[cold]
    fn watch(&mut self, holdup: Holdup) {
        if self.started == 0 {
            self.started = self.circuit.shared.time.now_nanos();
        }
        self.held = match self.ticket.kind {
            Kind::Probe(_) => Held::Probe(self.circuit.stalls.watch(self.ticket, holdup)),
            _ => Held::By(holdup),
        };
    }

    fn holdup(&self) -> Option<&Holdup> {
        match &self.held {
            Held::ByNothing => None,
            Held::By(holdup) => Some(holdup),
            Held::Probe(probe) => Some(probe.holdup()),
        }
    }

    /// The call did what it should.
    pub fn success(mut self) {
        self.note_slowness();
        self.hear(Judgement::of(Outcome::Success));
    }

    /// The call failed, and the other side is at fault.
    pub fn failure(mut self) {
        self.note_slowness();
        self.hear(Judgement::of(Outcome::Failure));
    }

    /// The call came to this.
    pub fn verdict(mut self, verdict: Verdict) {
        self.note_slowness();
        let verdict = if verdict == Verdict::TimedOut && self.was_held_up() { Verdict::Neutral } else { verdict };
        self.hear(Judgement::of_verdict(verdict));
    }

    /// The call says nothing about the other side.
    pub fn ignore(mut self) {
        self.hear(Judgement::of(Outcome::Neutral));
    }

    /// Looks at the head of a response. Says whether its body has a say, which
    /// it has not where it has ended already.
    #[inline]
    pub(super) fn respond<B>(&mut self, response: &Response<B>, has_ended: bool) -> bool {
        self.note_slowness();
        if let Some(rejection) = response.extensions().get::<Rejection>() {
            match rejection.problem().kind() {
                // The other side was waited for, perhaps: as when the call is cut off further out.
                ProblemKind::DeadlineExceeded => self.left(false),
                // A layer further in refused: the other side knows nothing of it.
                _ => self.hear(Judgement::of(Outcome::Neutral)),
            }
            return false;
        }
        let head = match &self.circuit.shared.judge_head {
            Some(judge) => judge(ResponseView::of(response)),
            None if self.flags.may_be_grpc => classify_head(ResponseView::of(response)),
            None => HeadVerdict::Settled(classify_status(response.status(), response.headers())),
        };
        if let Some(judgement) = judge::of_head(head, response.headers(), self.flags.is_slow, || self.wall()) {
            let timed_out = || response.extensions().get::<TimedOut>().is_some();
            let is_excused = judgement.outcome == Outcome::Failure && self.was_held_up() && timed_out();
            self.hear(if is_excused { Judgement::of(Outcome::Neutral) } else { judgement });
            return false;
        }
        self.flags.expects_trailers = head == HeadVerdict::AwaitsTrailers;
        self.flags.is_answered = true;
        if has_ended {
            self.ended_as(BodyEnd::Complete(None));
            return false;
        }
        // An answer that has begun is one, however slow, and its slot is taken no more.
        if self.has_its_slot() && !self.flags.is_slow {
            self.circuit.machine.answered(self.ticket);
        }
        // The body ends at another time.
        self.seen = 0;
        true
    }

    #[inline]
    fn ended_as(&mut self, end: BodyEnd<'_>) {
        let head = match self.flags.expects_trailers {
            true => HeadVerdict::AwaitsTrailers,
            false => HeadVerdict::Settled(Verdict::Success),
        };
        self.hear(judge::of_end(head, end, self.flags.is_slow, || self.wall()));
    }

    fn wall(&self) -> SystemTime {
        self.circuit.shared.time.clock().wall()
    }

    #[inline]
    pub(super) fn set_polling(&mut self, is_polling: bool) {
        self.flags.is_polling = is_polling;
    }

    /// The call takes time. Where nobody asks for the time of every call, that of one that may be left is asked now.
    #[inline]
    pub(super) fn waits(&mut self) {
        if self.started == 0 && self.circuit.shared.cancel_after.is_some() {
            self.started = self.circuit.shared.time.now_nanos();
        }
    }

    /// How long the other side has had.
    #[inline]
    fn lasted(&mut self) -> u64 {
        if self.started == 0 {
            return 0;
        }
        self.seen = self.circuit.shared.time.now_nanos();
        match self.holdup() {
            None => self.seen.saturating_sub(self.started),
            Some(holdup) => {
                // Nothing yet, while something holds the call up.
                holdup.free_since().map_or(0, |since| self.seen.saturating_sub(since.max(self.started)))
            }
        }
    }

    /// Whether less than half of the time was the other side's.
    fn was_held_up(&mut self) -> bool {
        self.holdup().is_some() && self.lasted() < self.seen.saturating_sub(self.started) / 2
    }

    #[inline]
    fn note_slowness(&mut self) {
        if let Some(slow_after) = self.circuit.shared.slow_after {
            self.flags.is_slow = self.lasted() >= slow_after;
        }
    }

    #[inline]
    pub(super) fn hear(&mut self, judgement: Judgement) {
        if self.flags.is_heard {
            return;
        }
        self.flags.is_heard = true;
        let has_its_slot = self.has_its_slot();
        let Self { circuit, seen, flags, .. } = self;
        // What the other side asks for is heard from whoever hears it.
        let kind = if has_its_slot { self.ticket.kind } else { Kind::Uncounted };
        let ticket = Ticket { kind, ..self.ticket };
        let now_ms = || if *seen == 0 { circuit.shared.now_ms() } else { *seen / NANOS_PER_MS };
        let asked = judgement.asked.map(millis);
        let heard = circuit.machine.hear(ticket, judgement.outcome, flags.is_slow, asked, now_ms, &mut |change| {
            circuit.tell(change);
        });
        let heard = if has_its_slot { heard } else { Heard::Stale };
        if judgement.outcome == Outcome::Success && heard == Heard::Counted {
            circuit.tally.successes.fetch_add(1, Ordering::Relaxed);
        } else {
            circuit.note(judgement.outcome, heard);
        }
    }

    /// From here on no slot is taken from it; `false` when one was.
    #[inline]
    fn has_its_slot(&self) -> bool {
        match &self.held {
            Held::Probe(probe) => probe.keep(),
            _ => true,
        }
    }

    /// Nobody waits for the call any more.
    #[cold]
    fn left(&mut self, panicked: bool) {
        let after = self.circuit.shared.cancel_after;
        let is_late = !panicked
            && !self.flags.is_answered
            && after.is_some_and(|after| self.started != 0 && self.lasted() >= after);
        self.flags.is_slow = is_late && self.circuit.shared.slow_after.is_some_and(|slow| self.lasted() >= slow);
        let outcome = if panicked || is_late { Outcome::Failure } else { Outcome::Neutral };
        self.hear(Judgement::of(outcome));
    }
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

impl ObserveEnd for Permit {
    #[inline]
    fn ended(mut self, end: BodyEnd<'_>) {
        self.ended_as(end);
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        if !self.flags.is_heard {
            self.left(self.flags.is_polling || thread::panicking());
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("circuit", &self.circuit.name).finish_non_exhaustive()
    }
}
