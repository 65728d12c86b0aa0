//! The head of a part of a form: what RFC 7578 section 4 lets it have, read strictly.

use super::media::{is_token, parts, take_type};
use super::multipart::PartFault;

/// What was read of a part's head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PartHead {
    line: Vec<u8>,
    bytes: usize,
    has_name: bool,
    has_type: bool,
}

/// Bytes of a head: a name, a file's name, a type, and some room.
const MAX_BYTES: usize = 4 << 10;

impl PartHead {
    /// Goes on with a byte; whether the head is complete with it.
    pub(super) fn admit(&mut self, byte: u8) -> Result<bool, PartFault> {
        self.bytes += 1;
        if self.bytes > MAX_BYTES {
            return Err(PartFault::Head);
        }
        if byte != b'\n' {
            // A CR stands before an LF.
            if self.line.last() == Some(&b'\r') {
                return Err(PartFault::Head);
            }
            self.line.push(byte);
            return Ok(false);
        }
        if self.line.pop() != Some(b'\r') {
            return Err(PartFault::Head);
        }
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return if self.has_name { Ok(true) } else { Err(PartFault::Name) };
        }
        let text = std::str::from_utf8(&line).map_err(|_| PartFault::Head)?;
        self.field(text)?;
        // Its room serves the next line.
        self.line = line;
        self.line.clear();
        Ok(false)
    }

    /// RFC 7578 section 4.8: three fields mean something, and the others nothing.
    fn field(&mut self, line: &str) -> Result<(), PartFault> {
        let (name, value) = line.split_once(':').ok_or(PartFault::Head)?;
        // A line that goes on with the one before begins with a space, and a boundary, for whoever looks for those first,
        // with dashes.
        if !is_token(name) || name.starts_with("--") || line.contains(char::is_control) {
            return Err(PartFault::Head);
        }
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-disposition") {
            if std::mem::replace(&mut self.has_name, true) {
                return Err(PartFault::Head);
            }
            disposition(value)
        } else if name.eq_ignore_ascii_case("content-type") {
            if std::mem::replace(&mut self.has_type, true) {
                return Err(PartFault::Head);
            }
            content_type(value)
        } else if name.eq_ignore_ascii_case("content-transfer-encoding") {
            // Section 4.7: not to be used; whoever undoes one sees another content.
            let is_plain = ["7bit", "8bit", "binary"].iter().any(|plain| value.eq_ignore_ascii_case(plain));
            if is_plain { Ok(()) } else { Err(PartFault::Encoded) }
        } else {
            Ok(())
        }
    }
}

/// `form-data`, a name, and a file's name where it is one (section 4.2).
fn disposition(value: &str) -> Result<(), PartFault> {
    // What browsers send as it is, others take for an escape.
    if value.contains('\\') {
        return Err(PartFault::Name);
    }
    let mut parts = parts(value).map(str::trim);
    if !parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("form-data")) {
        return Err(PartFault::Name);
    }
    let (mut name, mut file_name) = (None, None);
    for part in parts {
        let (parameter, value) = part.split_once('=').ok_or(PartFault::Name)?;
        // `filename*` must not be used, and who knows it prefers it.
        if !is_token(parameter) || parameter.contains('*') {
            return Err(PartFault::Name);
        }
        let value = text(value)?;
        let stands_twice = if parameter.eq_ignore_ascii_case("name") {
            name.replace(value).is_some()
        } else if parameter.eq_ignore_ascii_case("filename") {
            file_name.replace(value).is_some()
        } else {
            false
        };
        if stands_twice {
            return Err(PartFault::Name);
        }
    }
    // `_charset_` (section 4.6) would say what the other parts' text is.
    let is_named = name.is_some_and(|name| !name.is_empty() && !name.eq_ignore_ascii_case("_charset_"));
    let leads_away = |name: &str| name.starts_with('/') || name.split('/').any(|segment| segment == "..");
    if is_named && !file_name.is_some_and(leads_away) { Ok(()) } else { Err(PartFault::Name) }
}

/// A token, or what stands between quotes.
fn text(value: &str) -> Result<&str, PartFault> {
    match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"').filter(|text| !text.contains('"')).ok_or(PartFault::Name),
        None if is_token(value) => Ok(value),
        None => Err(PartFault::Name),
    }
}

/// Section 4.3: no form within a form; and texts are UTF-8.
fn content_type(value: &str) -> Result<(), PartFault> {
    let essence = take_type(value).map_err(|_| PartFault::Type)?;
    let is_form = essence.get(.."multipart/".len()).is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/"));
    if is_form { Err(PartFault::Type) } else { Ok(()) }
}
