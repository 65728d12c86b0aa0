//! What the documents say of this repository is so: links lead somewhere, the tests and metrics that they name are there.
//! Each rule is a function that lists breaches, and is tried on a sample that breaks it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

struct Document {
    /// From the root of the repository.
    path: PathBuf,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(dir: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(dir)).unwrap() {
        let name = dir.join(entry.unwrap().file_name());
        let extension = name.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if root().join(&name).is_dir() {
            found.extend(files(&name, extensions));
        } else if extensions.contains(&extension) {
            found.push(name);
        }
    }
    found
}

fn read(path: PathBuf) -> Document {
    Document { text: fs::read_to_string(root().join(&path)).unwrap(), path }
}

/// Everything that is written for people, and what `docs/` has for machines.
fn documents() -> Vec<Document> {
    let top = fs::read_dir(root()).unwrap().map(|entry| PathBuf::from(entry.unwrap().file_name()));
    let top = top.filter(|name| name.extension().is_some_and(|extension| extension == "md"));
    let docs = files(Path::new("docs"), &["md", "yaml", "toml", "conf", "cfg"]);
    let all: Vec<_> = top
        .chain(docs)
        .chain(["gateway", "poll-api"].map(|name| Path::new("examples").join(name).join("README.md")))
        .map(read)
        .collect();
    assert!(all.len() > 10, "the documents are somewhere else");
    all
}

/// The text outside of fenced blocks.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        is_code ^= fence;
        !is_code && !fence
    });
    lines.map(|line| format!("{line}\n")).collect()
}

/// The links of a document: what is written, and where it leads. A reader sees an address where there is none.
fn links(text: &str) -> Vec<(String, String)> {
    let prose = prose(text);
    let ends = prose.match_indices("](").map(|(at, _)| at);
    let link = |at: usize| {
        let label = &prose[prose[..at].rfind('[')? + 1..at];
        let target = &prose[at + 2..][..prose[at + 2..].find(')')?];
        Some((label.replace('\n', " "), target.to_owned()))
    };
    ends.filter_map(link).collect()
}

/// The names by which headings are linked to.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).lines().filter(|line| line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    let slug = |heading: &String| {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        words.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.iter().map(slug).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Links that lead nowhere, and links to a test by its name where there is no such test.
fn broken_links(document: &Document) -> Vec<String> {
    let dir = document.path.parent().unwrap_or_else(|| Path::new(""));
    let fault = |(label, target): (String, String)| {
        if target.contains("://") || target.starts_with("mailto:") {
            return None;
        }
        let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
        let path = root().join(dir).join(file);
        if !file.is_empty() && !path.exists() {
            return Some(format!("`{target}` is not there"));
        }
        let text = if file.is_empty() { document.text.clone() } else { fs::read_to_string(&path).unwrap_or_default() };
        if !anchor.is_empty() && !anchors(&text).contains(anchor) {
            return Some(format!("`{target}` has no such heading"));
        }
        // A test, by its name: `[`name`](../tests/rate_limit/keys.rs)`.
        let name = label.strip_prefix('`').and_then(|label| label.strip_suffix('`')).unwrap_or_default();
        let is_test = file.ends_with(".rs") && !name.is_empty() && !name.contains(['.', '/']);
        (is_test && !words(&text).any(|word| word == name)).then(|| format!("`{file}` has no `{name}`"))
    };
    links(&document.text).into_iter().filter_map(fault).collect()
}

fn assert_none(rule: impl Fn(&Document) -> Vec<String>, mend: &str) {
    let of = |document: &Document| -> Vec<String> {
        rule(document).iter().map(|what| format!("{}: {what}", document.path.display())).collect()
    };
    let breaches: Vec<String> = documents().iter().flat_map(of).collect();
    assert!(breaches.is_empty(), "{mend}\n{}", breaches.join("\n"));
}

fn sample(text: &str) -> Document {
    Document { path: PathBuf::from("docs/sample.md"), text: text.to_owned() }
}

#[test]
fn links_lead_somewhere() {
    assert_none(broken_links, "mend the link, or what it leads to:");
    for text in [
        "[a](nothing.md)",
        "[a](../README.md#no-such-heading)",
        "[a](#no-such-heading)\n# Heading\n",
        "[`no_such_test`](../tests/architecture.rs)",
    ] {
        assert_eq!(broken_links(&sample(text)).len(), 1, "{text}");
    }
    for text in [
        "[a](../README.md#features)",
        "[a](#the-heading)\n## The `heading`\n",
        "[`links_lead_somewhere`](../tests/documents.rs)",
        "```\n[a](nothing.md)\n```\n",
        "[a](https://example.com/nothing)",
    ] {
        assert_eq!(broken_links(&sample(text)), [""; 0], "{text}");
    }
}

/// Every metric that the library and the gateway emit, from the literals that name them.
fn metrics() -> BTreeSet<String> {
    let sources = files(Path::new("src"), &["rs"]).into_iter().chain(files(Path::new("examples/gateway/src"), &["rs"]));
    let text: String = sources.map(|path| read(path).text).collect();
    let literals = text.split('"').filter(|literal| literal.starts_with("rampart_"));
    let mut names: BTreeSet<String> = literals.map(str::to_owned).collect();
    // A layer's refusals are counted by a name that is made of the layer's.
    let origins = read(PathBuf::from("src/spine/event.rs")).text;
    let origins = origins.split("\norigins! {").nth(1).and_then(|rest| rest.split("\n}").next()).unwrap_or_default();
    let layers: Vec<_> = origins.lines().filter_map(|line| line.split('"').nth(1)).collect();
    assert!(layers.len() > 10, "the origins are written in another way");
    names.extend(layers.iter().map(|layer| format!("rampart_{layer}_refused_total")));
    names
}

/// Names of metrics that nothing emits.
fn unknown_metrics(document: &Document) -> Vec<String> {
    let known = metrics();
    let named = words(&document.text).filter(|word| word.starts_with("rampart_") && !word.ends_with('_'));
    named.filter(|name| !known.contains(*name)).map(|name| format!("nothing emits `{name}`")).collect()
}

#[test]
fn metrics_that_are_named_are_emitted() {
    assert_none(unknown_metrics, "name what src/integration/metrics.rs and examples/gateway/src emit:");
    assert_eq!(unknown_metrics(&sample("sum(rate(rampart_cache_hit_ratio[5m]))")).len(), 1);
    let text =
        "`rampart_auth_refused_total{status=\"401\"}`, `rampart_gateway_requests_total`, `rampart_<layer>_total`";
    assert_eq!(unknown_metrics(&sample(text)), [""; 0]);
}

/// Metrics that no document tells of: nobody would look for them.
#[test]
fn metrics_that_are_emitted_are_told_of() {
    let told = documents().iter().map(|document| document.text.clone()).collect::<String>();
    let told: BTreeSet<_> = words(&told).collect();
    let is_told = |name: &String| told.contains(name.as_str()) || name.ends_with("_refused_total");
    let untold: Vec<_> = metrics().into_iter().filter(|name| !is_told(name)).collect();
    assert!(untold.is_empty(), "tell of them in docs/operations.md: {untold:?}");
}

/// Rooms that every layer has, and those whose names say all.
const COMMON_ROOMS: [&str; 9] =
    ["body.rs", "describe.rs", "future.rs", "handle.rs", "layer.rs", "mod.rs", "service.rs", "settings.rs", "sync.rs"];

/// The paragraph that leads through a layer, or nothing.
fn guide<'a>(architecture: &'a str, layer: &str) -> &'a str {
    let begin = format!("In `{layer}`:");
    architecture.split("\n\n").find(|paragraph| paragraph.starts_with(&begin)).unwrap_or_default()
}

/// Files of a layer that its paragraph does not name, and files that it names and that are not there. A path is somebody
/// else's.
fn unguided(guide: &str, files: &[String]) -> Vec<String> {
    let named: BTreeSet<_> = guide.split('`').skip(1).step_by(2).filter(|name| name.ends_with(".rs")).collect();
    let is_common = |name: &str| COMMON_ROOMS.contains(&name) || name.ends_with("_tests.rs");
    let is_untold = |name: &&String| !is_common(name) && !named.contains(name.as_str());
    let untold = files.iter().filter(is_untold).map(|name| format!("`{name}` is not named"));
    let is_ours = |name: &&&str| !name.contains('/') && !files.iter().any(|file| file == *name);
    untold.chain(named.iter().filter(is_ours).map(|name| format!("`{name}` is not there"))).collect()
}

#[test]
fn architecture_leads_through_every_layer() {
    let architecture = read(PathBuf::from("ARCHITECTURE.md")).text;
    let mut breaches = Vec::new();
    for entry in fs::read_dir(root().join("src/layers")).unwrap() {
        let path = entry.unwrap().path();
        let Some(layer) = path.file_name().and_then(|name| name.to_str()).filter(|_| path.is_dir()) else { continue };
        let all = files(&Path::new("src/layers").join(layer), &["rs"]);
        let names: Vec<_> = all.iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        assert!(names.len() > 5, "the layers are somewhere else");
        breaches.extend(unguided(guide(&architecture, layer), &names).iter().map(|what| format!("{layer}: {what}")));
    }
    assert!(breaches.is_empty(), "tell of them in ARCHITECTURE.md:\n{}", breaches.join("\n"));

    let text = "# Rooms\n\nIn `a`: `b.rs` is told of, like `spine/c.rs`, and\n`d.rs`.\n\nIn `e`: `f.rs`.\n";
    let files = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(unguided(guide(text, "a"), &files(&["b.rs", "d.rs", "mod.rs", "b_tests.rs"])), [""; 0]);
    assert_eq!(unguided(guide(text, "a"), &files(&["b.rs", "f.rs"])), ["`f.rs` is not named", "`d.rs` is not there"]);
    assert_eq!(unguided(guide(text, "g"), &files(&["b.rs"])), ["`b.rs` is not named"]);
}

/// What Cargo.toml says above each feature of `[features]`, in its order; those that begin with `_` are nobody's.
fn features() -> Vec<(String, String)> {
    let manifest = read(PathBuf::from("Cargo.toml")).text;
    let table = manifest.split("\n[features]\n").nth(1).and_then(|rest| rest.split("\n[").next()).unwrap_or_default();
    let (mut told, mut features) = (Vec::new(), Vec::new());
    for line in table.lines() {
        let name = line.split_once(" = ").map(|(name, _)| name).filter(|name| !name.contains([' ', '"']));
        if let Some(line) = line.strip_prefix("# ").filter(|line| !line.starts_with("--- ")) {
            told.push(line);
            continue;
        }
        if let Some(name) = name.filter(|name| !name.starts_with('_') && !["default", "full"].contains(name)) {
            features.push((name.to_owned(), told.join(" ")));
        }
        told.clear();
    }
    assert!(features.len() > 20, "the features are written in another way");
    features
}

/// The table of features in a text, each line after `mark`: the text with the table as it should be.
fn with_features(text: &str, mark: &str) -> String {
    let head = format!("{mark}| feature | what it gives |\n{mark}|---|---|\n");
    let (before, after) = text.split_once(&head).unwrap_or_else(|| panic!("no table of features"));
    let row = format!("{mark}| ");
    let rest: String = after.split_inclusive('\n').skip_while(|line| line.starts_with(&row)).collect();
    let rows: String = features().iter().map(|(name, told)| format!("{row}`{name}` | {told} |\n")).collect();
    [before, &head, &rows, &rest].concat()
}

/// `RAMPART_WRITE_FEATURES=1 cargo test --test documents` writes them.
#[test]
fn the_tables_of_features_are_those_of_the_manifest() {
    for (path, mark) in [("README.md", ""), ("src/lib.rs", "//! ")] {
        let Document { path, text } = read(PathBuf::from(path));
        let wanted = with_features(&text, mark);
        if std::env::var_os("RAMPART_WRITE_FEATURES").is_some() {
            fs::write(root().join(&path), &wanted).unwrap();
        } else {
            let mend = "RAMPART_WRITE_FEATURES=1 cargo test --test documents";
            assert!(wanted == text, "{}: another table than Cargo.toml's: run {mend}", path.display());
        }
    }
    let old = "| feature | what it gives |\n|---|---|\n| `gone` | nothing |\n\nAfter it.\n";
    let new = with_features(old, "");
    assert!(
        !new.contains("gone") && new.contains("| `rate-limit` | token buckets") && new.ends_with("|\n\nAfter it.\n")
    );
}

/// What is missing in `full` is a choice between two (who signs), and what only tests call.
#[test]
fn full_is_every_feature_but_the_other_signatures() {
    let manifest = read(PathBuf::from("Cargo.toml")).text;
    let full = manifest.split("\nfull = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
    let full: BTreeSet<_> = full.split('"').filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase())).collect();
    let missing: Vec<_> = features().into_iter().filter(|(name, _)| !full.contains(name.as_str())).collect();
    assert_eq!(missing.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["auth-rust-crypto", "test-util"]);
    assert!(features().iter().all(|(_, told)| !told.is_empty()), "say above each feature what it gives");
}
