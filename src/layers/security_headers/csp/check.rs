//! Reads a policy from text, and finds what a browser would silently ignore or misread.

use super::directive::{self, Grammar, SANDBOX_TOKENS};
use super::policy::{Csp, Directive, Value};
use super::source::{Keyword, Kind, Source};
use crate::spine::config::ConfigError;

/// The most bytes of a policy. Servers and clients refuse header sections of more than 8 to 16 KiB.
const MAX_POLICY_BYTES: usize = 8192;

/// Takes a serialized policy apart (CSP Level 3 section 2.2.1).
pub(super) fn parse(text: &str) -> Result<Csp, ConfigError> {
    if text.len() > MAX_POLICY_BYTES {
        return Err(breach(text, "is longer than 8192 bytes", "shorten it: clients refuse such header sections"));
    }
    refuse_bad_chars(text, ",\r\n", "holds")?;
    let mut csp = Csp::new();
    for directive in text.split(';') {
        let mut tokens = directive.split_ascii_whitespace();
        let Some(name) = tokens.next() else { continue };
        let name = name.to_ascii_lowercase();
        let grammar = directive::grammar(&name).ok_or_else(|| unknown(&name))?;
        let value = match grammar {
            Grammar::Code | Grammar::Places => Value::Sources(tokens.map(Source::parse).collect::<Result<_, _>>()?),
            _ => Value::Tokens(tokens.map(str::to_owned).collect()),
        };
        csp = csp.with(name, value);
    }
    Ok(csp)
}

/// Checks a policy for meaning.
pub(super) fn policy(csp: &Csp) -> Result<(), ConfigError> {
    if csp.directives.is_empty() {
        return Err(breach("", "the policy has no directive", "write at least `default-src 'none'`"));
    }
    for (index, directive) in csp.directives.iter().enumerate() {
        let earlier = csp.directives.get(..index).unwrap_or_default();
        if earlier.iter().any(|other| other.name.eq_ignore_ascii_case(&directive.name)) {
            return Err(breach(
                &directive.name,
                "stands twice, and browsers read the first alone",
                "merge the two directives into one",
            ));
        }
        check_directive(directive)?;
    }
    Ok(())
}

fn check_directive(Directive { name, value }: &Directive) -> Result<(), ConfigError> {
    match (value, directive::grammar(name)) {
        (Value::Sources(sources), Some(grammar)) => check_sources(name, sources, grammar),
        (Value::Tokens(tokens), Some(grammar)) => check_tokens(name, tokens, grammar),
        (Value::Custom(text), None) => {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            if name.is_empty() || !name.bytes().all(is_name) {
                return Err(breach(name, "is no directive name", "use letters, digits and `-`"));
            }
            refuse_bad_chars(text, ";,\r\n", "holds")
        }
        (Value::Custom(_), Some(_)) => {
            Err(breach(name, "is a known directive", "use its own setter, which checks its value"))
        }
        (_, None) => Err(unknown(name)),
    }
}

fn check_sources(name: &str, sources: &[Source], grammar: Grammar) -> Result<(), ConfigError> {
    if sources.is_empty() {
        return Err(breach(name, "has no source", "write `'none'` when nothing is allowed"));
    }
    for (index, source) in sources.iter().enumerate() {
        if sources.get(..index).unwrap_or_default().contains(source) {
            return Err(breach(source, format!("stands twice in {name}"), "leave one of them out"));
        }
        if grammar == Grammar::Places && !means_a_place(source) {
            return Err(breach(
                source,
                format!("has no effect in {name}"),
                "leave it out; it belongs into a script or style directive",
            ));
        }
    }
    let has = |keyword: Keyword| sources.iter().any(|source| source.is(keyword));
    if has(Keyword::None) && sources.len() > 1 {
        return Err(breach(
            "'none'",
            format!("stands beside other sources in {name}, and is ignored there"),
            "leave it out, or the others",
        ));
    }
    let is_anchor = |source: &Source| matches!(source.0, Kind::Nonce | Kind::Hash(_));
    if has(Keyword::StrictDynamic) && !sources.iter().any(is_anchor) {
        return Err(breach(
            "'strict-dynamic'",
            format!("has no nonce or hash beside it in {name}, so that nothing may load"),
            "add `Source::NONCE` or a hash, or leave it out",
        ));
    }
    Ok(())
}

fn means_a_place(source: &Source) -> bool {
    match source.0 {
        Kind::Place(_) | Kind::Keyword(Keyword::None | Keyword::OwnOrigin | Keyword::ReportSample) => true,
        Kind::Nonce | Kind::Hash(_) | Kind::Keyword(_) => false,
    }
}

fn check_tokens(name: &str, tokens: &[String], grammar: Grammar) -> Result<(), ConfigError> {
    for token in tokens {
        refuse_bad_chars(token, ";, \t\r\n", "holds")?;
        if token.is_empty() {
            return Err(breach(name, "has an empty value", "leave it out"));
        }
    }
    let refuse = |breached: &'static str, mend: &'static str| {
        let value = tokens.first().map_or(name, String::as_str);
        Err(breach(value, format!("{breached} {name}"), mend))
    };
    let all = |test: &dyn Fn(&str) -> bool| tokens.iter().all(|token| test(token));
    match grammar {
        Grammar::Flag if !tokens.is_empty() => refuse("has no place behind", "leave the value out"),
        Grammar::Sandbox if !all(&|token| SANDBOX_TOKENS.contains(&token)) => {
            refuse("is not allowed in", "use the tokens of HTML's sandbox attribute, such as `allow-scripts`")
        }
        Grammar::TrustedTypesSinks if !all(&|token| token == "'script'") || tokens.len() != 1 => {
            refuse("is not what belongs into", "write `'script'`")
        }
        Grammar::AllowBlock if !all(&|token| matches!(token, "'allow'" | "'block'")) || tokens.len() != 1 => {
            refuse("is not what belongs into", "write `'allow'` or `'block'`")
        }
        Grammar::TrustedTypes if !all(&is_trusted_types_token) => {
            refuse("is no policy name in", "use letters, digits and `-#=_/@.%`, or a keyword in quotes")
        }
        Grammar::ReportGroup if tokens.len() != 1 => refuse("is not the one group of", "name exactly one group"),
        Grammar::ReportUris if tokens.is_empty() => refuse("is the empty", "name at least one URI"),
        _ => Ok(()),
    }
}

fn is_trusted_types_token(token: &str) -> bool {
    matches!(token, "*" | "'none'" | "'allow-duplicates'")
        || token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-#=_/@.%".contains(&byte))
}

fn unknown(name: &str) -> ConfigError {
    let mend = match directive::closest(name) {
        Some(known) => format!("write `{known}`, or add it with `Csp::custom`"),
        None => String::from("use a directive of CSP Level 3, or add it with `Csp::custom`"),
    };
    breach(name, "is no known directive", mend)
}

fn refuse_bad_chars(text: &str, bad: &str, holds: &'static str) -> Result<(), ConfigError> {
    let is_bad =
        |c: &char| bad.contains(*c) || !(c.is_ascii_graphic() || *c == ' ' || *c == '\t' || *c == '\n' || *c == '\r');
    match text.chars().find(is_bad) {
        None => Ok(()),
        Some(c) => Err(breach(
            text,
            format!("{holds} {c:?}, which would end the directive or the policy"),
            "leave it out, or percent-encode it",
        )),
    }
}

fn breach(
    value: impl std::fmt::Display,
    breach: impl Into<std::borrow::Cow<'static, str>>,
    mend: impl Into<std::borrow::Cow<'static, str>>,
) -> ConfigError {
    ConfigError::new("content_security_policy", value, breach, mend)
}
