//! TOML to values, and errors that point at the line.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::spine::config::ConfigError;

/// Separates the parts of a [`ConfigError`] on its way through serde, which carries text alone.
const SEPARATOR: &str = "\u{1f}";

/// The most bytes of a configuration file.
const MAX_FILE_BYTES: usize = 4 << 20;

/// Reads a configuration from TOML. `file` is its name in errors.
///
/// # Errors
///
/// The first fault: syntax, an unknown key, or a bad value, with file, line, key, value and mend.
pub fn parse<T: DeserializeOwned>(text: &str, file: &str) -> Result<T, ConfigError> {
    if text.len() > MAX_FILE_BYTES {
        return Err(ConfigError::new("file", file, "is larger than 4 MiB", "split it, or look what wrote it"));
    }
    toml::from_str(text).map_err(|error| {
        let span = carried_place(error.message()).or_else(|| error.span()).unwrap_or(0..0);
        let line = text.get(..span.start).unwrap_or(text).matches('\n').count() + 1;
        let key = key_at(text, &span).unwrap_or_else(|| String::from("syntax"));
        let written = text.get(span).unwrap_or_default();
        // What is no TOML may be a URL without its quotes.
        let written = if may_be_secret(&key) || written.contains('@') { "(not shown)" } else { written };
        describe(error.message(), written, &key).for_setting(key).at(file, line)
    })
}

/// Whether what is written under a key may hold a password: URLs of servers do.
fn may_be_secret(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    last == "url" || last.contains("secret") || last.contains("password")
}

/// Hands a [`ConfigError`] to serde so that [`parse`] gets it back whole: for `Deserialize` implementations of your own.
///
/// ```
/// use serde::Deserialize;
/// use tower_rampart::{ConfigError, config};
///
/// #[derive(Debug)]
/// struct Port(u16);
///
/// impl<'de> Deserialize<'de> for Port {
///     fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
///         let port = u16::deserialize(deserializer)?;
///         if port < 1024 {
///             let error = ConfigError::new("port", port, "needs privileges", "write 1024 or more");
///             return Err(config::carry(&error));
///         }
///         Ok(Self(port))
///     }
/// }
///
/// #[derive(Debug, Deserialize)]
/// struct Config {
///     port: Port,
/// }
///
/// let error = config::parse::<Config>("port = 80", "app.toml").unwrap_err();
/// assert_eq!(error.to_string(), "app.toml:1: port: `80` needs privileges; write 1024 or more");
/// ```
#[must_use]
pub fn carry<E: serde::de::Error>(error: &ConfigError) -> E {
    E::custom(packed(error))
}

/// The same for an element of an array, whose place serde does not tell.
pub(super) fn carry_from<E: serde::de::Error>(place: Range<usize>, error: &ConfigError) -> E {
    let Range { start, end } = place;
    E::custom(format_args!("{}{SEPARATOR}{start}{SEPARATOR}{end}", packed(error)))
}

fn packed(error: &ConfigError) -> String {
    [error.value(), error.breach(), error.mend()].join(SEPARATOR)
}

fn carried_place(message: &str) -> Option<Range<usize>> {
    let mut parts = message.split(SEPARATOR).skip(3);
    Some(parts.next()?.parse().ok()?..parts.next()?.parse().ok()?)
}

/// Says in which line of a file the table or key stands that an error speaks of, where the error was found after the file
/// was read: when a layer was made of it. One that has a line, and one of something else, stays as it is.
///
/// ```
/// use tower_rampart::{ConfigError, config};
///
/// let found = ConfigError::new("auth.issuer, audience", "", "is missing", "name it");
/// let error = config::locate(found, "[auth]\nsources = []\n", "app.toml");
/// assert_eq!(error.to_string(), "app.toml:1: auth.issuer, audience: is missing; name it");
/// ```
#[must_use]
pub fn locate(error: ConfigError, text: &str, file: &str) -> ConfigError {
    if error.line().is_some() {
        return error;
    }
    let Ok(table) = DeTable::parse(text) else { return error };
    let mut keys = error.setting().split(['.', ',', ' ', '`']).filter(|key| !key.is_empty());
    let Some(place) = keys.next().and_then(|key| find(table.get_ref(), key)) else { return error };
    let (mut place, mut value) = place;
    while let Some((deeper, below)) = keys.next().and_then(|key| first_table(value).and_then(|table| find(table, key)))
    {
        (place, value) = (deeper, below);
    }
    let line = text.get(..place.start).unwrap_or(text).matches('\n').count() + 1;
    error.at(file, line)
}

fn find<'a, 'i>(table: &'a DeTable<'i>, name: &str) -> Option<(Range<usize>, &'a DeValue<'i>)> {
    table.iter().find(|(key, _)| *key.get_ref() == name).map(|(key, value)| (key.span(), value.get_ref()))
}

/// The table itself, or the only one of a list.
fn first_table<'a, 'i>(value: &'a DeValue<'i>) -> Option<&'a DeTable<'i>> {
    match value {
        DeValue::Table(table) => Some(table),
        DeValue::Array(items) if items.len() == 1 => first_table(items.first()?.get_ref()),
        _ => None,
    }
}

/// Tables that a feature brings, by their keys.
const TABLES: [(&str, &str, bool); 15] = [
    ("security_headers", "security-headers", cfg!(feature = "security-headers")),
    ("rate_limit", "rate-limit", cfg!(feature = "rate-limit")),
    ("rate_limit_store", "redis", cfg!(feature = "redis")),
    ("auth", "auth", cfg!(feature = "_auth")),
    ("authz", "auth", cfg!(feature = "_auth")),
    ("validate", "validate", cfg!(feature = "validate")),
    ("openapi", "openapi-yaml", cfg!(feature = "openapi-yaml")),
    ("schema", "json-schema", cfg!(feature = "json-schema")),
    ("cache", "cache", cfg!(feature = "cache")),
    ("cache_store", "redis", cfg!(feature = "redis")),
    ("load_shed", "load-shed", cfg!(feature = "load-shed")),
    ("timeouts", "deadline", cfg!(feature = "deadline")),
    ("retry", "retry", cfg!(feature = "retry")),
    ("circuit_breaker", "circuit-breaker", cfg!(feature = "circuit-breaker")),
    ("bulkhead", "bulkhead", cfg!(feature = "bulkhead")),
];

/// A key that nobody knows may be that of a feature which is off.
fn unknown_key(name: &str, list: &str) -> ConfigError {
    match TABLES.iter().find(|(key, _, is_on)| *key == name && !is_on) {
        Some((_, feature, _)) => {
            let breach = format!("needs the feature `{feature}` of tower-rampart");
            ConfigError::new("", "", breach, "add it in Cargo.toml, or take this away")
        }
        None => ConfigError::new("", name, "is no known key", known(list)),
    }
}

fn known(list: &str) -> String {
    format!("use {}", list.trim_start_matches("expected "))
}

fn describe(message: &str, written: &str, key: &str) -> ConfigError {
    let mut parts = message.split(SEPARATOR);
    if let (Some(value), Some(breach), Some(mend)) = (parts.next(), parts.next(), parts.next()) {
        return ConfigError::new("", value, breach.to_owned(), mend.to_owned());
    }
    let written = written.lines().next().unwrap_or_default().trim_matches('"');
    if let Some((name, list)) = message.strip_prefix("unknown field `").and_then(|rest| rest.split_once("`, ")) {
        return unknown_key(name, list);
    }
    if let Some(name) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return ConfigError::new("", "", format!("lacks `{name}`"), format!("add `{name} = ..`"));
    }
    if let Some((_, list)) = message.strip_prefix("unknown variant `").and_then(|rest| rest.split_once("`, ")) {
        return ConfigError::new("", written, "is none of the choices", known(list));
    }
    if let Some(name) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return ConfigError::new("", written, format!("lacks `{name}`"), format!("add `{name} = ..` to it"));
    }
    if message == "duplicate key" {
        return ConfigError::new("", written, "is there twice", "take one of them away, or put them together");
    }
    let (breach, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    let mend = if breach.contains("must be quoted") {
        String::from("write it in quotes")
    } else {
        mend(breach, expected, key)
    };
    match breach.split_once(": ") {
        Some(("invalid type", kind)) => ConfigError::new("", written, format!("is {}", kind_of(kind)), mend),
        Some(("invalid value", _)) => ConfigError::new("", written, "is out of range", mend),
        None if breach == NO_CHOICE => ConfigError::new("", written, "is neither text nor a table", mend),
        _ => ConfigError::new("", written, one_line(breach), mend),
    }
}

/// What TOML's reader says of a choice that is written as neither.
const NO_CHOICE: &str = "wanted string or table";

/// What was written, in words of the file's instead of this program's.
fn kind_of(kind: &str) -> &str {
    match kind.split(' ').next().unwrap_or_default() {
        "integer" | "floating" => "a number",
        "string" => "text",
        "boolean" => "a yes or no",
        "map" => "one table",
        "sequence" => "a list",
        _ => kind,
    }
}

/// What to write instead.
fn mend(breach: &str, expected: &str, key: &str) -> String {
    let is_number = breach.contains("integer") || breach.contains("floating");
    match expected {
        "a string" if is_number => {
            String::from("write text, in quotes; times and sizes have their unit there: `\"60s\"`, `\"64KiB\"`")
        }
        "a string" => String::from("write text, in quotes"),
        "a boolean" => String::from("write `true` or `false`, without quotes"),
        "u8" | "u16" | "u32" | "u64" | "usize" => String::from("write a whole number from 0, without quotes"),
        "f32" | "f64" => String::from("write a number, without quotes"),
        "a sequence" if breach.contains("map") => format!("write `[[{key}]]`, which may be there several times"),
        "a sequence" => String::from("write a list, in brackets"),
        _ if expected.starts_with("struct ") || expected == "a map" => format!("write a table, `[{key}]`"),
        "" if breach == NO_CHOICE => String::from("write text, in quotes, or a table"),
        "" => String::from("correct it"),
        _ => format!("write {}", one_line(expected)),
    }
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

/// The dotted key that a place in the file belongs to.
fn key_at(text: &str, place: &Range<usize>) -> Option<String> {
    let table = DeTable::parse(text).ok()?;
    let mut path = Vec::new();
    descend_table(table.get_ref(), place, &mut path);
    (!path.is_empty()).then(|| path.join("."))
}

fn descend_table(table: &DeTable<'_>, place: &Range<usize>, path: &mut Vec<String>) {
    for (key, value) in table {
        let holds = |span: Range<usize>| span.start <= place.start && place.end <= span.end;
        if holds(key.span()) {
            path.push(key.get_ref().to_string());
            return;
        }
        let depth = path.len();
        path.push(key.get_ref().to_string());
        // A table's span is its header's alone, so its members are always looked at.
        descend_value(value, place, path);
        if path.len() > depth + 1 || holds(value.span()) {
            return;
        }
        path.truncate(depth);
    }
}

fn descend_value(value: &Spanned<DeValue<'_>>, place: &Range<usize>, path: &mut Vec<String>) {
    match value.get_ref() {
        DeValue::Table(table) => descend_table(table, place, path),
        DeValue::Array(items) => {
            for item in items.iter() {
                let depth = path.len();
                descend_value(item, place, path);
                if path.len() > depth {
                    return;
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_hold_a_password_is_not_shown() {
        #[derive(Debug, serde::Deserialize)]
        #[allow(dead_code, reason = "it is never made")]
        struct Store {
            url: String,
        }
        #[derive(Debug, serde::Deserialize)]
        #[allow(dead_code, reason = "it is never made")]
        struct Config {
            store: Store,
        }
        let error = parse::<Config>("[store]\nurl = [\"redis://:hidden@host\"]\n", "app.toml").unwrap_err().to_string();
        assert!(error.starts_with("app.toml:2: store.url: `(not shown)`"), "{error}");
        // Without quotes it is no value at all.
        let error = parse::<Config>("[store]\nurl = redis://:hidden@host\n", "app.toml").unwrap_err().to_string();
        assert!(!error.contains("hidden"), "{error}");
    }
}
