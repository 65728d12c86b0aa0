//! Forwarded headers, read from the right. Pure: bytes in, addresses out.
//!
//! The rightmost entry is what the nearest proxy wrote; everything left of an untrusted entry is the client's own text.
//! So nothing is parsed before it is needed, and quotes opened far to the left change nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use http::{HeaderMap, HeaderValue};

use crate::spine::config::ConfigError;

/// The header family that the trusted proxies write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, with `X-Forwarded-Proto`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// `X-Real-IP`: one address, with `X-Forwarded-Proto`.
    XRealIp,
    /// `CF-Connecting-IP`: one address, with `X-Forwarded-Proto`.
    CfConnectingIp,
}

impl ForwardedHeader {
    pub(super) const ALL: [Self; 4] = [Self::XForwardedFor, Self::Forwarded, Self::XRealIp, Self::CfConnectingIp];

    /// The field's name in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
            Self::XRealIp => "x-real-ip",
            Self::CfConnectingIp => "cf-connecting-ip",
        }
    }
}

impl FromStr for ForwardedHeader {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        Self::ALL.into_iter().find(|header| header.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
            ConfigError::new(
                "header",
                name,
                "is no forwarded header",
                "write `x-forwarded-for`, `forwarded`, `x-real-ip` or `cf-connecting-ip`",
            )
        })
    }
}

/// The most bytes of an entry that is read: an address, a protocol and a host name take less than half.
const MAX_ENTRY_BYTES: usize = 1024;

/// One entry of a forwarded header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hop {
    Address(IpAddr),
    /// Not an address: malformed, `unknown`, or an obfuscated name.
    Opaque,
}

/// The protocol a proxy says the client used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proto {
    Http,
    Https,
}

/// The entries of the header from the nearest proxy to the farthest, over all its lines. Lazy: an entry that is not
/// asked for is not read.
pub(super) fn hops(header: ForwardedHeader, headers: &HeaderMap) -> impl Iterator<Item = Hop> {
    entries(header, headers).map(move |entry| match header {
        ForwardedHeader::Forwarded => forwarded_pair(entry, b"for").map_or(Hop::Opaque, |node| node_address(&node)),
        _ => node_address(entry),
    })
}

/// What the proxies say of the client's protocol, where `hops` entries were passed over to reach the client.
///
/// A proxy may tell the address by one field and the protocol by the other: where the one that was named says nothing, the
/// other is asked.
pub(super) fn proto(header: ForwardedHeader, headers: &HeaderMap, hops: usize) -> Option<Proto> {
    // RFC 7239 section 5.4: `proto` stands in the element of the client that used it.
    let standard = || {
        let element = entries(ForwardedHeader::Forwarded, headers).nth(hops)?;
        forwarded_pair(element, b"proto").and_then(|proto| proto_name(&proto))
    };
    // Most proxies send one value; those that append keep step with the addresses.
    let usual = || {
        let values = headers.get_all("x-forwarded-proto");
        values.iter().rev().flat_map(|line| list_from_right(line, true)).take(hops + 1).last().and_then(proto_name)
    };
    if header == ForwardedHeader::Forwarded { standard().or_else(usual) } else { usual().or_else(standard) }
}

fn proto_name(name: &[u8]) -> Option<Proto> {
    if name.eq_ignore_ascii_case(b"https") {
        Some(Proto::Https)
    } else {
        name.eq_ignore_ascii_case(b"http").then_some(Proto::Http)
    }
}

fn entries(header: ForwardedHeader, headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(header.name());
    let is_list = matches!(header, ForwardedHeader::XForwardedFor | ForwardedHeader::Forwarded);
    // A single-valued header that comes twice is nobody's word: its entries are then unreadable.
    let is_torn = !is_list && lines.iter().nth(1).is_some();
    let split = move |line| list_from_right(line, is_list);
    let is_unreadable = move |entry: &[u8]| is_torn || entry.len() > MAX_ENTRY_BYTES;
    lines.iter().rev().flat_map(split).map(move |entry| if is_unreadable(entry) { b"" } else { entry })
}

/// Splits a line at its commas, from the right, leaving those in quoted strings alone. A line that is no list is one
/// entry.
fn list_from_right(line: &HeaderValue, is_list: bool) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line.as_bytes());
    std::iter::from_fn(move || {
        let bytes = rest?;
        let (left, entry) = if is_list { split_last(bytes, b',') } else { (None, bytes) };
        rest = left;
        Some(entry.trim_ascii())
    })
}

/// What stands left and right of the last `separator` outside of quotes.
fn split_last(bytes: &[u8], separator: u8) -> (Option<&[u8]>, &[u8]) {
    let mut quoted = false;
    for (index, &byte) in bytes.iter().enumerate().rev() {
        if byte == b'"' {
            let (before, _) = bytes.split_at(index);
            let escapes = before.iter().rev().take_while(|&&byte| byte == b'\\').count();
            // Inside a string an escaped quote is text; the quote that opens a string is never escaped.
            if !(quoted && escapes % 2 == 1) {
                quoted = !quoted;
            }
        } else if byte == separator && !quoted {
            let (left, right) = bytes.split_at(index);
            return (Some(left), right.get(1..).unwrap_or_default());
        }
    }
    (None, bytes)
}

/// The value of one parameter of a `Forwarded` element. `None` when it is missing, stands twice, or the element is
/// malformed.
fn forwarded_pair(element: &[u8], wanted: &[u8]) -> Option<Vec<u8>> {
    let mut found = None;
    let mut rest = Some(element);
    while let Some(bytes) = rest {
        let (left, pair) = split_last(bytes, b';');
        rest = left;
        let pair = pair.trim_ascii();
        if pair.is_empty() {
            continue;
        }
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let (name, value) = pair.split_at(equals);
        if name.eq_ignore_ascii_case(wanted) && found.replace(unquote(value.get(1..)?)?).is_some() {
            return None;
        }
    }
    found
}

/// A token as it is, or a quoted string's content (RFC 9110 section 5.6.4).
fn unquote(value: &[u8]) -> Option<Vec<u8>> {
    let Some(inner) = value.strip_prefix(b"\"") else {
        return (!value.contains(&b'"')).then(|| value.to_vec());
    };
    let inner = inner.strip_suffix(b"\"")?;
    let mut content = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => content.push(*bytes.next()?),
            b'"' => return None,
            _ => content.push(byte),
        }
    }
    Some(content)
}

/// An address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:80`. RFC 7239 section 6 lets a port be an obfuscated name too.
fn node_address(node: &[u8]) -> Hop {
    let address = std::str::from_utf8(node).ok().and_then(parse_node);
    address.map_or(Hop::Opaque, |addr| Hop::Address(addr.to_canonical()))
}

fn parse_node(node: &str) -> Option<IpAddr> {
    if let Ok(addr) = node.parse::<IpAddr>() {
        return Some(addr);
    }
    if let Ok(addr) = node.parse::<SocketAddr>() {
        return Some(addr.ip());
    }
    if let Some(rest) = node.strip_prefix('[') {
        let (inner, port) = rest.split_once(']')?;
        let addr = inner.parse::<Ipv6Addr>().ok()?;
        return (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some(IpAddr::V6(addr));
    }
    let (addr, port) = node.split_once(':')?;
    let addr = addr.parse::<Ipv4Addr>().ok()?;
    is_port(port).then_some(IpAddr::V4(addr))
}

/// RFC 7239 section 6.3: digits, or `_` and a name.
fn is_port(port: &str) -> bool {
    match port.strip_prefix('_') {
        Some(name) => {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        }
        None => (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit()),
    }
}
