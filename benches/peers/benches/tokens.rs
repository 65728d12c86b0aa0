//! Instructions and allocations of one checked token, under callgrind and DHAT: the same on a busy machine.
//!
//! Needs valgrind, and `gungraun-runner` of the version in `Cargo.lock`.

use std::hint::black_box;

use gungraun::prelude::*;
use gungraun::{Dhat, LibraryBenchmarkConfig};
use peers::tokens::{
    Job, bare_decode, bare_signature, hs256, junk, jwt_authorizer, rampart_anew, rampart_knowing, rampart_secret,
    rampart_secret_alone, rs256, tower_oauth2,
};

// An RS256 token that was seen once before.
#[library_benchmark]
#[bench::signature_alone(rs256(bare_signature))]
#[bench::tower_rampart(rs256(rampart_knowing))]
#[bench::tower_rampart_anew(rs256(rampart_anew))]
#[bench::tower_oauth2_resource_server(rs256(tower_oauth2))]
#[bench::jwt_authorizer(rs256(jwt_authorizer))]
fn rsa(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

// An HS256 token: parsing is most of it.
#[library_benchmark]
#[bench::jsonwebtoken_decode(hs256(bare_decode))]
#[bench::tower_rampart_verifier(hs256(rampart_secret_alone))]
#[bench::tower_rampart(hs256(rampart_secret))]
fn secret(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

// A token that is none.
#[library_benchmark]
#[bench::tower_rampart(junk(rampart_knowing))]
#[bench::tower_oauth2_resource_server(junk(tower_oauth2))]
#[bench::jwt_authorizer(junk(jwt_authorizer))]
fn refused(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

library_benchmark_group!(name = token_peers, benchmarks = [rsa, secret, refused]);

main!(config = LibraryBenchmarkConfig::default().tool(Dhat::default()), library_benchmark_groups = token_peers);
