//! What metrics show of a circuit.

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tower_rampart::circuit_breaker::State;

use crate::support::{manual, ms, small};

/// The states whose gauge is 1; there are six gauges.
fn shown(snapshotter: &Snapshotter) -> Vec<String> {
    let all = snapshotter.snapshot().into_vec();
    let gauges: Vec<_> = all.iter().filter(|(key, ..)| key.key().name() == "rampart_circuit_breaker_state").collect();
    assert_eq!(gauges.len(), 6);
    let of_state = |key: &metrics::Key| key.labels().find(|label| label.key() == "state").unwrap().value().to_owned();
    let are_one = gauges.iter().filter(|(.., value)| *value == DebugValue::Gauge(1.0.into()));
    are_one.map(|(key, ..)| of_state(key.key())).collect()
}

/// Dashboards go by the names in the gauge, programs by those of the handle.
#[test]
fn each_state_is_shown_by_its_own_name() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let (breaker, hand) = manual(small().probes(1).ramp_up(ms(1000)));
        let handle = breaker.build().unwrap().handle();
        let is = |state: State| {
            assert_eq!(handle.snapshot().state, state);
            assert_eq!(shown(&snapshotter), [state.name()]);
        };
        is(State::Closed);
        (0..4).for_each(|_| handle.admit().unwrap().failure());
        is(State::Open);
        hand.advance(ms(1000));
        let probe = handle.admit().unwrap();
        is(State::HalfOpen);
        probe.success();
        is(State::RampUp);
        handle.force_open(ms(1000));
        is(State::ForcedOpen);
        handle.disable();
        is(State::Disabled);
    });
}
