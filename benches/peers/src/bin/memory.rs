//! Ten million clients that are seen once: resident memory, and the slowest single request. And a cache under a flood of
//! keys that are asked for once.
//!
//! `cargo run --release -p peers --bin memory`. Each limiter, and each cache, has a process of its own.

use std::convert::Infallible;
use std::error::Error;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use peers::caches;
use peers::limits::{client, governor, rampart, request, respond, tower_governor};
use tower::{Layer, Service, service_fn};
use tower_rampart::cache::Cache;

const KEYS: u32 = 10_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("governor, bare") => measure(governor::check()),
        Some("tower_governor") => measure(tower_governor::silent()),
        Some("tower-rampart") => measure(rampart::silent()),
        Some("cache, 100 bytes") => flood(100),
        Some("cache, 10 KiB") => flood(10 << 10),
        Some(other) => Err(format!("`{other}` is no limiter"))?,
        None => {
            println!("| limiter | resident memory | a key | slowest request |\n|---|---|---|---|");
            for name in ["governor, bare", "tower_governor", "tower-rampart"] {
                let output = Command::new(std::env::current_exe()?).arg(name).output()?;
                print!("| {name} {}", String::from_utf8(output.stdout)?);
            }
            println!("\n| a cache of 64 MiB, with bodies of | resident memory | of what it was told |\n|---|---|---|");
            for name in ["cache, 100 bytes", "cache, 10 KiB"] {
                let output = Command::new(std::env::current_exe()?).arg(name).output()?;
                print!("| {name} {}", String::from_utf8(output.stdout)?);
            }
            Ok(())
        }
    }
}

/// What the cache may hold, and how many keys ask for room in it.
const CACHE_BYTES: u64 = 64 << 20;
const FLOOD: u32 = 1_000_000;

fn flood(body_bytes: usize) -> Result<(), Box<dyn Error>> {
    let cache = Cache::builder().bytes(CACHE_BYTES).build()?;
    let handler = service_fn(move |_: Request<()>| async move {
        Ok::<_, Infallible>(caches::answer(Full::new(Bytes::from(vec![b'x'; body_bytes]))))
    });
    let mut service = cache.layer().layer(handler);
    let before = resident_bytes()?;
    for n in 0..FLOOD {
        let request = Request::get(format!("/v1/polls/{n}")).header("host", "example.org").body(())?;
        if let Some(Ok(response)) = service.call(request).now_or_never() {
            drop(response.into_body().collect().now_or_never());
        }
    }
    let resident = resident_bytes()?.saturating_sub(before);
    println!("| {} MiB | {:.2} |", resident >> 20, resident as f64 / CACHE_BYTES as f64);
    Ok(())
}

fn measure<S, B>(mut service: S) -> Result<(), Box<dyn Error>>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    let before = resident_bytes()?;
    let mut slowest = Duration::ZERO;
    for n in 0..KEYS {
        let request = request(client(n));
        let started = Instant::now();
        drop(respond(&mut service, request));
        slowest = slowest.max(started.elapsed());
    }
    let bytes = resident_bytes()?.saturating_sub(before);
    println!(
        "| {} MiB | {:.1} bytes | {:.1} ms |",
        bytes >> 20,
        bytes as f64 / f64::from(KEYS),
        slowest.as_secs_f64() * 1e3
    );
    Ok(())
}

fn resident_bytes() -> Result<u64, Box<dyn Error>> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let resident: u64 = pages.split(' ').nth(1).ok_or("statm has no second field")?.parse()?;
    Ok(resident * 4096)
}
