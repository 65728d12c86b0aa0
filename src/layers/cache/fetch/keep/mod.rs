//! A response that passes through and is kept.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body::Body;

use super::super::core::{Core, Shared};
use super::super::entry::{Entry, Head};
use super::super::serve::joined;
use super::super::storable::pack;
use super::super::tier::Claimed;
use super::Leading;
use crate::spine::body::ResponseBody;
use crate::spine::shared::{SharedBody, Sink, Stream};

/// Passes a body on and keeps it.
pub(in super::super) fn keep<B>(
    core: &Arc<Core>,
    head: Arc<Head>,
    lead: Option<Leading>,
    body: B,
    expected: Option<u64>,
    gone: Option<Arc<Entry>>,
    now: Instant,
) -> ResponseBody<SharedBody<B>>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Send + 'static,
{
    let is_shared = head.is_fresh(now) && !head.rules.no_cache && head.part.is_none();
    let mut sharing = match lead {
        Some(lead) if is_shared => Some(lead),
        lead => {
            if let Some(lead) = lead {
                lead.decline(now);
            }
            None
        }
    };
    // A part takes nothing from the whole or from other parts.
    let gone = gone.filter(|_| head.part.is_none());
    let keeper = Keeper { core: Arc::clone(core), head: Arc::clone(&head), gone, lead: None };
    if body.is_end_stream() {
        if expected.is_none_or(|expected| expected == 0) {
            let claim = sharing.as_mut().and_then(|lead| lead.take_claim(true));
            let entry = keeper.store(Bytes::new(), None, claim);
            if let Some(lead) = sharing {
                lead.share(Shared::Ready(entry), now);
            }
        }
        return ResponseBody::inner(SharedBody::inner(body));
    }
    let Core { settings, clock, .. } = &**core;
    // The lead lives as long as there may be a whole, and its flight can be joined as long.
    let keeper = Keeper { lead: sharing, ..keeper };
    let reader = Stream::begin(body, settings.entry_bytes, expected, settings.wait, clock.clone(), |stream| {
        if let Some(lead) = &keeper.lead {
            lead.share(Shared::Coming(head, Arc::clone(stream)), now);
        }
        Box::new(keeper)
    });
    ResponseBody::inner(SharedBody::read(reader))
}

/// Stores a response when all of it is there.
struct Keeper {
    core: Arc<Core>,
    head: Arc<Head>,
    /// What answered the same request before, and was asked about.
    gone: Option<Arc<Entry>>,
    lead: Option<Leading>,
}

impl Keeper {
    fn store(&self, body: Bytes, trailers: Option<Box<HeaderMap>>, claim: Option<Claimed>) -> Arc<Entry> {
        let core = &self.core;
        let entry = Arc::new(Entry::new(Arc::clone(&self.head), body, trailers));
        let entry = self.complete(&entry).unwrap_or(entry);
        core.keep_for(Arc::clone(&entry), self.gone.as_ref(), claim);
        entry
    }

    /// With what is stored of the same content, a part may be a larger part, or the whole (RFC 9111 section 3.4).
    fn complete(&self, entry: &Arc<Entry>) -> Option<Arc<Entry>> {
        let core = &self.core;
        let mut made = with_etag(core, entry);
        if let Some(part) = self.head.part.filter(|part| part.is_all()) {
            // RFC 9110 section 15.3.7.3: a part that is all of it is the whole.
            made = Some(Arc::new(Entry::new(Arc::new(self.head.with_part(part)), entry.body.clone(), None)));
        } else if self.head.part.is_some() {
            let held = core.memory.get(&self.head.key)?;
            let parts = held.variants.iter().filter(|other| other.head.selectors == self.head.selectors);
            for other in parts.filter(|other| other.head.is_good(&core.purges)) {
                let current = made.as_ref().unwrap_or(entry);
                if let Some((part, body)) = joined(other, current)
                    && body.len() <= core.settings.entry_bytes
                {
                    let mut head = current.head.with_part(part);
                    head.add_marks(&other.head.marks);
                    head.is_exact &= other.head.is_exact;
                    made = Some(Arc::new(Entry::new(Arc::new(head), body, None)));
                }
            }
        }
        made
    }
}

/// A tag made of the content, where the user wants one and the origin has none.
fn with_etag(core: &Core, entry: &Arc<Entry>) -> Option<Arc<Entry>> {
    let head = &entry.head;
    let wants = core.settings.generates_etags && head.status == StatusCode::OK;
    (wants && !head.headers.contains_key(header::ETAG)).then(|| {
        let head = head.with_etag(&core.marks.etag(&entry.body, &head.headers));
        Arc::new(Entry::new(Arc::new(head), entry.body.clone(), entry.trailers.clone()))
    })
}

impl Sink for Keeper {
    fn whole(mut self: Box<Self>, body: Bytes, mut trailers: Option<Box<HeaderMap>>) {
        trailers.as_deref_mut().into_iter().for_each(pack);
        let claim = self.lead.as_mut().and_then(|lead| lead.take_claim(true));
        self.store(body, trailers, claim);
    }

    fn too_long(self: Box<Self>) {
        self.core.mark(&self.head.key, self.core.clock.now());
    }
}
