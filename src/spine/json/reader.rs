//! The reader: one pass, recursive as far as the limit allows.

use super::{Json, JsonFault, Number};

/// How much is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JsonLimits {
    pub(crate) max_bytes: usize,
    /// Objects and lists within each other.
    pub(crate) max_depth: usize,
    /// Values in all, members' included.
    pub(crate) max_values: usize,
}

/// Reads one value and nothing else.
pub(crate) fn read(bytes: &[u8], limits: JsonLimits) -> Result<Json, JsonFault> {
    if bytes.len() > limits.max_bytes {
        return Err(JsonFault::TooLong);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| JsonFault::NotUtf8)?;
    let mut reader = Reader { text, at: 0, values_left: limits.max_values };
    let value = reader.value(limits.max_depth)?;
    reader.skip_space();
    if reader.at == text.len() { Ok(value) } else { Err(JsonFault::TrailingData) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    values_left: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth_left: usize) -> Result<Json, JsonFault> {
        self.values_left = self.values_left.checked_sub(1).ok_or(JsonFault::TooManyValues)?;
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth_left.checked_sub(1).ok_or(JsonFault::TooDeep)?),
            Some(b'[') => self.list(depth_left.checked_sub(1).ok_or(JsonFault::TooDeep)?),
            Some(b'"') => self.string().map(Json::Text),
            Some(b't') => self.word("true", Json::Flag(true)),
            Some(b'f') => self.word("false", Json::Flag(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(b'-' | b'0'..=b'9') => self.number().map(Json::Number),
            _ => Err(JsonFault::Syntax),
        }
    }

    fn object(&mut self, depth_left: usize) -> Result<Json, JsonFault> {
        let mut members: Vec<(String, Json)> = Vec::new();
        self.at += 1;
        if self.after_space(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_space();
            let name = self.string()?;
            if !self.after_space(b':') {
                return Err(JsonFault::Syntax);
            }
            members.push((name, self.value(depth_left)?));
            if self.after_space(b'}') {
                return if has_twice(&members) { Err(JsonFault::MemberTwice) } else { Ok(Json::Object(members)) };
            }
            if !self.after_space(b',') {
                return Err(JsonFault::Syntax);
            }
        }
    }

    fn list(&mut self, depth_left: usize) -> Result<Json, JsonFault> {
        let mut items = Vec::new();
        self.at += 1;
        if self.after_space(b']') {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth_left)?);
            if self.after_space(b']') {
                return Ok(Json::List(items));
            }
            if !self.after_space(b',') {
                return Err(JsonFault::Syntax);
            }
        }
    }

    fn string(&mut self) -> Result<String, JsonFault> {
        if self.peek() != Some(b'"') {
            return Err(JsonFault::Syntax);
        }
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let run =
                rest.bytes().position(|byte| byte == b'"' || byte == b'\\' || byte < b' ').ok_or(JsonFault::Syntax)?;
            text.push_str(rest.get(..run).unwrap_or_default());
            self.at += run + 1;
            match rest.as_bytes().get(run) {
                Some(b'"') => return Ok(text),
                Some(b'\\') => text.push(self.escape()?),
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
        let digits = self.text.get(self.at..self.at + 4).ok_or(JsonFault::Syntax)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(JsonFault::Syntax);
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| JsonFault::Syntax)
    }

    fn number(&mut self) -> Result<Number, JsonFault> {
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
        match text.parse() {
            Ok(number) if whole => Ok(Number::Whole(number)),
            // Digits beyond a double's are lost here as everywhere; an exponent beyond it is refused.
            _ => text.parse().ok().filter(|real: &f64| real.is_finite()).map(Number::Real).ok_or(JsonFault::Syntax),
        }
    }

    fn digits(&mut self) -> usize {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, JsonFault> {
        if self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            return Ok(value);
        }
        Err(JsonFault::Syntax)
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

/// Whether a name stands twice. Few members are compared with each other, many are sorted.
fn has_twice(members: &[(String, Json)]) -> bool {
    const FEW: usize = 12;
    if members.len() <= FEW {
        return members
            .iter()
            .enumerate()
            .any(|(at, (name, _))| members.iter().take(at).any(|(before, _)| before == name));
    }
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair.first() == pair.last())
}
