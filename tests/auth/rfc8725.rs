//! RFC 8725 and its successor, check by check.

use jsonwebtoken::{Algorithm as Backend, EncodingKey};
use serde_json::json;
use tower_rampart::auth::{
    Algorithm, Issuer, JwtVerifier, KeySet, Keys, Profile, TokenFault, VerifyError, VerifyingKey,
};

use crate::support::{
    AUTHORITY, ISSUER, SECRET, b64, claims, claims_with, fault, good_token, hs256, issuer, jwks, now, sign_text,
    token_headed, token_with, verify,
};

#[test]
fn a_good_token_is_an_identity() {
    let identity = verify(&good_token()).unwrap();
    assert_eq!((identity.issuer(), identity.subject()), (ISSUER, "alice"));
    assert!(identity.has_role("author") && identity.has_scope("polls:write") && !identity.has_scope("polls"));
}

/// Section 3.1: the algorithms are named, and matched with case.
#[test]
fn b1_only_named_algorithms() {
    for name in ["none", "None", "NONE", "nOnE", "hs256", "HS512", "RS256", "ES256K", ""] {
        assert_eq!(fault(&token_headed(json!({ "alg": name, "typ": "at+jwt" }))), TokenFault::Algorithm, "{name}");
    }
    // Without a signature too.
    let unsigned = format!("{}.{}.", b64(r#"{"alg":"none"}"#), b64(claims().to_string()));
    assert_eq!(fault(&unsigned), TokenFault::Segments);
}

fn remote(algorithms: &[Algorithm]) -> JwtVerifier {
    JwtVerifier::new([Issuer::new(ISSUER).audience("api").algorithms(algorithms.iter().copied()).keys(jwks())]).unwrap()
}

/// Section 3.1: each key is for one algorithm, and a public key is no secret.
#[test]
fn b2_the_algorithm_agrees_with_the_key() {
    let authority = &*AUTHORITY;
    let text = claims().to_string();
    let all = [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa];
    for (name, kid, key, backend) in [
        ("RS256", "rsa", &authority.rsa, Backend::RS256),
        ("ES256", "ec", &authority.ec, Backend::ES256),
        ("EdDSA", "ed", &authority.ed, Backend::EdDSA),
    ] {
        let header = |kid: &str| json!({ "alg": name, "typ": "at+jwt", "kid": kid }).to_string();
        let token = sign_text(&header(kid), &text, key, backend);
        assert!(remote(&all).verify(token.as_bytes(), now()).is_ok(), "{name}");
        // The same signature, said to be by another key.
        for other in ["rsa", "ec", "ed", "x"].into_iter().filter(|other| *other != kid) {
            let token = sign_text(&header(other), &text, key, backend);
            assert_eq!(remote(&all).verify(token.as_bytes(), now()), Err(TokenFault::Key.into()), "{name} {other}");
        }
    }
    // The key says RS256, so it is not used for PS256 though both are allowed.
    let header = json!({ "alg": "PS256", "typ": "at+jwt", "kid": "rsa" }).to_string();
    let token = sign_text(&header, &text, &authority.rsa, Backend::PS256);
    assert_eq!(remote(&all).verify(token.as_bytes(), now()), Err(TokenFault::Key.into()));
    // CVE-2016-10555: a public key as an HMAC secret.
    let header = json!({ "alg": "HS256", "typ": "at+jwt", "kid": "rsa" }).to_string();
    for secret in
        [authority.rsa_pem.as_bytes(), authority.rsa_pem.trim().as_bytes(), authority.jwks.to_string().as_bytes()]
    {
        let token = sign_text(&header, &text, &EncodingKey::from_secret(secret), Backend::HS256);
        assert_eq!(remote(&all).verify(token.as_bytes(), now()), Err(TokenFault::Algorithm.into()));
    }
}

/// Section 3.2: every part is checked, and an encrypted token is none of these.
#[test]
fn b3_all_of_the_cryptography() {
    let token = good_token();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let flipped = format!("{message}.{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
    assert_eq!(fault(&flipped), TokenFault::Signature);
    assert_eq!(fault(&format!("{message}.")), TokenFault::Segments);
    assert_eq!(fault(&format!("{token}.{signature}.x")), TokenFault::Segments);
    for extension in ["enc", "zip"] {
        assert_eq!(
            fault(&token_headed(json!({ "alg": "HS256", "typ": "at+jwt", extension: "x" }))),
            TokenFault::Extension
        );
    }
    let mut other = SECRET.to_vec();
    other[0] ^= 1;
    let forged = sign_text(
        r#"{"alg":"HS256","typ":"at+jwt"}"#,
        &claims().to_string(),
        &EncodingKey::from_secret(&other),
        Backend::HS256,
    );
    assert_eq!(fault(&forged), TokenFault::Signature);
}

/// Section 3.4: keys are looked at before they are used.
#[test]
fn b4_keys_are_sound() {
    let short = json!({ "kty": "RSA", "n": b64([0xff; 128]), "e": "AQAB" });
    let even = json!({ "kty": "RSA", "n": b64([0xff; 256]), "e": b64([2]) });
    let one = json!({ "kty": "RSA", "n": b64([0xff; 256]), "e": b64([1]) });
    let half = json!({ "kty": "EC", "crv": "P-256", "x": b64([1; 31]), "y": b64([1; 32]) });
    let small = json!({ "kty": "OKP", "crv": "Ed25519", "x": b64([1; 31]) });
    for key in [short, even, one, half, small] {
        assert!(KeySet::from_jwks(json!({ "keys": [key] }).to_string().as_bytes()).is_err(), "{key}");
    }
    assert!(VerifyingKey::from_pem(AUTHORITY.rsa_pem.as_bytes()).is_ok());
}

/// Section 3.5: a secret has as many bits as its hash.
#[test]
fn b5_secrets_are_long() {
    for (algorithm, least) in [(Algorithm::Hs256, 32), (Algorithm::Hs384, 48), (Algorithm::Hs512, 64)] {
        assert!(VerifyingKey::hmac(&vec![7; least], algorithm).is_ok());
        let error = VerifyingKey::hmac(&vec![7; least - 1], algorithm).unwrap_err();
        assert!(error.to_string().contains(&format!("draw {least} random bytes")), "{error}");
    }
    assert!(VerifyingKey::hmac(&[], Algorithm::Hs256).is_err());
    assert!(VerifyingKey::hmac(&[7; 64], Algorithm::Rs256).is_err());
}

/// Section 3.7: UTF-8 and nothing else.
#[test]
fn b6_utf8_only() {
    let good = claims().to_string();
    let header = r#"{"alg":"HS256","typ":"at+jwt"}"#;
    let key = EncodingKey::from_secret(SECRET);
    let signed = |claims: &[u8]| {
        let message = format!("{}.{}", b64(header), b64(claims));
        let signer = (jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.signer_factory)(&Backend::HS256, &key).unwrap();
        format!("{message}.{}", b64(signer.try_sign(message.as_bytes()).unwrap()))
    };
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let marked = [b"\xef\xbb\xbf", good.as_bytes()].concat();
    let broken = [good.as_bytes(), b"\xff"].concat();
    for bytes in [utf16, marked, broken] {
        assert!(matches!(fault(&signed(&bytes)), TokenFault::Claims(_)));
    }
}

/// Section 3.8: an issuer's keys open no other issuer's tokens.
#[test]
fn b7_keys_belong_to_their_issuer() {
    let other = [9; 32];
    let second = Issuer::new("https://other.example/")
        .audience("api")
        .algorithms([Algorithm::Hs256])
        .keys(KeySet::new([VerifyingKey::hmac(&other, Algorithm::Hs256).unwrap()]));
    let verifier = JwtVerifier::new([issuer(), second]).unwrap();
    let signed = |issuer: &str, secret: &[u8]| {
        let claims = claims_with(json!({ "iss": issuer })).to_string();
        sign_text(r#"{"alg":"HS256","typ":"at+jwt"}"#, &claims, &EncodingKey::from_secret(secret), Backend::HS256)
    };
    let verify = |token: String| verifier.verify(token.as_bytes(), now());
    assert_eq!(verify(signed("https://other.example/", &other)).unwrap().issuer(), "https://other.example/");
    assert_eq!(verify(signed(ISSUER, SECRET)).unwrap().issuer(), ISSUER);
    assert_eq!(verify(signed(ISSUER, &other)), Err(TokenFault::Signature.into()));
    assert_eq!(verify(signed("https://other.example/", SECRET)), Err(TokenFault::Signature.into()));
    for name in ["https://idp.example", "https://IDP.example/", "https://third.example/"] {
        assert_eq!(verify(signed(name, SECRET)), Err(TokenFault::ClaimInvalid("iss").into()), "{name}");
        assert_eq!(fault(&token_with(json!({ "iss": name }))), TokenFault::ClaimInvalid("iss"));
    }
    assert_eq!(fault(&token_with(json!({ "iss": null }))), TokenFault::ClaimMissing("iss"));
    for list in [json!(["evil", ISSUER]), json!(5), json!([ISSUER])] {
        assert_eq!(fault(&token_with(json!({ "iss": list }))), TokenFault::ClaimInvalid("iss"));
    }
}

/// Section 3.8: a caller is the pair of issuer and subject.
#[test]
fn b8_a_subject_belongs_to_its_issuer() {
    for subject in [json!({ "a": 1 }), json!(7), json!("")] {
        assert_eq!(fault(&token_with(json!({ "sub": subject }))), TokenFault::ClaimInvalid("sub"));
    }
    assert_eq!(fault(&token_with(json!({ "sub": null }))), TokenFault::ClaimMissing("sub"));
}

/// Section 3.9: tokens are made for somebody.
#[test]
fn b9_the_audience_is_ours() {
    for ours in [json!("api"), json!(["api"]), json!(["other", "api"])] {
        assert!(verify(&token_with(json!({ "aud": ours }))).is_ok());
    }
    for other in [
        json!("API"),
        json!("api "),
        json!([]),
        json!(["evil", 7]),
        json!(["api", 7]),
        json!([["api"]]),
        json!(7),
        json!({ "api": 1 }),
    ] {
        assert_eq!(fault(&token_with(json!({ "aud": other }))), TokenFault::ClaimInvalid("aud"), "{other}");
    }
    assert_eq!(fault(&token_with(json!({ "aud": null }))), TokenFault::ClaimMissing("aud"));
    let error = JwtVerifier::new([Issuer::new(ISSUER).algorithms([Algorithm::Hs256])]).unwrap_err();
    assert!(error.to_string().contains("audience: is missing"), "{error}");
    let any = JwtVerifier::new([Issuer::new(ISSUER)
        .dangerous_any_audience()
        .algorithms([Algorithm::Hs256])
        .keys(crate::support::secret_keys())])
    .unwrap();
    assert!(any.verify(token_with(json!({ "aud": "other" })).as_bytes(), now()).is_ok());
}

/// Section 3.10: what a token says of keys is not believed.
#[test]
fn b10_nothing_in_a_header_is_followed() {
    for kid in [json!("../../dev/null"), json!("' OR 1=1 --"), json!("a\u{0}b"), json!("ключ"), json!("")] {
        assert_eq!(
            fault(&token_headed(json!({ "alg": "HS256", "typ": "at+jwt", "kid": kid }))),
            TokenFault::Key,
            "{kid}"
        );
    }
    for kid in [json!(["a"]), json!(7), json!("k".repeat(257)), json!(null)] {
        assert_eq!(
            fault(&token_headed(json!({ "alg": "HS256", "typ": "at+jwt", "kid": kid }))),
            TokenFault::HeaderForm,
            "{kid}"
        );
    }
    // CVE-2018-0114: a key that the attacker brings along.
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "jwk": AUTHORITY.jwks["keys"][2], "jku": "https://evil.example/", "x5u": "https://evil.example/" });
    let token = sign_text(&header.to_string(), &claims().to_string(), &AUTHORITY.ed, Backend::EdDSA);
    let verifier = Issuer::new(ISSUER).audience("api").algorithms([Algorithm::EdDsa]).keys(
        KeySet::from_jwks(
            json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": b64([3; 32]) }] }).to_string().as_bytes(),
        )
        .unwrap(),
    );
    assert_eq!(
        JwtVerifier::new([verifier]).unwrap().verify(token.as_bytes(), now()),
        Err(TokenFault::Signature.into())
    );
}

/// Section 3.11: tokens say what they are.
#[test]
fn b11_types_are_explicit() {
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
        assert!(verify(&token_headed(json!({ "alg": "HS256", "typ": typ }))).is_ok(), "{typ}");
    }
    for typ in ["JWT", "id+jwt", "dpop+jwt", "at+jwt ", "text/at+jwt", ""] {
        assert_eq!(fault(&token_headed(json!({ "alg": "HS256", "typ": typ }))), TokenFault::Type, "{typ}");
    }
    assert_eq!(fault(&token_headed(json!({ "alg": "HS256" }))), TokenFault::Type);
}

/// Section 3.12: a token of one kind passes for no other.
#[test]
fn b12_kinds_exclude_each_other() {
    let with = |profile| JwtVerifier::new([issuer().profile(profile)]).unwrap();
    let accepts = |profile: Profile, typ: &str| {
        with(profile).verify(token_headed(json!({ "alg": "HS256", "typ": typ })).as_bytes(), now()).is_ok()
    };
    assert!(accepts(Profile::AnyJwt, "JWT") && accepts(Profile::AnyJwt, "at+jwt"));
    assert!(!accepts(Profile::AnyJwt, "secevent+jwt") && !accepts(Profile::AnyJwt, "logout+jwt"));
    assert!(accepts(Profile::Typed("poll+jwt".into()), "application/poll+jwt"));
    assert!(!accepts(Profile::Typed("poll+jwt".into()), "at+jwt"));
    // RFC 9068 section 4: an access token lacks none of these.
    for claim in ["client_id", "iat", "jti", "exp"] {
        assert_eq!(
            fault(&token_with(json!({ claim: null }))),
            TokenFault::ClaimMissing(match claim {
                "client_id" => "client_id",
                "iat" => "iat",
                "jti" => "jti",
                _ => "exp",
            })
        );
    }
}

/// The successor's check of the form.
#[test]
fn b13_characters_come_first() {
    let good = good_token();
    for bad in [
        format!(" {good}"),
        format!("{good} "),
        format!("{good}="),
        good.replace('.', "/"),
        format!("{good}\n"),
        good.replace('e', "+"),
        format!("{good}\u{e9}"),
    ] {
        assert_eq!(fault(&bad), TokenFault::Characters, "{bad:?}");
    }
    for (parts, _) in [("a.b", 2), ("a.b.c.d", 4), ("a.b.c.d.e", 5), ("", 0), ("..", 3), ("a..b", 3), (".a.b", 3)] {
        assert_eq!(fault(parts), TokenFault::Segments, "{parts}");
    }
    // One value, one spelling: the last character's unused bits are zero.
    let header = b64(r#"{"alg":"HS256","typ":"at+jwt" }"#);
    assert!(!header.len().is_multiple_of(4));
    let (rest, last) = header.split_at(header.len() - 1);
    let next = char::from(last.as_bytes()[0] + 1);
    let (_, tail) = good.split_once('.').unwrap();
    assert_eq!(fault(&format!("{rest}{next}.{tail}")), TokenFault::Base64);
}

/// The successor's checks of encrypted tokens: there are none here.
#[test]
fn b14_encrypted_tokens_are_refused() {
    let header = b64(r#"{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2000000000,"p2s":"AAAA"}"#);
    assert_eq!(fault(&format!("{header}.AAAA.AAAA.AAAA.AAAA")), TokenFault::Segments);
    assert_eq!(fault(&format!("{header}.AAAA.AAAA")), TokenFault::Extension);
}

/// RFC 9864: `Ed25519` says which curve, `EdDSA` does not; both are understood.
#[test]
fn b15_fully_specified_names() {
    for name in ["EdDSA", "Ed25519"] {
        let header = json!({ "alg": name, "typ": "at+jwt", "kid": "ed" }).to_string();
        let token = sign_text(&header, &claims().to_string(), &AUTHORITY.ed, Backend::EdDSA);
        assert!(remote(&[Algorithm::EdDsa]).verify(token.as_bytes(), now()).is_ok(), "{name}");
    }
    assert_eq!("Ed25519".parse::<Algorithm>().unwrap(), Algorithm::EdDsa);
}

#[test]
fn without_keys_nobody_is_to_blame() {
    let issuer = Issuer::new(ISSUER).audience("api").algorithms([Algorithm::Hs256]).keys(Keys::none());
    let verifier = JwtVerifier::new([issuer]).unwrap();
    assert_eq!(verifier.verify(good_token().as_bytes(), now()), Err(VerifyError::NoKeys));
    let _ = hs256(json!({}), &claims());
}
