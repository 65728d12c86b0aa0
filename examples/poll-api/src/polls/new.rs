//! A poll as somebody wants it, checked.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::clock;
use crate::db::{Poll, User};
use crate::fault::{Breach, Fault, Result};

/// A poll to be made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    #[schema(min_length = 1, max_length = 200, example = "Tabs or spaces?")]
    pub question: String,
    /// Two to twenty, all different.
    #[schema(min_items = 2, max_items = 20, schema_with = options)]
    pub options: Vec<String>,
    /// When it closes by itself; never, where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub closes_at: Option<String>,
}

/// `uniqueItems` and the bounds of each option, which the derive cannot say.
fn options() -> utoipa::openapi::Schema {
    use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
    let option = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(100));
    ArrayBuilder::new().items(option).min_items(Some(2)).max_items(Some(20)).unique_items(true).into()
}

/// Nobody plans further ahead, and every database can hold it.
const LATEST_YEAR: i32 = 9999;

impl Draft {
    /// The poll, or everything that is wrong with it.
    pub fn check(&self, author: &User, now: i64) -> Result<Poll> {
        let mut breaches = Vec::new();
        // Not every database can hold a NUL, which gRPC lets through.
        let has =
            |text: &str, most: usize| !text.trim().is_empty() && text.chars().count() <= most && !text.contains('\0');
        if !has(&self.question, 200) {
            breaches.push(Breach::new("#/question", "must have 1 to 200 characters, and no NUL"));
        }
        if !(2..=20).contains(&self.options.len()) {
            breaches.push(Breach::new("#/options", "must be 2 to 20"));
        }
        // Some more than are allowed, and no more: what is beyond is wrong in any case.
        for (at, option) in self.options.iter().enumerate().take(21) {
            if !has(option, 100) {
                breaches.push(Breach::new(format!("#/options/{at}"), "must have 1 to 100 characters, and no NUL"));
            } else if self.options.iter().take(at).any(|before| before == option) {
                breaches.push(Breach::new(format!("#/options/{at}"), "stands there twice"));
            }
        }
        let closes_at = match self.closes_at.as_deref().map(moment) {
            None => None,
            Some(Some(at)) if at > now => Some(at),
            Some(Some(_)) => {
                breaches.push(Breach::new("#/closes_at", "must be in the future"));
                None
            }
            Some(None) => {
                breaches.push(Breach::new("#/closes_at", "must be a date with time and offset (RFC 3339)"));
                None
            }
        };
        if !breaches.is_empty() {
            return Err(Fault::Invalid(breaches));
        }
        Ok(Poll {
            id: Uuid::now_v7().to_string(),
            question: self.question.clone(),
            options: (1..).zip(self.options.iter().cloned()).collect(),
            author_id: author.id.clone(),
            author: author.username.clone(),
            created_at: now,
            closes_at,
            closed: false,
        })
    }
}

fn moment(text: &str) -> Option<i64> {
    let at = clock::read(text)?;
    let year = OffsetDateTime::from_unix_timestamp(at.div_euclid(1000)).ok()?.year();
    (year <= LATEST_YEAR).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(question: &str, options: &[&str], closes_at: Option<&str>) -> Vec<String> {
        let draft = Draft {
            question: question.to_owned(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            closes_at: closes_at.map(str::to_owned),
        };
        let ann = User { id: "1".into(), username: "ann".into(), password_hash: String::new(), role: "author".into() };
        match draft.check(&ann, clock::read("2027-01-01T00:00:00Z").unwrap()) {
            Ok(_) => Vec::new(),
            Err(Fault::Invalid(breaches)) => breaches.into_iter().map(|breach| breach.pointer.into_owned()).collect(),
            Err(fault) => panic!("{fault:?}"),
        }
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        assert!(check("Tabs?", &["yes", "no"], Some("2027-01-01T00:00:01Z")).is_empty());
        assert_eq!(check("", &["yes"], Some("soon")), ["#/question", "#/options", "#/closes_at"]);
        assert_eq!(check("Tabs?", &["yes", "", "yes"], None), ["#/options/1", "#/options/2"]);
        assert_eq!(check("Tabs?", &["yes", "no"], Some("2026-12-31T23:59:59Z")), ["#/closes_at"]);
        // Characters count, not bytes.
        assert!(check(&"ä".repeat(200), &[&"ö".repeat(100), "no"], None).is_empty());
        assert_eq!(check(&"ä".repeat(201), &[&"ö".repeat(101), "no"], None), ["#/question", "#/options/0"]);
        assert_eq!(check("a\0b", &["a", "b\0"], None), ["#/question", "#/options/1"]);
        let many: Vec<_> = (0..1000).map(|_| "x").collect();
        assert_eq!(check("Tabs?", &many, None).len(), 21);
    }
}
