//! What is stored, when the origin has told of it anew and not sent it.

use std::sync::Arc;

use http::{Response, StatusCode};

use super::super::super::conditional;
use super::super::super::core::Core;
use super::super::super::decline::Decline;
use super::super::super::directives::ResponseDirectives;
use super::super::super::entry::Entry;
use super::super::super::freshness::Moments;
use super::super::super::service::Answer;
use super::super::super::status::Forwarded;
use super::super::super::storable::{self, Asked, freshened};
use super::super::super::tier::{self, Claimed};
use super::super::super::vary;
use super::{Asking, Trip, forget, is_for_the_caller, tell};
use crate::spine::body::ResponseBody;
use crate::spine::shared::SharedBody;

/// Puts what was told anew in the place of what it was told of, which answers nobody any longer: `Vary` may have chosen by
/// less than it does now.
pub(super) fn replace(core: &Arc<Core>, stale: &Arc<Entry>, entry: &Arc<Entry>, claim: Option<Claimed>) -> bool {
    let is_stored = core.keep_for(Arc::clone(entry), Some(stale), claim);
    let says_private = || ResponseDirectives::of(&entry.head.headers, &core.settings.targets).private;
    // It has become everybody's, or a caller's own by its own word and not for this request's sake.
    if is_stored && entry.head.key != stale.head.key && (stale.head.rules.is_private || says_private()) {
        forget(core, stale);
    }
    is_stored
}

/// RFC 9111 section 4.3.4: a strong validator confirms every variant that has it.
pub(super) fn confirm_siblings(core: &Arc<Core>, entry: &Arc<Entry>, asked: &Asked, told: &storable::Answer<'_>) {
    let Some(held) = core.memory.get(&entry.head.key) else { return };
    let is_same = |other: &&Arc<Entry>| {
        !Arc::ptr_eq(other, entry)
            && other.head.part.is_none()
            && conditional::same_strong(&other.head.headers, told.headers)
    };
    for other in held.variants.iter().filter(is_same) {
        let Ok(mut head) = freshened(other, asked, told, &core.settings, &core.marks) else { continue };
        if !vary::same_fields(&head.selectors, &other.head.selectors) {
            // What its own request said in the fields that choose now, nobody knows.
            other.head.expire();
            continue;
        }
        // For whom it is was decided by another request.
        head.selectors = other.head.selectors.clone();
        core.keep(Arc::new(other.with_head(head)), None);
    }
}

/// RFC 9111 section 4.3.5: a HEAD's answer tells of what a GET's would be.
pub(super) fn head_answered<B>(
    core: &Arc<Core>,
    trip: Trip,
    response: Response<B>,
    asking: &Asking,
    moments: Moments,
) -> Answer<B> {
    let Trip { mut asked, stale, forwarded, .. } = trip;
    let mut response = response;
    let mut is_stored = false;
    let is_whole = |stale: &Arc<Entry>| stale.head.part.is_none();
    if let Some(stale) = stale.filter(|stale| response.status() == StatusCode::OK && is_whole(stale)) {
        let headers = response.headers();
        let told = storable::Answer { status: stale.head.status, headers, hint: None, moments, begun: asking.begun };
        // What is there is not what was not.
        let is_other = stale.head.status != StatusCode::OK
            || conditional::contradicts(&stale.head.headers, stale.body.len(), headers);
        // What is told to credentials, and for nobody else, may be of the caller's own (RFC 9111 section 3.5).
        let is_own = |decline| {
            let is_told_apart = decline == Decline::Authorized || is_for_the_caller(&asked, decline, &stale);
            is_told_apart && !stale.head.rules.is_private
        };
        match freshened(&stale, &asked, &told, &core.settings, &core.marks) {
            Err((decline, _)) if is_own(decline) => {}
            _ if is_other => expire(core, &stale),
            // Without a strong tag nobody knows whether what is stored is for this request, or for another one's fields.
            Ok(head)
                if !vary::same_fields(&head.selectors, &stale.head.selectors)
                    && !conditional::same_strong(&stale.head.headers, headers) =>
            {
                expire(core, &stale);
            }
            Ok(head) => is_stored = replace(core, &stale, &Arc::new(stale.with_head(head)), None),
            Err(_) => {
                // What forbids it to anybody is the answer, and not this request.
                asked.directives.no_store = false;
                if freshened(&stale, &asked, &told, &core.settings, &core.marks).is_err() {
                    expire(core, &stale);
                }
            }
        }
    }
    tell(core, response.headers_mut(), Forwarded { is_stored, ..forwarded });
    response.map(|body| ResponseBody::inner(SharedBody::inner(body)))
}

/// Makes stale what is no longer what the origin has, here and in the second tier, where it would be found fresh.
fn expire(core: &Arc<Core>, stale: &Arc<Entry>) {
    stale.head.expire();
    tier::remove(core, stale.head.key.clone());
}
