//! What the compiler says of the commonest mistakes: each file of `mistakes/` begins with lines that its error must have, in
//! words of this crate wherever the compiler lets us choose them. What else it says is its own, and changes with it.
//!
//! All are programs of one package, in a folder of its own, which is checked once.
#![cfg(feature = "full")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// By name: what it must be told, and where it is.
fn mistakes() -> BTreeMap<String, (Vec<String>, PathBuf)> {
    let mistake = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let told = text.lines().map_while(|line| line.strip_prefix("//~ ")).map(str::to_owned).collect();
        (path.file_stem().unwrap().to_string_lossy().into_owned(), (told, path))
    };
    fs::read_dir(root().join("tests/ui/mistakes")).unwrap().map(mistake).collect()
}

/// A package of programs like a user's: with this crate, and others in the versions that it is tested with.
fn manifest(programs: &[(&str, &Path)]) -> String {
    const OTHERS: [&str; 7] = ["axum", "http", "http-body-util", "hyper", "hyper-util", "tokio", "tower"];
    const FEATURES: &str = "auth axum bulkhead cache circuit-breaker rate-limit retry security-headers validate";
    let ours = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (libraries, tests) = ours.split_once("\n[dev-dependencies]\n").unwrap();
    let version = |name: &str| {
        let is_it = |line: &&str| line.split_once(" = ").is_some_and(|(key, _)| key == name);
        tests.lines().find(is_it).or_else(|| libraries.lines().find(is_it)).unwrap_or_else(|| panic!("no {name}"))
    };
    let mut text = format!(
        "[workspace]\n[package]\nname = \"newcomer\"\nversion = \"0.0.0\"\nedition = \"2024\"\nautobins = false\n\
         [dependencies]\ntower-rampart = {{ path = {:?}, features = {:?} }}\n",
        root(),
        FEATURES.split(' ').collect::<Vec<_>>(),
    );
    OTHERS.iter().for_each(|name| text.push_str(&format!("{}\n", version(name))));
    programs.iter().for_each(|(name, path)| text.push_str(&format!("[[bin]]\nname = {name:?}\npath = {path:?}\n")));
    text
}

/// The errors of each program, as a terminal shows them.
fn errors(programs: &[(&str, &Path)]) -> BTreeMap<String, Vec<String>> {
    let ours = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Several checkouts may share a target folder.
    let dir = ours.join("ui").join(root().file_name().unwrap());
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("Cargo.toml"), manifest(programs)).unwrap();
    fs::copy(root().join("Cargo.lock"), dir.join("Cargo.lock")).unwrap();
    let arguments = ["check", "--bins", "--keep-going", "--offline", "--quiet", "--message-format=json"];
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(&dir).args(arguments).env("CARGO_TARGET_DIR", ours.parent().unwrap());
    let output = cargo.output().unwrap();
    let mut errors = BTreeMap::<String, Vec<String>>::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        let name = message["target"]["name"].as_str().unwrap_or_default();
        let said = &message["message"];
        // The last of each says how many there were, and has no place.
        let has_place = said["spans"].as_array().is_some_and(|spans| !spans.is_empty());
        if said["level"] == "error" && has_place {
            errors.entry(name.to_owned()).or_default().push(said["rendered"].as_str().unwrap_or_default().to_owned());
        }
    }
    let is_checked = output.status.success() || !errors.is_empty();
    assert!(is_checked, "{cargo:?}: {}", String::from_utf8_lossy(&output.stderr));
    errors
}

/// What a newcomer reads before giving up: the message and its notes, before the compiler lists what else there is.
fn first_lines(error: &str) -> String {
    error.lines().take(14).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_compiler_names_the_mend() {
    let mistakes = mistakes();
    assert!(mistakes.len() >= 10, "the mistakes are somewhere else");
    let mended = root().join("tests/ui/mended.rs");
    let mut programs: Vec<_> = mistakes.iter().map(|(name, (_, path))| (name.as_str(), path.as_path())).collect();
    programs.push(("mended", &mended));
    let errors = errors(&programs);
    assert_eq!(errors.get("mended"), None, "mended, the mistakes compile");
    let mut unsaid = Vec::new();
    for (name, (told, path)) in &mistakes {
        assert!(!told.is_empty(), "{}: begin with what its error must say, after `//~ `", path.display());
        let errors = errors.get(name).map(Vec::as_slice).unwrap_or_default();
        let says_it = |error: &String| told.iter().all(|line| first_lines(error).contains(line.as_str()));
        // The compiler may find more than one thing wrong, but nobody reads a screen of it.
        if errors.len() > 2 || !errors.iter().any(says_it) {
            unsaid.push(format!("{name}: {told:?} is not what it says:\n{}", errors.join("\n")));
        }
    }
    assert!(unsaid.is_empty(), "{}", unsaid.join("\n"));
}
