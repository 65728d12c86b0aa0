//! Content codings (RFC 9110 section 8.4.1) that can be undone.

/// A coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950, the zlib format; what some call by this name without its frame is not it.
    Deflate,
    /// RFC 7932.
    Brotli,
}

/// Why a coding could not be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "decompression"), allow(dead_code, reason = "nothing is undone without it"))]
pub(crate) enum DecodeFault {
    /// It is broken off, damaged, or followed by something else.
    Malformed,
    /// What comes out is longer than is taken.
    TooLong,
    /// There is no room for what comes out.
    NoRoom,
}

impl Coding {
    /// The coding of this name, where decompression is compiled in.
    pub(crate) fn of(name: &str) -> Option<Self> {
        const NAMES: [(&str, Coding); 3] =
            [("gzip", Coding::Gzip), ("deflate", Coding::Deflate), ("br", Coding::Brotli)];
        let named = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, coding)| *coding).filter(|_| cfg!(feature = "decompression"))
    }
}
