//! The README's ten minutes: its commands print what it says they print.

use tokio::process::Command;

use crate::support::Service;

const README: &str = include_str!("../../README.md");

/// The section's commands, each with what it prints; nothing, where the README shows nothing.
fn steps() -> Vec<(String, String)> {
    let section = README.split("## Ten minutes").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut steps: Vec<(String, String)> = Vec::new();
    let mut rest = section;
    while let Some((_, begun)) = rest.split_once("```") {
        let (block, after) = begun.split_once("```").unwrap();
        rest = after;
        match block.split_once('\n').unwrap() {
            ("sh", commands) => steps.push((commands.to_owned(), String::new())),
            ("text", shown) => steps.last_mut().unwrap().1 = shown.to_owned(),
            (other, _) => panic!("a block of {other}"),
        }
    }
    steps
}

/// Whether a line is as shown, where `...` stands for anything.
fn is_as_shown(line: &str, shown: &str) -> bool {
    let Some((first, others)) = shown.split_once("...") else { return line == shown };
    let (middle, last) = others.rsplit_once("...").map_or((None, others), |(middle, last)| (Some(middle), last));
    let Some(rest) = line.strip_prefix(first) else { return false };
    let Some(mut rest) = rest.strip_suffix(last) else { return false };
    middle.into_iter().flat_map(|middle| middle.split("...")).all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[tokio::test]
async fn the_ten_minutes_of_the_readme_are_so() {
    let has = |program: &str| std::process::Command::new(program).arg("--version").output().is_ok();
    if !(has("curl") && has("jq")) {
        eprintln!("SKIPPED: curl or jq is missing");
        return;
    }
    let service = Service::start().await;
    let steps = steps();
    assert!(steps.len() >= 7);
    const MARK: &str = "=== next";
    // Answers end without a new line; the terminal's next prompt is one here.
    let script: String = steps.iter().map(|(commands, _)| format!("{commands}\necho '{MARK}'\n")).collect();
    let script = script.replace("http://127.0.0.1:3000", &service.url("")).replace("curl -sS ", "line curl -sS ");
    let script = script.replace("$(line curl", "$(curl");
    let line = "line() { \"$@\" | awk 1; }\n";
    let directory = tempfile::tempdir().unwrap();
    let run = Command::new("bash").arg("-c").arg(format!("{line}{script}")).current_dir(directory.path()).output();
    let output = run.await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told, "", "{printed}");
    for ((commands, shown), printed) in steps.iter().zip(printed.split(&format!("{MARK}\n"))) {
        let (shown, printed) = (shown.trim_end().lines(), printed.trim_end().lines());
        let (shown, printed): (Vec<_>, Vec<_>) = (shown.collect(), printed.map(str::trim_end).collect());
        assert_eq!(shown.len(), printed.len(), "{commands}\n{printed:#?}");
        for (shown, printed) in shown.iter().zip(&printed) {
            assert!(is_as_shown(printed, shown), "{commands}\nprinted: {printed}\nshown:   {shown}");
        }
    }
}

#[test]
fn dots_stand_for_anything() {
    assert!(is_as_shown("a-7-b", "a-...-b") && is_as_shown("a7", "a...") && is_as_shown("ab", "ab"));
    assert!(!is_as_shown("a-7-c", "a-...-b") && !is_as_shown("abc", "ab") && !is_as_shown("b", "a..."));
}
