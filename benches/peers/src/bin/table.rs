//! Everything that is measured, as one table: `cargo run --release -p peers --bin table`, or with part of a name for part of it.
//!
//! Runs `instructions` and `time`, and both again with feature `roas`, reads what gungraun and criterion write about them, and
//! prints Markdown. What they print themselves goes to standard error.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use serde_json::Value;

type Failure = Box<dyn Error>;

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
const LOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
/// Words that are written otherwise than in names of functions.
const WORDS: [(&str, &str); 6] =
    [("get", "GET"), ("post", "POST"), ("json", "JSON"), ("uuid", "UUID"), ("rs256", "RS256"), ("hs256", "HS256")];

fn main() -> Result<(), Failure> {
    let part = std::env::args().nth(1);
    // gungraun wants the whole name, with stars; criterion takes any part of it.
    let stars = part.as_ref().map(|part| format!("*{part}*"));
    let versions = tools()?;
    let started = SystemTime::now();
    for features in [&[][..], &["--features", "roas"]] {
        bench(features, "instructions", &["--save-summary=json"], stars.as_deref())?;
        bench(features, "time", &["--noplot", "--warm-up-time", "1", "--measurement-time", "3"], part.as_deref())?;
    }
    let target = target_directory()?;
    let mut rows = instructions(&target.join("gungraun/peers/instructions"), started)?;
    for row in &mut rows {
        row.time = time(&target.join("criterion"), row, started);
    }
    println!("{versions}\n\n{}", table(&rows, &pins()?));
    Ok(())
}

/// What is needed is there: when, and by what, it is measured.
fn tools() -> Result<String, Failure> {
    let valgrind = output("valgrind", &["--version"]).map_err(|error| {
        format!("valgrind does not run ({error}); install it first, on Debian: apt-get install valgrind")
    })?;
    let locked = locked_version("gungraun")?;
    let mend = format!("`cargo install gungraun-runner --version {locked} --locked`");
    let runner = output("gungraun-runner", &["--version"])
        .map_err(|error| format!("gungraun-runner does not run ({error}); {mend}"))?;
    if !runner.ends_with(&format!(" {locked}")) {
        Err(format!("{runner} is there, and Cargo.lock has gungraun {locked}; {mend}"))?;
    }
    Ok(format!("{}, {}, {valgrind}", output("date", &["-u", "+%F"])?, output("rustc", &["--version"])?))
}

fn output(program: &str, arguments: &[&str]) -> Result<String, Failure> {
    let output = Command::new(program).args(arguments).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        Err(format!("{program}: {}", output.status))?;
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn locked_version(package: &str) -> Result<String, Failure> {
    let lock = fs::read_to_string(LOCK)?;
    let (_, rest) = lock.split_once(&format!("\nname = \"{package}\"\nversion = \"")).ok_or("not in Cargo.lock")?;
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}

fn bench(features: &[&str], name: &str, arguments: &[&str], filter: Option<&str>) -> Result<(), Failure> {
    let mut cargo = Command::new("cargo");
    cargo.args(["bench", "--locked", "--manifest-path", MANIFEST, "--bench", name]).args(features);
    let status = cargo.arg("--").args(arguments).args(filter).stdout(io::stderr()).status()?;
    if status.success() { Ok(()) } else { Err(format!("cargo bench --bench {name}: {status}").into()) }
}

fn target_directory() -> Result<PathBuf, Failure> {
    let metadata = output("cargo", &["metadata", "--no-deps", "--format-version=1", "--manifest-path", MANIFEST])?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    Ok(metadata["target_directory"].as_str().ok_or("cargo names no target directory")?.into())
}

/// One contender at one work: which has taken the place of which in the list is told by when it was measured.
struct Row {
    measured: SystemTime,
    area: String,
    work: String,
    who: String,
    instructions: u64,
    allocations: u64,
    time: Option<f64>,
}

fn instructions(directory: &Path, started: SystemTime) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for (measured, path) in files(directory, "summary.json", started)? {
        let summary = json(&path)?;
        let text = |name: &str| summary[name].as_str().unwrap_or_default().to_owned();
        let metric = |tool: &str, name: &str| {
            let profiles = summary["profiles"].as_array().into_iter().flatten();
            let profile = profiles.clone().find(|profile| profile["tool"] == tool)?;
            profile["data"]["total"]["metrics"][name]["values"]["new"].as_u64()
        };
        rows.push(Row {
            measured,
            area: text("group"),
            work: text("function_name"),
            who: text("id"),
            instructions: metric("Callgrind", "Ir").ok_or("a summary without instructions")?,
            allocations: metric("DHAT", "TotalBlocks").ok_or("a summary without allocations")?,
            time: None,
        });
    }
    rows.sort_by_key(|row| row.measured);
    Ok(rows)
}

/// Nanoseconds of the fastest sample since: what else a machine does only adds to it.
fn time(criterion: &Path, row: &Row, started: SystemTime) -> Option<f64> {
    let path = criterion.join(format!("{}_{}/{}/new/sample.json", row.area, row.work, row.who));
    if path.metadata().ok()?.modified().ok()? < started {
        return None;
    }
    let sample = json(&path).ok()?;
    let numbers = |name: &str| sample[name].as_array().cloned().unwrap_or_default();
    let each = numbers("times").into_iter().zip(numbers("iters"));
    each.filter_map(|(total, calls)| Some(total.as_f64()? / calls.as_f64()?)).min_by(f64::total_cmp)
}

/// Files of this name that were written since.
fn files(directory: &Path, name: &str, since: SystemTime) -> Result<Vec<(SystemTime, PathBuf)>, Failure> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.append(&mut files(&path, name, since)?);
        } else if path.ends_with(name) {
            let written = path.metadata()?.modified()?;
            if written >= since {
                found.push((written, path));
            }
        }
    }
    Ok(found)
}

fn json(path: &Path) -> Result<Value, Failure> {
    Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
}

/// The crates that are measured, with their versions; the longest names first.
fn pins() -> Result<Vec<(String, String)>, Failure> {
    let mut pins = vec![("tower-rampart".to_owned(), String::new())];
    for line in fs::read_to_string(MANIFEST)?.lines() {
        let Some((name, rest)) = line.split_once(" = ") else { continue };
        if let Some((_, version)) = rest.split_once("\"=") {
            pins.push((name.to_owned(), format!(" {}", version.split('"').next().unwrap_or_default())));
        }
    }
    pins.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    Ok(pins)
}

fn table(rows: &[Row], pins: &[(String, String)]) -> String {
    let mut table = String::from("| work | by | instructions · allocations | time |\n|---|---|---|---|\n");
    for of_work in rows.chunk_by(|row, next| (&row.area, &row.work) == (&next.area, &next.work)) {
        let bare = of_work.iter().find(|row| row.who == "no_layer");
        let ours = of_work.iter().find(|row| row.who.starts_with("tower_rampart")).and_then(|row| row.time);
        for (at, row) in of_work.iter().enumerate() {
            let work = if at == 0 { format!("**{}**: {}", words(&row.area), words(&row.work)) } else { String::new() };
            let taken_off = bare.filter(|bare| bare.who != row.who);
            let instructions = row.instructions.saturating_sub(taken_off.map_or(0, |bare| bare.instructions));
            let allocations = row.allocations.saturating_sub(taken_off.map_or(0, |bare| bare.allocations));
            let ratio = match (row.time, ours) {
                (Some(time), Some(ours)) => ratio(time / ours),
                _ => "not measured".to_owned(),
            };
            let _ = writeln!(
                table,
                "| {work} | {} | {} · {allocations} | {ratio} |",
                contender(&row.who, pins),
                thousands(instructions)
            );
        }
    }
    table
}

/// Two figures that mean something.
fn ratio(ratio: f64) -> String {
    if ratio < 10.0 { format!("{ratio:.2}") } else { format!("{ratio:.0}") }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

fn words(name: &str) -> String {
    let word = |word| WORDS.iter().find(|(plain, _)| *plain == word).map_or(word, |(_, written)| *written);
    name.split('_').map(word).collect::<Vec<_>>().join(" ")
}

/// A crate with its version, and what is particular.
fn contender(who: &str, pins: &[(String, String)]) -> String {
    let crates = pins.iter().find_map(|(name, version)| {
        let rest = who.strip_prefix(&name.replace('-', "_"))?;
        (rest.is_empty() || rest.starts_with('_')).then_some((name, version, rest))
    });
    match crates {
        None => words(who),
        Some((name, version, "")) => format!("{name}{version}"),
        Some((name, version, rest)) => format!("{name}{version}, {}", words(rest.trim_start_matches('_'))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(work: &str, who: &str, instructions: u64, allocations: u64, time: impl Into<Option<f64>>) -> Row {
        let (area, work, who) = ("rate_limit".to_owned(), work.to_owned(), who.to_owned());
        Row { measured: SystemTime::UNIX_EPOCH, area, work, who, instructions, allocations, time: time.into() }
    }

    #[test]
    fn the_handler_is_taken_off_and_ours_is_one() {
        let rows = [
            row("admitted", "no_layer", 859, 1, 50.0),
            row("admitted", "tower_rampart", 1882, 1, 100.0),
            row("admitted", "tower_governor_silent", 1_000_859, 3, 1234.0),
            row("refused", "tower_rampart", 9243, 20, None),
        ];
        let pins = [("tower_governor", " 0.8.0"), ("tower-rampart", ""), ("tower", " 0.5.3")];
        let pins = pins.map(|(name, version)| (name.to_owned(), version.to_owned()));
        let expected = "\
            | work | by | instructions · allocations | time |\n\
            |---|---|---|---|\n\
            | **rate limit**: admitted | no layer | 859 · 1 | 0.50 |\n\
            |  | tower-rampart | 1,023 · 0 | 1.00 |\n\
            |  | tower_governor 0.8.0, silent | 1,000,000 · 2 | 12 |\n\
            | **rate limit**: refused | tower-rampart | 9,243 · 20 | not measured |\n";
        assert_eq!(table(&rows, &pins), expected);
    }

    #[test]
    fn every_contender_that_is_pinned_is_found_in_the_manifest() {
        let pins = pins().unwrap();
        assert!(pins.iter().any(|(name, version)| name == "tower-http" && version.starts_with(" 0.")), "{pins:?}");
        assert_eq!(contender("tower_http_cache", &pins).split(' ').next(), Some("tower-http-cache"));
        assert_eq!(contender("six_others", &pins), "six others");
    }
}
