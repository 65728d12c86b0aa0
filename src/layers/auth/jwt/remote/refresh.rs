//! When keys are fetched. Pure: the time comes in.

use std::time::{Duration, Instant};

/// The waits between fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// The least between two fetches that tokens ask for.
    pub(crate) cooldown: Duration,
    /// The age at which keys are fetched anew although nobody asks.
    pub(crate) refresh_after: Duration,
    /// The age from which on keys are none.
    pub(crate) max_stale: Duration,
}

impl Rules {
    /// The same, put into order: keys are fetched anew before they are stale, and they are not stale before they may be
    /// fetched anew. Else everybody would be locked out now and then.
    pub(crate) fn in_order(self) -> Self {
        let max_stale = self.max_stale.max(self.cooldown.saturating_mul(2));
        Self { max_stale, refresh_after: self.refresh_after.min(max_stale / 2), ..self }
    }
}

/// What was fetched so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    fetched: Option<Instant>,
    tried: Option<Instant>,
    /// Failures since the last success.
    failures: u32,
    running: bool,
}

/// What a token needs of the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Any keys; or those it was judged by before.
    Keys,
    /// A key that is not among those there are.
    NewKey,
}

/// What is to be done for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Go on with what there is.
    GoOn,
    /// Go on, and fetch meanwhile.
    GoOnAndFetch,
    Fetch,
    /// Somebody fetches already.
    Wait,
    /// Nothing can be had before this wait is over.
    Unavailable(Duration),
}

/// After a first failure without any keys; doubled at each further one, up to the cooldown.
const FIRST_RETRY: Duration = Duration::from_secs(1);

impl Progress {
    pub(crate) fn plan(&self, rules: &Rules, now: Instant, need: Need) -> Plan {
        let age = self.fetched.map(|fetched| now.saturating_duration_since(fetched));
        let usable = age.filter(|age| *age < rules.max_stale);
        match (usable, need) {
            (Some(age), Need::Keys) if age < rules.refresh_after => Plan::GoOn,
            (Some(_), Need::Keys) if self.running || self.pause_left(rules, now).is_some() => Plan::GoOn,
            (Some(_), Need::Keys) => Plan::GoOnAndFetch,
            _ if self.running => Plan::Wait,
            _ => match self.pause_left(rules, now) {
                None => Plan::Fetch,
                // The last fetch brought what there is, and the key was not in it.
                Some(_) if usable.is_some() && self.failures == 0 => Plan::GoOn,
                Some(left) => Plan::Unavailable(left),
            },
        }
    }

    /// Whether keys that were fetched still count.
    pub(crate) fn are_usable(&self, rules: &Rules, now: Instant) -> bool {
        self.fetched.is_some_and(|fetched| now.saturating_duration_since(fetched) < rules.max_stale)
    }

    /// How long until keys are to be fetched although nobody asks; `None` while somebody fetches.
    pub(crate) fn due_in(&self, rules: &Rules, now: Instant) -> Option<Duration> {
        if self.running {
            return None;
        }
        let ripe = self.fetched.map_or(Duration::ZERO, |fetched| {
            rules.refresh_after.saturating_sub(now.saturating_duration_since(fetched))
        });
        Some(ripe.max(self.pause_left(rules, now).unwrap_or_default()))
    }

    /// What is left of the wait after the last try.
    fn pause_left(&self, rules: &Rules, now: Instant) -> Option<Duration> {
        let pause = match self.fetched {
            // Nobody can be let in, so it is tried again sooner.
            None => FIRST_RETRY.saturating_mul(1 << self.failures.saturating_sub(1).min(16)).min(rules.cooldown),
            Some(_) => rules.cooldown,
        };
        let passed = now.saturating_duration_since(self.tried?);
        Some(pause.saturating_sub(passed)).filter(|left| !left.is_zero())
    }

    /// Takes over what another one has fetched, and says whether there was something: not where this one has fetched itself.
    pub(crate) const fn goes_on_from(&mut self, other: &Self) -> bool {
        let takes = self.fetched.is_none() && other.fetched.is_some();
        if takes {
            self.fetched = other.fetched;
        }
        takes
    }

    pub(crate) const fn begun(&mut self, now: Instant) {
        self.running = true;
        self.tried = Some(now);
    }

    pub(crate) const fn succeeded(&mut self, now: Instant) {
        self.running = false;
        self.fetched = Some(now);
        self.failures = 0;
    }

    pub(crate) const fn failed(&mut self) {
        self.running = false;
        self.failures = self.failures.saturating_add(1);
    }
}
