//! Why a table decides as it does, for people.

use std::fmt;

use super::predicate::Predicate;

/// Which rule decides about a request, and what it misses. Made by [`PolicyTable::explain`](super::PolicyTable::explain);
/// it is printed in one line, and holds nothing of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    rule: Option<Box<str>>,
    is_allowed: bool,
    reasons: Vec<String>,
}

impl Explanation {
    pub(super) fn ambiguous() -> Self {
        Self::refused("the path can be read in more than one way")
    }

    pub(super) fn no_route() -> Self {
        Self::refused("the table goes by routes, and the request has none")
    }

    pub(super) fn nothing() -> Self {
        Self::refused("no rule speaks of this method and path")
    }

    fn refused(reason: &str) -> Self {
        Self { rule: None, is_allowed: false, reasons: vec![reason.to_owned()] }
    }

    pub(super) fn denied(rule: &str, predicates: &[Predicate]) -> Self {
        let when = predicates.iter().map(|predicate| format!("so: {predicate}"));
        let reasons = std::iter::once(String::from("it denies")).chain(when).collect();
        Self { rule: Some(rule.into()), is_allowed: false, reasons }
    }

    pub(super) fn of_rule(rule: &str, is_allowed: bool, reasons: Vec<String>) -> Self {
        Self { rule: Some(rule.into()), is_allowed, reasons }
    }

    /// Whether the request may pass.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        self.is_allowed
    }

    /// The rule that decides, if one does.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }

    /// Each thing that the rule asks for and does not find, or why no rule was asked.
    pub fn reasons(&self) -> impl ExactSizeIterator<Item = &str> {
        self.reasons.iter().map(String::as_str)
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_allowed { "allowed" } else { "refused" })?;
        if let Some(rule) = &self.rule {
            write!(f, " by `{rule}`")?;
        }
        if self.reasons.is_empty() { Ok(()) } else { write!(f, ": {}", self.reasons.join("; ")) }
    }
}
