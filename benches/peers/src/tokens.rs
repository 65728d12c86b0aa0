//! Layers that check the same RS256 access token, and the bare work beneath them.
//!
//! All of them are given the same key set and the same audience. Ours checks more of the token (`typ`, `iss`, `iat`, members
//! that stand twice); the others parse it into claims of a type.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::rc::Rc;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt as _;
use http::{Request, Response};
use jsonwebtoken::{DecodingKey, Validation};
use tower::{Layer, Service};
use tower_oauth2_resource_server::server::OAuth2ResourceServer;
use tower_oauth2_resource_server::tenant::TenantConfiguration;
use tower_rampart::auth::{Algorithm, Auth, AuthLayer, Issuer, JwtVerifier, KeySet, VerifyingKey};

use crate::{Body, Job, Jobs, Run};

const ISSUER: &str = "https://idp.example/";
pub const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
/// What is no token.
pub const JUNK: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.eA";

/// A key's public half, as a set too, and tokens of it.
#[derive(Debug)]
pub struct Signed {
    pub jwks: String,
    pub rs256: String,
    /// By the same key, in another issuer's name.
    pub of_another_issuer: String,
    pub hs256: String,
    public: Vec<u8>,
}

pub static SIGNED: LazyLock<Signed> = LazyLock::new(|| sign().unwrap_or_else(|error| panic!("no key: {error}")));

fn sign() -> Result<Signed, Box<dyn std::error::Error>> {
    // In a workspace that is built with all features there are two, and the others do not say which.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let key = RsaKeyPair::generate(KeySize::Rsa2048)?;
    let public = key.public_key();
    let (n, e) =
        (public.modulus().big_endian_without_leading_zero(), public.exponent().big_endian_without_leading_zero());
    let (n, e) = (URL_SAFE_NO_PAD.encode(n), URL_SAFE_NO_PAD.encode(e));
    let jwks = format!(
        "{{\"keys\":[{{\"kty\":\"RSA\",\"use\":\"sig\",\"alg\":\"RS256\",\"kid\":\"1\",\"n\":\"{n}\",\"e\":\"{e}\"}}]}}"
    );
    let rs256_by = |issuer: &str| -> Result<String, Box<dyn std::error::Error>> {
        let message = message("RS256", issuer)?;
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    };
    let (rs256, of_another_issuer) = (rs256_by(ISSUER)?, rs256_by("https://other.example/")?);
    let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET);
    let hs256_message = message("HS256", ISSUER)?;
    let tag = aws_lc_rs::hmac::sign(&secret, hs256_message.as_bytes());
    let hs256 = format!("{hs256_message}.{}", URL_SAFE_NO_PAD.encode(tag));
    Ok(Signed { jwks, rs256, of_another_issuer, hs256, public: public.as_ref().to_vec() })
}

fn message(algorithm: &str, issuer: &str) -> Result<String, Box<dyn std::error::Error>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let header = format!("{{\"alg\":\"{algorithm}\",\"typ\":\"at+jwt\",\"kid\":\"1\"}}");
    let claims = format!(
        "{{\"iss\":\"{issuer}\",\"aud\":\"api\",\"sub\":\"alice\",\"client_id\":\"app\",\"jti\":\"1\",\"iat\":{now},\"exp\":{},\
         \"scope\":\"polls:read polls:write\",\"roles\":[\"author\"]}}",
        now + 86_400
    );
    Ok(format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims)))
}

/// The claims that the others read.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Claims {
    pub sub: String,
    pub scope: String,
    pub roles: Vec<String>,
}

/// A request with this token.
pub fn request(token: &str) -> Request<()> {
    Request::get("/").header("authorization", format!("Bearer {token}")).body(()).unwrap_or_default()
}

fn token_of(request: &Request<()>) -> &str {
    let field = request.headers().get("authorization").and_then(|field| field.to_str().ok());
    field.and_then(|field| field.strip_prefix("Bearer ")).unwrap_or_default()
}

/// A handler whose answer says whether it was reached.
#[derive(Debug, Clone)]
pub struct Handler;

/// An answer that every contender can give.
#[derive(Debug, Default)]
pub struct Answer {
    pub is_refusal: bool,
}

impl From<jwt_authorizer::AuthError> for Answer {
    fn from(_: jwt_authorizer::AuthError) -> Self {
        Self { is_refusal: true }
    }
}

impl Service<Request<()>> for Handler {
    type Response = Answer;
    type Error = Infallible;
    type Future = Ready<Result<Answer, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Answer::default()))
    }
}

/// The same for contenders that answer by themselves in HTTP.
#[derive(Debug, Clone)]
pub struct HttpHandler;

impl Service<Request<()>> for HttpHandler {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::default()))
    }
}

/// One request through one contender: whether it was let in.
pub trait Check {
    fn check(&mut self, request: Request<()>) -> bool;
}

struct Through<S>(S);

/// Whether an answer lets in.
trait LetsIn {
    fn lets_in(&self) -> bool;
}

impl LetsIn for Answer {
    fn lets_in(&self) -> bool {
        !self.is_refusal
    }
}

impl<B> LetsIn for Response<B> {
    fn lets_in(&self) -> bool {
        self.status().is_success()
    }
}

impl<S> Check for Through<S>
where
    S: Service<Request<()>>,
    S::Response: LetsIn,
{
    fn check(&mut self, request: Request<()>) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let _ = self.0.poll_ready(&mut cx);
        let answer = pin!(self.0.call(request)).poll(&mut cx);
        matches!(answer, Poll::Ready(Ok(answer)) if answer.lets_in())
    }
}

pub type Contender = Box<dyn Check>;

/// Our layer, with room for so many tokens that were verified before.
pub fn rampart_layer(known: usize) -> Option<AuthLayer> {
    let keys = KeySet::from_jwks(SIGNED.jwks.as_bytes()).ok()?;
    let issuer = Issuer::new(ISSUER).audience("api").algorithms([Algorithm::Rs256]).keys(keys);
    let verifier = JwtVerifier::new([issuer]).ok()?.max_cached_tokens(known);
    Auth::new().jwt(verifier).build().ok()
}

fn rampart(known: usize) -> Option<Contender> {
    Some(Box::new(Through(rampart_layer(known)?.layer(HttpHandler))))
}

pub fn rampart_knowing() -> Option<Contender> {
    rampart(100)
}

pub fn rampart_anew() -> Option<Contender> {
    rampart(0)
}

/// Ours, by a secret.
pub fn rampart_secret() -> Option<Contender> {
    let key = VerifyingKey::hmac(SECRET, Algorithm::Hs256).ok()?.with_id("1");
    let issuer = Issuer::new(ISSUER).audience("api").algorithms([Algorithm::Hs256]).keys(KeySet::new([key]));
    Some(Box::new(Through(Auth::new().jwt(JwtVerifier::new([issuer]).ok()?).build().ok()?.layer(HttpHandler))))
}

/// The same without its layer, for comparison with `decode`.
pub fn rampart_secret_alone() -> Option<Contender> {
    struct Verify(JwtVerifier);
    impl Check for Verify {
        fn check(&mut self, request: Request<()>) -> bool {
            self.0.verify(token_of(&request).as_bytes(), SystemTime::now()).is_ok()
        }
    }
    let key = VerifyingKey::hmac(SECRET, Algorithm::Hs256).ok()?.with_id("1");
    let issuer = Issuer::new(ISSUER).audience("api").algorithms([Algorithm::Hs256]).keys(KeySet::new([key]));
    Some(Box::new(Verify(JwtVerifier::new([issuer]).ok()?)))
}

pub fn jwt_authorizer() -> Option<Contender> {
    use ::jwt_authorizer::{IntoLayer as _, JwtAuthorizer, Validation};
    let builder = JwtAuthorizer::<Claims>::from_jwks_text(&SIGNED.jwks);
    let builder = builder.validation(Validation::new().aud(&["api"]).iss(&[ISSUER]));
    Some(Box::new(Through(runtime()?.block_on(builder.build()).ok()?.into_layer().layer(Handler))))
}

/// Theirs, with the keys at hand.
pub fn tower_oauth2_server() -> Option<OAuth2ResourceServer<Claims>> {
    let tenant = TenantConfiguration::static_builder(SIGNED.jwks.as_str()).audiences(&["api"]).build().ok()?;
    // It waits for nothing then.
    OAuth2ResourceServer::builder().add_tenant(tenant).build().now_or_never()?.ok()
}

pub fn tower_oauth2() -> Option<Contender> {
    Some(Box::new(Through(tower_oauth2_server()?.into_layer::<Body>().layer(HttpHandler))))
}

/// `jsonwebtoken::decode` of the secret's token, without any layer.
pub fn bare_decode() -> Option<Contender> {
    struct Decode(DecodingKey, Validation);
    impl Check for Decode {
        fn check(&mut self, request: Request<()>) -> bool {
            let token = token_of(&request);
            jsonwebtoken::decode::<Claims>(token, &self.0, &self.1).is_ok()
        }
    }
    let mut validation = Validation::new(jsonwebtoken::Algorithm::HS256);
    validation.set_audience(&["api"]);
    validation.set_issuer(&[ISSUER]);
    Some(Box::new(Decode(DecodingKey::from_secret(SECRET), validation)))
}

/// The signature alone, as aws-lc checks it.
pub fn bare_signature() -> Option<Contender> {
    struct Signature(UnparsedPublicKey<Vec<u8>>);
    impl Check for Signature {
        fn check(&mut self, request: Request<()>) -> bool {
            let Some((message, signature)) = token_of(&request).rsplit_once('.') else { return false };
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
            self.0.verify(message.as_bytes(), &signature).is_ok()
        }
    }
    Some(Box::new(Signature(UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, SIGNED.public.clone()))))
}

fn runtime() -> Option<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().ok()
}

struct Prepared {
    contender: Rc<RefCell<Contender>>,
    request: Option<Request<()>>,
    was_let_in: bool,
}

impl Run for Prepared {
    fn run(&mut self) {
        if let Some(request) = self.request.take() {
            self.was_let_in = self.contender.borrow_mut().check(request);
        }
    }

    fn fields(&self) -> usize {
        usize::from(self.was_let_in)
    }
}

/// Of RSA's, which the contender has seen once.
pub fn rs256(make: fn() -> Option<Contender>) -> Jobs {
    jobs(make, &SIGNED.rs256, true)
}

/// Of the secret's.
pub fn hs256(make: fn() -> Option<Contender>) -> Jobs {
    jobs(make, &SIGNED.hs256, true)
}

/// Of nobody's.
pub fn junk(make: fn() -> Option<Contender>) -> Jobs {
    jobs(make, JUNK, false)
}

fn jobs(make: fn() -> Option<Contender>, token: &'static str, is_let_in: bool) -> Jobs {
    let Some(mut contender) = make() else { panic!("a contender cannot be made") };
    assert_eq!(contender.check(request(token)), is_let_in, "a contender judges otherwise");
    let contender = Rc::new(RefCell::new(contender));
    Box::new(move || -> Job {
        Box::new(Prepared { contender: Rc::clone(&contender), request: Some(request(token)), was_let_in: false })
    })
}
