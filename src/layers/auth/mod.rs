//! Authentication: who sent a request, by a JSON Web Token, an opaque token, an API key, a password or a certificate.
//!
//! # When to use it
//!
//! Around everything that is not for everybody, outside of whatever asks who the caller is: limits per user,
//! authorization, a cache for each.
//!
//! ```
//! use tower_rampart::auth::{Algorithm, Auth, Issuer, JwtVerifier, KeySet};
//! # let jwks = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
//!
//! let verifier = JwtVerifier::new([Issuer::new("https://idp.example/")
//!     .audience("api")
//!     .algorithms([Algorithm::EdDsa])
//!     .keys(KeySet::from_jwks(jwks)?)])?;
//! let layer = Auth::new().jwt(verifier).build()?;
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! With keys that are fetched, people with passwords, a browser's cookie, and a document that tells clients where to go:
//!
//! ```no_run
//! use std::time::Duration;
//! use tower_rampart::Identity;
//! use tower_rampart::auth::{
//!     Algorithm, Auth, Basic, Denylist, HttpClient, Issuer, JwtVerifier, Login, RemoteKeys, Resource,
//! };
//!
//! # fn client() -> HttpClient {
//! #     use bytes::Bytes;
//! #     use http_body_util::Full;
//! #     HttpClient::new(tower::service_fn(|_: http::Request<Full<Bytes>>| async {
//! #         Ok::<_, std::convert::Infallible>(http::Response::new(Full::<Bytes>::default()))
//! #     }))
//! # }
//! // With feature `auth-https-client`: `HttpClient::https()?`.
//! let keys = RemoteKeys::discover("https://idp.example/", client())?.cooldown(Duration::from_secs(30));
//! let idp = Issuer::new("https://idp.example/").audience("api").algorithms([Algorithm::Rs256]).keys(keys);
//! let revoked = Denylist::new(10_000);
//! let layer = Auth::new()
//!     .jwt(JwtVerifier::new([idp])?.revocation(revoked.clone()))
//!     .basic(Basic::new(|login: Login| async move { Ok(None::<Identity>) }))
//!     .cookie("session")
//!     .resource(Resource::new("https://api.example/")?.authorization_servers(["https://idp.example/"]))
//!     .strip_credentials(true)
//!     .build()?;
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! The caller is then an [`Identity`](crate::Identity) in the request's extensions: issuer and subject together, roles,
//! scopes, permissions, a tenant, and when the credential ends. Claims of a type of yours are there too, when the verifier
//! was told to read them ([`JwtVerifier::with_claims`]). Under axum both are extractors; under tonic they are in
//! `request.extensions()`.
//!
//! # What is checked
//!
//! Of a token, in this order: its size and characters, its header (no member twice, nothing that must be understood and
//! is not), its algorithm, its type, the key, the signature, and then `iss`, `aud`, `exp`, `nbf`, `iat` and whatever the
//! [`Profile`] asks for. An algorithm must be named by the issuer's settings, by the key's kind, and by the key's own
//! members; a secret is never taken from a key set, and an issuer's keys open no other issuer's tokens. Tokens bound to
//! their sender (`cnf`) are refused: their proof is not checked.
//!
//! What would weaken the check is an error when the layer is built, or is named `dangerous_*`.
//!
//! # Keys that are fetched
//!
//! [`RemoteKeys`] stand at an address, or where the issuer's metadata say. They are fetched when they are given to an
//! issuer, an hour later again, and when a token names a key that is not among them: once in a cooldown for all who ask,
//! in a task of its own, so that nobody who leaves can stop it. A request whose key is being fetched waits for it, which is
//! why the inner service must be `Clone`. While the issuer is down, the keys there are serve on for a day. Redirects, sizes
//! and times are bounded; addresses are https, or this machine's.
//!
//! # Threats
//!
//! | who | does what | and gets |
//! |---|---|---|
//! | a stranger | forges tokens: other algorithms, keys of their own, odd headers, odd bytes | 401, after less than a microsecond where the form is unsound |
//! | | makes us fetch: `jku`, `x5u`, made-up key ids | nothing: tokens name no addresses; one fetch in a cooldown |
//! | | floods with opaque tokens or passwords | 256 questions at once, wrong tokens remembered for seconds; put a limit by address outside |
//! | | sends two credentials, of which a proxy looked at the other | 400 |
//! | another site | makes a browser send its cookie | 403, unless the request is safe and no WebSocket's |
//! | another service of the issuer's | passes on a token that it was given | 401: `aud` must name this one |
//! | another issuer that is trusted | signs for this one's users | 401: keys are bound to issuers, and callers are issuer and subject |
//! | the issuer's network | is down, slow, or answers rubbish | old keys serve on; then 503, never 401 |
//! | who reads logs or memory | looks for credentials | keyed hashes; reasons hold nothing of a token |
//! | a client that stole a token | uses it | its bearer's rights until it expires or is revoked: keep lifetimes short |
//!
//! How long an answer takes tells whether a token was seen lately, and nothing else.
//!
//! # What the client sees
//!
//! | | HTTP | gRPC |
//! |---|---|---|
//! | no credential | 401, `WWW-Authenticate: Bearer realm="api"` | 16 |
//! | one that is no good | 401, `error="invalid_token"` | 16 |
//! | a wrong password | 401, `Basic realm="api", charset="UTF-8"` | 16 |
//! | more than one credential | 400, `error="invalid_request"` | 3 |
//! | a cookie from another site's doing | 403 | 7 |
//! | nobody can judge it: no keys, a verifier that is down | 503, `Retry-After` | 14 |
//!
//! Why a token is refused is told to nobody but the log, at debug, in words that hold nothing of the token.
//!
//! # Failed logins
//!
//! A limit on them is the rate limiter's. It stands outside this layer, charges before the password is looked at, and
//! gives back what a right one cost:
//!
//! ```
//! # #[cfg(feature = "rate-limit")] {
//! use std::time::Duration;
//! use http::StatusCode;
//! use tower_rampart::key::ClientIp;
//! use tower_rampart::rate_limit::{Policy, Quota, RateLimit};
//!
//! let quota = Quota::new(10).per(Duration::from_secs(15 * 60));
//! let logins = Policy::new("logins", quota).key(ClientIp::new()).count_statuses([StatusCode::UNAUTHORIZED]);
//! let logins = RateLimit::new().add_policy(logins).build()?;
//! # }
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! # In tests
//!
//! With feature `test-util`, the module `testing` has an authority that signs what it is told to, rotates its keys
//! and goes down; time is moved with [`Clock::manual`](crate::Clock::manual).
//!
//! # Order
//!
//! Inside a limit by address, outside a limit by identity.
//!
//! # Cost
//!
//! The signature: some 20 µs for RSA, 60 µs for ECDSA and Ed25519, less than 1 µs for HMAC; RSA and ECDSA cost five to
//! fifteen times as much by RustCrypto. A token that was verified within five minutes is known again by two keyed hashes
//! and a lock; its dates, the keys and revocations are looked at all the same.

mod api_key;
mod basic;
mod claims;
mod credential;
mod describe;
mod digest;
mod future;
mod http;
#[cfg(feature = "auth-introspection")]
mod introspection;
mod judge;
mod jwt;
mod known;
mod layer;
mod metadata;
mod provider;
mod service;
mod task;
#[cfg(feature = "test-util")]
pub mod testing;

pub use self::api_key::{ApiKey, ApiKeys};
pub use self::basic::{Basic, CannotVerify, Login, LoginFuture, VerifyPassword};
pub use self::claims::Claims;
pub use self::future::ResponseFuture;
pub use self::http::HttpClient;
#[cfg(feature = "auth-introspection")]
pub use self::introspection::Introspection;
pub use self::jwt::{
    Algorithm, Denylist, DenylistFull, Issuer, JwtVerifier, KeySet, Keys, Profile, RemoteKeys, Revocation, TokenFacts,
    TokenFault, VerifyError, VerifyingKey, verify_jws,
};
pub use self::layer::{Auth, AuthLayer};
pub use self::metadata::Resource;
pub use self::service::AuthService;
pub use crate::spine::json::JsonFault;
