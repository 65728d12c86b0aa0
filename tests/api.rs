//! The public API, written down: whatever changes it changes `tests/api.txt` too, where a reviewer sees it.
//!
//! `RAMPART_WRITE_API=1 cargo test --test api` writes it anew.
//!
//! The lint `unreachable_pub` is on, and so what is `pub` in the sources is what others can reach. It is read by the form that
//! rustfmt gives to it. What macros make is seen as they are written.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

mod library;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        if path.is_dir() {
            found.extend(sources(&path));
        } else if is_source && !path.to_string_lossy().ends_with("_tests.rs") {
            found.push(path);
        }
    }
    found
}

/// A layer's name, or `spine`, or the part of the integrations: not the file, so that code can move within it.
fn place(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy().trim_end_matches(".rs").to_owned()).collect();
    match parts.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["layers" | "integration", name, ..] => name.to_owned(),
        [name, ..] => name.to_owned(),
        [] => String::new(),
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Without comments and tests.
fn code(text: &str) -> Vec<&str> {
    let is_code = |line: &&str| !line.trim_start().starts_with("//") && !line.trim().is_empty();
    library::without_tests(text).into_iter().filter(is_code).collect()
}

/// Whether something is given to a macro here: `names! {`, or `origins! { $` where its arms need a dollar.
fn is_macro(line: &str) -> bool {
    let is_more = ["macro_rules!", "pub type "].iter().any(|start| line.starts_with(start));
    indent(line) == 0 && line.contains("! {") && !is_more
}

/// What is said from a line on until a body, the end of a field or of an attribute, or a semicolon; and how many lines that
/// is.
fn statement(lines: &[&str]) -> (String, usize) {
    let starts =
        |kinds: &[&str]| lines.first().is_some_and(|line| kinds.iter().any(|kind| line.trim().starts_with(kind)));
    let is_attribute = starts(&["#"]);
    // Braces of these hold names, or what is given to a macro, and no body.
    let is_list = starts(&["pub use ", "pub type "]);
    if let Some(line) = lines.first().filter(|line| is_macro(line)) {
        return (format!("{} {{", line.split('!').next().unwrap_or_default()), 1);
    }
    let mut said = String::new();
    let mut depth = 0_i32;
    let mut is_bounds = false;
    for (number, line) in lines.iter().enumerate() {
        let text = line.trim();
        said.push_str(if said.is_empty() || said.ends_with('(') { "" } else { " " });
        said.push_str(text);
        depth += text.matches(['(', '[']).count() as i32 - text.matches([')', ']']).count() as i32;
        is_bounds |= text == "where";
        let ends: &[char] = match (is_list, is_bounds) {
            (true, _) => &[';'],
            (_, true) => &['{', ';', '}'],
            (false, false) => &['{', ';', ',', '}'],
        };
        if depth <= 0 && (is_attribute || text.ends_with(ends)) {
            return (said, number + 1);
        }
    }
    (said, lines.len())
}

/// What belongs to a line that opens a block: whatever is further in, and its end.
fn block_len(lines: &[&str]) -> usize {
    let depth = lines.first().map_or(0, |line| indent(line));
    let end = lines.iter().skip(1).position(|line| indent(line) <= depth && line.trim_start().starts_with('}'));
    end.map_or(lines.len(), |end| end + 2)
}

/// Without the body's brace, a constant's value, and the private fields of a tuple.
fn tidy(said: &str) -> String {
    let said = said.trim_end_matches(['{', ';', ',']).trim().trim_end_matches(',');
    let is_value = said.contains("const ") && !said.contains("fn ");
    let said = if is_value { said.split(" = ").next().unwrap_or_default() } else { said };
    match said.strip_prefix("pub struct ").and_then(|rest| rest.split_once('(')) {
        Some((name, fields)) if !fields.contains("pub ") => format!("pub struct {name}(..)"),
        _ => said.replace(", )", ")").replace("{ ", "{").replace(", }", "}").replace(" }", "}"),
    }
}

fn is_attribute_of_api(line: &str) -> bool {
    ["#[non_exhaustive]", "#[derive", "#[cfg(feature", "#[cfg(any", "#[cfg(all"]
        .iter()
        .any(|start| line.starts_with(start))
}

/// What a file declares for others, each with what it stands in.
fn declarations(lines: &[&str], within: &str, is_all_public: bool, found: &mut BTreeSet<String>) {
    let mut at = 0;
    let mut attributes = String::new();
    while let Some(line) = lines.get(at) {
        let text = line.trim();
        let (said, said_len) = statement(&lines[at..]);
        if text.starts_with("#[") || text.starts_with("#!") {
            if is_attribute_of_api(text) {
                attributes = format!("{attributes}{} ", said.trim_end_matches(','));
            }
            at += said_len;
            continue;
        }
        let opens = said.ends_with('{');
        let len = if opens { said_len - 1 + block_len(&lines[at + said_len - 1..]) } else { said_len };
        let inside =
            if opens { &lines[at + said_len..(at + len).saturating_sub(1).max(at + said_len)] } else { &[][..] };
        let is_public = text.starts_with("pub ") || (is_all_public && !text.starts_with('}'));
        let tidied = tidy(&said);
        let name = format!("{within}{tidied}");
        let is_function = tidied.contains("fn ");
        let is_impl = text.starts_with("impl") || text.starts_with("unsafe impl");
        if is_impl && tidied.contains(" for ") {
            found.insert(format!("{within}{attributes}{tidied}"));
        } else if is_impl {
            declarations(inside, &format!("{name} :: "), false, found);
        } else if is_public {
            found.insert(format!("{within}{attributes}{tidied}"));
            let is_open = ["pub trait", "pub enum"].iter().any(|kind| tidied.starts_with(kind));
            let header = tidied.split(['<', '(', ':']).next().unwrap_or_default();
            if opens && !is_function {
                // Variants and what a trait has are public with it; fields and what a module has say so themselves.
                declarations(inside, &format!("{within}{header} :: "), is_open, found);
            }
        } else if opens && ["macro_rules!", "pin_project!", "("].iter().any(|start| text.starts_with(start)) {
            declarations(inside, within, false, found);
        } else if is_macro(line) && !text.starts_with("thread_local!") {
            // Whatever the macro makes of it.
            found.extend(inside.iter().map(|line| format!("{name}! :: {}", line.trim())));
        }
        attributes.clear();
        at += len.max(1);
    }
}

/// The type whose trait is implemented, if it has one name: `Policy` of `impl<K> Debug for &Policy<K> where ..`.
fn implementor(line: &str) -> Option<&str> {
    let (_, target) = line.split_once(" for ").filter(|(of, _)| of.contains(": impl") || of.contains("] impl"))?;
    let path = target.split(['<', ' ', '{']).next()?.trim_start_matches('&');
    path.rsplit("::").next()
}

fn api() -> String {
    let src = root().join("src");
    let mut found = BTreeSet::new();
    for path in sources(&src) {
        let text = fs::read_to_string(&path).unwrap();
        let within = format!("{}: ", place(path.strip_prefix(&src).unwrap()));
        declarations(&code(&text), &within, false, &mut found);
    }
    let words =
        |line: &String| line.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect::<Vec<_>>();
    let named = |line: &String| {
        let words = words(line);
        let kind = words.iter().position(|word| matches!(word.as_str(), "struct" | "enum" | "trait" | "type"))?;
        words.get(kind + 1).cloned()
    };
    let public: BTreeSet<String> = found.iter().filter(|line| line.contains("pub ")).filter_map(named).collect();
    // A closure of the right shape, and whatever is shared: a letter stands for what others bring.
    let is_anybodys = |name: &str| name.len() == 1 || name == "Arc";
    let is_reachable = |line: &String| {
        implementor(line).is_none_or(|name| name.contains('$') || is_anybodys(name) || public.contains(name))
    };
    found.iter().filter(|line| is_reachable(line)).map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_public_api_is_as_written_down() {
    let file = root().join("tests/api.txt");
    let (now, written) = (api(), fs::read_to_string(&file).unwrap_or_default());
    if std::env::var_os("RAMPART_WRITE_API").is_some() {
        fs::write(&file, &now).unwrap();
        return;
    }
    let (now, written): (BTreeSet<&str>, BTreeSet<&str>) = (now.lines().collect(), written.lines().collect());
    let gone = written.difference(&now).map(|line| format!("- {line}\n"));
    let new = now.difference(&written).map(|line| format!("+ {line}\n"));
    let changes: String = gone.chain(new).collect();
    assert!(
        changes.is_empty(),
        "if that is meant, RAMPART_WRITE_API=1 cargo test --test api writes it down:\n{changes}"
    );
}

#[test]
fn declarations_are_read() {
    let text = "\
//! Text with pub fn in it.
pub use self::inner::Thing;
#[derive(Debug, Clone)]
pub struct Thing<'a> {
    pub open: u8,
    closed: &'a str,
}
pub struct Number(u64);
impl Thing<'_> {
    #[must_use]
    pub fn long(
        &self,
        first: u8,
    ) -> u8 {
        if first > 1 {
            return 1;
        }
        2
    }
    pub(crate) fn hidden(&self) {}
    pub const MOST: u8 = 3;
}
#[non_exhaustive]
pub enum Kind {
    A,
    B { inside: u8 },
}
pub trait Way {
    fn go(&self) -> bool {
        true
    }
    type Out;
}
fn private() {
    pub_fn();
}
#[cfg(test)]
mod kind_tests;
pub use self::many::{
    First, Second,
    Third,
};
pub type Empty = places! {
    None None
};
impl<S> Way for Thing<S>
where
    S: Send,
    S::Out: Sync,
{
    type Out = S::Out;
}
impl Thing<'_> {
    #[cfg(test)]
    pub fn tried(&self) {
        self.go();
    }
    pub fn bound<T>(&self, of: T)
    where
        T: Send,
        T: Sync,
    {
        drop(of);
    }
}
names! { $
    A = \"a\";
}

#[cfg(test)]
mod tests {
    pub fn none() {}
}

pub struct Last;
";
    let mut found = BTreeSet::new();
    declarations(&code(text), "", false, &mut found);
    let expected = [
        "#[derive(Debug, Clone)] pub struct Thing<'a>",
        "#[non_exhaustive] pub enum Kind",
        "impl Thing<'_> :: pub const MOST: u8",
        "impl Thing<'_> :: pub fn bound<T>(&self, of: T) where T: Send, T: Sync",
        "impl Thing<'_> :: pub fn long(&self, first: u8) -> u8",
        "impl<S> Way for Thing<S> where S: Send, S::Out: Sync",
        "names! :: A = \"a\";",
        "pub enum Kind :: A",
        "pub enum Kind :: B {inside: u8}",
        "pub struct Last",
        "pub struct Number(..)",
        "pub struct Thing :: pub open: u8",
        "pub trait Way",
        "pub trait Way :: fn go(&self) -> bool",
        "pub trait Way :: type Out",
        "pub type Empty = places! {None None}",
        "pub use self::inner::Thing",
        "pub use self::many::{First, Second, Third}",
    ];
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}
