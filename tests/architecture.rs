//! The rules of ARCHITECTURE.md, read off the sources. Each rule is a function that lists breaches, and is tried on a
//! sample that breaks it.

use std::fs;
use std::path::{Path, PathBuf};

mod library;

struct Source {
    path: String,
    /// Without comments, and without tests, which may do what the library may not.
    code: String,
    lines: usize,
}

fn source(path: &str, text: &str) -> Source {
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    let library = library::without_tests(text).into_iter();
    let code = library.filter(|line| !is_comment(line)).map(|line| format!("{line}\n")).collect();
    Source { path: path.to_owned(), code, lines: text.lines().count() }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The library.
fn sources() -> Vec<Source> {
    let found = sources_in("src");
    assert!(found.len() > 20, "the sources are somewhere else");
    found
}

/// The library, and the programs that use it.
fn all_sources() -> Vec<Source> {
    let programs = fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path().join("src"));
    let programs: Vec<_> = programs.filter(|dir| dir.is_dir()).collect();
    assert!(programs.len() >= 2, "the programs are somewhere else");
    programs.iter().flat_map(sources_in).chain(sources()).collect()
}

fn sources_in(dir: impl AsRef<Path>) -> Vec<Source> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.to_string_lossy().ends_with("_tests.rs")
            {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(dir), &mut found);
    let relative = |path: &Path| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    found.iter().map(|path| source(&relative(path), &fs::read_to_string(path).unwrap())).collect()
}

/// The whole words of code: identifiers and numbers.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.split(move |c: char| !is_word(c)).filter(|word| !word.is_empty()).map(move |word| {
        // Both point into the same string.
        (word.as_ptr().addr() - code.as_ptr().addr(), word)
    })
}

/// Whether a path begins with this name, in a `use` too: `name::`, `::name::`, `use name;`, `use name as x`, but
/// neither `my_name::` nor `other::name::`, which is somebody else's module.
fn names(code: &str, name: &str) -> bool {
    words(code).filter(|(_, word)| *word == name).any(|(at, _)| {
        let (before, after) = (code[..at].trim_end(), &code[at + name.len()..]);
        let outer = before.strip_suffix("::").map(|outer| outer.chars().next_back());
        let is_root = outer.is_none_or(|last| !last.is_some_and(|c| c.is_alphanumeric() || c == '_'));
        let is_imported = before.ends_with("use") && (after.starts_with(';') || after.starts_with(" as "));
        is_root && (after.starts_with("::") || is_imported)
    })
}

/// Whether code has this name anywhere, as a whole word.
fn mentions(code: &str, name: &str) -> bool {
    words(code).any(|(_, word)| word == name)
}

/// Whether a module of ours is imported or walked through; its name in a message is no breach.
fn reaches(code: &str, module: &str) -> bool {
    [format!("{module}::"), format!("crate::{module}"), format!("{{{module}")].iter().any(|path| code.contains(path))
}

fn breaches(sources: &[Source], rule: impl Fn(&Source) -> Option<String>) -> Vec<String> {
    sources.iter().filter_map(|source| rule(source).map(|what| format!("{}: {what}", source.path))).collect()
}

fn assert_none(breaches: Vec<String>, mend: &str) {
    assert!(breaches.is_empty(), "{mend}\n{}", breaches.join("\n"));
}

/// Every layer there is, or will be. One in a sample of a rule need not be there yet.
fn layers() -> Vec<String> {
    let mut layers: Vec<_> = fs::read_dir(root().join("src/layers"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    layers.extend(["cache", "auth"].map(str::to_owned));
    layers
}

/// A layer can be named through `crate::layers`, through the re-exports of `lib.rs`, and by its neighbours' `super`.
fn foreign_layer(source: &Source) -> Option<String> {
    let own = source.path.strip_prefix("src/layers/").and_then(|rest| rest.split('/').next());
    let in_spine = source.path.starts_with("src/spine/");
    if own.is_none_or(|own| own == "mod.rs") && !in_spine {
        return None;
    }
    if in_spine && reaches(&source.code, "layers") {
        return Some("names `layers`".to_owned());
    }
    let imports = |layer: &str| {
        let paths = ["crate::", "layers::", "super::super::", "{", ", "].map(|before| format!("{before}{layer}::"));
        paths.iter().any(|path| source.code.contains(path))
            || ["crate", "layers"].iter().any(|root| source.code.contains(&format!("use {root}::{layer};")))
    };
    layers()
        .iter()
        .find(|layer| Some(layer.as_str()) != own && imports(layer))
        .map(|layer| format!("imports `{layer}`"))
}

#[test]
fn the_spine_imports_no_layer_and_a_layer_no_other() {
    assert_none(breaches(&sources(), foreign_layer), "move what two layers need into src/spine:");
    for (path, code) in [
        ("src/spine/a.rs", "use crate::layers::cache::X;"),
        ("src/spine/a.rs", "use crate::{layers::cache::X};"),
        ("src/spine/a.rs", "use crate::cache::X;"),
        ("src/spine/a.rs", "use crate::{cache::X, key::Y};"),
        ("src/layers/auth/a.rs", "use crate::layers::cache::X;"),
        ("src/layers/auth/a.rs", "use crate::cache;"),
        ("src/layers/auth/a.rs", "use super::super::cache::X;"),
        ("src/layers/auth/a.rs", "use crate::{key::Y, cache::X};"),
    ] {
        assert!(foreign_layer(&source(path, code)).is_some(), "{path}: {code}");
    }
    assert!(foreign_layer(&source("src/layers/auth/a.rs", "use crate::layers::auth::X;")).is_none());
    assert!(foreign_layer(&source("src/layers/auth/a.rs", "use crate::spine::key::X;")).is_none());
}

fn reads_time(source: &Source) -> Option<String> {
    let reads = ["Instant::now", "SystemTime::now", "Utc::now", ".elapsed()", "thread::sleep"];
    let found = reads.into_iter().find(|read| source.code.contains(read))?;
    (source.path != "src/spine/clock.rs").then(|| format!("names `{found}`"))
}

#[test]
fn only_the_clock_reads_time() {
    assert_none(breaches(&sources(), reads_time), "take a `Clock`, or `now` as a parameter:");
    assert!(reads_time(&source("src/layers/a/b.rs", "let now = Instant::now();")).is_some());
    assert!(reads_time(&source("src/layers/a/b.rs", "let waited = since.elapsed();")).is_some());
    assert!(reads_time(&source("src/spine/clock.rs", "let now = Instant::now();")).is_none());
}

fn names_tracing(source: &Source) -> Option<String> {
    (source.path != "src/spine/event.rs" && names(&source.code, "tracing")).then(|| "names `tracing`".to_owned())
}

#[test]
fn only_events_name_tracing() {
    assert_none(breaches(&sources(), names_tracing), "report through src/spine/event.rs:");
    assert!(names_tracing(&source("src/spine/a.rs", "tracing::warn!(\"x\");")).is_some());
    assert!(names_tracing(&source("src/spine/a.rs", "use tracing as log;")).is_some());
    assert!(names_tracing(&source("src/spine/event.rs", "tracing::warn!(\"x\");")).is_none());
}

fn names_framework(source: &Source) -> Option<String> {
    let frameworks = [
        "axum",
        "axum_core",
        "tonic",
        "redis",
        "metrics",
        "serde_json",
        "toml",
        "hyper",
        "hyper_util",
        "rustls",
        "tokio",
    ];
    let found = frameworks.into_iter().find(|name| names(&source.code, name))?;
    (!source.path.starts_with("src/integration/")).then(|| format!("names `{found}`"))
}

#[test]
fn only_integrations_name_frameworks_and_formats() {
    assert_none(breaches(&sources(), names_framework), "put it into src/integration and reach it by src/wiring.rs:");
    assert!(names_framework(&source("src/spine/a.rs", "use axum::Router;")).is_some());
    assert!(names_framework(&source("src/spine/a.rs", "fn a(app: ::axum::Router) {}")).is_some());
    assert!(names_framework(&source("src/wiring.rs", "crate::integration::tonic::is_tls; tonic::x();")).is_some());
    assert!(names_framework(&source("src/wiring.rs", "crate::integration::tonic::is_tls")).is_none());
    assert!(names_framework(&source("src/integration/axum.rs", "use axum::Router;")).is_none());
}

fn names_integration(source: &Source) -> Option<String> {
    let may = matches!(source.path.as_str(), "src/lib.rs" | "src/wiring.rs");
    (!may && !source.path.starts_with("src/integration/") && reaches(&source.code, "integration"))
        .then(|| "names `integration`".to_owned())
}

#[test]
fn nothing_points_at_the_integrations() {
    assert_none(breaches(&sources(), names_integration), "turn the arrow round in src/wiring.rs:");
    assert!(names_integration(&source("src/spine/a.rs", "crate::integration::axum::peer()")).is_some());
    assert!(names_integration(&source("src/layers/a/b.rs", "use crate::{integration as i};")).is_some());
    assert!(names_integration(&source("src/wiring.rs", "crate::integration::axum::peer()")).is_none());
    assert!(names_integration(&source("src/spine/a.rs", "\"no integration knows the peer\"")).is_none());
}

fn names_stack(source: &Source) -> Option<String> {
    let may =
        ["src/lib.rs", "src/stack/", "src/integration/config/"].iter().any(|place| source.path.starts_with(place));
    (!may && reaches(&source.code, "stack")).then(|| "names `stack`".to_owned())
}

#[test]
fn nothing_points_at_the_stack() {
    assert_none(breaches(&sources(), names_stack), "a layer knows nothing of those around it:");
    assert!(names_stack(&source("src/layers/a/b.rs", "use crate::stack::Stack;")).is_some());
    assert!(names_stack(&source("src/spine/a.rs", "use crate::{stack as s};")).is_some());
    assert!(names_stack(&source("src/integration/config/a.rs", "use crate::stack::Stack;")).is_none());
}

fn impure_engine(source: &Source) -> Option<String> {
    // A body is polled, a task goes on beside requests, a client speaks to other servers, a test kit plays one.
    const SHELL: [&str; 10] = [
        "mod.rs",
        "layer.rs",
        "service.rs",
        "future.rs",
        "body.rs",
        "read_body.rs",
        "rest.rs",
        "task.rs",
        "client.rs",
        "testing.rs",
    ];
    let file = source.path.strip_prefix("src/layers/")?.rsplit('/').next()?;
    // A builder makes its layer, and that is all it knows of towers. tower's retry asks a policy, which is half of a service.
    if SHELL.contains(&file) || source.path == "src/layers/retry/policy.rs" {
        return None;
    }
    if mentions(&source.code, "async") || source.code.contains(".await") {
        return Some("is async".to_owned());
    }
    let impure = ["http_body", "tower", "tower_layer", "tower_service", "tokio"];
    // governor has a clock too, which shows what it is told.
    let own: String = source.code.lines().filter(|line| !line.contains("governor::")).collect();
    let clock = (mentions(&own, "Clock") || reaches(&own, "clock")).then_some("Clock");
    clock.or_else(|| impure.into_iter().find(|name| names(&source.code, name))).map(|name| format!("names `{name}`"))
}

#[test]
fn engines_are_pure() {
    assert_none(breaches(&sources(), impure_engine), "an engine takes `now` and data, and returns a decision:");
    for code in [
        "async fn x() {}",
        "let x = async{ 1 };",
        "use tower_service::Service;",
        "use tower::Service;",
        "use http_body::Body;",
        "use crate::Clock;",
        "use crate::spine::{clock::Clock, key::X};",
    ] {
        assert!(impure_engine(&source("src/layers/a/engine.rs", code)).is_some(), "{code}");
    }
    assert!(impure_engine(&source("src/layers/a/service.rs", "use tower_service::Service;")).is_none());
}

fn too_long(source: &Source) -> Option<String> {
    (source.lines > 400).then(|| format!("has {} lines", source.lines))
}

#[test]
fn files_are_short() {
    assert_none(breaches(&all_sources(), too_long), "split it: 400 lines are the most:");
    assert!(too_long(&source("src/a.rs", &"\n".repeat(401))).is_some());
    assert!(too_long(&source("src/a.rs", &"\n".repeat(400))).is_none());
}

/// The longest function, by the indentation that rustfmt gives its first and last line.
fn long_function(source: &Source) -> Option<String> {
    let mut begun: Option<(usize, usize, String)> = None;
    for (number, line) in source.code.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let words = line.trim_start();
        if let Some((start, depth, name)) = &begun {
            if indent == *depth && words.starts_with('}') {
                let lines = number - start + 1;
                if lines > 70 {
                    return Some(format!("`{name}` has {lines} lines"));
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
    assert_none(breaches(&all_sources(), long_function), "split it: 70 lines are the most:");
    // The first and the last line count.
    let function = |lines: usize| format!("fn a() {{\n{}}}\n", "    x();\n".repeat(lines - 2));
    assert!(long_function(&source("src/a.rs", &function(71))).is_some());
    assert!(long_function(&source("src/a.rs", &function(70))).is_none());
}

fn can_panic(source: &Source) -> Option<String> {
    let panics = [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!(", "unreachable!(", "dbg!("];
    panics.into_iter().find(|panic| source.code.contains(panic)).map(|panic| format!("has `{panic}`"))
}

#[test]
fn nothing_in_the_library_panics() {
    assert_none(breaches(&sources(), can_panic), "return an error, or make the case impossible:");
    for code in ["x.unwrap();", "x.expect(\"y\");", "panic!(\"x\");", "todo!()", "unimplemented!()"] {
        assert!(can_panic(&source("src/a.rs", code)).is_some(), "{code}");
    }
    assert!(can_panic(&source("src/a.rs", "#[cfg(test)]\nmod a_tests;\nfn a() {\n    x.unwrap();\n}\n")).is_some());
    assert!(can_panic(&source("src/a.rs", "#[cfg(test)]\nmod tests {\n    x.unwrap();\n}\n")).is_none());
    assert!(can_panic(&source("src/a.rs", "/// x.unwrap();\n#[expect(dead_code)]\nx.unwrap_or(1);")).is_none());
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

/// Features in only one of the two, `default` and `full` aside. A README without a table of features lists none.
fn unlisted_features(manifest: &str, readme: &str) -> Vec<String> {
    let section = manifest.split("[features]\n").nth(1).and_then(|rest| rest.split("\n[").next()).unwrap_or_default();
    let name = |line: &str| line.split_once(" = ").map(|(name, _)| name.to_owned());
    let there: Vec<_> = section
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(name)
        .filter(|name| name != "default" && name != "full" && !name.starts_with('_'))
        .collect();
    let Some(table) = readme.split("| feature |").nth(1) else { return Vec::new() };
    let rows = table.lines().skip(2).take_while(|row| row.starts_with('|'));
    let first_cells = rows.filter_map(|row| row.split('|').nth(1));
    let listed: Vec<_> = first_cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect();
    let missing =
        there.iter().filter(|name| !listed.contains(name)).map(|name| format!("`{name}` is not in README.md"));
    let gone = listed.iter().filter(|name| !there.contains(name)).map(|name| format!("`{name}` is not in Cargo.toml"));
    missing.chain(gone).collect()
}

#[test]
fn the_readme_lists_the_features_there_are() {
    let (manifest, readme) = (read("Cargo.toml"), read("README.md"));
    assert_none(unlisted_features(&manifest, &readme), "README.md and Cargo.toml must list the same features:");
    let manifest = "[features]\ndefault = []\n# why\naxum = []\ncache = []\n\n[dependencies]\nhttp = \"1\"\n";
    let table = |rows: &str| format!("text\n\n| feature | what |\n|---|---|\n{rows}\nmore `text`\n");
    assert_eq!(unlisted_features(manifest, &table("| `axum`, `cache` | x |\n")), [""; 0]);
    assert_eq!(unlisted_features(manifest, &table("| `axum` | `x` |\n")), ["`cache` is not in README.md"]);
    let gone = table("| `axum` | x |\n| `cache` | x |\n| `redis` | x |\n");
    assert_eq!(unlisted_features(manifest, &gone), ["`redis` is not in Cargo.toml"]);
}

fn is_changelog(text: &str) -> bool {
    text.starts_with("# Changelog\n") && text.contains("\n## [Unreleased]\n")
}

#[test]
fn the_changelog_has_a_place_for_what_is_new() {
    assert!(is_changelog(&read("CHANGELOG.md")), "begin CHANGELOG.md with `# Changelog`, and keep `## [Unreleased]`");
    assert!(!is_changelog("# Changelog\n\n## [1.0.0]\n"));
    assert!(!is_changelog("# History\n\n## [Unreleased]\n"));
}
