//! Tokens that were verified before, and those that were revoked.

#[path = "../../src/layers/auth/known.rs"]
#[allow(dead_code, reason = "not all of it is asked for here")]
mod known;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::json;
use tower_rampart::auth::{
    Algorithm, Denylist, DenylistFull, Issuer, JwtVerifier, KeySet, Keys, Revocation, TokenFacts, TokenFault,
    VerifyError,
};

use crate::support::{AUTHORITY, ISSUER, NOW, claims_with, issuer, jwks, now, sign_text, token_with};

fn signed(changes: serde_json::Value) -> String {
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "ed" }).to_string();
    sign_text(&header, &claims_with(changes).to_string(), &AUTHORITY.ed, jsonwebtoken::Algorithm::EdDSA)
}

fn remote(keys: impl Into<Keys>) -> JwtVerifier {
    JwtVerifier::new([Issuer::new(ISSUER).audience("api").algorithms([Algorithm::EdDsa]).keys(keys)]).unwrap()
}

fn later(seconds: u64) -> std::time::SystemTime {
    now() + Duration::from_secs(seconds)
}

#[test]
fn a_known_token_still_expires() {
    let verifier = remote(jwks());
    let token = signed(json!({}));
    for seconds in [0, 1, 299, 300, 359] {
        assert_eq!(verifier.verify(token.as_bytes(), later(seconds)).unwrap().subject(), "alice", "{seconds}");
    }
    assert_eq!(verifier.verify(token.as_bytes(), later(360)), Err(TokenFault::Expired.into()));
    // And a clock that went back does not make an early token good.
    let early = signed(json!({ "iat": NOW, "nbf": NOW }));
    assert!(verifier.verify(early.as_bytes(), now()).is_ok());
    assert_eq!(
        verifier.verify(early.as_bytes(), now() - Duration::from_secs(100)),
        Err(TokenFault::NotYetValid.into())
    );
}

#[test]
fn a_known_token_goes_with_its_keys() {
    let keys: Keys = jwks().into();
    let verifier = remote(keys.clone());
    let twin = verifier.clone();
    let token = signed(json!({}));
    assert!(verifier.verify(token.as_bytes(), now()).is_ok() && twin.verify(token.as_bytes(), now()).is_ok());
    let other = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "x", "x": crate::support::b64([3; 32]) }] });
    keys.replace(KeySet::from_jwks(other.to_string().as_bytes()).unwrap());
    assert_eq!(verifier.verify(token.as_bytes(), now()), Err(TokenFault::Key.into()));
    keys.replace(jwks());
    assert!(verifier.verify(token.as_bytes(), now()).is_ok());
}

#[test]
fn what_is_nearly_a_known_token_is_not_known() {
    let verifier = remote(jwks()).max_cached_tokens(1);
    let token = signed(json!({}));
    assert!(verifier.verify(token.as_bytes(), now()).is_ok());
    let (message, signature) = token.rsplit_once('.').unwrap();
    let swapped = format!("{message}.{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
    assert_eq!(verifier.verify(swapped.as_bytes(), now()), Err(TokenFault::Signature.into()));
    let cut = &token[..token.len() - 1];
    assert!(verifier.verify(cut.as_bytes(), now()).is_err());
    // Others take its place, and it is verified anew.
    for n in 0..100 {
        let token = signed(json!({ "sub": format!("user-{n}") }));
        assert_eq!(verifier.verify(token.as_bytes(), now()).unwrap().subject(), format!("user-{n}"));
    }
    assert!(verifier.verify(token.as_bytes(), now()).is_ok());
}

#[test]
fn threads_share_what_is_known() {
    let verifier = remote(jwks()).max_cached_tokens(16);
    let tokens: Vec<_> = (0..32).map(|n| signed(json!({ "sub": n.to_string() }))).collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    for (n, token) in tokens.iter().enumerate() {
                        assert_eq!(verifier.verify(token.as_bytes(), now()).unwrap().subject(), n.to_string());
                    }
                }
            });
        }
    });
}

#[test]
fn a_revoked_token_is_no_good_though_it_is_known() {
    for verifier in [remote(jwks()), JwtVerifier::new([issuer()]).unwrap().max_cached_tokens(10)] {
        let token = |jti: &str, subject: &str| {
            let changes = json!({ "jti": jti, "sub": subject });
            if format!("{verifier:?}").contains("EdDsa") { signed(changes) } else { token_with(changes) }
        };
        let denylist = Denylist::new(10);
        let verifier = verifier.clone().revocation(denylist.clone());
        let (one, two, bob) = (token("1", "alice"), token("2", "alice"), token("3", "bob"));
        let verify = |token: &str| verifier.verify(token.as_bytes(), now()).map(drop);
        assert_eq!([verify(&one), verify(&two), verify(&bob)], [Ok(()); 3]);
        denylist.revoke(ISSUER, "1", later(300), now()).unwrap();
        denylist.revoke("https://other.example/", "2", later(300), now()).unwrap();
        assert_eq!([verify(&one), verify(&two)], [Err(VerifyError::Refused(TokenFault::Revoked)), Ok(())]);
        denylist.log_out(ISSUER, "alice", later(300), now()).unwrap();
        assert_eq!([verify(&two), verify(&bob)], [Err(VerifyError::Refused(TokenFault::Revoked)), Ok(())]);
        // What was issued afterwards is good.
        let new = claims_with(json!({ "jti": "9", "iat": NOW + 1 }));
        let new = crate::support::hs256(json!({ "alg": "HS256", "typ": "at+jwt" }), &new);
        assert!(JwtVerifier::new([issuer()]).unwrap().revocation(denylist).verify(new.as_bytes(), later(2)).is_ok());
    }
}

#[test]
fn a_denylist_is_bounded_and_forgets_what_has_run_out() {
    let denylist = Denylist::new(2);
    let revoke = |id: &str, expires: u64, at: u64| denylist.revoke(ISSUER, id, later(expires), later(at));
    assert_eq!(
        [revoke("a", 10, 0), revoke("b", 20, 0), revoke("b", 30, 0), revoke("c", 30, 0)],
        [Ok(()), Ok(()), Ok(()), Err(DenylistFull)]
    );
    // An expired token may still be let in while clocks differ, by five minutes at most.
    assert_eq!([revoke("c", 400, 309), revoke("c", 400, 310)], [Err(DenylistFull), Ok(())]);
    assert_eq!(denylist.log_out(ISSUER, "alice", later(10), now()), Ok(()));
    assert!(!format!("{denylist:?}").contains("alice"));
}

/// The leeway lets a token in after it has expired. One that was revoked is none of those.
#[test]
fn a_revoked_token_does_not_come_back_when_it_expires() {
    let denylist = Denylist::new(1);
    let verifier = remote(jwks()).revocation(denylist.clone());
    let token = signed(json!({}));
    denylist.revoke(ISSUER, "1", later(300), now()).unwrap();
    for seconds in [0, 299, 300, 301, 359] {
        let verified = verifier.verify(token.as_bytes(), later(seconds));
        assert_eq!(verified, Err(TokenFault::Revoked.into()), "{seconds}");
    }
    assert_eq!(verifier.verify(token.as_bytes(), later(360)), Err(TokenFault::Expired.into()));
}

/// A clock that went back, or two that log somebody out at once, give no token back.
#[test]
fn what_was_revoked_stays_so() {
    let denylist = Denylist::new(1);
    let verifier = remote(jwks()).revocation(denylist.clone());
    let token = signed(json!({ "exp": NOW + 2000, "iat": NOW }));
    let is_revoked = || verifier.verify(token.as_bytes(), later(1500)) == Err(TokenFault::Revoked.into());
    denylist.revoke(ISSUER, "1", later(2000), now()).unwrap();
    denylist.revoke(ISSUER, "1", later(100), now()).unwrap();
    assert!(is_revoked());
    let denylist = Denylist::new(1);
    let verifier = remote(jwks()).revocation(denylist.clone());
    let is_revoked = || verifier.verify(token.as_bytes(), later(1500)) == Err(TokenFault::Revoked.into());
    denylist.log_out(ISSUER, "alice", later(2000), later(10)).unwrap();
    denylist.log_out(ISSUER, "alice", later(100), now() - Duration::from_secs(10)).unwrap();
    assert!(is_revoked());
}

/// What was known before a clock went back makes room.
#[test]
fn a_clock_that_goes_back_leaves_room_for_what_is_new() {
    let known = self::known::Known::with_room_for(8);
    let keys: Vec<_> = (0_u8..16).map(|at| known.key(&[at])).collect();
    for key in &keys[..8] {
        known.put(*key, 1000.0, ());
    }
    for (at, key) in keys[8..].iter().enumerate() {
        known.put(*key, 10.0 + at as f64, ());
    }
    assert!(keys[8..].iter().all(|key| known.get(*key).is_some()));
    // Else the oldest goes.
    known.put(known.key(b"newest"), 20.0, ());
    assert!(known.get(keys[8]).is_none() && keys[9..].iter().all(|key| known.get(*key).is_some()));
}

#[test]
fn whose_a_token_is_stays_with_whoever_revokes() {
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<String>>);
    impl Revocation for Seen {
        fn is_revoked(&self, token: TokenFacts<'_>, _: SystemTime) -> bool {
            *self.0.lock().unwrap() = format!("{token:?}");
            false
        }
    }
    let seen = Seen::default();
    let verifier = JwtVerifier::new([issuer()]).unwrap().revocation(seen.clone());
    verifier.verify(token_with(json!({ "jti": "number-7" })).as_bytes(), now()).unwrap();
    let shown = seen.0.lock().unwrap().clone();
    assert!(shown.contains(ISSUER) && !shown.contains("alice") && !shown.contains("number-7"), "{shown}");
}
