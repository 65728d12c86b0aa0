//! A policy at work.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::agreement::{Charge, Terms};
use super::choice::{Mode, OnMissingKey};
use super::meter::Meter;
use super::place::Tag;
use super::policy::{Limit, Policy};
use super::table::Table;
use crate::spine::config::ConfigError;
use crate::spine::event::{self, Origin};
use crate::spine::key::{KeyWriter, MissingKey};
use crate::spine::path::PathReadings;
use crate::spine::request::RequestView;

/// A checked policy, its table, and what it has seen.
pub(super) struct Rule {
    pub(super) policy: Policy,
    pub(super) table: Arc<Table>,
    pub(super) shadowed: Arc<AtomicU64>,
    exempt: HashSet<Tag>,
    denied: HashSet<Tag>,
    /// How a request that is enforced is asked for.
    pub(super) terms: Terms,
    said_missing: AtomicBool,
}

/// What a policy makes of a request before it is counted.
pub(super) enum Claim<'a> {
    /// It is none of its business.
    None,
    Charge(Charge<'a>),
    /// The key is on the policy's list.
    Denied(Tag),
    Missing(MissingKey),
}

/// Purposes of a tag's hashes.
const SHARE: u8 = 1;
const PARTITION: u8 = 2;
/// What is written before the parts of a fallback key, so that they equal no other key.
pub(super) const FALLBACK_MARK: &[u8] = b"\0fallback";
pub(super) const SHARED_MARK: &[u8] = b"\0missing";

impl Rule {
    /// `told`: whether clients are told where they stand.
    pub(super) fn new(policy: Policy, told: bool) -> Result<Self, ConfigError> {
        policy.check()?;
        let table = Arc::new(Table::new(policy.max_keys, policy.overflow, meter_of(policy.limit)));
        let mut rule = Self {
            terms: Terms { max_wait_nanos: nanos(policy.max_wait), block_nanos: nanos(policy.block_for), told },
            policy,
            table,
            shadowed: Arc::default(),
            exempt: HashSet::new(),
            denied: HashSet::new(),
            said_missing: AtomicBool::new(false),
        };
        rule.hash_lists();
        Ok(rule)
    }

    /// Goes on with the counts of another rule of this name, which may serve requests still.
    pub(super) fn adopt(&mut self, old: &Self, now: u64) {
        let meter = meter_of(self.policy.limit);
        // Requests in flight and tokens cannot be turned into each other.
        if old.table.meter().is_concurrent() != meter.is_concurrent() || !old.table.overflows_as(self.policy.overflow) {
            return;
        }
        self.table = Arc::clone(&old.table);
        self.shadowed = Arc::clone(&old.shadowed);
        self.table.resize(self.policy.max_keys, now);
        self.table.set_meter(meter, now);
        // A table's secret comes with it.
        self.hash_lists();
    }

    pub(super) fn is_shadow(&self) -> bool {
        matches!(self.policy.mode, Mode::Shadow | Mode::EnforceShare { percent: 0 })
    }

    /// Whether the policy enforces for this key.
    pub(super) fn enforces(&self, tag: Tag) -> bool {
        match self.policy.mode {
            Mode::Enforce => true,
            Mode::Shadow => false,
            Mode::EnforceShare { percent } => self.table.tag_hash(SHARE, tag) % 100 < u64::from(percent),
        }
    }

    /// The name of a key that may be told to its client.
    pub(super) fn partition_key(&self, tag: Tag) -> Option<[u8; 6]> {
        let hash = self.policy.partition_key.then(|| self.table.tag_hash(PARTITION, tag))?;
        hash.to_le_bytes().first_chunk().copied()
    }

    /// Whether a request costs one token, whatever it asks for and is answered.
    pub(super) fn is_plain(&self) -> bool {
        let Policy { mode, paths, quota_by, cost, settle, limit, .. } = &self.policy;
        *mode == Mode::Enforce
            && matches!(limit, Limit::Rate(_))
            && paths.is_empty()
            && quota_by.is_none()
            && cost.is_none()
            && settle.is_none()
            && self.exempt.is_empty()
            && self.denied.is_empty()
    }

    /// Charges a request of a plain policy, if it has a key with a cell of its own, and tokens. For everything
    /// else it is asked again at length, and nothing has happened yet.
    pub(super) fn admits(&self, request: RequestView<'_>, now: u64) -> bool {
        let Some(key) = &self.policy.key else { return false };
        let tag = self.table.tag(|hasher| key.extract(request, &mut KeyWriter::new(hasher)));
        tag.is_ok_and(|tag| self.table.admits(tag, now))
    }

    /// What a request is to be charged with.
    pub(super) fn claim<'a, 'b>(
        &'a self,
        index: usize,
        request: RequestView<'b>,
        readings: &mut Option<PathReadings<'b>>,
    ) -> Claim<'a> {
        if !self.applies_to(request, readings) {
            return Claim::None;
        }
        let tag = match self.tag(request) {
            Ok(Some(tag)) => tag,
            Ok(None) => return Claim::None,
            Err(missing) => return Claim::Missing(missing),
        };
        if !self.denied.is_empty() && self.denied.contains(&tag) {
            return Claim::Denied(tag);
        }
        if !self.exempt.is_empty() && self.exempt.contains(&tag) {
            return Claim::None;
        }
        let cost = self.policy.cost.as_ref().map_or(1, |cost| cost(request));
        let mut charge = Charge::new(index, &self.table, self.terms, tag, cost);
        charge.quota = self.policy.quota_by.as_ref().and_then(|quota_by| quota_by(request));
        Claim::Charge(charge)
    }

    fn applies_to<'a>(&self, request: RequestView<'a>, readings: &mut Option<PathReadings<'a>>) -> bool {
        let paths = &self.policy.paths;
        if paths.is_empty() {
            return true;
        }
        let readings = readings.get_or_insert_with(|| PathReadings::of(request.uri().path()));
        paths.iter().any(|pattern| readings.any(pattern))
    }

    /// The request's key; `None` when it may pass without one.
    fn tag(&self, request: RequestView<'_>) -> Result<Option<Tag>, MissingKey> {
        // A policy without a key is not built.
        let Some(key) = &self.policy.key else { return Ok(None) };
        let missing = match self.table.tag(|hasher| key.extract(request, &mut KeyWriter::new(hasher))) {
            Ok(tag) => return Ok(Some(tag)),
            Err(missing) => missing,
        };
        self.report_missing(&missing);
        match &self.policy.on_missing_key {
            OnMissingKey::Refuse => Err(missing),
            OnMissingKey::Pass => Ok(None),
            OnMissingKey::Shared => self.marked(SHARED_MARK, |_| Ok(())).map(Some),
            OnMissingKey::Fallback(key) => self.marked(FALLBACK_MARK, |writer| key.extract(request, writer)).map(Some),
        }
    }

    fn marked(
        &self,
        mark: &[u8],
        write: impl FnOnce(&mut KeyWriter<'_>) -> Result<(), MissingKey>,
    ) -> Result<Tag, MissingKey> {
        self.table.tag(|hasher| {
            let mut writer = KeyWriter::new(hasher);
            writer.part(mark);
            write(&mut writer)
        })
    }

    #[cold]
    fn report_missing(&self, missing: &MissingKey) {
        let policy = &self.policy.name;
        let choice = match self.policy.on_missing_key {
            OnMissingKey::Refuse => "such requests are refused",
            OnMissingKey::Shared => "such requests share one bucket",
            OnMissingKey::Pass => "such requests are not counted",
            OnMissingKey::Fallback(_) => "such requests are counted by something else",
        };
        event::fault_once_with(&self.said_missing, Origin::RateLimit, "key_missing", || {
            format!("policy `{policy}`: {missing}; until then {choice}")
        });
    }

    /// The keys on the lists, hashed as requests are.
    fn hash_lists(&mut self) {
        let hash = |keys: &HashSet<Vec<Vec<u8>>>| {
            let tag = |parts: &Vec<Vec<u8>>| {
                let written = self.table.tag(|hasher| {
                    let mut writer = KeyWriter::new(hasher);
                    parts.iter().for_each(|part| writer.part(part));
                    Ok::<_, std::convert::Infallible>(())
                });
                match written {
                    Ok(tag) => tag,
                    Err(never) => match never {},
                }
            };
            keys.iter().map(tag).collect()
        };
        (self.exempt, self.denied) = (hash(&self.policy.exempt), hash(&self.policy.denied));
    }
}

pub(super) fn meter_of(limit: Limit) -> Meter {
    match limit {
        Limit::Rate(quota) => Meter::new(&quota),
        Limit::Concurrent(limit) => Meter::Concurrent { limit: limit.get() },
    }
}

pub(super) fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("policy", &self.policy).field("table", &self.table).finish_non_exhaustive()
    }
}
