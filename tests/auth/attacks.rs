//! Bad input, and what it comes to.

use std::time::Duration;

use jsonwebtoken::{Algorithm as Backend, EncodingKey};
use serde_json::json;
use tower_rampart::auth::{Algorithm, Issuer, JwtVerifier, TokenFault};

use crate::support::{
    AUTHORITY, ISSUER, NOW, SECRET, b64, claims, fault, good_token, issuer, jwks, now, sign_text, token_headed,
    token_with, verify,
};

fn signed(header: &str, claims: &str) -> String {
    sign_text(header, claims, &EncodingKey::from_secret(SECRET), Backend::HS256)
}

const HEADER: &str = r#"{"alg":"HS256","typ":"at+jwt"}"#;

#[test]
fn extensions_that_must_be_understood_are_not() {
    for extension in [json!(["foo"]), json!(["exp"]), json!([]), json!("b64")] {
        assert_eq!(
            fault(&token_headed(json!({ "alg": "HS256", "typ": "at+jwt", "crit": extension }))),
            TokenFault::Extension
        );
    }
    assert_eq!(fault(&token_headed(json!({ "alg": "HS256", "typ": "at+jwt", "b64": false }))), TokenFault::Extension);
}

#[test]
fn no_member_stands_twice() {
    for header in [
        r#"{"alg":"HS256","typ":"at+jwt","alg":"none"}"#,
        r#"{"alg":"HS256","typ":"at+jwt","\u0061lg":"HS256"}"#,
        r#"{"alg":"HS256","typ":"at+jwt","x":1,"x":2}"#,
    ] {
        assert!(matches!(fault(&signed(header, &claims().to_string())), TokenFault::Header(_)), "{header}");
    }
    let text = claims().to_string();
    let twice = |extra: &str| format!("{}{extra}}}", &text[..text.len() - 1]);
    for extra in [r#","sub":"admin""#, r#","role":1,"role":2"#, r#","x":{"a":1,"a":2}"#, r#","x":[{"a":1,"\u0061":2}]"#]
    {
        assert!(matches!(fault(&signed(HEADER, &twice(extra))), TokenFault::Claims(_)), "{extra}");
    }
}

#[test]
fn texts_that_are_no_claims() {
    let text = claims().to_string();
    for bad in [
        format!("{text} x"),
        format!("{text}{text}"),
        "[".repeat(10_000),
        format!("{{\"a\":{}1{}}}", "[".repeat(40), "]".repeat(40)),
        String::from("{\"a\":01}"),
        String::from("{\"a\":\"\\ud800\"}"),
        String::from("{\"a\":1e999}"),
    ] {
        let fault = fault(&signed(HEADER, &bad.chars().take(5000).collect::<String>()));
        assert!(matches!(fault, TokenFault::Claims(_) | TokenFault::TooLong), "{fault:?}");
    }
    for bad in ["[]", "1", "null", "\"x\""] {
        assert_eq!(fault(&signed(HEADER, bad)), TokenFault::ClaimsForm, "{bad}");
    }
    for bad in ["[]", "null"] {
        assert_eq!(fault(&signed(bad, &text)), TokenFault::HeaderForm, "{bad}");
    }
}

#[test]
fn size_comes_before_everything() {
    let long = format!("{}.{}", good_token(), "a".repeat(11 << 20));
    assert_eq!(fault(&long), TokenFault::TooLong);
    assert_eq!(fault(&token_with(json!({ "pad": "x".repeat(9000) }))), TokenFault::TooLong);
}

#[test]
fn dates() {
    let now = NOW as i64;
    for expires in [json!(now + 1), json!(now - 59), json!(now as f64 + 0.5), json!(253_402_300_799_i64)] {
        assert!(verify(&token_with(json!({ "exp": expires }))).is_ok(), "{expires}");
    }
    for expires in [now - 60, now - 61, 0] {
        assert_eq!(fault(&token_with(json!({ "exp": expires }))), TokenFault::Expired, "{expires}");
    }
    for name in ["exp", "nbf", "iat"] {
        for bad in [json!("1"), json!(-1), json!(1e300), json!([now]), json!(u64::MAX), json!(i64::MAX), json!(true)] {
            let TokenFault::ClaimInvalid(claim) = fault(&token_with(json!({ name: bad }))) else {
                panic!("{name} {bad}")
            };
            assert_eq!(claim, name);
        }
        // `null` is not a date either.
        let text = claims().to_string().replace(&format!("\"{name}\":"), "\"was\":");
        let nulled = format!("{},\"{name}\":null}}", &text[..text.len() - 1]);
        assert_eq!(
            fault(&signed(HEADER, &nulled)),
            TokenFault::ClaimInvalid(match name {
                "exp" => "exp",
                "nbf" => "nbf",
                _ => "iat",
            })
        );
    }
    for name in ["nbf", "iat"] {
        assert!(verify(&token_with(json!({ name: now + 60 }))).is_ok());
        assert_eq!(fault(&token_with(json!({ name: now + 61 }))), TokenFault::NotYetValid);
    }
}

#[test]
fn age_and_lifetime() {
    let limited = |issuer: Issuer| {
        let verifier = JwtVerifier::new([issuer]).unwrap();
        move |changes| verifier.verify(token_with(changes).as_bytes(), now()).map(drop)
    };
    let young = limited(issuer().max_age(Duration::from_secs(600)));
    assert!(young(json!({ "iat": NOW - 600 })).is_ok());
    assert_eq!(young(json!({ "iat": NOW - 700 })), Err(TokenFault::TooOld.into()));
    let short = limited(issuer().max_lifetime(Duration::from_secs(600)));
    assert!(short(json!({})).is_ok());
    assert_eq!(short(json!({ "exp": NOW + 10_000 })), Err(TokenFault::TooOld.into()));
}

#[test]
fn sender_constrained_tokens_are_refused() {
    assert_eq!(fault(&token_with(json!({ "cnf": { "jkt": "x" } }))), TokenFault::SenderConstrained);
}

#[test]
fn odd_signatures_are_no_signatures() {
    let authority = &*AUTHORITY;
    let verifier = JwtVerifier::new([Issuer::new(ISSUER)
        .audience("api")
        .algorithms([Algorithm::Es256, Algorithm::Rs256])
        .keys(jwks())])
    .unwrap();
    let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "ec" }).to_string();
    let token = sign_text(&header, &claims().to_string(), &authority.ec, Backend::ES256);
    let (message, _) = token.rsplit_once('.').unwrap();
    // CVE-2022-21449, and signatures of the wrong length or form.
    for signature in [vec![0; 64], vec![1; 63], vec![1; 65], vec![0x30, 6, 2, 1, 1, 2, 1, 1], vec![0xff; 64]] {
        let forged = format!("{message}.{}", b64(&signature));
        assert_eq!(verifier.verify(forged.as_bytes(), now()), Err(TokenFault::Signature.into()));
    }
    let header = json!({ "alg": "RS256", "typ": "at+jwt", "kid": "rsa" }).to_string();
    let swapped = sign_text(&header, &claims().to_string(), &authority.rsa, Backend::PS256);
    assert_eq!(verifier.verify(swapped.as_bytes(), now()), Err(TokenFault::Signature.into()));
}

#[test]
fn roles_scopes_and_tenants_from_where_they_are() {
    let keycloak = issuer().roles_claim("realm_access.roles").tenant_claim("org");
    let verifier = JwtVerifier::new([keycloak]).unwrap();
    let token = token_with(
        json!({ "realm_access": { "roles": ["a", 7, "b"] }, "org": "acme", "scope": null, "scp": ["s1", "s2"] }),
    );
    let identity = verifier.verify(token.as_bytes(), now()).unwrap();
    assert_eq!(identity.roles().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(identity.scopes().collect::<Vec<_>>(), ["s1", "s2"]);
    assert_eq!(identity.tenant(), Some("acme"));
    let spaced = verify(&token_with(json!({ "roles": "a  b", "scope": "" }))).unwrap();
    assert_eq!((spaced.roles().count(), spaced.scopes().count()), (2, 0));
}
