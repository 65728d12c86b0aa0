//! A request's key as a store sees it: the bytes that its extractor writes.

use std::hash::Hasher;
use std::sync::Arc;

use super::super::choice::OnMissingKey;
use super::super::rule::{FALLBACK_MARK, Rule, SHARED_MARK};
use crate::spine::key::{KeyExtractor, KeyWriter};
use crate::spine::request::RequestView;

/// Takes down what is written to be hashed.
#[derive(Default)]
struct Taken(Vec<u8>);

impl Hasher for Taken {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

/// The key of a request that has one, in its own right or in the stead of one that is missing.
pub(super) fn of(rule: &Rule, request: RequestView<'_>) -> Option<Arc<[u8]>> {
    let key = rule.policy.key.as_ref()?;
    let instead = match write(None, Some(key.as_ref()), request) {
        Some(written) => return Some(written),
        None => &rule.policy.on_missing_key,
    };
    match instead {
        OnMissingKey::Refuse | OnMissingKey::Pass => None,
        OnMissingKey::Shared => write(Some(SHARED_MARK), None, request),
        OnMissingKey::Fallback(key) => write(Some(FALLBACK_MARK), Some(key.as_ref()), request),
    }
}

fn write(mark: Option<&[u8]>, key: Option<&dyn KeyExtractor>, request: RequestView<'_>) -> Option<Arc<[u8]>> {
    let mut taken = Taken::default();
    let mut writer = KeyWriter::new(&mut taken);
    if let Some(mark) = mark {
        writer.part(mark);
    }
    if let Some(key) = key {
        key.extract(request, &mut writer).ok()?;
    }
    Some(taken.0.into())
}
