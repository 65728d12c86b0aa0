//! What goes past the cache, and what does not although it is not for the cache.

use super::super::directives::RequestDirectives;
use super::super::route::CacheBypass;
use super::super::scan::{Kinds, Scan};
use super::super::settings::Policy;
use super::super::status::Forward;
use super::{Core, Step};
use crate::spine::request::RequestView;

/// What the request says of the answers it takes.
pub(super) fn directives(request: RequestView<'_>, scan: Scan<'_>) -> RequestDirectives {
    if scan.has(Kinds::DIRECTIVES) { RequestDirectives::of(request.headers()) } else { RequestDirectives::default() }
}

impl Core {
    /// Past the cache, unless the client takes nothing but what is stored (RFC 9111 section 5.2.1.7). What its program sends
    /// past the cache goes past it.
    pub(super) fn past(&self, request: RequestView<'_>, scan: Scan<'_>, why: Forward) -> Step {
        let is_sent = request.extensions().get::<CacheBypass>().is_some();
        let heeds = self.settings.policy == Policy::Shared && !is_sent;
        if heeds && directives(request, scan).only_if_cached { Step::Unavailable } else { Step::Pass(Some(why)) }
    }
}
