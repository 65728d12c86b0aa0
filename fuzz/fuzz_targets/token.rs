//! Any token and any key set is judged without a panic, and nothing that nobody signed is taken.
#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use libfuzzer_sys::fuzz_target;
use tower_rampart::auth::{Algorithm, Issuer, JwtVerifier, KeySet, Keys, VerifyingKey, verify_jws};

fuzz_target!(|input: (&[u8], &[u8])| {
    let (token, jwks) = input;
    let secret = VerifyingKey::hmac(b"0123456789abcdef0123456789abcdef", Algorithm::Hs256).expect("long enough");
    let keys = KeySet::from_jwks(jwks).unwrap_or_else(|_| KeySet::new([secret]));
    let algorithms = [Algorithm::Hs256, Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256];
    assert!(verify_jws(token, &keys, &algorithms).is_err());
    let public = [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Es384, Algorithm::Rs256, Algorithm::Ps256];
    let issuer = Issuer::new("i").audience("a").algorithms(public).keys(keys);
    let keyless = Issuer::new("j").audience("a").algorithms([Algorithm::Es256]).keys(Keys::none());
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    // Algorithms that fit none of its keys are an error of the issuer.
    let sound = JwtVerifier::new([issuer, keyless.clone()]).or_else(|_| JwtVerifier::new([keyless]));
    assert!(sound.expect("a sound issuer").verify(token, now).is_err());
});
