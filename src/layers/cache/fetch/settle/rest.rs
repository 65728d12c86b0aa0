//! The rest of what was stored in part.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Body;

use super::super::super::completion::Completion;
use super::super::super::core::Core;
use super::super::super::freshness::Moments;
use super::super::super::service::Answer;
use super::{Asking, Trip, answered, forget, refused};
use crate::spine::shared::{Chained, SharedBody};

/// RFC 9111 section 3.4: the rest of what is stored in part. An origin that has other content by now sends all of it.
pub(super) fn completed<B>(
    core: &Arc<Core>,
    mut trip: Trip,
    completion: Completion,
    response: Response<B>,
    asking: Asking,
    moments: Moments,
) -> Answer<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Send + 'static,
{
    // A 304 answers a condition that nobody made.
    const UNFIT: [StatusCode; 3] =
        [StatusCode::PARTIAL_CONTENT, StatusCode::RANGE_NOT_SATISFIABLE, StatusCode::NOT_MODIFIED];
    if !UNFIT.contains(&response.status()) {
        return answered(core, trip, response, asking, moments);
    }
    let (held, wants_all) = (Arc::clone(completion.held()), completion.wants_all);
    let is_part = response.status() == StatusCode::PARTIAL_CONTENT;
    let Some(completion) = completion.answered_by(response.headers()).filter(|_| is_part) else {
        forget(core, &held);
        core.mark_mixed_parts(&held.head.key);
        if !wants_all && response.status() != StatusCode::NOT_MODIFIED {
            // Who asked for a range is told which one this is.
            return answered(core, trip, response, asking, moments);
        }
        // Neither what was asked for nor all of it, and the request is gone. The next one asks for all of it.
        return refused(core, &trip.facts, "The origin sent another part of the response than it was asked for.");
    };
    trip.forwarded.status = Some(206);
    trip.asked.inherited.clone_from(&held.head.marks);
    if let Some(own) = trip.asked.own_key.as_ref().filter(|_| held.head.rules.is_private) {
        // What is a caller's own stays that caller's, whatever the rest says of itself.
        trip.asked.shared_key = own.clone();
    }
    let (before, after) = completion.around();
    let (mut parts, body) = response.into_parts();
    (parts.status, parts.headers) = completion.head(&parts.headers, moments);
    let response = Response::from_parts(parts, Chained::new(before, body, completion.missing_bytes(), after));
    answered(core, trip, response, asking, moments).map(|body| body.map(SharedBody::flattened))
}
