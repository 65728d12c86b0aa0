//! The grammar that fields share (RFC 9110 section 5.6).

#[cfg(feature = "_auth")]
use http::{HeaderMap, HeaderName};

/// Whether it is a token (section 5.6.2).
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// The value of a hexadecimal digit, in either case.
pub(crate) const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The elements of a list without quoted strings (section 5.6.1), in all lines of its field.
#[cfg(feature = "_auth")]
pub(crate) fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let lines = headers.get_all(name).iter();
    let elements = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    elements.map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_of_the_characters_that_the_grammar_lists() {
        for byte in 0..=u8::MAX {
            let listed = byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte);
            assert_eq!(is_token(&[b'a', byte]), listed, "{byte}");
        }
        assert!(!is_token(b""));
    }

    #[test]
    fn digits_are_those_of_the_standard_library() {
        for byte in 0..=u8::MAX {
            assert_eq!(hex(byte).map(u32::from), char::from(byte).to_digit(16), "{byte}");
        }
    }
}
