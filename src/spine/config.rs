//! The one configuration error.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;

/// Why a value cannot configure a layer, and what to write instead.
///
/// Every fallible constructor and `build()` of this crate returns this one type. It names the setting, the offending
/// value and the mend; when the value came out of a file, the file and the line too.
///
/// ```
/// use tower_rampart::key::Cidr;
///
/// let error = "10.0.0.0/33".parse::<Cidr>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "address block: `10.0.0.0/33` is not an address block; write one such as `10.0.0.0/8` or `2001:db8::/32`",
/// );
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError(Box<Fault>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    setting: Cow<'static, str>,
    value: String,
    breach: Cow<'static, str>,
    mend: Cow<'static, str>,
    place: Option<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    file: String,
    line: usize,
}

/// Characters of an offending value that a message shows; the rest is cut, so that a wrong file is no flood.
const SHOWN_VALUE_CHARS: usize = 200;

impl ConfigError {
    /// `setting` is the name the user wrote, `breach` says what is wrong with `value`, `mend` what to write instead.
    #[must_use]
    pub fn new(
        setting: impl Into<Cow<'static, str>>,
        value: impl fmt::Display,
        breach: impl Into<Cow<'static, str>>,
        mend: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Fault {
            setting: setting.into(),
            value: printable(&value.to_string()),
            breach: breach.into(),
            mend: mend.into(),
            place: None,
        }))
    }

    /// The setting at fault, as the user wrote it (`"security_headers.preset"`).
    #[must_use]
    pub fn setting(&self) -> &str {
        &self.0.setting
    }

    /// The offending value, cut to a readable length. Empty when something is missing.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.0.value
    }

    /// What is wrong with it.
    #[must_use]
    pub fn breach(&self) -> &str {
        &self.0.breach
    }

    /// What to write instead.
    #[must_use]
    pub fn mend(&self) -> &str {
        &self.0.mend
    }

    /// The line in the configuration file, counted from 1, when the value came out of one.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.0.place.as_ref().map(|place| place.line)
    }

    /// The configuration file, when the value came out of one.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.0.place.as_ref().map(|place| &*place.file)
    }

    /// Names the file and the line that the value stands in.
    #[must_use]
    pub fn at(mut self, file: impl Into<String>, line: usize) -> Self {
        self.0.place = Some(Place { file: file.into(), line });
        self
    }

    /// Names the setting anew, for a caller who knows the key under which the value was written.
    #[must_use]
    pub fn for_setting(mut self, setting: impl Into<Cow<'static, str>>) -> Self {
        self.0.setting = setting.into();
        self
    }

    /// Says what the setting is part of: `bytes` within `cache` is `cache.bytes`.
    #[must_use]
    pub fn within(self, outer: impl fmt::Display) -> Self {
        let setting = format!("{outer}.{}", self.0.setting);
        self.for_setting(setting)
    }
}

/// Control characters would let a value forge log lines.
fn printable(value: &str) -> String {
    let mut shown: String =
        value.chars().take(SHOWN_VALUE_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if value.chars().nth(SHOWN_VALUE_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

impl From<Infallible> for ConfigError {
    /// For setters that take a valid value or what may become one.
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// As [`Display`](fmt::Display) says it: it is what a `main` that returns it prints.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { setting, value, breach, mend, place } = &*self.0;
        if let Some(Place { file, line }) = place {
            write!(f, "{file}:{line}: ")?;
        }
        write!(f, "{setting}: ")?;
        if !value.is_empty() {
            write!(f, "`{value}` ")?;
        }
        write!(f, "{breach}; {mend}")
    }
}

impl std::error::Error for ConfigError {}
