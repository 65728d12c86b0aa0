//! How instances tell each other what is revoked.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What is no good any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told<'a> {
    Token { name: &'a str, until: SystemTime },
    Caller { name: &'a str, from: SystemTime, until: SystemTime },
}

/// A name's beginning: what it is of.
pub(super) const TOKEN: char = 't';
pub(super) const CALLER: char = 's';

/// In milliseconds since 1970, rounded up: what is revoked is so for longer rather than shorter.
pub(super) fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    // Scripts count exactly up to here.
    u64::try_from(since.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).min(1 << 52)
}

fn time(text: &str) -> Option<SystemTime> {
    let millis: u64 = text.parse().ok()?;
    UNIX_EPOCH.checked_add(Duration::from_millis(millis.min(1 << 52)))
}

/// A message; `None` for what is none.
pub(super) fn read(text: &str) -> Option<Told<'_>> {
    let mut words = text.split(' ');
    let (name, until, from) = (words.next()?, time(words.next()?)?, words.next()?);
    let is_hash = name.len() == 33 && name.bytes().skip(1).all(|byte| byte.is_ascii_hexdigit());
    if !is_hash || words.next().is_some() {
        return None;
    }
    if name.starts_with(TOKEN) {
        return Some(Told::Token { name, until });
    }
    // Who does not say from when revokes all.
    let from = if from == "-" { until } else { time(from)? };
    name.starts_with(CALLER).then_some(Told::Caller { name, from, until })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
        let (token, caller) = (format!("t{:032x}", 1), format!("s{:032x}", 2));
        let text = format!("{token} 7 -");
        assert_eq!(read(&text), Some(Told::Token { name: &token, until: at(7) }));
        let text = format!("{caller} 7 5");
        assert_eq!(read(&text), Some(Told::Caller { name: &caller, from: at(5), until: at(7) }));
        let text = format!("{caller} 7 -");
        assert_eq!(read(&text), Some(Told::Caller { name: &caller, from: at(7), until: at(7) }));
        for junk in [
            String::new(),
            "x".into(),
            token.clone(),
            format!("{token} 7"),
            format!("{token} -7 -"),
            format!("{token} 7 - -"),
            format!("{caller} 7 x"),
            format!("x{:032x} 7 -", 1),
            "t1 7 -".into(),
            format!("t{} 7 -", "g".repeat(32)),
        ] {
            assert_eq!(read(&junk), None, "{junk}");
        }
        assert_eq!(millis(at(5) + Duration::from_nanos(1)), 6);
        assert_eq!(millis(UNIX_EPOCH - Duration::from_secs(1)), 0);
    }
}
