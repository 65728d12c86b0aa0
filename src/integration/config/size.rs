//! Sizes as people write them: `512B`, `64KiB`, `1MiB`.

use crate::spine::config::ConfigError;

const UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Reads a whole number and a unit.
pub(super) fn parse(setting: &'static str, text: &str) -> Result<u64, ConfigError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let bytes = UNITS.iter().find(|(name, _)| *name == unit).and_then(|(_, bytes)| {
        let number: u64 = number.parse().ok()?;
        number.checked_mul(*bytes)
    });
    bytes.ok_or_else(|| {
        let mend = "write a whole number and one of `B KiB MiB GiB`, such as `64KiB` or `1MiB`";
        ConfigError::new(setting, text, "is no size", mend)
    })
}
