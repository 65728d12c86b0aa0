//! Ten million clients that are seen once: resident memory, and the slowest single request.
//!
//! `cargo run --release -p peers --bin memory`. Each limiter has a process of its own.

use std::convert::Infallible;
use std::error::Error;
use std::process::Command;
use std::time::{Duration, Instant};

use http::{Request, Response};
use peers::limits::{client, governor, rampart, request, respond, tower_governor};
use tower::Service;

const KEYS: u32 = 10_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("governor, bare") => measure(governor::check()),
        Some("tower_governor") => measure(tower_governor::silent()),
        Some("tower-rampart") => measure(rampart::silent()),
        Some(other) => Err(format!("`{other}` is no limiter"))?,
        None => {
            println!("| limiter | resident memory | a key | slowest request |\n|---|---|---|---|");
            for name in ["governor, bare", "tower_governor", "tower-rampart"] {
                let output = Command::new(std::env::current_exe()?).arg(name).output()?;
                print!("| {name} {}", String::from_utf8(output.stdout)?);
            }
            Ok(())
        }
    }
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
