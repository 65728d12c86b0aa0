//! When keys are fetched: the engine's own file, compiled here.

#[path = "../../src/layers/auth/jwt/remote/refresh.rs"]
#[allow(dead_code, reason = "its constants and helpers serve the layer")]
mod engine;

use std::time::{Duration, Instant};

use proptest::prelude::*;

use self::engine::{Need, Plan, Progress, Rules};

const RULES: Rules = Rules {
    cooldown: Duration::from_secs(30),
    refresh_after: Duration::from_secs(3600),
    max_stale: Duration::from_secs(86_400),
};

fn is_running(progress: &Progress, now: Instant) -> bool {
    progress.due_in(&RULES, now).is_none()
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn an_unknown_key_is_fetched_once_per_cooldown() {
    let start = Instant::now();
    let mut progress = Progress::default();
    assert_eq!(progress.plan(&RULES, start, Need::Keys), Plan::Fetch);
    progress.begun(start);
    assert_eq!(progress.plan(&RULES, start, Need::Keys), Plan::Wait);
    progress.succeeded(start);
    assert_eq!(progress.plan(&RULES, start + secs(29), Need::NewKey), Plan::GoOn);
    assert_eq!(progress.plan(&RULES, start + secs(30), Need::NewKey), Plan::Fetch);
}

#[test]
fn an_outage_is_the_servers_fault_and_ends_in_time() {
    let start = Instant::now();
    let mut progress = Progress::default();
    for (failure, wait) in [1, 2, 4, 8, 16, 30, 30].into_iter().enumerate() {
        progress.begun(start);
        progress.failed();
        assert_eq!(progress.plan(&RULES, start, Need::Keys), Plan::Unavailable(secs(wait)), "{failure}");
        assert_eq!(progress.due_in(&RULES, start), Some(secs(wait)));
    }
    progress.begun(start);
    progress.succeeded(start);
    progress.begun(start + secs(40));
    progress.failed();
    // What there is serves; a key that is not there may be one that could not be fetched.
    assert_eq!(progress.plan(&RULES, start + secs(41), Need::Keys), Plan::GoOn);
    assert_eq!(progress.plan(&RULES, start + secs(41), Need::NewKey), Plan::Unavailable(secs(29)));
}

#[test]
fn keys_are_fetched_ahead_and_do_not_last_for_ever() {
    let start = Instant::now();
    let mut progress = Progress::default();
    progress.begun(start);
    progress.succeeded(start);
    assert_eq!(progress.due_in(&RULES, start + secs(100)), Some(secs(3500)));
    assert_eq!(progress.plan(&RULES, start + secs(3600), Need::Keys), Plan::GoOnAndFetch);
    progress.begun(start + secs(3600));
    progress.failed();
    assert_eq!(progress.plan(&RULES, start + secs(86_399), Need::Keys), Plan::GoOnAndFetch);
    assert!(progress.are_usable(&RULES, start + secs(86_399)));
    assert!(!progress.are_usable(&RULES, start + secs(86_400)));
    assert_eq!(progress.plan(&RULES, start + secs(86_400), Need::Keys), Plan::Fetch);
}

/// Whatever is set, keys are fetched before they are stale, and may be.
#[test]
fn rules_are_put_into_order() {
    for (cooldown, refresh_after, max_stale) in
        [(30, 3600, 0), (30, 3600, 40), (30, 1, 90), (30, 3600, 1800), (1, 9, 9)]
    {
        let rules = Rules { cooldown: secs(cooldown), refresh_after: secs(refresh_after), max_stale: secs(max_stale) };
        let ordered = rules.in_order();
        assert!(ordered.max_stale >= rules.max_stale && ordered.refresh_after <= rules.refresh_after);
        assert!(ordered.max_stale >= ordered.cooldown * 2 && ordered.refresh_after <= ordered.max_stale / 2);
    }
    assert_eq!(RULES.in_order(), RULES);
    let endless = Rules { cooldown: Duration::MAX, refresh_after: Duration::MAX, max_stale: Duration::MAX };
    assert_eq!(endless.in_order().max_stale, Duration::MAX);
}

proptest! {
    /// Whatever tokens come and however fetches end: no two run at once, none follows another within its pause, and
    /// nobody goes on with keys that are too old.
    #[test]
    fn fetches_keep_their_distance(steps in proptest::collection::vec((0_u64..4000, any::<bool>(), 0_u8..3), 1..300)) {
        let (mut now, mut progress) = (Instant::now(), Progress::default());
        let (mut last_try, mut last_success) = (None::<Instant>, None::<Instant>);
        for (wait, new_key, end) in steps {
            now += secs(wait);
            if is_running(&progress, now) {
                match end {
                    0 => progress.failed(),
                    1 => {
                        progress.succeeded(now);
                        last_success = Some(now);
                    }
                    _ => {}
                }
            }
            let plan = progress.plan(&RULES, now, if new_key { Need::NewKey } else { Need::Keys });
            let usable = last_success.is_some_and(|at| now - at < RULES.max_stale);
            match plan {
                Plan::GoOn => prop_assert!(usable),
                Plan::Fetch | Plan::GoOnAndFetch => {
                    prop_assert!(!is_running(&progress, now));
                    let least = if last_success.is_some() { RULES.cooldown } else { secs(1) };
                    prop_assert!(last_try.is_none_or(|at| now - at >= least));
                    progress.begun(now);
                    last_try = Some(now);
                }
                Plan::Wait => prop_assert!(is_running(&progress, now) && (new_key || !usable)),
                Plan::Unavailable(left) => {
                    prop_assert!(left <= RULES.cooldown && (!usable || new_key));
                    prop_assert!(last_try.is_some());
                }
            }
        }
    }
}
