//! A layer's settings on one line: for whoever looks at a stack.

use std::fmt::Display;
use std::time::Duration;

/// A layer that can say what it does.
#[allow(unnameable_types, unreachable_pub, reason = "layers of this crate alone are asked")]
pub trait Describe: Send + Sync + 'static {
    /// What it is set to at the moment, without secrets; `None` when it does nothing.
    fn describe(&self) -> Option<String>;

    /// Whether it refuses whom nobody knows.
    fn refuses_strangers(&self) -> bool {
        false
    }

    /// A rule by which strangers may pass.
    fn public_rule(&self) -> Option<String> {
        None
    }

    /// The names by which clients tell quotas apart.
    fn policies(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Names that are written out; further ones are counted.
const MAX_NAMES: usize = 4;

/// Names, one after the other.
#[allow(dead_code, reason = "not every layer has a list")]
pub(crate) fn list<T: Display>(names: impl IntoIterator<Item = T>) -> String {
    let mut names = names.into_iter();
    let written: Vec<_> = names.by_ref().take(MAX_NAMES).map(|name| name.to_string()).collect();
    match names.count() {
        0 => written.join(", "),
        more => format!("{} and {more} more", written.join(", ")),
    }
}

/// So many of something.
#[allow(dead_code, reason = "not every layer counts")]
pub(crate) fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// A time in the largest unit that is whole.
#[allow(dead_code, reason = "not every layer has a time")]
pub(crate) fn time(time: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    if time.subsec_nanos() > 0 || time.is_zero() {
        return format!("{time:?}");
    }
    let secs = time.as_secs();
    let whole = UNITS.iter().find(|(unit, _)| secs.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{time:?}"), |(unit, name)| format!("{}{name}", secs / unit))
}

/// Bytes in the largest unit that is whole.
#[allow(dead_code, reason = "not every layer has a size")]
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let whole = UNITS.iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{bytes} bytes"), |(unit, name)| format!("{} {name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_the_largest_that_are_whole() {
        let secs = Duration::from_secs;
        assert_eq!(
            [secs(0), secs(90), secs(900), secs(7200), secs(86_400)].map(time),
            ["0ns", "90s", "15m", "2h", "1d"]
        );
        assert_eq!(time(Duration::from_millis(1500)), "1.5s");
        assert_eq!([0, 100, 1024, 64 << 20, 3 << 30].map(bytes), ["0 bytes", "100 bytes", "1 KiB", "64 MiB", "3 GiB"]);
        assert_eq!([0, 1, 2].map(|number| count(number, "rule")), ["0 rules", "1 rule", "2 rules"]);
        assert_eq!(list(["a", "b"]), "a, b");
        assert_eq!(list(1..=6), "1, 2, 3, 4 and 2 more");
    }
}
