use std::borrow::Cow;
use std::sync::Arc;

use http::header;

use super::super::key::{Class, RequestKey, Target};
use super::*;

fn key() -> Key {
    let target = Target::of_parts(true, b"a", "/x", Some("q"));
    RequestKey::new(Class::Get, target, Some(Cow::Borrowed(b"q")), None).to_key()
}

fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers
}

fn entry(born: Instant) -> Entry {
    let life = Life { born, initial_age: Duration::from_secs(2), lifetime: Duration::from_secs(60) };
    let rules = Rules {
        no_cache: true,
        immutable: true,
        is_apart: true,
        stale_while_revalidate: Duration::from_secs(3),
        stale_if_error: Some(Duration::from_secs(4)),
        ..Rules::default()
    };
    let selectors = vary::selectors(&[header::ACCEPT, header::COOKIE], &fields(&[("accept", "a,  b")])).unwrap();
    let headers = fields(&[("x-a", "1"), ("x-a", "2"), ("age", "0")]);
    let marked = (Box::from([1, 2]), 9, begun(7));
    let date = UNIX_EPOCH + Duration::from_secs(1000);
    let head = Head::new(key(), StatusCode::NOT_FOUND, headers, selectors, date, life, rules, marked);
    Entry::new(Arc::new(head), Bytes::from_static(b"body"), Some(Box::new(fields(&[("x-t", "1")]))))
}

fn begun(number: u64) -> Begun {
    Begun { number, moment: None }
}

fn read_at(record: Bytes, now: Instant, wall: SystemTime) -> Option<Primary> {
    read(record, &Reading { key: &key(), uri: 9, begun: begun(3), now, wall })
}

#[test]
fn what_is_written_is_read() {
    let (now, wall) = (Instant::now(), UNIX_EPOCH + Duration::from_secs(1_000_000));
    let written = entry(now);
    let record = write(&written, now + Duration::from_secs(1), wall).freeze();
    let later = wall + Duration::from_secs(10);
    let Some(Primary::Whole(read)) = read_at(record.clone(), now, later) else { panic!() };
    assert_eq!((read.head.status, &read.head.headers), (written.head.status, &written.head.headers));
    assert_eq!((read.head.rules, &read.head.selectors), (written.head.rules, &written.head.selectors));
    assert_eq!((read.head.date, read.head.uri, &read.head.marks), (written.head.date, 9, &written.head.marks));
    assert_eq!((&read.body, &read.trailers), (&written.body, &written.trailers));
    assert_eq!(read.head.life.age(now).as_secs(), 13, "two when it came, one here, ten there");
    assert_eq!(read.head.life.lifetime, written.head.life.lifetime);
    assert_eq!(read.head.begun, begun(3), "numbers of another process mean nothing here");
    // A clock behind makes nothing younger.
    let earlier = wall - Duration::from_secs(10);
    let Some(Primary::Whole(foreign)) = read_at(record, now, earlier) else { panic!() };
    assert_eq!(foreign.head.life.age(now).as_secs(), 3);
}

/// That a response says of errors that nothing stale answers is not that it says nothing.
#[test]
fn no_time_is_not_nothing() {
    let now = Instant::now();
    for told in [None, Some(Duration::ZERO), Some(Duration::from_secs(4))] {
        let written = entry(now);
        let rules = Rules { stale_if_error: told, ..written.head.rules };
        let head = Head::new(
            key(),
            StatusCode::OK,
            HeaderMap::new(),
            Box::default(),
            UNIX_EPOCH,
            written.head.life,
            rules,
            (Box::default(), 9, begun(7)),
        );
        let record = write(&Entry::new(Arc::new(head), Bytes::new(), None), now, UNIX_EPOCH).freeze();
        let Some(Primary::Whole(read)) = read_at(record, now, UNIX_EPOCH) else { panic!() };
        assert_eq!(read.head.rules.stale_if_error, told);
    }
}

#[test]
fn variants_have_keys_of_their_own() {
    let entry = entry(Instant::now());
    let record = variants(&entry.head.selectors, 3).freeze();
    let Some(Primary::Variants { names, generation }) = read_at(record, Instant::now(), UNIX_EPOCH) else { panic!() };
    assert_eq!((&*names, generation), (&[header::ACCEPT, header::COOKIE][..], 3));
    let keys = [
        variant_key(&key(), 3, &entry.head.selectors),
        variant_key(&key(), 4, &entry.head.selectors),
        variant_key(&key(), 3, &selectors(&names, &fields(&[("accept", "a")])).unwrap()),
        variant_key(&key(), 3, &selectors(&names, &fields(&[("accept", "a,b"), ("cookie", "")])).unwrap()),
    ];
    for (at, one) in keys.iter().enumerate() {
        assert!(keys.iter().skip(at + 1).all(|other| one != other));
    }
}

/// Whatever stands there, reading it ends, and holds no more than there is.
#[test]
fn what_is_no_record_is_none() {
    let now = Instant::now();
    let record = write(&entry(now), now, UNIX_EPOCH).freeze();
    for length in 0..record.len() {
        assert!(read_at(record.slice(..length), now, UNIX_EPOCH).is_none(), "{length}");
    }
    for at in 0..record.len() {
        let mut bent = record.to_vec();
        bent[at] ^= 0xff;
        // It may be read as something else, or not at all.
        drop(read_at(Bytes::from(bent), now, UNIX_EPOCH));
    }
    assert!(read_at(Bytes::from_static(&[VERSION + 1, WHOLE]), now, UNIX_EPOCH).is_none());
}

/// What is read keeps nothing of the record: a store may hand out a part of something large.
#[test]
fn what_is_read_holds_no_record() {
    let (now, wall) = (Instant::now(), UNIX_EPOCH + Duration::from_secs(1_000_000));
    let record = write(&entry(now), now, wall).freeze();
    let Some(Primary::Whole(read)) = read_at(record.clone(), now, wall) else { panic!() };
    let range = record.as_ptr_range();
    let trailers = read.trailers.as_deref().unwrap();
    let values = read.head.headers.values().chain(trailers.values()).filter(|value| *value != "0");
    assert!(values.map(HeaderValue::as_bytes).chain([&*read.body]).all(|bytes| !range.contains(&bytes.as_ptr())));
}
