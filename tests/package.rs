//! What users take with this crate: how many crates it brings along, and what is in the package.

use std::collections::BTreeSet;
use std::process::Command;

fn cargo(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).args(["--offline", "-p", "tower-rampart"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The crates that are built into a program, this one among them, for the platform of this test.
fn crates(features: &str) -> BTreeSet<String> {
    let tree =
        cargo(&["tree", "--locked", "-e", "normal", "--prefix", "none", "--no-default-features", "-F", features]);
    // The rest of a line tells of its path, its kind, and that it was listed before.
    let crates = tree.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    crates.collect()
}

#[test]
fn dependencies_stay_within_their_budgets() {
    // tower_governor 0.8 alone is 99, counted in the same way.
    let budgets = [
        ("", 14),
        ("security-headers", 20),
        ("circuit-breaker", 16),
        ("bulkhead,deadline,load-shed,retry", 24),
        ("validate", 18),
        ("cache", 36),
        ("rate-limit", 40),
        ("auth", 50),
        ("rate-limit,auth", 65),
        ("openapi", 80),
    ];
    for (features, most) in budgets {
        let crates = crates(features);
        assert!(
            crates.len() <= most,
            "`{features}` brings {} crates along, {most} are the most: {crates:?}",
            crates.len()
        );
        assert!(crates.len() > 10, "this counts in another way: {crates:?}");
    }
}

#[test]
fn nobody_gets_openssl_or_a_second_runtime() {
    let full = crates("full");
    let banned = ["openssl", "openssl-sys", "native-tls", "async-std", "smol", "reqwest"];
    let found: Vec<_> =
        full.iter().filter(|line| line.split(' ').next().is_some_and(|name| banned.contains(&name))).collect();
    assert!(found.is_empty(), "{found:?}");
    assert!(full.iter().any(|line| line.starts_with("tokio ")), "this looks at something else");
}

/// What has no place in the package, or is missing in it.
fn faults(list: &str) -> Vec<String> {
    const NEEDED: [&str; 8] = [
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "CHANGELOG.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "src/lib.rs",
        "examples/axum.rs",
    ];
    // The documents that lie at the top, and what Cargo adds.
    const FILES: [&str; 13] = [
        ".cargo_vcs_info.json",
        ".gitignore",
        "ARCHITECTURE.md",
        "COMPARE.md",
        "CONTRIBUTING.md",
        "Cargo.toml.orig",
        "README.md",
        "SECURITY.md",
        "clippy.toml",
        "rustfmt.toml",
        "docs/operations.md",
        "docs/recipes.md",
        "docs/threats.md",
    ];
    let listed: BTreeSet<&str> = list.lines().collect();
    let missing = NEEDED.iter().filter(|file| !listed.contains(*file)).map(|file| format!("{file} is missing"));
    let belongs = |file: &&&str| {
        let is_source = ["src/", "tests/", "benches/"].iter().any(|dir| file.starts_with(dir)) || is_example(file);
        let is_known = NEEDED.contains(*file) || FILES.contains(*file) || file.starts_with("docs/deploy/");
        let is_elsewhere = ["benches/peers/", "tests/races/"].iter().any(|dir| file.starts_with(dir));
        (is_source || is_known) && !is_elsewhere
    };
    let strange = listed.iter().filter(|file| !belongs(file)).map(|file| format!("{file} does not belong there"));
    missing.chain(strange).collect()
}

/// Examples of one file; the larger ones are members of the workspace.
fn is_example(file: &str) -> bool {
    file.strip_prefix("examples/").is_some_and(|name| name.ends_with(".rs") && !name.contains('/'))
}

#[test]
fn the_package_holds_what_it_should() {
    let list = cargo(&["package", "--list", "--allow-dirty"]);
    assert!(faults(&list).is_empty(), "see `exclude` in Cargo.toml: {:#?}", faults(&list));
    let strange = format!("{list}examples/gateway/src/main.rs\nfuzz/Cargo.toml\nnotes.txt\nbenches/peers/src/lib.rs\n");
    assert_eq!(faults(&strange).len(), 4);
    assert_eq!(faults(&list.replace("LICENSE-MIT\n", "")).len(), 1);
}

#[test]
fn the_package_stays_small() {
    let list = cargo(&["package", "--list", "--allow-dirty"]);
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let size = |file: &str| std::fs::metadata(root.join(file)).map_or(0, |metadata| metadata.len());
    let total: u64 = list.lines().map(size).sum();
    assert!(total > 1 << 20, "this adds up something else");
    assert!(total < 8 << 20, "{total} bytes unpacked: somebody's data is in it");
}
