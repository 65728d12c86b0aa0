//! The same by the clock. Quote ratios of one run: machines are noisy.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use peers::tokens::{
    Job, bare_decode, bare_signature, hs256, junk, jwt_authorizer, rampart_anew, rampart_knowing, rampart_secret,
    request, rs256, tower_oauth2,
};

fn tokens(c: &mut Criterion) {
    let rows: [(&str, Job); 10] = [
        ("RS256/signature alone", rs256(bare_signature)),
        ("RS256/tower-rampart, known", rs256(rampart_knowing)),
        ("RS256/tower-rampart, anew", rs256(rampart_anew)),
        ("RS256/tower-oauth2-resource-server", rs256(tower_oauth2)),
        ("RS256/jwt-authorizer", rs256(jwt_authorizer)),
        ("HS256/jsonwebtoken::decode", hs256(bare_decode)),
        ("HS256/tower-rampart", hs256(rampart_secret)),
        ("junk/tower-rampart", junk(rampart_knowing)),
        ("junk/tower-oauth2-resource-server", junk(tower_oauth2)),
        ("junk/jwt-authorizer", junk(jwt_authorizer)),
    ];
    for (name, Job { mut contender, token, .. }) in rows {
        let prepare = || request(token);
        c.bench_function(name, |bencher| {
            bencher.iter_batched(prepare, |request| contender.check(black_box(request)), BatchSize::SmallInput);
        });
    }
}

criterion_group!(benches, tokens);
criterion_main!(benches);
