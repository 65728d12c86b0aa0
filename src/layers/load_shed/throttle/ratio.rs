//! How much of what was asked for is refused, by the formula of Google's SRE book ("Handling Overload", client-side
//! throttling): `max(0, (requests − K × accepts) / (requests + 1))`.

/// Requests and accepts of the last so much time.
///
/// A request counts when it is admitted, or throttled, and not when it has ended: else the ratio lags by a round trip. What
/// is under way counts as accepted until it is known not to be; else a client that begins with a hundred calls at once
/// would throttle itself before the first answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ratio {
    k: f64,
    max_probability: f64,
    bucket_nanos: u64,
    buckets: [Bucket; BUCKETS],
    /// The newest bucket, counted since the clock's beginning.
    epoch: u64,
    requests: u64,
    accepts: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bucket {
    requests: u64,
    accepts: u64,
}

/// The window moves on in so many steps.
pub(super) const BUCKETS: usize = 12;

/// What an admitted request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Accepted,
    /// Turned away, or failed.
    Rejected,
    /// Says nothing: the request is as good as never made.
    Unknown,
}

/// When a request was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch(u64);

impl Ratio {
    pub(super) fn new(k: f64, max_probability: f64, window_nanos: u64) -> Self {
        let bucket_nanos = (window_nanos / BUCKETS as u64).max(1);
        Self { k, max_probability, bucket_nanos, buckets: Default::default(), epoch: 0, requests: 0, accepts: 0 }
    }

    pub(super) fn describe(&self) -> String {
        format!("{} calls for each that is accepted, refuses {} % at most", self.k, self.max_probability * 100.0)
    }

    /// The probability with which the next request is refused.
    pub(super) fn probability(&mut self, now: u64) -> f64 {
        self.advance(now);
        let (requests, accepts) = (self.requests as f64, self.accepts as f64);
        ((requests - self.k * accepts) / (requests + 1.0)).clamp(0.0, self.max_probability)
    }

    /// Counts a request, and says whether it may be made. `draw` is drawn evenly from 0 to 1, without 1.
    pub(super) fn admit(&mut self, now: u64, draw: f64) -> Option<Epoch> {
        let admitted = draw >= self.probability(now);
        let accepts = u64::from(admitted);
        self.requests += 1;
        self.accepts += accepts;
        if let Some(bucket) = self.bucket(self.epoch) {
            bucket.requests += 1;
            bucket.accepts += accepts;
        }
        admitted.then_some(Epoch(self.epoch))
    }

    /// Says what an admitted request came to.
    pub(super) fn settle(&mut self, now: u64, admitted: Epoch, answer: Answer) {
        self.advance(now);
        let (requests, accepts) = match answer {
            Answer::Accepted => return,
            Answer::Rejected => (0, 1),
            Answer::Unknown => (1, 1),
        };
        // A request that is older than the window is forgotten.
        if self.epoch - admitted.0 >= BUCKETS as u64 {
            return;
        }
        if let Some(bucket) = self.bucket(admitted.0) {
            bucket.requests -= requests;
            bucket.accepts -= accepts;
            self.requests -= requests;
            self.accepts -= accepts;
        }
    }

    /// Requests and accepts within the window.
    pub(super) fn counts(&mut self, now: u64) -> (u64, u64) {
        self.advance(now);
        (self.requests, self.accepts)
    }

    /// Forgets what has left the window.
    fn advance(&mut self, now: u64) {
        let epoch = now / self.bucket_nanos;
        let steps = epoch.saturating_sub(self.epoch).min(BUCKETS as u64);
        for step in 1..=steps {
            let gone = self.bucket(self.epoch.saturating_add(step)).map(std::mem::take).unwrap_or_default();
            self.requests -= gone.requests;
            self.accepts -= gone.accepts;
        }
        self.epoch = self.epoch.max(epoch);
    }

    fn bucket(&mut self, epoch: u64) -> Option<&mut Bucket> {
        self.buckets.get_mut((epoch % BUCKETS as u64) as usize)
    }
}
