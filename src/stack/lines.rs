//! What stands in a stack, in words.

use std::any::type_name;
use std::fmt;
use std::sync::Arc;

use crate::spine::describe::Describe;

/// A line for each place that is filled.
#[derive(Clone, Default)]
pub(super) struct Lines(Vec<Line>);

#[derive(Clone)]
struct Line {
    /// How many places stand before it.
    rank: usize,
    place: &'static str,
    what: What,
}

#[derive(Clone)]
enum What {
    #[allow(dead_code, reason = "without features there is none")]
    Ours(Arc<dyn Describe>),
    Foreign(&'static str),
    Said(&'static str),
}

impl Lines {
    /// A layer of ours, which says what it is set to.
    #[allow(dead_code, reason = "without features there is none")]
    pub(super) fn ours(&mut self, rank: usize, place: &'static str, layer: impl Describe) {
        self.put(rank, place, What::Ours(Arc::new(layer)));
    }

    /// Somebody else's, of which only the type is known.
    pub(super) fn foreign<L>(&mut self, rank: usize, place: &'static str) {
        self.put(rank, place, What::Foreign(type_name::<L>()));
    }

    /// No layer, but something to say.
    pub(super) fn said(&mut self, rank: usize, place: &'static str, text: &'static str) {
        self.put(rank, place, What::Said(text));
    }

    fn put(&mut self, rank: usize, place: &'static str, what: What) {
        let at = self.0.partition_point(|line| line.rank < rank);
        self.0.insert(at, Line { rank, place, what });
    }

    /// The names by which clients tell the quotas of a place apart.
    pub(super) fn policies(&self, rank: usize) -> Vec<String> {
        self.ours_at(rank).flat_map(Describe::policies).collect()
    }

    /// Whether what stands in a place refuses whom nobody knows.
    pub(super) fn refuses_strangers(&self, rank: usize) -> bool {
        self.ours_at(rank).any(Describe::refuses_strangers)
    }

    /// A rule of what stands in a place, by which strangers may pass.
    pub(super) fn public_rule(&self, rank: usize) -> Option<String> {
        self.ours_at(rank).find_map(Describe::public_rule)
    }

    fn ours_at(&self, rank: usize) -> impl Iterator<Item = &dyn Describe> {
        self.0.iter().filter(move |line| line.rank == rank).filter_map(|line| match &line.what {
            What::Ours(layer) => Some(&**layer),
            What::Foreign(_) | What::Said(_) => None,
        })
    }

    /// The names of places where something stands that does something.
    pub(super) fn places(&self) -> Vec<&'static str> {
        self.0.iter().filter(|line| line.text().is_some()).map(|line| line.place).collect()
    }

    /// Whether something stands in a place, and does something.
    pub(super) fn has(&self, rank: usize) -> bool {
        self.0.iter().any(|line| line.rank == rank && line.text().is_some())
    }
}

impl Line {
    fn text(&self) -> Option<String> {
        match &self.what {
            What::Ours(layer) => layer.describe(),
            What::Foreign(name) => Some(short(name)),
            What::Said(text) => Some((*text).to_owned()),
        }
    }
}

/// The name of a type, without what it is generic over: that may be long, and names closures.
fn short(name: &str) -> String {
    // A pair stands for its parts.
    if let Some(parts) = name.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        return split(parts).map(short).collect::<Vec<_>>().join(", ");
    }
    let end = name.find('<').unwrap_or(name.len());
    name.get(..end).unwrap_or(name).to_owned()
}

/// The parts between commas that stand in no brackets.
fn split(parts: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let is_comma = move |c: char| {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    };
    parts.split(is_comma).map(str::trim).filter(|part| !part.is_empty())
}

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.0.iter().filter_map(|line| Some((line.place, line.text()?))).collect();
        let width = texts.iter().map(|(place, _)| place.len()).max().unwrap_or_default();
        for (at, (place, text)) in texts.iter().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            write!(f, "{end}{place:width$}  {text}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|line| line.place)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn names_are_short() {
        assert_eq!(short("tower_http::trace::TraceLayer<a::B<c::D>, {{closure}}>"), "tower_http::trace::TraceLayer");
        assert_eq!(short("(a::A<x::X, y::Y>, b::B)"), "a::A, b::B");
        assert_eq!(short("(a::A,)"), "a::A");
        assert_eq!(short("a::A"), "a::A");
    }
}
