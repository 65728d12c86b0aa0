//! `Cache-Control` (RFC 9111 section 5.2) and the fields that stand before it (RFC 9213), as values.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

/// RFC 9111 section 1.2.2: a number that is too large counts as 2^31.
pub(super) const MAX_SECONDS: u64 = 1 << 31;
/// Directives of one field that are looked at; nobody writes as many, and all would be read for each response.
const MAX_DIRECTIVES: usize = 64;
/// Field names in `no-cache="..."` and `private="..."`.
const MAX_NAMES: usize = 32;

/// What a response says about its storing and use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ResponseDirectives {
    pub(super) max_age: Option<Duration>,
    pub(super) s_maxage: Option<Duration>,
    pub(super) stale_while_revalidate: Option<Duration>,
    pub(super) stale_if_error: Option<Duration>,
    pub(super) no_store: bool,
    pub(super) no_cache: bool,
    pub(super) private: bool,
    pub(super) public: bool,
    pub(super) must_revalidate: bool,
    pub(super) proxy_revalidate: bool,
    pub(super) must_understand: bool,
    pub(super) immutable: bool,
    /// Fields that `no-cache` or `private` names: they are not stored, the rest is.
    pub(super) withheld: Vec<HeaderName>,
    /// Whether a targeted field spoke, so that `Expires` has nothing to say (RFC 9213 section 2.2).
    pub(super) targeted: bool,
}

/// What a request says about the answers it takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RequestDirectives {
    pub(super) no_store: bool,
    pub(super) no_cache: bool,
    pub(super) only_if_cached: bool,
    pub(super) max_age: Option<Duration>,
    pub(super) min_fresh: Option<Duration>,
    pub(super) max_stale: Option<Duration>,
    /// RFC 5861 section 4: a client may say it too.
    pub(super) stale_if_error: Option<Duration>,
}

impl ResponseDirectives {
    /// Reads the first of the targeted fields that is valid and says something, else `Cache-Control`.
    pub(super) fn of(headers: &HeaderMap, targets: &[HeaderName]) -> Self {
        targets.iter().find_map(|target| Self::of_targeted(headers, target)).unwrap_or_else(|| {
            let mut directives = Self::default();
            let take = |name: &[u8], argument: Option<Argument<'_>>| directives.take(name, argument);
            // What is not read may forbid it.
            let is_read = each_directive(headers.get_all(header::CACHE_CONTROL), take);
            directives.no_store |= !is_read;
            directives
        })
    }

    fn take(&mut self, name: &[u8], argument: Option<Argument<'_>>) {
        let seconds = || Some(delta_seconds(argument.as_ref()));
        match Name::of(name) {
            // Of several the first counts (RFC 9111 section 4.2.1).
            Some(Name::MaxAge) => self.max_age = self.max_age.or_else(seconds),
            Some(Name::SMaxage) => self.s_maxage = self.s_maxage.or_else(seconds),
            Some(Name::StaleWhileRevalidate) => {
                self.stale_while_revalidate = self.stale_while_revalidate.or_else(seconds);
            }
            Some(Name::StaleIfError) => self.stale_if_error = self.stale_if_error.or_else(seconds),
            Some(Name::NoStore) => self.no_store = true,
            Some(Name::NoCache) => match argument {
                None | Some(Argument::Odd) => self.no_cache = true,
                Some(names) => self.withhold(&names.text()),
            },
            Some(Name::Private) => match argument {
                None | Some(Argument::Odd) => self.private = true,
                Some(names) => self.withhold(&names.text()),
            },
            Some(Name::MustRevalidate) => self.must_revalidate = true,
            Some(Name::ProxyRevalidate) => self.proxy_revalidate = true,
            // What allows something is to be said as it is meant.
            _ if argument == Some(Argument::Odd) => {}
            Some(Name::Public) => self.public = true,
            Some(Name::MustUnderstand) => self.must_understand = true,
            Some(Name::Immutable) => self.immutable = true,
            None => {}
        }
    }

    /// A list that cannot be read might name anything, so it stands for the whole response.
    fn withhold(&mut self, names: &[u8]) {
        let mut any = false;
        for name in names.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|name| !name.is_empty()) {
            any = true;
            match HeaderName::from_bytes(name) {
                Ok(name) if self.withheld.len() < MAX_NAMES => self.withheld.push(name),
                _ => (self.no_cache, self.private) = (true, true),
            }
        }
        if !any {
            (self.no_cache, self.private) = (true, true);
        }
    }

    /// RFC 9213 section 2.1: a dictionary; one that is empty or no dictionary is as if it were not there.
    fn of_targeted(headers: &HeaderMap, target: &HeaderName) -> Option<Self> {
        if !headers.contains_key(target) {
            return None;
        }
        let joined = join(headers.get_all(target));
        let members: Dictionary = Parser::new(&joined).parse().ok()?;
        if members.is_empty() {
            return None;
        }
        let mut directives = Self { targeted: true, ..Self::default() };
        directives.no_store = members.len() > MAX_DIRECTIVES;
        for (name, value) in members.iter().take(MAX_DIRECTIVES) {
            let argument = match value {
                ListEntry::InnerList(_) => Some(Argument::Odd),
                ListEntry::Item(item) => match &item.bare_item {
                    // `?0` is what a directive says by not being there.
                    BareItem::Boolean(false) => continue,
                    BareItem::Boolean(true) => None,
                    BareItem::Integer(seconds) => {
                        Some(Argument::Seconds(u64::try_from(i64::from(*seconds)).unwrap_or_default()))
                    }
                    BareItem::String(text) => Some(Argument::Names(text.as_str().as_bytes())),
                    _ => Some(Argument::Odd),
                },
            };
            directives.take(name.as_str().as_bytes(), argument);
        }
        Some(directives)
    }

    /// Whether stale use is forbidden (RFC 9111 sections 4.2.4, 5.2.2.2, 5.2.2.8 and 5.2.2.10).
    pub(super) const fn forbids_stale(&self) -> bool {
        self.no_cache || self.must_revalidate || self.proxy_revalidate || self.s_maxage.is_some()
    }
}

impl RequestDirectives {
    /// Reads `Cache-Control`, and `Pragma` where that is not there (RFC 9111 section 5.4).
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut directives = Self::default();
        if !headers.contains_key(header::CACHE_CONTROL) {
            let take = |name: &[u8], _: Option<Argument<'_>>| {
                directives.no_cache |= name.eq_ignore_ascii_case(b"no-cache");
            };
            each_directive(headers.get_all(header::PRAGMA), take);
            return directives;
        }
        each_directive(headers.get_all(header::CACHE_CONTROL), |name, argument| {
            let seconds = || Some(delta_seconds(argument.as_ref()));
            if name.eq_ignore_ascii_case(b"no-store") {
                directives.no_store = true;
            } else if name.eq_ignore_ascii_case(b"no-cache") {
                directives.no_cache = true;
            } else if name.eq_ignore_ascii_case(b"only-if-cached") {
                directives.only_if_cached = true;
            } else if name.eq_ignore_ascii_case(b"max-age") {
                directives.max_age = directives.max_age.or_else(seconds);
            } else if name.eq_ignore_ascii_case(b"min-fresh") {
                directives.min_fresh = directives.min_fresh.or_else(seconds);
            } else if name.eq_ignore_ascii_case(b"stale-if-error") {
                directives.stale_if_error = directives.stale_if_error.or_else(seconds);
            } else if name.eq_ignore_ascii_case(b"max-stale") {
                let any_age = Duration::from_secs(MAX_SECONDS);
                let wanted = argument.as_ref().map_or(any_age, |argument| delta_seconds(Some(argument)));
                directives.max_stale = directives.max_stale.or(Some(wanted));
            }
        });
        directives
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    MaxAge,
    SMaxage,
    StaleWhileRevalidate,
    StaleIfError,
    NoStore,
    NoCache,
    Private,
    Public,
    MustRevalidate,
    ProxyRevalidate,
    MustUnderstand,
    Immutable,
}

impl Name {
    /// RFC 9111 section 5.2: names are case-insensitive, unknown ones are ignored.
    fn of(name: &[u8]) -> Option<Self> {
        const NAMES: [(&str, Name); 12] = [
            ("max-age", Name::MaxAge),
            ("s-maxage", Name::SMaxage),
            ("stale-while-revalidate", Name::StaleWhileRevalidate),
            ("stale-if-error", Name::StaleIfError),
            ("no-store", Name::NoStore),
            ("no-cache", Name::NoCache),
            ("private", Name::Private),
            ("public", Name::Public),
            ("must-revalidate", Name::MustRevalidate),
            ("proxy-revalidate", Name::ProxyRevalidate),
            ("must-understand", Name::MustUnderstand),
            ("immutable", Name::Immutable),
        ];
        NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes())).map(|(_, known)| *known)
    }
}

/// What stands behind a directive's `=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Argument<'a> {
    Text(&'a [u8]),
    /// With its escapes.
    Quoted(&'a [u8]),
    Seconds(u64),
    /// Of a field whose numbers are of another kind: names alone.
    Names(&'a [u8]),
    /// Something else, by which a directive forbids what it forbids, and allows nothing.
    Odd,
}

impl Argument<'_> {
    fn text(&self) -> Vec<u8> {
        match self {
            Self::Text(text) | Self::Names(text) => text.to_vec(),
            Self::Quoted(text) => {
                let mut escaped = false;
                text.iter()
                    .copied()
                    .filter(|&byte| {
                        escaped = byte == b'\\' && !escaped;
                        !escaped
                    })
                    .collect()
            }
            Self::Seconds(_) | Self::Odd => Vec::new(),
        }
    }
}

/// A number of seconds; what is none makes the response stale (RFC 9111 section 4.2.1). Either form of argument is taken
/// (section 5.2).
fn delta_seconds(argument: Option<&Argument<'_>>) -> Duration {
    let seconds = match argument {
        None | Some(Argument::Names(_) | Argument::Odd) => None,
        Some(Argument::Seconds(seconds)) => Some(*seconds),
        Some(Argument::Text(text) | Argument::Quoted(text)) => whole_number(text),
    };
    Duration::from_secs(seconds.unwrap_or(0).min(MAX_SECONDS))
}

/// Digits and nothing else; as large as it may be when there are more of them than fit.
pub(super) fn whole_number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |number: u64, digit: &u8| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(text.iter().fold(0, add))
}

fn join<'a>(lines: impl IntoIterator<Item = &'a HeaderValue>) -> Vec<u8> {
    let mut joined = Vec::new();
    for line in lines {
        if !joined.is_empty() {
            joined.extend_from_slice(b", ");
        }
        joined.extend_from_slice(line.as_bytes());
    }
    joined
}

/// Takes lines apart at commas outside of quotes. `false`: there are more than are looked at.
fn each_directive<'a>(
    lines: impl IntoIterator<Item = &'a HeaderValue>,
    mut take: impl FnMut(&[u8], Option<Argument<'_>>),
) -> bool {
    let mut left = MAX_DIRECTIVES;
    for line in lines {
        let mut is_open = false;
        for member in directives(line.as_bytes()) {
            let Some(rest) = left.checked_sub(1) else { return false };
            left = rest;
            let (name, argument) = directive(member, is_open);
            take(name, argument);
            is_open |= member.starts_with(b"\"") || !is_closed(member);
        }
    }
    true
}

/// A name, and what stands behind it. One in quotes, behind a quote that nothing closes, or with something else behind it
/// than its argument is heard all the same: it may be meant.
fn directive(member: &[u8], is_open: bool) -> (&[u8], Option<Argument<'_>>) {
    let is_quote = |byte: &u8| *byte == b'"' || byte.is_ascii_whitespace();
    let unquoted = member.iter().position(|byte| !is_quote(byte)).and_then(|at| member.get(at..)).unwrap_or_default();
    let end = unquoted.iter().position(|byte| !is_token(*byte)).unwrap_or(unquoted.len());
    let (name, rest) = unquoted.split_at(end);
    let is_odd = is_open || unquoted.len() < member.len();
    let argument = match rest.strip_prefix(b"=") {
        None if rest.is_empty() && !is_odd => None,
        Some(argument) if !is_odd => {
            let quoted = argument.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
            Some(quoted.map_or(Argument::Text(argument), Argument::Quoted))
        }
        _ => Some(Argument::Odd),
    };
    (name, argument)
}

/// RFC 9110 section 5.6.2.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// The directives of a line. A quote that nothing closes, or that no `=` stands before, would hide what stands behind it,
/// `no-store` too: then it quotes nothing, and all that may be meant is heard.
fn directives(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_odd = |member: &[u8]| member.starts_with(b"\"") || (member.contains(&b'"') && !is_closed(member));
    let open = members(line).any(is_odd);
    let plain = open.then(|| line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii));
    let quoted = (!open).then(|| members(line));
    plain.into_iter().flatten().filter(|member| !member.is_empty()).chain(quoted.into_iter().flatten())
}

/// Whether each quote of a member is closed.
fn is_closed(member: &[u8]) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    for &byte in member {
        match byte {
            _ if escaped => escaped = false,
            b'"' => quoted = !quoted,
            b'\\' if quoted => escaped = true,
            _ => {}
        }
    }
    !quoted
}

/// The members of a comma-separated list, without the empty ones; a comma in quotes belongs to its member.
pub(super) fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    parts(line).filter(|member| !member.is_empty())
}

/// What stands between commas, which may be nothing, without the white space around it.
pub(super) fn parts(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    line.split(move |&byte| {
        if escaped {
            escaped = false;
            return false;
        }
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => escaped = true,
            b',' if !quoted => return true,
            _ => {}
        }
        false
    })
    .map(<[u8]>::trim_ascii)
}

#[cfg(test)]
#[path = "directives_tests.rs"]
mod tests;
