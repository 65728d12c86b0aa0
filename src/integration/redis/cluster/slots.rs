//! Which node of a cluster has which keys.

use std::fmt;
use std::ops::RangeInclusive;

use redis::{RedisError, Value};

/// By the Redis Cluster specification.
pub(in super::super) const SLOTS: u16 = 16384;
/// The most nodes that are believed; the specification recommends no more.
pub(super) const MAX_NODES: usize = 1000;

/// Where a node is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Where a node sends whoever asks it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// The slot is there now.
    Moved(Node),
    /// These keys are on their way there.
    Ask(Node),
    /// Some of these keys are, and others are not.
    Again,
}

/// The slot of a key: by what stands in its first braces, if anything does.
pub(in super::super) fn slot(key: &[u8]) -> u16 {
    crc16(tag(key).unwrap_or(key)) % SLOTS
}

fn tag(key: &[u8]) -> Option<&[u8]> {
    let mut parts = key.splitn(2, |byte| *byte == b'{');
    let (_, after) = (parts.next()?, parts.next()?);
    let mut parts = after.splitn(2, |byte| *byte == b'}');
    let (tag, _) = (parts.next()?, parts.next()?);
    (!tag.is_empty()).then_some(tag)
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        let shift = |crc: u16, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        (0..8).fold(crc ^ (u16::from(*byte) << 8), shift)
    })
}

/// Where an error of the node that was asked leads; `None` for any other.
pub(super) fn redirect(error: &RedisError, asked: &Node) -> Option<Redirect> {
    let to = || Some(error.redirect_node()?.0).and_then(|address| node(address, asked));
    match error.code()? {
        "MOVED" => to().map(Redirect::Moved),
        "ASK" => to().map(Redirect::Ask),
        "TRYAGAIN" => Some(Redirect::Again),
        _ => None,
    }
}

/// A node that does not know its own host is where it was found.
fn node(address: &str, asked: &Node) -> Option<Node> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = if host.is_empty() { asked.host.clone() } else { host.to_owned() };
    Some(Node { host, port: port.parse().ok().filter(|port| *port != 0)? })
}

/// Who has which slots, by an answer to `CLUSTER SLOTS`; `None` where it is none.
pub(super) fn read(said: Value, asked: &Node) -> Option<Vec<(RangeInclusive<u16>, Node)>> {
    let Value::Array(ranges) = said else { return None };
    if ranges.is_empty() || ranges.len() > usize::from(SLOTS) {
        return None;
    }
    let mut owned = ranges.into_iter().map(|range| read_range(range, asked)).collect::<Option<Vec<_>>>()?;
    owned.sort_by_key(|(range, _)| *range.start());
    let is_apart = |pair: &[(RangeInclusive<u16>, Node)]| match pair {
        [(before, _), (after, _)] => before.end() < after.start(),
        _ => true,
    };
    owned.windows(2).all(is_apart).then_some(owned)
}

fn read_range(range: Value, asked: &Node) -> Option<(RangeInclusive<u16>, Node)> {
    let Value::Array(parts) = range else { return None };
    let mut parts = parts.into_iter();
    // The master is the first of the nodes, its replicas follow.
    let (first, last, Value::Array(master)) = (number(parts.next()?)?, number(parts.next()?)?, parts.next()?) else {
        return None;
    };
    let mut master = master.into_iter();
    let (host, port) = (text(master.next()?)?, number(master.next()?)?);
    let host = if matches!(host.as_str(), "" | "?") { asked.host.clone() } else { host };
    (first <= last && last < SLOTS && port != 0).then_some((first..=last, Node { host, port }))
}

fn number(value: Value) -> Option<u16> {
    match value {
        Value::Int(number) => number.try_into().ok(),
        _ => None,
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        Value::Nil => Some(String::new()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use redis::parse_redis_value;

    use super::*;

    fn at(host: &str, port: u16) -> Node {
        Node { host: host.to_owned(), port }
    }

    /// The specification's own vector, and its examples of tags.
    #[test]
    fn slots_of_keys() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slot(b"{user1000}.following"), slot(b"{user1000}.followers"));
        assert_eq!(slot(b"{user1000}.following"), slot(b"user1000"));
        assert_eq!(slot(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
        assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
        assert_eq!(slot(b"foo{bar}{zap}"), slot(b"bar"));
        assert_eq!(slot(b"foo{bar"), crc16(b"foo{bar") % SLOTS);
        // What a server says to `CLUSTER KEYSLOT`.
        assert_eq!((slot(b"foo"), slot(b"bar"), slot(b"")), (12182, 5061, 0));
    }

    #[test]
    fn tables() {
        let parse = |text: &str| parse_redis_value(text.replace(' ', "\r\n").as_bytes()).unwrap();
        let said = "*2 *4 :5461 :16383 *3 $9 127.0.0.1 :7001 $2 ab *3 $9 127.0.0.1 :7004 $2 cd *3 :0 :5460 *3 $-1 :7000 $2 ef ";
        let owned = read(parse(said), &at("seed", 1)).unwrap();
        assert_eq!(owned, [(0..=5460, at("seed", 7000)), (5461..=16383, at("127.0.0.1", 7001))]);
        for junk in [
            "*0 ",
            "$2 ab ",
            "*1 *2 :0 :5 ",
            "*1 *3 :0 :16384 *2 $1 a :1 ",
            "*1 *3 :5 :4 *2 $1 a :1 ",
            "*1 *3 :0 :5 *2 $1 a :0 ",
            "*1 *3 :0 :5 *2 $1 a :70000 ",
            "*1 *3 :0 :-5 *2 $1 a :1 ",
            "*2 *3 :0 :5 *2 $1 a :1 *3 :5 :9 *2 $1 b :1 ",
        ] {
            assert_eq!(read(parse(junk), &at("seed", 1)), None, "{junk}");
        }
    }

    #[test]
    fn redirects() {
        let said = |line: &str| {
            let value = parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
            redirect(&value.extract_error().unwrap_err(), &at("here", 1))
        };
        assert_eq!(said("MOVED 3999 127.0.0.1:6381"), Some(Redirect::Moved(at("127.0.0.1", 6381))));
        assert_eq!(said("ASK 3999 ::1:6381"), Some(Redirect::Ask(at("::1", 6381))));
        assert_eq!(said("MOVED 3999 :6381"), Some(Redirect::Moved(at("here", 6381))));
        assert_eq!(said("TRYAGAIN Multiple keys request during rehashing of slot"), Some(Redirect::Again));
        for line in
            ["MOVED", "MOVED 3999", "MOVED 3999 a", "MOVED 3999 a:0", "MOVED x a:1", "ERR MOVED", "CLUSTERDOWN x"]
        {
            assert_eq!(said(line), None, "{line}");
        }
    }
}
