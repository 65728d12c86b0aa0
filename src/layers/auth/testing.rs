//! An authority for tests of a service behind this layer: it signs whatever it is told to, rotates its keys, and goes down.
//!
//! ```
//! use std::time::Duration;
//! use tower_rampart::Clock;
//! use tower_rampart::auth::testing::Authority;
//! use tower_rampart::auth::{Auth, JwtVerifier};
//!
//! let (clock, hand) = Clock::manual();
//! let idp = Authority::new("https://idp.test/", "api").with_clock(clock.clone());
//! let verifier = JwtVerifier::new([idp.issuer()])?;
//! let layer = Auth::new().jwt(verifier.clone()).with_clock(clock.clone()).build()?;
//!
//! let token = idp.token("alice").roles(["author"]).expires_in(Duration::from_secs(300)).sign();
//! assert!(verifier.verify(token.as_bytes(), clock.wall())?.has_role("author"));
//! hand.advance(Duration::from_secs(3600));
//! assert!(verifier.verify(token.as_bytes(), clock.wall()).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Its keys are drawn for speed, not for secrecy: it is for tests alone.

use std::collections::hash_map::RandomState;
use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, UNIX_EPOCH};

use ::http::{Request, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::jwk::EllipticCurve;
use tower_service::Service;

use super::http::HttpClient;
use super::provider::PROVIDER;
use super::{Algorithm, Issuer, KeySet, Keys};
use crate::spine::address::origin_and_path;
use crate::spine::body::ResponseBody;
use crate::spine::clock::Clock;
use crate::spine::problem::Member;

/// An issuer whose keys are at hand. Clones are the same one.
#[derive(Clone)]
pub struct Authority {
    shared: Arc<Shared>,
    clock: Clock,
}

struct Shared {
    issuer: Box<str>,
    audience: Box<str>,
    keys: Keys,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last one signs.
    keys: Vec<Key>,
    made: u64,
    tokens: u64,
    fetches: u64,
    is_down: bool,
}

struct Key {
    id: String,
    /// PKCS #8 (RFC 8410 section 7).
    private: Vec<u8>,
    public: Vec<u8>,
}

impl Authority {
    /// An authority with one Ed25519 key, whose tokens are for this audience unless they say otherwise.
    #[must_use]
    pub fn new(issuer: &str, audience: &str) -> Self {
        let shared =
            Shared { issuer: issuer.into(), audience: audience.into(), keys: Keys::none(), state: Mutex::default() };
        let authority = Self { shared: Arc::new(shared), clock: Clock::system() };
        authority.rotate();
        authority
    }

    /// Replaces the clock by which tokens are dated.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Settings that take its access tokens, by keys that follow its rotations at once.
    pub fn issuer(&self) -> Issuer {
        Issuer::new(&*self.shared.issuer)
            .audience(&*self.shared.audience)
            .algorithms([Algorithm::EdDsa])
            .keys(self.shared.keys.clone())
    }

    /// Draws a new key, which signs from now on; the old ones stay in the set.
    pub fn rotate(&self) {
        let mut state = self.state();
        state.made += 1;
        let key = Key::draw(format!("key-{}", state.made));
        state.keys.push(key);
        self.publish(&state);
    }

    /// Takes all keys out of the set but the one that signs.
    pub fn retire(&self) {
        let mut state = self.state();
        let last = state.keys.pop();
        state.keys.clear();
        state.keys.extend(last);
        self.publish(&state);
    }

    fn publish(&self, state: &State) {
        if let Ok(set) = KeySet::from_jwks(jwks(&state.keys).as_bytes()) {
            self.shared.keys.replace(set);
        }
    }

    /// The JWK Set.
    #[must_use]
    pub fn jwks(&self) -> String {
        jwks(&self.state().keys)
    }

    /// From now on it answers nothing but 503, or answers again.
    pub fn set_down(&self, is_down: bool) {
        self.state().is_down = is_down;
    }

    /// How often its key set was fetched.
    #[must_use]
    pub fn fetches(&self) -> u64 {
        self.state().fetches
    }

    /// What it answers at a path: its metadata (`/.well-known/openid-configuration`) and its keys (`/jwks.json`). For a
    /// server of a test that serves it over a socket; `Err` holds the status.
    ///
    /// # Errors
    ///
    /// 404 for other paths, 503 while it is down.
    pub fn document(&self, path: &str) -> Result<String, StatusCode> {
        let mut state = self.state();
        if state.is_down {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        let (origin, base) = origin_and_path(&self.shared.issuer).unwrap_or_default();
        match path.strip_prefix(base) {
            Some("/jwks.json") => {
                state.fetches += 1;
                Ok(jwks(&state.keys))
            }
            Some("/.well-known/openid-configuration") => {
                let mut json = String::new();
                let address = format!("{origin}{base}/jwks.json");
                Member::object([("issuer", self.shared.issuer.to_string()), ("jwks_uri", address)]).write(&mut json);
                Ok(json)
            }
            _ => Err(StatusCode::NOT_FOUND),
        }
    }

    /// A client that reaches nobody but this authority, without a socket.
    #[must_use]
    pub fn client(&self) -> HttpClient {
        HttpClient::new(Server(self.clone()))
    }

    /// An access token (RFC 9068) of this subject's, valid for five minutes, to be changed and signed.
    pub fn token(&self, subject: &str) -> Token {
        let now = self.clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut state = self.state();
        state.tokens += 1;
        let claims = vec![
            (String::from("iss"), Member::from(self.shared.issuer.to_string())),
            (String::from("aud"), Member::from(self.shared.audience.to_string())),
            (String::from("sub"), Member::from(subject.to_owned())),
            (String::from("client_id"), Member::from("test")),
            (String::from("jti"), Member::from(format!("token-{}", state.tokens))),
            (String::from("iat"), Member::from(now)),
            (String::from("exp"), Member::from(now + 300)),
        ];
        drop(state);
        Token { authority: self.clone(), now, claims, typ: String::from("at+jwt") }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A token that is not signed yet.
#[must_use = "a token is one when it is signed"]
pub struct Token {
    authority: Authority,
    now: u64,
    claims: Vec<(String, Member)>,
    typ: String,
}

impl Token {
    /// Replaces a claim.
    pub fn claim(mut self, name: &str, value: impl Into<Member>) -> Self {
        self.claims.retain(|(held, _)| held != name);
        self.claims.push((name.to_owned(), value.into()));
        self
    }

    /// Takes a claim away.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.retain(|(held, _)| held != name);
        self
    }

    /// The subject's roles.
    pub fn roles<T: Into<String>>(self, roles: impl IntoIterator<Item = T>) -> Self {
        self.claim("roles", roles.into_iter().map(Into::into).collect::<Vec<String>>())
    }

    /// What the token may be used for.
    pub fn scopes<T: Into<String>>(self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.claim("scope", scopes.into_iter().map(Into::into).collect::<Vec<String>>().join(" "))
    }

    /// When it expires, from now.
    pub fn expires_in(self, time: Duration) -> Self {
        let expires = self.now.saturating_add(time.as_secs());
        self.claim("exp", expires)
    }

    /// Replaces the header's `typ`.
    pub fn typ(mut self, typ: &str) -> Self {
        typ.clone_into(&mut self.typ);
        self
    }

    /// The token, signed by the newest key.
    #[must_use]
    pub fn sign(self) -> String {
        let state = self.authority.state();
        let Some(key) = state.keys.last() else { return String::new() };
        let (mut header, mut claims) = (String::new(), String::new());
        Member::object([("alg", String::from("EdDSA")), ("kid", key.id.clone()), ("typ", self.typ)]).write(&mut header);
        Member::object(self.claims).write(&mut claims);
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let private = EncodingKey::from_ed_der(&key.private);
        let signer = (PROVIDER.signer_factory)(&Algorithm::EdDsa.backend(), &private);
        let signature = signer.ok().and_then(|signer| signer.try_sign(signed.as_bytes()).ok()).unwrap_or_default();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

impl Key {
    fn draw(id: String) -> Self {
        /// What stands before the seed: version, algorithm, and the lengths of two octet strings.
        const PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        let random = RandomState::new();
        let seed = (0..4_u64).flat_map(|part| random.hash_one(part).to_ne_bytes());
        let private: Vec<u8> = PREFIX.into_iter().chain(seed).collect();
        let public = (PROVIDER.key_utils.ed_pub_components_from_private_key)(&private, &EllipticCurve::Ed25519);
        Self { id, private, public: public.unwrap_or_default() }
    }
}

fn jwks(keys: &[Key]) -> String {
    let key = |key: &Key| {
        Member::object([
            ("kty", String::from("OKP")),
            ("crv", String::from("Ed25519")),
            ("alg", String::from("EdDSA")),
            ("use", String::from("sig")),
            ("kid", key.id.clone()),
            ("x", URL_SAFE_NO_PAD.encode(&key.public)),
        ])
    };
    let mut json = String::new();
    Member::object([("keys", Member::List(keys.iter().map(key).collect()))]).write(&mut json);
    json
}

/// The authority as an HTTP service.
#[derive(Clone)]
struct Server(Authority);

impl Service<Request<Bytes>> for Server {
    type Response = Response<ResponseBody<Nothing>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (status, body) = match self.0.document(request.uri().path()) {
            Ok(document) => (StatusCode::OK, ResponseBody::local(document)),
            Err(status) => (status, ResponseBody::default()),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        ready(Ok(response))
    }
}

/// No body but our own.
enum Nothing {}

impl http_body::Body for Nothing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        match *self {}
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("issuer", &self.shared.issuer).finish_non_exhaustive()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("typ", &self.typ).finish_non_exhaustive()
    }
}
