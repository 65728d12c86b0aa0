//! A 304: what it confirms of what is stored (RFC 9111 section 4.3.4).

use std::sync::Arc;
use std::time::Instant;

use http::{Response, StatusCode, header};

use super::super::super::conditional::{self, Confirmation};
use super::super::super::core::{Core, Ready, Shared};
use super::super::super::entry::{Entry, Head};
use super::super::super::freshness::Moments;
use super::super::super::serve::{Told, serve};
use super::super::super::service::{Answer, refuse, respond};
use super::super::super::status::Forwarded;
use super::super::super::storable::{self, Asked, freshened};
use super::super::Leading;
use super::update::{confirm_siblings, replace};
use super::{Asking, Trip, forget, refused};

/// Why an origin is a bad gateway that confirms what it was not asked about.
pub(super) const ASTRAY: &str = "The origin confirmed another response than it was asked about.";

/// Whether a 304 speaks of another response than the one that was asked about.
pub(in super::super::super) fn is_astray<B>(trip: &Trip, response: &Response<B>) -> bool {
    let is_other =
        |stale: &Arc<Entry>| conditional::confirmation(&stale.head.headers, response.headers()) == Confirmation::None;
    response.status() == StatusCode::NOT_MODIFIED && trip.stale.as_ref().is_some_and(is_other)
}

/// Forgets what a 304 has not confirmed.
pub(in super::super::super) fn let_go(core: &Arc<Core>, trip: &mut Trip) {
    trip.stale.take().into_iter().for_each(|stale| forget(core, &stale));
}

/// RFC 9111 section 4.3.3: 304, and what is stored is good again.
pub(super) fn confirmed<B, C>(
    core: &Arc<Core>,
    trip: Trip,
    stale: &Arc<Entry>,
    response: &Response<C>,
    asking: &Asking,
    moments: Moments,
) -> Answer<B> {
    let Trip { asked, facts, forwarded, mut lead, .. } = trip;
    let now = moments.answered;
    let (entry, is_stored) = match conditional::confirmation(&stale.head.headers, response.headers()) {
        Confirmation::Same => {
            let told = storable::Answer {
                status: response.status(),
                headers: response.headers(),
                hint: response.extensions().get(),
                moments,
                begun: asking.begun,
            };
            update(core, &asked, stale, &told, &mut lead)
        }
        // RFC 9111 section 4.3.4: it is good, and stays as it is.
        Confirmation::Older => (Arc::clone(stale), false),
        Confirmation::None => {
            // Nothing that is stored is what it speaks of. The next request asks for all of it.
            forget(core, stale);
            return refused(core, &facts, ASTRAY);
        }
    };
    if let Some(lead) = lead {
        let is_as_it_was = Arc::ptr_eq(&entry, stale) && !entry.head.rules.no_cache;
        if is_as_it_was || (is_stored && is_shared(&entry.head, now)) {
            lead.share(Shared::Ready(Arc::clone(&entry)), now);
        } else {
            lead.decline(now);
        }
    }
    let told = Told::Forwarded(Forwarded { status: Some(304), is_stored, ..forwarded });
    match serve(&entry, asked.request(), entry.head.life.age(now), told, &core.writer) {
        Some(mut served) => {
            // A cookie that is not stored is for the one who asked all the same.
            if !served.headers.contains_key(header::SET_COOKIE) {
                let cookies = response.headers().get_all(header::SET_COOKIE).iter();
                served.headers.extend(cookies.map(|cookie| (header::SET_COOKIE, cookie.clone())));
            }
            respond(Ready::new(served, &entry))
        }
        // A whole serves everything.
        None => refuse(core, &facts, "What is stored does not answer this request."),
    }
}

/// What is stored, with what a 304 has told of it, and whether that is kept.
fn update(
    core: &Arc<Core>,
    asked: &Asked,
    stale: &Arc<Entry>,
    told: &storable::Answer<'_>,
    lead: &mut Option<Leading>,
) -> (Arc<Entry>, bool) {
    match freshened(stale, asked, told, &core.settings, &core.marks) {
        Ok(head) => {
            let entry = Arc::new(stale.with_head(head));
            let is_shared = is_shared(&entry.head, told.moments.answered);
            let claim = lead.as_mut().and_then(|lead| lead.take_claim(is_shared));
            let is_stored = replace(core, stale, &entry, claim);
            confirm_siblings(core, &entry, asked, told);
            (entry, is_stored)
        }
        Err((decline, head)) => {
            // What the request forbids says nothing of what is stored.
            if !decline.is_for_the_request() {
                forget(core, stale);
            }
            (Arc::new(stale.with_head(*head)), false)
        }
    }
}

/// Whether what a 304 confirmed answers others too.
fn is_shared(head: &Head, now: Instant) -> bool {
    head.is_fresh(now) && !head.rules.no_cache
}
