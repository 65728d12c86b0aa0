//! What a request's fields are about, found in one pass: most requests have none that a cache minds, and to look for each
//! by its name costs more than all else on a hit.

use http::{HeaderMap, HeaderValue, header};

use crate::spine::request::{is_spelled, method_override};

/// What a request's fields are about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Scan<'a> {
    kinds: Kinds,
    hosts: Hosts<'a>,
}

/// The lines of `Host`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Hosts<'a> {
    #[default]
    None,
    One(&'a HeaderValue),
    Many,
}

/// Kinds of fields that a request has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kinds(u16);

impl Kinds {
    pub(super) const RANGE: Self = Self(1);
    /// `Cache-Control` and `Pragma`.
    pub(super) const DIRECTIVES: Self = Self(1 << 1);
    /// `If-Match` and `If-Unmodified-Since`, which are the origin's to decide (RFC 9111 section 4.3.2).
    pub(super) const PRECONDITION: Self = Self(1 << 2);
    /// `If-None-Match` and `If-Modified-Since`.
    pub(super) const CONDITION: Self = Self(1 << 3);
    /// What makes a request's answer nobody else's: another protocol, another method, path or host than it seems.
    pub(super) const ODD: Self = Self(1 << 4);
    /// `Forwarded`, which may name a host.
    pub(super) const FORWARDED: Self = Self(1 << 5);
    /// `X-Forwarded-Host` and the like, which are a part of the key.
    pub(super) const X_FORWARDED: Self = Self(1 << 6);
    /// A body, which is nothing odd of a method that has one.
    pub(super) const BODY: Self = Self(1 << 7);

    fn of_line(name: &str, value: &HeaderValue) -> Self {
        match name {
            "range" => Self::RANGE,
            "cache-control" | "pragma" => Self::DIRECTIVES,
            "if-match" | "if-unmodified-since" => Self::PRECONDITION,
            "if-none-match" | "if-modified-since" => Self::CONDITION,
            "content-length" if value.as_bytes() == b"0" => Self::default(),
            "content-length" | "transfer-encoding" => Self::BODY,
            "upgrade" => Self::ODD,
            "forwarded" => Self::FORWARDED,
            // Nearly all fields end here.
            _ if !name.starts_with('x') => Self::default(),
            _ if FORWARDED.contains(&name) => Self::X_FORWARDED,
            _ if is_deceptive(name) => Self::ODD,
            _ => Self::default(),
        }
    }
}

impl<'a> Scan<'a> {
    /// Looks at all fields.
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let mut scan = Self::default();
        for (name, value) in headers {
            if *name == header::HOST {
                scan.hosts = if scan.hosts == Hosts::None { Hosts::One(value) } else { Hosts::Many };
            } else {
                scan.kinds.0 |= Kinds::of_line(name.as_str(), value).0;
            }
        }
        scan
    }

    /// Whether there is one of this kind.
    pub(super) const fn has(self, kind: Kinds) -> bool {
        self.kinds.0 & kind.0 != 0
    }

    pub(super) const fn hosts(self) -> Hosts<'a> {
        self.hosts
    }
}

/// Fields by which some servers find another resource than the URI names, and which proxies write into each request: they
/// are a part of the key.
pub(super) const FORWARDED: [&str; 7] = [
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-port",
    "x-forwarded-server",
    "x-original-host",
    "x-envoy-original-path",
];

/// Whether some servers see another method, path or host by this field than the request has. Spelled with `_`, fields of
/// the key count too: the key does not have them.
fn is_deceptive(name: &str) -> bool {
    const TARGETS: [&str; 6] =
        ["x-original-url", "x-rewrite-url", "x-rewrite-uri", "x-host", "x-http-host-override", "x-original-method"];
    method_override(name).is_some() || TARGETS.iter().chain(&FORWARDED).any(|target| is_spelled(name, target))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn of(name: &'static str, value: &'static str) -> Kinds {
        let fields = [("accept", "x"), (name, value), ("x-forwarded", "x")];
        let pairs = fields.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        Scan::of(&HeaderMap::from_iter(pairs)).kinds
    }

    #[test]
    fn kinds() {
        for (kind, names) in [
            (Kinds::RANGE, &["range"][..]),
            (Kinds::DIRECTIVES, &["cache-control", "pragma"]),
            (Kinds::PRECONDITION, &["if-match", "if-unmodified-since"]),
            (Kinds::CONDITION, &["if-none-match", "if-modified-since"]),
            (
                Kinds::ODD,
                &[
                    "upgrade",
                    "x-http-method-override",
                    "x_method_override",
                    "x-original-url",
                    "x-forwarded_host",
                    "x-rewrite-uri",
                    "x-host",
                    "x_host",
                    "x-http-host-override",
                    "x-http_host-override",
                    "x-original-method",
                    "x_forwarded_server",
                    "x-original_host",
                    "x-envoy_original-path",
                ],
            ),
            (Kinds::BODY, &["transfer-encoding", "content-length"]),
            (Kinds::FORWARDED, &["forwarded"]),
            (Kinds::X_FORWARDED, &FORWARDED),
        ] {
            for name in names {
                assert_eq!(of(name, "1"), kind, "{name}");
            }
        }
        assert_eq!(of("content-length", "0"), Kinds::default());
        assert_eq!(of("cookie", "a=b"), Kinds::default());
    }

    /// Of several lengths each counts: whoever reads another one than we do sees a body.
    #[test]
    fn lengths_and_hosts() {
        let of = |lines: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            let scan = Scan::of(&headers);
            let host = match scan.hosts() {
                Hosts::None => None,
                Hosts::One(host) => Some(host.to_str().unwrap().to_owned()),
                Hosts::Many => Some(String::from("many")),
            };
            (scan.has(Kinds::BODY), host)
        };
        assert_eq!(of(&[("content-length", "0"), ("content-length", "0")]), (false, None));
        assert_eq!(of(&[("content-length", "0"), ("content-length", "5")]), (true, None));
        assert_eq!(of(&[("content-length", "5"), ("content-length", "0")]), (true, None));
        assert_eq!(of(&[("host", "a"), ("accept", "b")]), (false, Some(String::from("a"))));
        for hosts in 2..4 {
            assert_eq!(of(&vec![("host", "a"); hosts]), (false, Some(String::from("many"))));
        }
    }
}
