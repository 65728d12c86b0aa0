//! Counters through the `metrics` facade.

use crate::spine::event::Origin;
use crate::spine::problem::ProblemKind;

/// `rampart_<layer>_refused_total{status}`; a custom layer's name is a label.
pub(crate) fn count_refusal(origin: Origin, kind: ProblemKind) {
    let status = kind.status().as_str().to_owned();
    match origin {
        Origin::Custom(layer) => {
            metrics::counter!(origin.refused_metric(), "layer" => layer, "status" => status).increment(1);
        }
        _ => metrics::counter!(origin.refused_metric(), "status" => status).increment(1),
    }
}
