//! The rules of ARCHITECTURE.md, read off the sources. Each rule is a function that lists breaches, and is tried on a
//! sample that breaks it.

use std::fs;
use std::path::{Path, PathBuf};

struct Source {
    path: String,
    /// Without comments.
    code: String,
    lines: usize,
}

fn source(path: &str, text: &str) -> Source {
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    let code = text.lines().filter(|line| !is_comment(line)).map(|line| format!("{line}\n")).collect();
    Source { path: path.to_owned(), code, lines: text.lines().count() }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join("src"), &mut found);
    assert!(found.len() > 20, "the sources are somewhere else");
    let relative = |path: &Path| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    found.iter().map(|path| source(&relative(path), &fs::read_to_string(path).unwrap())).collect()
}

/// Whether a path segment of code names this crate or module: `name::`, but not `my_name::`.
fn names(code: &str, name: &str) -> bool {
    let pattern = format!("{name}::");
    code.match_indices(&pattern).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

fn breaches(sources: &[Source], rule: impl Fn(&Source) -> Option<String>) -> Vec<String> {
    sources.iter().filter_map(|source| rule(source).map(|what| format!("{}: {what}", source.path))).collect()
}

fn assert_none(breaches: Vec<String>, mend: &str) {
    assert!(breaches.is_empty(), "{mend}\n{}", breaches.join("\n"));
}

fn foreign_layer(source: &Source) -> Option<String> {
    let own = source.path.strip_prefix("src/layers/").and_then(|rest| rest.split('/').next());
    let in_spine = source.path.starts_with("src/spine/");
    if own.is_none_or(|own| own == "mod.rs") && !in_spine {
        return None;
    }
    let mut rest = source.code.as_str();
    while let Some(at) = rest.find("crate::layers::") {
        rest = &rest[at + "crate::layers::".len()..];
        let named = rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default();
        if Some(named) != own {
            return Some(format!("imports the layer `{named}`"));
        }
    }
    None
}

#[test]
fn the_spine_imports_no_layer_and_a_layer_no_other() {
    assert_none(breaches(&sources(), foreign_layer), "move what two layers need into src/spine:");
    assert!(foreign_layer(&source("src/spine/a.rs", "use crate::layers::cache::X;")).is_some());
    assert!(foreign_layer(&source("src/layers/auth/a.rs", "use crate::layers::cache::X;")).is_some());
    assert!(foreign_layer(&source("src/layers/auth/a.rs", "use crate::layers::auth::X;")).is_none());
}

fn reads_time(source: &Source) -> Option<String> {
    let reads = ["Instant::now", "SystemTime::now", "Utc::now", "thread::sleep"];
    let found = reads.into_iter().find(|read| source.code.contains(read))?;
    (source.path != "src/spine/clock.rs").then(|| format!("names `{found}`"))
}

#[test]
fn only_the_clock_reads_time() {
    assert_none(breaches(&sources(), reads_time), "take a `Clock`, or `now` as a parameter:");
    assert!(reads_time(&source("src/layers/a/b.rs", "let now = Instant::now();")).is_some());
}

fn names_tracing(source: &Source) -> Option<String> {
    (source.path != "src/spine/event.rs" && names(&source.code, "tracing")).then(|| "names `tracing`".to_owned())
}

#[test]
fn only_events_name_tracing() {
    assert_none(breaches(&sources(), names_tracing), "report through src/spine/event.rs:");
    assert!(names_tracing(&source("src/spine/a.rs", "tracing::warn!(\"x\");")).is_some());
}

fn names_framework(source: &Source) -> Option<String> {
    let frameworks =
        ["axum", "axum_core", "tonic", "redis", "metrics", "serde", "serde_json", "toml", "hyper", "tokio"];
    let ours = |name: &str| source.code.contains(&format!("integration::{name}::"));
    let found = frameworks.into_iter().find(|name| names(&source.code, name) && !ours(name))?;
    (!source.path.starts_with("src/integration/")).then(|| format!("names `{found}`"))
}

#[test]
fn only_integrations_name_frameworks_and_formats() {
    assert_none(breaches(&sources(), names_framework), "put it into src/integration and reach it by src/wiring.rs:");
    assert!(names_framework(&source("src/spine/a.rs", "use axum::Router;")).is_some());
    assert!(names_framework(&source("src/integration/axum.rs", "use axum::Router;")).is_none());
}

fn names_integration(source: &Source) -> Option<String> {
    let may = matches!(source.path.as_str(), "src/lib.rs" | "src/wiring.rs");
    (!may && !source.path.starts_with("src/integration/") && names(&source.code, "integration"))
        .then(|| "names `integration`".to_owned())
}

#[test]
fn nothing_points_at_the_integrations() {
    assert_none(breaches(&sources(), names_integration), "turn the arrow round in src/wiring.rs:");
    assert!(names_integration(&source("src/spine/a.rs", "crate::integration::axum::peer()")).is_some());
}

fn impure_engine(source: &Source) -> Option<String> {
    const SHELL: [&str; 4] = ["mod.rs", "layer.rs", "service.rs", "future.rs"];
    let file = source.path.strip_prefix("src/layers/")?.rsplit('/').next()?;
    // A builder makes its layer, and that is all it knows of towers.
    if SHELL.contains(&file) {
        return None;
    }
    let impure = ["http_body", "tower_layer", "tower_service", "tokio", "crate::spine::clock"];
    if source.code.contains("async ") || source.code.contains(".await") {
        return Some("is async".to_owned());
    }
    impure.into_iter().find(|name| names(&source.code, name)).map(|name| format!("names `{name}`"))
}

#[test]
fn engines_are_pure() {
    assert_none(breaches(&sources(), impure_engine), "an engine takes `now` and data, and returns a decision:");
    assert!(impure_engine(&source("src/layers/a/engine.rs", "async fn x() {}")).is_some());
    assert!(impure_engine(&source("src/layers/a/engine.rs", "use tower_service::Service;")).is_some());
    assert!(impure_engine(&source("src/layers/a/service.rs", "use tower_service::Service;")).is_none());
}

fn too_long(source: &Source) -> Option<String> {
    (source.lines > 400).then(|| format!("has {} lines", source.lines))
}

#[test]
fn files_are_short() {
    assert_none(breaches(&sources(), too_long), "split it: 400 lines are the most:");
    assert!(too_long(&source("src/a.rs", &"\n".repeat(401))).is_some());
}

/// The longest function, by the indentation that rustfmt gives its first and last line.
fn long_function(source: &Source) -> Option<String> {
    let mut begun: Option<(usize, usize, String)> = None;
    for (number, line) in source.code.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let words = line.trim_start();
        if let Some((start, depth, name)) = &begun {
            if indent == *depth && words.starts_with('}') {
                if number - start > 70 {
                    return Some(format!("`{name}` has {} lines", number - start));
                }
                begun = None;
            }
        } else if words.contains("fn ") && !words.ends_with(';') && !words.ends_with('}') {
            begun = Some((number, indent, words.chars().take(60).collect()));
        }
    }
    None
}

#[test]
fn functions_are_short() {
    assert_none(breaches(&sources(), long_function), "split it: 70 lines are the most:");
    let long = format!("fn a() {{\n{}}}\n", "    x();\n".repeat(80));
    assert!(long_function(&source("src/a.rs", &long)).is_some());
}

fn can_panic(source: &Source) -> Option<String> {
    let panics = [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!(", "unreachable!(", "dbg!("];
    panics.into_iter().find(|panic| source.code.contains(panic)).map(|panic| format!("has `{panic}`"))
}

#[test]
fn nothing_in_the_library_panics() {
    assert_none(breaches(&sources(), can_panic), "return an error, or make the case impossible:");
    assert!(can_panic(&source("src/a.rs", "x.unwrap();")).is_some());
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

#[test]
fn the_readme_lists_the_features_there_are() {
    let manifest = read("Cargo.toml");
    let features = manifest.split("[features]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let name = |line: &str| line.split_once(" = ").map(|(name, _)| name.to_owned());
    let mut there: Vec<_> = features.lines().filter(|line| !line.starts_with('#')).filter_map(name).collect();
    there.retain(|name| name != "default" && name != "full");
    let readme = read("README.md");
    let table = readme.split("| feature |").nth(1).unwrap().split("\n\n").next().unwrap();
    let mut listed: Vec<_> = table.lines().skip(2).filter_map(|row| row.split('`').nth(1)).map(str::to_owned).collect();
    there.sort();
    listed.sort();
    assert_eq!(there, listed, "README.md and Cargo.toml must list the same features");
}

#[test]
fn the_changelog_has_a_place_for_what_is_new() {
    let changelog = read("CHANGELOG.md");
    assert!(changelog.starts_with("# Changelog\n") && changelog.contains("\n## [Unreleased]\n"));
}
