//! Path templates: `/polls/{id}`, `/tenants/{tenant}/{*rest}`.

use std::fmt;
use std::str::FromStr;

use crate::spine::config::ConfigError;

/// A template for request paths. `{name}` is one segment and `*` one without a name; `{*name}` is all that is left, at least
/// one segment, and `**` whatever is left, nothing as well: `/polls/**` is `/polls` too, as in limits and caches. A trailing
/// slash is a segment of its own, so `/polls/` is another path than `/polls`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    text: Box<str>,
    pub(crate) segments: Box<[Segment]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(Box<str>),
    Parameter(Box<str>),
    Rest(Box<str>),
}

const MAX_BYTES: usize = 1024;
pub(crate) const MAX_SEGMENTS: usize = 32;

impl Template {
    /// The names of its parameters, in order; those without one are left out.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &str> {
        let names = self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::Parameter(name) | Segment::Rest(name) => Some(&**name),
        });
        names.filter(|name| !name.is_empty())
    }

    /// What a parameter stands for in a path that the template matches, without its first slash.
    #[cfg(feature = "_auth")]
    pub(crate) fn captured<'a>(&self, path: &'a str, name: &str) -> Option<&'a str> {
        let mut rest = Some(path);
        for segment in &self.segments {
            let path = rest?;
            let (text, further) = path.split_once('/').map_or((path, None), |(text, further)| (text, Some(further)));
            match segment {
                Segment::Parameter(held) if **held == *name => return Some(text),
                Segment::Rest(held) if **held == *name => return Some(path),
                _ => rest = further,
            }
        }
        None
    }
}

impl FromStr for Template {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let refuse = |breach: &'static str| {
            ConfigError::new("path", text, breach, "write one such as `/polls`, `/polls/{id}` or `/files/{*path}`")
        };
        if text.len() > MAX_BYTES {
            return Err(refuse("is longer than 1024 bytes"));
        }
        let Some(path) = text.strip_prefix('/') else { return Err(refuse("does not begin with `/`")) };
        let parts: Vec<_> = path.split('/').collect();
        if parts.len() > MAX_SEGMENTS {
            return Err(refuse("has more than 32 segments"));
        }
        let last = parts.len() - 1;
        let mut segments = Vec::new();
        for (at, part) in parts.into_iter().enumerate() {
            segments.push(match segment(part) {
                Some(Segment::Rest(_)) if at < last => return Err(refuse("goes on after `{*...}`")),
                // The root, and a slash at the end.
                Some(Segment::Literal(literal)) if literal.is_empty() && at < last => {
                    return Err(refuse("has an empty segment"));
                }
                // In the words of older routers; a literal would match nothing.
                Some(Segment::Literal(literal)) if literal.starts_with(':') => {
                    return Err(ConfigError::new("path", text, "has a parameter with a colon", "write `{id}` for one"));
                }
                Some(segment) => segment,
                None => return Err(refuse("has a segment that no path has, or an unnamed parameter")),
            });
        }
        let template = Self { text: text.into(), segments: segments.into() };
        let names: Vec<_> = template.parameters().collect();
        if names.iter().enumerate().any(|(at, name)| names.iter().take(at).any(|before| before == name)) {
            return Err(refuse("names a parameter twice"));
        }
        Ok(template)
    }
}

fn segment(text: &str) -> Option<Segment> {
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        return match inner.strip_prefix('*') {
            Some(name) => is_name(name).then(|| Segment::Rest(name.into())),
            None => is_name(inner).then(|| Segment::Parameter(inner.into())),
        };
    }
    // As gRPC's people and limits' paths write it: one segment without a name, and all that is left without one.
    match text {
        "*" => return Some(Segment::Parameter("".into())),
        "**" => return Some(Segment::Rest("".into())),
        _ => {}
    }
    // Literals are compared with decoded paths, so they are written decoded.
    let is_plain = !text.chars().any(|c| c.is_control() || " {}?#%\\*".contains(c)) && text != "." && text != "..";
    is_plain.then(|| Segment::Literal(text.into()))
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
