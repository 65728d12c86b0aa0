//! A path is matched without a panic, in bounded time, and however it is spelled.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_rampart::PathPattern;

fuzz_target!(|input: (&str, &str)| {
    let (pattern, path) = input;
    let Ok(pattern) = pattern.parse::<PathPattern>() else { return };
    if !pattern.matches(path) {
        return;
    }
    // Spelling a letter otherwise changes nothing.
    if let Some(at) = path.find(|c: char| c.is_ascii_alphanumeric()).filter(|at| !path[..*at].contains('%')) {
        let (before, rest) = path.split_at(at);
        let spelled = format!("{before}%{:02x}{}", rest.as_bytes()[0], &rest[1..]);
        assert!(pattern.matches(&spelled), "{spelled}");
    }
});
