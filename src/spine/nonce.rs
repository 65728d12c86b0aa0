//! The request's nonce, drawn when it is first asked for.
//!
//! It lives in the spine because two layers need it: security headers write it into the policy, and a cache must not
//! store a response whose body holds it.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::spine::event::{self, Origin};
use crate::spine::request::RequestView;

/// Random bytes of one nonce: 128 bits, as CSP Level 3 section 7.1 asks for at least.
const NONCE_BYTES: usize = 16;
/// Characters of these bytes in base64url, which needs no escaping in an HTML attribute.
const NONCE_CHARS: usize = 22;

/// The nonce of one request, for the `nonce` attribute of inline `<script>` and `<style>` elements.
///
/// The security headers layer puts it into the request's extensions when its policy has a nonce source. Nothing is
/// drawn until [`as_str`](Self::as_str) is called; a response whose handler never asked carries a policy without a
/// nonce. Clones are the same nonce.
///
/// With feature `axum` it is an extractor. Elsewhere there is [`of`](Self::of).
///
/// ```
/// use tower_rampart::security_headers::CspNonce;
///
/// let nonce = CspNonce::new();
/// let tag = format!("<script nonce=\"{nonce}\">vote()</script>");
/// assert!(tag.contains(nonce.as_str()));
/// ```
#[derive(Clone, Default)]
pub struct CspNonce(Arc<OnceLock<Text>>);

#[derive(Clone, Copy)]
enum Text {
    Drawn([u8; NONCE_CHARS]),
    NoEntropy,
}

impl CspNonce {
    /// A nonce that is not drawn yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The nonce of a request, where a layer outside has one for it.
    #[must_use]
    pub fn of(request: RequestView<'_>) -> Option<Self> {
        request.extensions().get().cloned()
    }

    /// The nonce, drawn now if it was not before: 22 characters of base64url.
    ///
    /// It is empty when the system has no randomness to give. An empty nonce matches nothing, so the page's inline
    /// scripts are blocked, and an event says why.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get_or_init(draw).as_str()
    }

    /// The nonce, if somebody asked for it.
    #[must_use]
    pub fn drawn(&self) -> Option<&str> {
        self.0.get().map(Text::as_str)
    }
}

impl Text {
    fn as_str(&self) -> &str {
        match self {
            // base64 is ASCII.
            Self::Drawn(chars) => std::str::from_utf8(chars).unwrap_or_default(),
            Self::NoEntropy => "",
        }
    }
}

impl fmt::Display for CspNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CspNonce {
    /// Without the nonce: in a log it would help whoever can inject into the page.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CspNonce").field("drawn", &self.0.get().is_some()).finish()
    }
}

fn draw() -> Text {
    let mut chars = [0; NONCE_CHARS];
    let encoded = ENTROPY.with_borrow_mut(Entropy::take).map(|bytes| URL_SAFE_NO_PAD.encode_slice(bytes, &mut chars));
    match encoded {
        Some(Ok(NONCE_CHARS)) => Text::Drawn(chars),
        _ => {
            static SAID: AtomicBool = AtomicBool::new(false);
            let what = "the system gave no random bytes for a CSP nonce; inline scripts are blocked";
            event::fault_once(&SAID, Origin::SecurityHeaders, "no_entropy", what);
            Text::NoEntropy
        }
    }
}

/// The system call is what costs when one draws few bytes at a time, so each thread fetches for 64 nonces.
const BUFFER_BYTES: usize = 64 * NONCE_BYTES;

struct Entropy {
    bytes: [u8; BUFFER_BYTES],
    used: usize,
}

thread_local! {
    static ENTROPY: RefCell<Entropy> = const { RefCell::new(Entropy { bytes: [0; BUFFER_BYTES], used: BUFFER_BYTES }) };
}

impl Entropy {
    fn take(&mut self) -> Option<[u8; NONCE_BYTES]> {
        if self.used + NONCE_BYTES > BUFFER_BYTES {
            getrandom::fill(&mut self.bytes).ok()?;
            self.used = 0;
        }
        let taken = self.bytes.get_mut(self.used..)?.first_chunk_mut::<NONCE_BYTES>()?;
        self.used += NONCE_BYTES;
        // A nonce that was handed out stays nowhere else.
        Some(std::mem::replace(taken, [0; NONCE_BYTES]))
    }
}
