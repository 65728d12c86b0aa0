//! Makes the circuit breaker's engine into modules that loom can explore: as it stands, and with one fault each.

use std::fs;
use std::path::{Path, PathBuf};

const FILES: [&str; 7] = ["probes", "state", "terms", "window", "word", "machine", "half_open"];

/// A fault: its name, the file, what stands there once, and what stands there instead.
const FAULTS: [(&str, &str, &str, &str); 7] = [
    // A transition begins no generation, so that results from before it count.
    (
        "no_generation",
        "word",
        "Self::new(phase, attempts, self.generation().wrapping_add(1), payload)",
        "Self::new(phase, attempts, self.generation(), payload)",
    ),
    // A probe's result is taken for that of whoever has its slot now.
    (
        "any_probe",
        "half_open",
        "word.generation() == generation && word.phase() == Phase::HalfOpen",
        "word.phase() == Phase::HalfOpen",
    ),
    // The word is written, not exchanged: two may take the same slot.
    (
        "no_exchange",
        "machine",
        "self.word.compare_exchange(from.bits(), to.bits(), Ordering::AcqRel, Ordering::Acquire).is_ok()",
        "{ let _ = from; self.word.store(to.bits(), Ordering::Release); true }",
    ),
    // A slot that is given back leaves no trace, so that the next holder's is taken for it.
    ("no_returns", "half_open", "word.with_returned(slot)", "word.with_slot(slot, Slot::Free)"),
    // A lease is written by whoever took the slot, however long ago.
    (
        "late_lease",
        "probes",
        "let _ = lease.fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| (!keeps(held)).then_some(begun));",
        "let _ = keeps; lease.store(begun, Ordering::Release);",
    ),
    // A bit is counted, whether it was there before or not.
    ("lost_count", "window", "(true, false) => drop(self.set.update(generation, |set| set.wrapping_sub(1))),", ""),
    // A count is read and written in two steps.
    (
        "torn_count",
        "window",
        "match self.0.compare_exchange_weak(current, next, Ordering::SeqCst, Ordering::SeqCst) {\n                Ok(_) => return Some((before, after)),",
        "match { self.0.store(next, Ordering::SeqCst); Ok::<u64, u64>(0) } {\n                Ok(_) => return Some((before, after)),",
    ),
];

fn main() {
    let engine = Path::new("../../src/layers/circuit_breaker");
    println!("cargo::rerun-if-changed={}", engine.display());
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap());
    write(engine, &out.join("sound.rs"), None);
    for fault in FAULTS {
        write(engine, &out.join(format!("{}.rs", fault.0)), Some(fault));
    }
}

fn write(engine: &Path, to: &Path, fault: Option<(&str, &str, &str, &str)>) {
    let mut code = String::from("mod sync { pub(super) use loom::sync::atomic::{AtomicU64, Ordering}; }\n");
    for file in FILES {
        let mut text = fs::read_to_string(engine.join(format!("{file}.rs"))).unwrap();
        if let Some((name, _, from, into)) = fault.filter(|fault| fault.1 == file) {
            assert_eq!(text.matches(from).count(), 1, "the place of the fault `{name}` has moved");
            text = text.replace(from, into);
        }
        // Included files have no documentation of their own.
        let text: String =
            text.lines().filter(|line| !line.starts_with("//!")).map(|line| format!("{line}\n")).collect();
        code.push_str(&format!("pub(crate) mod {file} {{\n{text}\n}}\n"));
    }
    fs::write(to, code).unwrap();
}
