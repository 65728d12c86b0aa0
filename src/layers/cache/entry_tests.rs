use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::super::key::{Class, RequestKey, Target};
use super::*;

const FIELDS: [&str; 2] = ["x-a", "x-b"];
const LIFETIME: u64 = 10;

/// A request: what it says in each field, if anything.
type Says = [Option<u8>; 2];

fn request(says: Says) -> HeaderMap {
    let named = FIELDS.iter().zip(says).filter_map(|(name, value)| Some((name, value?)));
    named.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from(u16::from(value)))).collect()
}

/// A response that came at a second, and varies by these fields.
fn entry(says: Says, varies: [bool; 2], second: u64, start: Instant) -> Arc<Entry> {
    let target = Target::of_parts(false, b"a", "/", None);
    let key = RequestKey::new(Class::Get, target, None, None).to_key();
    let names: Vec<_> = FIELDS
        .iter()
        .zip(varies)
        .filter(|(_, varies)| *varies)
        .map(|(name, _)| HeaderName::from_static(name))
        .collect();
    let selectors = vary::selectors(&names, &request(says)).unwrap();
    let age = Duration::from_secs(second);
    let life = Life { born: start + age, initial_age: Duration::ZERO, lifetime: Duration::from_secs(LIFETIME) };
    let marked = (Box::default(), 0, Begun::default());
    let (headers, date) = (HeaderMap::new(), UNIX_EPOCH + age);
    let head = Head::new(key, StatusCode::OK, headers, selectors, date, life, Rules::default(), marked);
    Arc::new(Entry::new(Arc::new(head), Bytes::new(), None))
}

/// A response as the naive reading has it: all that came, of which some answer nobody any longer.
struct Came {
    says: Says,
    varies: [bool; 2],
    second: u64,
    entry: Arc<Entry>,
}

impl Came {
    fn is_for(&self, says: Says) -> bool {
        (0..2).all(|field| !self.varies[field] || self.says[field] == says[field])
    }

    /// Whether every request that another is for is one that this is for.
    fn is_wider(&self, other: &Self) -> bool {
        self.is_for(other.says) && (0..2).all(|field| !self.varies[field] || other.varies[field])
    }
}

fn says() -> impl Strategy<Value = Says> {
    let value = || prop::option::of(0..2_u8);
    (value(), value()).prop_map(|(a, b)| [a, b])
}

proptest! {
    /// RFC 9111 section 4.1: a response answers what it is for, unless a newer one to the same request was for less; of
    /// several a fresh one that varies does, and the most recent.
    #[test]
    fn who_is_answered_by_what(
        came in prop::collection::vec((says(), any::<[bool; 2]>(), 1..8_u64), 1..12),
        asked in prop::collection::vec(says(), 1..8),
    ) {
        let (start, purges) = (Instant::now(), Purges::new(false));
        let mut resource = None;
        let mut model: Vec<Came> = Vec::new();
        let mut second = 0;
        for (says, varies, passes) in came {
            second += passes;
            let entry = entry(says, varies, second, start);
            resource = Resource::with(resource.as_ref(), Arc::clone(&entry), None, 64, &purges);
            model.push(Came { says, varies, second, entry });
            let now = start + Duration::from_secs(second);
            for says in &asked {
                let counts = |at: usize| {
                    let (one, newer) = (&model[at], &model[at + 1..]);
                    one.is_for(*says) && !newer.iter().any(|newer| one.is_wider(newer))
                };
                let rank = |one: &&Came| (one.varies.contains(&true) && second - one.second < LIFETIME, one.second);
                let expected = (0..model.len()).filter(|at| counts(*at)).map(|at| &model[at]).max_by_key(rank);
                let found = resource.as_ref().unwrap().select(&request(*says), &purges, false, now);
                let found = found.map(Arc::as_ptr);
                prop_assert_eq!(found, expected.map(|one| Arc::as_ptr(&one.entry)));
            }
        }
    }
}

/// What is older than what is there does not take its place, but for the very same requests.
#[test]
fn what_comes_late_replaces_its_like_alone() {
    let (start, purges) = (Instant::now(), Purges::new(false));
    let held = Resource::with(None, entry([None; 2], [false; 2], 5, start), None, 64, &purges);
    let late = entry([Some(1), None], [true, false], 3, start);
    let both = Resource::with(held.as_ref(), late, None, 64, &purges).unwrap();
    assert_eq!(both.variants.len(), 2);
    let like = Resource::with(Some(&both), entry([None; 2], [false; 2], 4, start), None, 64, &purges).unwrap();
    assert_eq!(like.variants.len(), 2);
    let narrow = entry([Some(1), None], [true, false], 5, start);
    let instead = Resource::with(held.as_ref(), narrow, None, 64, &purges).unwrap();
    assert_eq!(instead.variants.len(), 1, "of the same second the one that came later is the newer one");
    let gone = &both.variants[0];
    let other = entry([Some(2), None], [true, false], 2, start);
    let instead = Resource::with(Some(&both), other, Some(gone), 64, &purges).unwrap();
    assert!(instead.variants.len() == 2 && !instead.variants.iter().any(|entry| Arc::ptr_eq(entry, gone)));
}

/// The first bytes of ten, or all of them, that came at a second.
fn piece(end: Option<u64>, second: u64, start: Instant, marks: &[u64]) -> Arc<Entry> {
    let target = Target::of_parts(false, b"a", "/", None);
    let key = RequestKey::new(Class::Get, target, None, None).to_key();
    let age = Duration::from_secs(second);
    let life = Life { born: start + age, initial_age: Duration::ZERO, lifetime: Duration::from_secs(LIFETIME) };
    let range = |end: u64| HeaderValue::try_from(format!("bytes 0-{}/10", end - 1)).unwrap();
    let headers = end.into_iter().map(|end| (header::CONTENT_RANGE, range(end))).collect();
    let status = if end.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let marked = (Box::from(marks), 0, Begun::default());
    let head = Head::new(key, status, headers, Box::default(), UNIX_EPOCH + age, life, Rules::default(), marked);
    Arc::new(Entry::new(Arc::new(head), Bytes::new(), None))
}

/// A whole answers before its parts, unless it is stale and a part is not.
#[test]
fn a_whole_and_a_part() {
    let (start, purges) = (Instant::now(), Purges::new(false));
    let asks = |range| HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static(range))]);
    let (inside, outside) = (asks("bytes=1-3"), asks("bytes=3-7"));
    let at = |second| start + Duration::from_secs(second);
    // The whole came at 0 and the part at 5: one is fresh to 10, the other to 15.
    let (whole, part) = (piece(None, 0, start, &[]), piece(Some(5), 5, start, &[7]));
    let both = Resource { variants: vec![whole, part], ..Resource::default() };
    for (request, parts, second, expected) in [
        (&inside, true, 9, 0),
        (&inside, true, 12, 1),
        (&outside, true, 12, 0),
        (&inside, true, 16, 0),
        (&inside, false, 12, 0),
    ] {
        let found = both.select(request, &purges, parts, at(second)).unwrap();
        assert!(Arc::ptr_eq(found, &both.variants[expected]), "{request:?} {parts} {second}");
    }
    assert_eq!(both.parts(&inside, &purges).count(), 1);
    let alone = Resource { variants: vec![Arc::clone(&both.variants[1])], ..Resource::default() };
    assert!(alone.select(&inside, &purges, false, at(6)).is_none(), "a part is no whole");
    assert!(alone.select(&inside, &purges, true, at(6)).is_some());
    purges.note(super::super::purge::Aim::Mark(7), super::super::purge::Purge::Hard);
    assert_eq!(both.parts(&inside, &purges).count(), 0, "what was purged is no part");
    assert!(alone.select(&inside, &purges, true, at(6)).is_none());
}
