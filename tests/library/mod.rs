//! The sources as a user gets them.

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// A source's lines without what is there for tests only, be it a module in the midst of others, or a function of a type.
pub fn without_tests(text: &str) -> Vec<&str> {
    let mut kept = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            kept.push(line);
            continue;
        }
        // What rustfmt begins at one depth ends at this depth: by its brace, or by a semicolon or a comma without one.
        let depth = indent(line);
        let mut is_open = false;
        for line in lines.by_ref().filter(|line| indent(line) == depth && !line.is_empty()) {
            let is_end = if is_open { line.trim().starts_with('}') } else { line.ends_with(['}', ';', ',']) };
            if is_end {
                break;
            }
            is_open |= line.ends_with('{');
        }
    }
    kept
}
