//! Rules by path: a tree with a leaf for each template.

use std::collections::BTreeMap;

use http::Method;

use super::template::Segment;

/// A place in the tree of paths.
#[derive(Default)]
pub(crate) struct Node {
    /// By order: quicker than a hash that withstands whoever chooses the keys, which are chosen here.
    literals: BTreeMap<Box<str>, Self>,
    parameter: Option<Box<Self>>,
    here: Leaf,
    rest: Leaf,
    /// What `**` stands for: whatever is left, and nothing as well.
    any: Leaf,
}

/// The rules of one template, by method; `None` is every method.
#[derive(Default)]
pub(crate) struct Leaf(pub(crate) Vec<(Option<Method>, usize)>);

/// Whether a rule counts for a request.
type Accepts<'a> = &'a dyn Fn(usize) -> bool;

impl Node {
    pub(crate) fn leaf(&mut self, segments: &[Segment]) -> &mut Leaf {
        match segments.split_first() {
            None => &mut self.here,
            Some((Segment::Literal(literal), rest)) => self.literals.entry(literal.clone()).or_default().leaf(rest),
            Some((Segment::Parameter(_), rest)) => self.parameter.get_or_insert_default().leaf(rest),
            Some((Segment::Rest(name), _)) if name.is_empty() => &mut self.any,
            Some((Segment::Rest(_), _)) => &mut self.rest,
        }
    }

    /// The rule of the narrowest template that speaks of this method and is accepted. What is left of the path is without its slash.
    pub(crate) fn find(&self, rest: Option<&str>, method: &Method, accepts: Accepts<'_>) -> Option<usize> {
        let any = || self.any.rule(method, accepts);
        let Some(path) = rest else { return self.here.rule(method, accepts).or_else(any) };
        let (segment, further) = split_segment(path);
        let literal = self.literals.get(segment).and_then(|node| node.find(further, method, accepts));
        let parameter = || {
            let node = self.parameter.as_ref().filter(|_| !segment.is_empty())?;
            node.find(further, method, accepts)
        };
        let named = || self.rest.rule(method, accepts).filter(|_| !path.is_empty());
        literal.or_else(parameter).or_else(named).or_else(any)
    }
}

/// The first segment, and what is left behind its slash.
fn split_segment(path: &str) -> (&str, Option<&str>) {
    let slash = path.bytes().position(|byte| byte == b'/');
    match slash.and_then(|at| Some((path.get(..at)?, path.get(at + 1..)?))) {
        Some((segment, further)) => (segment, Some(further)),
        None => (path, None),
    }
}

impl Leaf {
    /// A rule for these methods; for none in particular, and it is for all.
    #[cfg(feature = "_auth")]
    pub(crate) fn add(&mut self, methods: &[Method], rule: usize) {
        match methods {
            [] => self.0.push((None, rule)),
            methods => self.0.extend(methods.iter().map(|method| (Some(method.clone()), rule))),
        }
    }

    pub(crate) fn rule(&self, method: &Method, accepts: Accepts<'_>) -> Option<usize> {
        let of = |method: &Method| {
            let speaks = |held: &Option<Method>| held.as_ref().is_none_or(|held| held == method);
            self.0.iter().find(|(held, rule)| speaks(held) && accepts(*rule)).map(|(_, rule)| *rule)
        };
        // HEAD follows GET, whose handler answers it; a rule that names HEAD itself counts for more.
        of(method).or_else(|| if *method == Method::HEAD { of(&Method::GET) } else { None })
    }
}
