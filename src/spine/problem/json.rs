//! Extension members and the few lines that write them as JSON.
//!
//! Only output, only of values we made: a JSON library would be the spine's largest dependency.

use std::borrow::Cow;
use std::fmt::Write;

/// The value of an extension member.
///
/// ```
/// use tower_rampart::problem::Member;
///
/// let errors = Member::List(vec![Member::object([("pointer", "#/options/0"), ("rule", "max-length")])]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Member {
    /// A string.
    Text(Cow<'static, str>),
    /// A number.
    Number(u64),
    /// A boolean.
    Flag(bool),
    /// An array.
    List(Vec<Self>),
    /// An object.
    Object(Vec<(Cow<'static, str>, Self)>),
}

impl Member {
    /// An object of these members.
    pub fn object<N, V>(members: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<Cow<'static, str>>,
        V: Into<Self>,
    {
        Self::Object(members.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// Appends the value as JSON.
    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Self::Text(text) => write_text(out, text),
            Self::Number(number) => {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "{number}");
            }
            Self::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::List(items) => write_joined(out, ['[', ']'], items, |out, item| item.write(out)),
            Self::Object(members) => write_joined(out, ['{', '}'], members, |out, (name, value)| {
                write_text(out, name);
                out.push(':');
                value.write(out);
            }),
        }
    }
}

fn write_joined<T>(out: &mut String, [open, close]: [char; 2], items: &[T], write: impl Fn(&mut String, &T)) {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(close);
}

/// A JSON string (RFC 8259 section 7), with `<`, `>` and `&` escaped too, so that no sniffing client finds markup.
pub(super) fn write_text(out: &mut String, text: &str) {
    out.push('"');
    // Most texts need no escape at all, and go out as one run.
    let mut rest = text;
    while let Some(at) = rest.bytes().position(may_need_escape) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = special.chars();
        match chars.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some(c) if needs_escape(c) => {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            Some(c) => out.push(c),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

fn may_need_escape(byte: u8) -> bool {
    MAY_NEED_ESCAPE.get(usize::from(byte)).is_some_and(|may| *may)
}

const fn needs_escape(c: char) -> bool {
    matches!(c, '"' | '\\' | '<' | '>' | '&' | '\0'..='\x1f' | '\x7f' | '\u{2028}' | '\u{2029}')
}

/// The bytes at which a character that needs an escape can begin.
#[allow(clippy::indexing_slicing, reason = "a constant's bounds are checked when it is compiled")]
const MAY_NEED_ESCAPE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x80 {
        table[byte] = needs_escape(byte as u8 as char);
        byte += 1;
    }
    // The first byte of U+2028 and U+2029, and of others.
    table[0xe2] = true;
    table
};

impl From<&'static str> for Member {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Member {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<u64> for Member {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Member {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Member {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self>, const N: usize> From<[T; N]> for Member {
    fn from(items: [T; N]) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}
