//! Key sets.

use serde_json::{Value, json};
use tower_rampart::auth::{Algorithm, Issuer, JwtVerifier, KeySet, Keys, VerifyingKey};

use crate::log::{Log, meet_call_sites_from_anywhere};
use crate::support::{AUTHORITY, ISSUER, b64, claims, good_token, issuer, now, secret_keys, sign_text};

fn set(keys: Value) -> Result<KeySet, tower_rampart::ConfigError> {
    KeySet::from_jwks(json!({ "keys": keys }).to_string().as_bytes())
}

fn ed(extra: Value) -> Value {
    let mut key = AUTHORITY.jwks["keys"][2].clone();
    for (name, value) in extra.as_object().unwrap() {
        key[name] = value.clone();
    }
    key
}

#[test]
fn unusable_keys_are_skipped_one_by_one() {
    let unusable = json!([
        { "kty": "oct", "k": b64([7; 32]), "alg": "HS256" },
        { "kty": "EC", "crv": "secp256k1", "x": b64([1; 32]), "y": b64([1; 32]) },
        { "kty": "OKP", "crv": "X25519", "x": b64([1; 32]) },
        { "kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA" },
        { "kty": "RSA" },
        {},
        7,
        ed(json!({ "kid": 7 })),
        ed(json!({ "use": "enc" })),
        ed(json!({ "key_ops": ["sign"] })),
        ed(json!({ "alg": "RS256" })),
        ed(json!({ "alg": "HS256" })),
        ed(json!({ "kid": "good", "use": "sig", "key_ops": ["verify"], "alg": "EdDSA" })),
    ]);
    let set = set(unusable).unwrap();
    assert_eq!((set.len(), set.skipped()), (1, 12));
}

#[test]
fn documents_that_are_no_sets() {
    for (document, breach) in [
        ("", "is no key set: it is not JSON"),
        ("[]", "is no key set: it is not JSON"),
        ("{\"keys\":{}}", "is no key set: it is not JSON"),
        ("{\"keys\":[],\"keys\":[]}", "is no key set: an object has a member twice"),
        ("{\"keys\":[]}", "has no usable key, and 0 that cannot be used"),
        ("{\"keys\":[1,2]}", "has no usable key, and 2 that cannot be used"),
    ] {
        assert_eq!(KeySet::from_jwks(document.as_bytes()).unwrap_err().breach(), breach, "{document}");
    }
    let many = json!({ "keys": vec![ed(json!({})); 101] }).to_string();
    assert!(KeySet::from_jwks(many.as_bytes()).is_err());
    assert!(KeySet::from_jwks(&vec![b' '; 300_000]).is_err());
}

#[test]
fn two_keys_of_one_name_are_both_dropped() {
    let twins = set(json!([ed(json!({ "kid": "a" })), ed(json!({ "kid": "a" })), ed(json!({ "kid": "b" }))])).unwrap();
    assert_eq!((twins.len(), twins.skipped()), (1, 2));
}

#[test]
fn a_token_without_a_name_means_the_only_key_that_fits() {
    let verifier = |keys: KeySet| {
        JwtVerifier::new([Issuer::new(ISSUER).audience("api").algorithms([Algorithm::EdDsa]).keys(keys)]).unwrap()
    };
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt" }).to_string();
    let token = sign_text(&header, &claims().to_string(), &AUTHORITY.ed, jsonwebtoken::Algorithm::EdDSA);
    // Beside keys of other kinds it is the only one.
    assert!(verifier(crate::support::jwks()).verify(token.as_bytes(), now()).is_ok());
    let two = set(json!([ed(json!({ "kid": "a" })), ed(json!({ "kid": "b" }))])).unwrap();
    assert!(verifier(two).verify(token.as_bytes(), now()).is_err());
}

#[test]
fn keys_can_be_replaced_and_never_by_nothing() {
    let keys = Keys::none();
    let verifier = JwtVerifier::new([issuer().keys(keys.clone())]).unwrap();
    let token = good_token();
    assert!(verifier.verify(token.as_bytes(), now()).is_err());
    keys.replace(secret_keys());
    assert!(keys.is_ready() && verifier.verify(token.as_bytes(), now()).is_ok());
    keys.replace(KeySet::default());
    assert!(verifier.verify(token.as_bytes(), now()).is_ok());
    keys.replace(KeySet::new([VerifyingKey::hmac(&[1; 32], Algorithm::Hs256).unwrap()]));
    assert!(verifier.verify(token.as_bytes(), now()).is_err());
}

#[test]
fn weak_settings_are_errors() {
    let named = |issuer: Issuer| JwtVerifier::new([issuer]).unwrap_err().to_string();
    let sound = || Issuer::new("i").audience("a").algorithms([Algorithm::EdDsa]).keys(Keys::none());
    assert!(JwtVerifier::new([sound()]).is_ok());
    for (issuer, message) in [
        (Issuer::new("").audience("a").algorithms([Algorithm::EdDsa]), "issuer ``, name: is missing"),
        (Issuer::new("i").algorithms([Algorithm::EdDsa]), "issuer `i`, audience: is missing"),
        (Issuer::new("i").audience("a"), "issuer `i`, algorithms: are missing"),
        (Issuer::new("i").audience("a").algorithms([Algorithm::EdDsa]), "issuer `i`, keys: are missing; give `.keys("),
        (
            sound().algorithms([Algorithm::Hs256, Algorithm::Rs256]),
            "issuer `i`, algorithms: mix secrets and public keys",
        ),
        (sound().algorithms([Algorithm::Rs256]).keys(secret_keys()), "issuer `i`, algorithms: fit none of its keys"),
        (sound().leeway(std::time::Duration::from_secs(301)), "issuer `i`, leeway: `301s` is more than clocks differ"),
    ] {
        let error = named(issuer);
        assert!(error.starts_with(message), "{error}");
    }
    assert!(JwtVerifier::new([]).is_err());
    assert!(JwtVerifier::new([sound(), sound()]).is_err());
}

#[test]
fn nothing_that_is_printed_holds_a_key() {
    let shown = format!(
        "{:?} {:?}",
        issuer(),
        VerifyingKey::hmac(b"0123456789abcdef0123456789abcdef", Algorithm::Hs256).unwrap()
    );
    assert!(!shown.contains("48, 49") && !shown.contains("0123"), "{shown}");
}

/// Two keys of one name are a mistake of the issuer's, which somebody must hear of.
#[test]
fn twins_are_skipped_aloud() {
    meet_call_sites_from_anywhere();
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_ansi(false);
    tracing::subscriber::with_default(subscriber.with_writer(log.clone()).finish(), || {
        let other = ed(json!({ "kid": "other" }));
        let _quiet = Keys::from(set(json!([ed(json!({})), other, {}])).unwrap());
        assert_eq!(log.text(), "");
        let _loud = Keys::from(set(json!([ed(json!({})), ed(json!({})), other])).unwrap());
    });
    let text = log.text();
    assert!(text.contains("keys_ambiguous") && text.contains("skipped=2") && text.contains("WARN"), "{text}");
}

/// A key that everybody can fetch is no secret.
#[test]
fn secrets_are_not_fetched() {
    let client = tower_rampart::auth::testing::Authority::new(ISSUER, "api").client();
    let keys = tower_rampart::auth::RemoteKeys::at("https://idp.example/jwks.json", client).unwrap();
    let issuer = Issuer::new(ISSUER).audience("api").algorithms([Algorithm::Hs256]).keys(keys);
    let error = JwtVerifier::new([issuer]).unwrap_err();
    assert!(error.to_string().contains("are no algorithms for keys that are fetched"), "{error}");
}
