//! What clients are told about their quotas.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::meter::{Meter, Standing};

/// Which fields tell clients about their quotas.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderStyle {
    /// `RateLimit-Policy` and `RateLimit`, as draft-ietf-httpapi-ratelimit-headers-10 has them.
    #[default]
    Ietf,
    /// `RateLimit-Limit`, `RateLimit-Remaining`, `RateLimit-Reset` and `RateLimit-Policy` of its sixth draft.
    Draft6,
    /// `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`, the last in seconds from now.
    XRateLimit,
    /// None. A refusal has its `Retry-After` all the same.
    None,
}

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static DRAFT6: [HeaderName; 3] = [
    HeaderName::from_static("ratelimit-limit"),
    HeaderName::from_static("ratelimit-remaining"),
    HeaderName::from_static("ratelimit-reset"),
];
static X_RATE_LIMIT: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-reset"),
];

/// What one response is told.
#[derive(Debug)]
pub(super) struct Stamp {
    pub(super) policies: Policies,
    /// The policy that refused, else the tightest.
    pub(super) index: usize,
    pub(super) standing: Standing,
    pub(super) partition_key: Option<[u8; 6]>,
}

/// What `RateLimit-Policy` lists.
#[derive(Debug)]
pub(super) enum Policies {
    /// All of the layer's, as they are when the response is there.
    All,
    /// Those that apply to the request.
    These(HeaderValue),
}

/// Whether a layer of ours further in has written the fields already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// What is there comes from elsewhere, and is replaced.
    Foreign,
    /// What is there is ours, and is added to.
    Ours,
}

impl Stamp {
    /// Writes the fields. `name` is that of the stamp's policy, `policies` the value of `RateLimit-Policy`.
    pub(super) fn write(
        &self,
        style: HeaderStyle,
        name: &str,
        policies: impl FnOnce() -> HeaderValue,
        before: Before,
        headers: &mut HeaderMap,
    ) {
        if before == Before::Foreign {
            remove_all(headers);
        }
        match style {
            HeaderStyle::None => {}
            HeaderStyle::Ietf => {
                headers.append(&RATE_LIMIT_POLICY, policies());
                headers.append(&RATE_LIMIT, self.item(name));
            }
            HeaderStyle::Draft6 => {
                headers.append(&RATE_LIMIT_POLICY, policies());
                self.write_triple(&DRAFT6, headers);
            }
            HeaderStyle::XRateLimit => self.write_triple(&X_RATE_LIMIT, headers),
        }
    }

    /// `"name";r=1;t=2`
    fn item(&self, name: &str) -> HeaderValue {
        let mut text = Text::default();
        let Standing { remaining, next_nanos, .. } = self.standing;
        text.push(b"\"");
        text.push(name.as_bytes());
        text.push(b"\";r=");
        text.push_number(remaining.into());
        if next_nanos > 0 {
            text.push(b";t=");
            text.push_number(whole_seconds(next_nanos));
        }
        if let Some(key) = self.partition_key {
            text.push(b";pk=:");
            text.push(STANDARD.encode(key).as_bytes());
            text.push(b":");
        }
        text.value()
    }

    /// Of several limiters the tightest counts, since these fields have room for one.
    fn write_triple(&self, [limit, remaining, reset]: &[HeaderName; 3], headers: &mut HeaderMap) {
        let held = headers.get(remaining).and_then(|held| held.to_str().ok()?.parse::<u32>().ok());
        if held.is_some_and(|held| held <= self.standing.remaining) {
            return;
        }
        headers.insert(limit, HeaderValue::from(self.standing.limit));
        headers.insert(remaining, HeaderValue::from(self.standing.remaining));
        headers.insert(reset, HeaderValue::from(whole_seconds(self.standing.full_nanos)));
    }
}

/// Removes every field that speaks of quotas: an upstream's own would contradict ours. A look at the names there are
/// costs less than asking for each that might be.
fn remove_all(headers: &mut HeaderMap) {
    let speaks_of_quotas = |name: &HeaderName| {
        let name = name.as_str();
        name.strip_prefix("x-").unwrap_or(name).starts_with("ratelimit")
    };
    if headers.keys().any(speaks_of_quotas) {
        for name in [&RATE_LIMIT, &RATE_LIMIT_POLICY].into_iter().chain(&DRAFT6).chain(&X_RATE_LIMIT) {
            headers.remove(name);
        }
    }
}

/// One policy as an item of `RateLimit-Policy`.
pub(super) fn policy_item(style: HeaderStyle, name: &str, meter: &Meter) -> String {
    let seconds = meter.refill_nanos().map(|nanos| whole_seconds(nanos).max(1));
    let limit = meter.limit();
    match (style, seconds) {
        (HeaderStyle::Draft6, Some(seconds)) => format!("{limit};w={seconds}"),
        (HeaderStyle::Draft6, None) => format!("{limit};comment=\"concurrent-requests\""),
        (_, Some(seconds)) => format!("\"{name}\";q={limit};w={seconds}"),
        (_, None) => format!("\"{name}\";q={limit};qu=\"concurrent-requests\""),
    }
}

/// Items, joined to one field value.
pub(super) fn joined<'a>(items: impl Iterator<Item = &'a str>) -> HeaderValue {
    let items: Vec<_> = items.collect();
    // Names are tokens, so the text is a field value.
    HeaderValue::try_from(items.join(", ")).unwrap_or(HeaderValue::from_static(""))
}

/// Rounded up: nobody is told to come too early.
const fn whole_seconds(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000_000)
}

/// A field value in the making, on the stack.
struct Text {
    bytes: [u8; 192],
    len: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; 192], len: 0 }
    }
}

impl Text {
    /// Adds bytes. There is room for the longest name and all parameters.
    fn push(&mut self, bytes: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.len..self.len + bytes.len()) {
            room.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }

    fn push_number(&mut self, number: u64) {
        self.push(itoa::Buffer::new().format(number).as_bytes());
    }

    fn value(&self) -> HeaderValue {
        let written = self.bytes.get(..self.len).unwrap_or_default();
        HeaderValue::from_bytes(written).unwrap_or(HeaderValue::from_static(""))
    }
}
