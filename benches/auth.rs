//! What do authentication and authorization cost by the clock? Quote ratios of one run: machines are noisy.

use std::hint::black_box;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use criterion::{Criterion, criterion_group, criterion_main};
use http::Method;
use tower_rampart::Identity;
use tower_rampart::auth::{Algorithm, Issuer, JwtVerifier, KeySet, VerifyingKey};
use tower_rampart::authz::{PolicyContext, PolicyTable, Rule};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn message(algorithm: &str) -> String {
    let header = format!("{{\"alg\":\"{algorithm}\",\"typ\":\"at+jwt\",\"kid\":\"1\"}}");
    let claims = "{\"iss\":\"https://idp.example/\",\"aud\":\"api\",\"sub\":\"alice\",\"client_id\":\"app\",\"jti\":\"1\",\
         \"iat\":1799999990,\"exp\":1800000300,\"scope\":\"polls:read polls:write\",\"roles\":[\"author\"]}";
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

fn verifier(algorithm: Algorithm, keys: KeySet) -> JwtVerifier {
    let issuer = Issuer::new("https://idp.example/").audience("api").algorithms([algorithm]).keys(keys);
    JwtVerifier::new([issuer]).unwrap()
}

fn secret() -> (JwtVerifier, String) {
    let message = message("HS256");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET);
    let signature = URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, message.as_bytes()));
    let key = VerifyingKey::hmac(SECRET, Algorithm::Hs256).unwrap().with_id("1");
    (verifier(Algorithm::Hs256, KeySet::new([key])), format!("{message}.{signature}"))
}

fn ed25519() -> (JwtVerifier, String) {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    let message = message("EdDSA");
    let signature = URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()));
    let x = URL_SAFE_NO_PAD.encode(key.public_key());
    let jwks = format!("{{\"keys\":[{{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"1\",\"x\":\"{x}\"}}]}}");
    (verifier(Algorithm::EdDsa, KeySet::from_jwks(jwks.as_bytes()).unwrap()), format!("{message}.{signature}"))
}

/// What does a token cost that is new, one that is known, and one that is none?
fn tokens(c: &mut Criterion) {
    let mut group = c.benchmark_group("auth/token");
    let (verifier, token) = secret();
    group.bench_function("HS256", |bencher| bencher.iter(|| verifier.verify(black_box(token.as_bytes()), now())));
    let known = verifier.max_cached_tokens(100);
    group.bench_function("HS256, known", |bencher| bencher.iter(|| known.verify(black_box(token.as_bytes()), now())));
    let (known, token) = ed25519();
    let anew = known.clone().max_cached_tokens(0);
    group.bench_function("Ed25519", |bencher| bencher.iter(|| anew.verify(black_box(token.as_bytes()), now())));
    group.bench_function("Ed25519, known", |bencher| bencher.iter(|| known.verify(black_box(token.as_bytes()), now())));
    let unknown_key = token.replacen("ey", "eX", 1);
    let long = "a".repeat(1 << 20);
    for (name, junk) in
        [("a word", "junk"), ("a megabyte", &long), ("half a token", &token[..80]), ("another header", &unknown_key)]
    {
        group.bench_function(format!("junk: {name}"), |bencher| {
            bencher.iter(|| anew.verify(black_box(junk.as_bytes()), now()).unwrap_err());
        });
    }
    group.finish();
}

/// What does a decision cost among 200 routes?
fn decisions(c: &mut Criterion) {
    let methods = || [Method::GET, Method::POST];
    let table = (0..100).fold(PolicyTable::builder(), |table, n| {
        table
            .add_rule(Rule::allow(format!("list-{n}"), format!("/v1/things{n}")).methods(methods()).roles(["reader"]))
            .add_rule(
                Rule::allow(format!("one-{n}"), format!("/v1/things{n}/{{id}}/parts/{{part}}"))
                    .methods(methods())
                    .scopes(["a"]),
            )
    });
    let table = table.add_rule(Rule::deny("frozen", "/v1/frozen/{*rest}")).build().unwrap();
    let who = Identity::new("idp", "alice").with_roles(["reader"]).with_scopes(["a", "b"]);
    let mut group = c.benchmark_group("authz/decision");
    for (name, path) in
        [("two segments", "/v1/things77"), ("five segments", "/v1/things77/17/parts/4"), ("none", "/v1/nothing/here")]
    {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                black_box(table.decide(&PolicyContext::new(&Method::GET, black_box(path)).with_caller(Some(&who))));
            })
        });
    }
    group.finish();
}

criterion_group!(benches, tokens, decisions);
criterion_main!(benches);
