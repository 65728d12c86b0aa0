//! The reader: one pass, recursive as far as the limit allows.

use std::borrow::Cow;
use std::collections::HashSet;

#[cfg(feature = "_auth")]
use super::Json;
use super::build::Build;
use super::{JsonFault, Number};

/// How much is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JsonLimits {
    pub(crate) max_bytes: usize,
    /// Objects and lists within each other.
    pub(crate) max_depth: usize,
    /// Values in all, members' included.
    pub(crate) max_values: usize,
    /// Members of one object, and elements of one list.
    pub(crate) max_members: usize,
    pub(crate) max_elements: usize,
    /// Bytes of one text, and of one name, after unescaping.
    pub(crate) max_text_bytes: usize,
    pub(crate) max_name_bytes: usize,
    /// Characters of one number.
    pub(crate) max_number_bytes: usize,
    /// Whether texts may have a NUL in them, at which other languages and databases stop.
    pub(crate) allows_nul: bool,
    /// Whether members may have names by which scripts reach what all their objects share.
    pub(crate) allows_prototypes: bool,
}

#[cfg(any(feature = "_auth", feature = "json-schema"))]
impl JsonLimits {
    /// Limits on the whole; what one text may be follows from it.
    pub(crate) const fn of_whole(max_bytes: usize, max_depth: usize, max_values: usize) -> Self {
        Self {
            max_bytes,
            max_depth,
            max_values,
            max_members: max_values,
            max_elements: max_values,
            max_text_bytes: max_bytes,
            max_name_bytes: max_bytes,
            max_number_bytes: max_bytes,
            allows_nul: true,
            allows_prototypes: true,
        }
    }
}

/// Why reading stopped, and where.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) fault: JsonFault,
    /// The way to the value at fault, from the inside.
    way: Vec<Step>,
}

#[derive(Debug)]
#[cfg_attr(not(feature = "validate"), expect(dead_code, reason = "only validation tells where"))]
enum Step {
    Member(String),
    Item(usize),
}

/// The most characters of a name that a pointer shows: names are the sender's.
#[cfg(feature = "validate")]
const MAX_SHOWN_CHARS: usize = 64;

impl Stop {
    /// The way to the value at fault, as a JSON pointer (RFC 6901), without control characters and cut where a name is long.
    #[cfg(feature = "validate")]
    pub(crate) fn pointer(&self) -> String {
        let mut pointer = String::from("#");
        for step in self.way.iter().rev() {
            pointer.push('/');
            match step {
                Step::Item(at) => pointer.push_str(&at.to_string()),
                Step::Member(name) => {
                    for c in name.chars().filter(|c| !c.is_control()).take(MAX_SHOWN_CHARS) {
                        match c {
                            '~' => pointer.push_str("~0"),
                            '/' => pointer.push_str("~1"),
                            c => pointer.push(c),
                        }
                    }
                }
            }
        }
        pointer
    }
}

impl From<JsonFault> for Box<Stop> {
    fn from(fault: JsonFault) -> Self {
        Self::new(Stop { fault, way: Vec::new() })
    }
}

/// Reads one value and nothing else.
#[cfg(feature = "_auth")]
pub(crate) fn read(bytes: &[u8], limits: JsonLimits) -> Result<Json<'_>, JsonFault> {
    read_as(bytes, &limits).map_err(|stop| stop.fault)
}

/// The same, into anything, with the way to what is wrong.
pub(crate) fn read_as<'a, V: Build<'a>>(bytes: &'a [u8], limits: &JsonLimits) -> Result<V, Box<Stop>> {
    if bytes.len() > limits.max_bytes {
        return Err(JsonFault::TooLong.into());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| JsonFault::NotUtf8)?;
    let mut reader = Reader { text, at: 0, limits, values_left: limits.max_values, is_in_constructor: false };
    let value = reader.value(limits.max_depth)?;
    reader.skip_space();
    if reader.at == text.len() { Ok(value) } else { Err(JsonFault::TrailingData.into()) }
}

struct Reader<'a, 'l> {
    text: &'a str,
    at: usize,
    limits: &'l JsonLimits,
    values_left: usize,
    /// Whether the next value is that of a member `constructor`.
    is_in_constructor: bool,
}

type Read<T> = Result<T, Box<Stop>>;

impl<'a> Reader<'a, '_> {
    fn value<V: Build<'a>>(&mut self, depth_left: usize) -> Read<V> {
        self.values_left = self.values_left.checked_sub(1).ok_or(JsonFault::TooManyValues)?;
        let is_in_constructor = std::mem::take(&mut self.is_in_constructor);
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth_left.checked_sub(1).ok_or(JsonFault::TooDeep)?, is_in_constructor),
            Some(b'[') => self.list(depth_left.checked_sub(1).ok_or(JsonFault::TooDeep)?),
            Some(b'"') => Ok(V::text(self.string(self.limits.max_text_bytes)?)),
            Some(b't') => self.word("true", V::flag(true)),
            Some(b'f') => self.word("false", V::flag(false)),
            Some(b'n') => self.word("null", V::null()),
            Some(b'-' | b'0'..=b'9') => self.number().map(|(number, text)| V::number(number, text)).map_err(Into::into),
            _ => Err(JsonFault::Syntax.into()),
        }
    }

    fn object<V: Build<'a>>(&mut self, depth_left: usize, is_in_constructor: bool) -> Read<V> {
        self.at += 1;
        if self.after_space(b'}') {
            return Ok(V::object(Vec::new()));
        }
        // What most objects have, so that they do not grow from nothing.
        let mut members: Vec<(Cow<'a, str>, V)> = Vec::with_capacity(8);
        loop {
            self.skip_space();
            let name = self.string(self.limits.max_name_bytes)?;
            if members.len() == self.limits.max_members {
                return Err(JsonFault::TooManyMembers.into());
            }
            if !self.limits.allows_prototypes {
                self.check_name(&name, is_in_constructor)?;
            }
            if !self.after_space(b':') {
                return Err(JsonFault::Syntax.into());
            }
            match self.value(depth_left) {
                Ok(value) => members.push((name, value)),
                Err(mut stop) => {
                    stop.way.push(Step::Member(name.into_owned()));
                    return Err(stop);
                }
            }
            if self.after_space(b'}') {
                return if has_twice(&members) { Err(JsonFault::MemberTwice.into()) } else { Ok(V::object(members)) };
            }
            if !self.after_space(b',') {
                return Err(JsonFault::Syntax.into());
            }
        }
    }

    /// `__proto__` anywhere, and `constructor.prototype`, which leads to the same place.
    fn check_name(&mut self, name: &str, is_in_constructor: bool) -> Result<(), JsonFault> {
        if name == "__proto__" || (is_in_constructor && name == "prototype") {
            return Err(JsonFault::Prototype);
        }
        self.is_in_constructor = name == "constructor";
        Ok(())
    }

    fn list<V: Build<'a>>(&mut self, depth_left: usize) -> Read<V> {
        let mut items = Vec::new();
        self.at += 1;
        if self.after_space(b']') {
            return Ok(V::list(items));
        }
        loop {
            if items.len() == self.limits.max_elements {
                return Err(JsonFault::TooManyElements.into());
            }
            match self.value(depth_left) {
                Ok(value) => items.push(value),
                Err(mut stop) => {
                    stop.way.push(Step::Item(items.len()));
                    return Err(stop);
                }
            }
            if self.after_space(b']') {
                return Ok(V::list(items));
            }
            if !self.after_space(b',') {
                return Err(JsonFault::Syntax.into());
            }
        }
    }

    fn string(&mut self, max_bytes: usize) -> Result<Cow<'a, str>, JsonFault> {
        if self.peek() != Some(b'"') {
            return Err(JsonFault::Syntax);
        }
        self.at += 1;
        // Most have no escape, and are a part of the document.
        let mut text = Cow::Borrowed("");
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            // No farther than it may go on.
            let near = rest.as_bytes().get(..=max_bytes.saturating_sub(text.len())).unwrap_or(rest.as_bytes());
            let Some(run) = near.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..b' ')) else {
                return Err(if near.len() < rest.len() { JsonFault::TextTooLong } else { JsonFault::Syntax });
            };
            if text.len() + run > max_bytes {
                return Err(JsonFault::TextTooLong);
            }
            text += rest.get(..run).unwrap_or_default();
            self.at += run + 1;
            match rest.as_bytes().get(run) {
                Some(b'"') => return Ok(text),
                Some(b'\\') => match self.escape()? {
                    '\0' if !self.limits.allows_nul => return Err(JsonFault::Nul),
                    c => text.to_mut().push(c),
                },
                _ => return Err(JsonFault::Syntax),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonFault> {
        let kind = self.peek().ok_or(JsonFault::Syntax)?;
        self.at += 1;
        Ok(match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.code_point(),
            _ => return Err(JsonFault::Syntax),
        })
    }

    fn code_point(&mut self) -> Result<char, JsonFault> {
        let first = self.four_digits()?;
        let code = match first {
            0xd800..=0xdbff => {
                if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with("\\u")) {
                    return Err(JsonFault::Syntax);
                }
                self.at += 2;
                let second = self.four_digits()?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(JsonFault::Syntax);
                }
                0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            first => first,
        };
        // A second half alone is no character.
        char::from_u32(code).ok_or(JsonFault::Syntax)
    }

    fn four_digits(&mut self) -> Result<u32, JsonFault> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or(JsonFault::Syntax)?;
        self.at += 4;
        let add = |code: u32, digit: &u8| Some(code << 4 | char::from(*digit).to_digit(16)?);
        digits.iter().try_fold(0, add).ok_or(JsonFault::Syntax)
    }

    fn number(&mut self) -> Result<(Number, &'a str), JsonFault> {
        let start = self.at;
        let mut whole = true;
        self.skip_byte(b'-');
        // No zero before other digits.
        if !self.skip_byte(b'0') && self.digits() == 0 {
            return Err(JsonFault::Syntax);
        }
        if self.skip_byte(b'.') {
            whole = false;
            if self.digits() == 0 {
                return Err(JsonFault::Syntax);
            }
        }
        if self.skip_byte(b'e') || self.skip_byte(b'E') {
            whole = false;
            let _ = self.skip_byte(b'+') || self.skip_byte(b'-');
            if self.digits() == 0 {
                return Err(JsonFault::Syntax);
            }
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if text.len() > self.limits.max_number_bytes {
            return Err(JsonFault::NumberTooLong);
        }
        match text.parse() {
            Ok(number) if whole => Ok((Number::Whole(number), text)),
            // Digits beyond a double's are lost here as everywhere; an exponent beyond it is refused.
            _ => {
                let real = text.parse().ok().filter(|real: &f64| real.is_finite());
                real.map(|real| (Number::Real(real), text)).ok_or(JsonFault::Syntax)
            }
        }
    }

    fn digits(&mut self) -> usize {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn word<V>(&mut self, word: &str, value: V) -> Read<V> {
        if self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            return Ok(value);
        }
        Err(JsonFault::Syntax.into())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_byte(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn after_space(&mut self, byte: u8) -> bool {
        self.skip_space();
        self.skip_byte(byte)
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }
}

/// Whether a name stands twice. Few members are compared with each other; many are hashed, by a key that nobody knows.
fn has_twice<V>(members: &[(Cow<'_, str>, V)]) -> bool {
    const FEW: usize = 12;
    if members.len() <= FEW {
        return members
            .iter()
            .enumerate()
            .any(|(at, (name, _))| members.iter().take(at).any(|(before, _)| before == name));
    }
    let mut names = HashSet::with_capacity(members.len());
    !members.iter().all(|(name, _)| names.insert(&**name))
}
