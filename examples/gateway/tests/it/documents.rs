//! Configurations in the documents are configurations that the gateway takes.

use std::path::{Path, PathBuf};

use crate::support::{command, installed, start, write};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The blocks that begin with a line and end with another one, without either, and with this much less in front.
fn blocks(text: &str, begin: &str, end: impl Fn(&str) -> bool, indent: usize) -> Vec<String> {
    let mut lines = text.lines();
    let mut found = Vec::new();
    while lines.by_ref().any(|line| line.trim() == begin) {
        let block = lines.by_ref().take_while(|line| !end(line));
        found.push(block.map(|line| format!("{}\n", line.get(indent..).unwrap_or_default())).collect());
    }
    found
}

fn configurations() -> Vec<(&'static str, String)> {
    let whole = ["docs/deploy/gateway.toml", "examples/gateway/gateway.toml"].map(|path| (path, read(path)));
    let fenced = ["docs/operations.md", "docs/threats.md", "COMPARE.md", "examples/gateway/README.md"]
        .map(|path| (path, blocks(&read(path), "```toml", |line| line == "```", 0)));
    let mounted = "docs/deploy/kubernetes.yaml";
    let mounted = (mounted, blocks(&read(mounted), "gateway.toml: |", |line| line == "---", 4));
    let within = fenced.into_iter().chain([mounted]);
    let within = within.flat_map(|(path, blocks)| blocks.into_iter().map(move |block| (path, block)));
    whole.into_iter().chain(within).collect()
}

#[tokio::test]
async fn configurations_in_documents_are_taken() {
    let found = configurations();
    assert!(found.len() >= 5, "they are written in another way");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for (place, text) in found {
        // Addresses of the day, and the files that are named.
        let line = |line: &str| match line.split_once(" = ") {
            Some(("admin_listen", _)) => String::from("admin_listen = \"127.0.0.1:0\"\n"),
            _ => format!("{line}\n"),
        };
        let text: String = text.lines().map(line).collect();
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "cert.pem", &made.cert.pem());
        write(dir.path(), "key.pem", &made.signing_key.serialize_pem());
        write(dir.path(), "gateway.toml", &text);
        let file = dir.path().join("gateway.toml");
        println!("{place}:\n{text}");
        start(
            command().arg("--config").arg(file).args(["--listen", "127.0.0.1:0"]),
            dir,
            text.contains("admin_listen"),
        )
        .await;
    }
}

#[test]
fn alerts_fire_as_their_tests_say() {
    let Some(promtool) = installed("promtool") else { return };
    let mut command = std::process::Command::new(promtool);
    let output = command.args(["test", "rules", "alerts.test.yaml"]).current_dir(root().join("docs/deploy")).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
