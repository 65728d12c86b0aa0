//! An authority that signs whatever it is told to.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm as Backend, EncodingKey};
use serde_json::{Value, json};
use tower_rampart::Identity;
use tower_rampart::auth::{Algorithm, Issuer, JwtVerifier, KeySet, TokenFault, VerifyError, VerifyingKey};

pub(crate) const ISSUER: &str = "https://idp.example/";
pub(crate) const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
/// The present of all these tests.
pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Keys of every kind, made once.
pub(crate) struct Authority {
    pub(crate) rsa: EncodingKey,
    pub(crate) rsa_pem: String,
    pub(crate) ec: EncodingKey,
    pub(crate) ed: EncodingKey,
    pub(crate) jwks: Value,
}

pub(crate) static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let rsa = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let public = rsa.public_key();
    let rsa_jwk = json!({
        "kty": "RSA", "kid": "rsa", "use": "sig", "alg": "RS256",
        "n": b64(public.modulus().big_endian_without_leading_zero()),
        "e": b64(public.exponent().big_endian_without_leading_zero()),
    });
    let spki: aws_lc_rs::encoding::PublicKeyX509Der<'_> = public.as_der().unwrap();
    let rsa_pem = pem("PUBLIC KEY", spki.as_ref());
    let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der<'_> = rsa.as_der().unwrap();
    let rsa_private = pkcs1_of(pkcs8.as_ref());

    let ec_pkcs8 =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &aws_lc_rs::rand::SystemRandom::new()).unwrap();
    let ec = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, ec_pkcs8.as_ref()).unwrap();
    let point = ec.public_key().as_ref();
    let ec_jwk = json!({ "kty": "EC", "crv": "P-256", "kid": "ec", "x": b64(&point[1..33]), "y": b64(&point[33..]) });

    let ed_pkcs8 = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
    let ed = Ed25519KeyPair::from_pkcs8(ed_pkcs8.as_ref()).unwrap();
    let ed_jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": b64(ed.public_key().as_ref()) });

    Authority {
        rsa: EncodingKey::from_rsa_der(&rsa_private),
        rsa_pem,
        ec: EncodingKey::from_ec_der(ec_pkcs8.as_ref()),
        ed: EncodingKey::from_ed_der(ed_pkcs8.as_ref()),
        jwks: json!({ "keys": [rsa_jwk, ec_jwk, ed_jwk] }),
    }
});

/// PKCS #8 wraps PKCS #1 in an octet string, the last of its elements.
fn pkcs1_of(pkcs8: &[u8]) -> Vec<u8> {
    let at = pkcs8.windows(4).skip(4).position(|four| four[..2] == [0x30, 0x82]).unwrap() + 4;
    // The first sequence within is the algorithm; the second long one is the key.
    pkcs8[at..].to_vec()
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Signs a header and claims as they are written.
pub(crate) fn sign_text(header: &str, claims: &str, key: &EncodingKey, algorithm: Backend) -> String {
    let message = format!("{}.{}", b64(header), b64(claims));
    let signer = (DEFAULT_PROVIDER.signer_factory)(&algorithm, key).unwrap();
    let signature = signer.try_sign(message.as_bytes()).unwrap();
    format!("{message}.{}", b64(signature))
}

/// What an access token says when all is well.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "api", "sub": "alice", "client_id": "app", "jti": "1",
        "iat": NOW - 10, "exp": NOW + 300, "scope": "polls:read polls:write", "roles": ["author"],
    })
}

/// The claims with some of them replaced; `null` takes one away.
pub(crate) fn claims_with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

pub(crate) fn hs256(header: Value, claims: &Value) -> String {
    sign_text(&header.to_string(), &claims.to_string(), &EncodingKey::from_secret(SECRET), Backend::HS256)
}

/// A token of the secret's, all well but for these claims.
pub(crate) fn token_with(changes: Value) -> String {
    hs256(json!({ "alg": "HS256", "typ": "at+jwt" }), &claims_with(changes))
}

/// A token of the secret's, all well but for this header.
pub(crate) fn token_headed(header: Value) -> String {
    hs256(header, &claims())
}

pub(crate) fn good_token() -> String {
    token_with(json!({}))
}

pub(crate) fn secret_keys() -> KeySet {
    KeySet::new([VerifyingKey::hmac(SECRET, Algorithm::Hs256).unwrap()])
}

pub(crate) fn jwks() -> KeySet {
    KeySet::from_jwks(AUTHORITY.jwks.to_string().as_bytes()).unwrap()
}

/// An issuer that signs with the secret.
pub(crate) fn issuer() -> Issuer {
    Issuer::new(ISSUER).audience("api").algorithms([Algorithm::Hs256]).keys(secret_keys())
}

pub(crate) fn verifier() -> JwtVerifier {
    JwtVerifier::new([issuer()]).unwrap()
}

pub(crate) fn verify(token: &str) -> Result<Identity, VerifyError> {
    verifier().verify(token.as_bytes(), now())
}

/// Why a token is refused.
pub(crate) fn fault(token: &str) -> TokenFault {
    match verify(token) {
        Err(VerifyError::Refused(fault)) => fault,
        other => panic!("{other:?}"),
    }
}
