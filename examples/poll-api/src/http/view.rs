//! Polls and results, as clients see them: `fields` picks members, `expand` embeds what belongs to them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::clock;
use crate::db::{Poll, Results};
use crate::fault::{Fault, Result};

/// A poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PollView {
    /// A UUIDv7.
    pub id: String,
    pub question: String,
    pub options: Vec<OptionView>,
    /// The user's name.
    pub author: String,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[schema(format = DateTime)]
    pub closes_at: Option<String>,
    pub closed: bool,
}

/// One of its options: 1, 2, and so on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OptionView {
    pub id: i64,
    pub text: String,
}

impl From<&Poll> for PollView {
    fn from(poll: &Poll) -> Self {
        Self {
            id: poll.id.clone(),
            question: poll.question.clone(),
            options: poll.options.iter().map(|(id, text)| OptionView { id: *id, text: text.clone() }).collect(),
            author: poll.author.clone(),
            created_at: clock::show(poll.created_at),
            closes_at: poll.closes_at.map(clock::show),
            closed: poll.closed,
        }
    }
}

pub const POLL_FIELDS: [&str; 8] =
    ["id", "question", "options", "author", "created_at", "closes_at", "closed", "results"];
pub const RESULTS_FIELDS: [&str; 4] = ["poll_id", "total", "closed", "options"];

/// Which members are wanted; all, where nothing is said.
#[derive(Debug, Clone, Default)]
pub struct Fields(Option<Vec<String>>);

impl Fields {
    /// Names, separated by commas, each of which must be known.
    pub fn parse(asked: Option<&str>, known: &[&str]) -> Result<Self> {
        let Some(asked) = asked else { return Ok(Self(None)) };
        let names: Vec<_> = asked.split(',').map(str::to_owned).collect();
        if names.len() > known.len() || names.iter().any(|name| !known.contains(&name.as_str())) {
            return Err(Fault::Malformed("`fields` names members of the answer, separated by commas."));
        }
        Ok(Self(Some(names)))
    }

    pub fn pick(&self, value: Value) -> Value {
        match (&self.0, value) {
            (Some(names), Value::Object(members)) => {
                let kept = members.into_iter().filter(|(name, _)| names.contains(name));
                Value::Object(kept.collect::<Map<_, _>>())
            }
            (_, value) => value,
        }
    }
}

/// What is embedded. Nothing that is embedded can be expanded further.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expand {
    pub results: bool,
    pub author: bool,
}

impl Expand {
    pub fn parse(asked: Option<&str>) -> Result<Self> {
        let mut expand = Self::default();
        for name in asked.into_iter().flat_map(|asked| asked.split(',')) {
            match name {
                "results" if !expand.results => expand.results = true,
                "author" if !expand.author => expand.author = true,
                _ => return Err(Fault::Malformed("`expand` names `results`, `author` or both, separated by a comma.")),
            }
        }
        Ok(expand)
    }
}

/// What is shown, as JSON.
pub fn shown(view: &impl Serialize) -> Result<Value> {
    serde_json::to_value(view).map_err(|error| Fault::internal("what is shown is no JSON", error))
}

/// A poll with what is embedded in it.
pub fn poll(poll: &Poll, expand: Expand, results: &HashMap<String, Results>, fields: &Fields) -> Result<Value> {
    let mut value = shown(&PollView::from(poll))?;
    if let Value::Object(members) = &mut value {
        if expand.author {
            members.insert("author".to_owned(), json!({ "id": poll.author_id, "username": poll.author }));
        }
        if let Some(results) = results.get(&poll.id) {
            members.insert("results".to_owned(), shown(results)?);
        }
    }
    Ok(fields.pick(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_picked_and_must_be_known() {
        let value = json!({ "id": 1, "question": "?", "closed": false });
        let pick = |asked| Fields::parse(asked, &POLL_FIELDS).map(|fields| fields.pick(value.clone()));
        assert_eq!(pick(None).unwrap(), value);
        assert_eq!(pick(Some("closed,id")).unwrap(), json!({ "id": 1, "closed": false }));
        for asked in ["", "password", "id,", "id, closed"] {
            assert!(pick(Some(asked)).is_err(), "{asked}");
        }
    }

    #[test]
    fn two_things_expand() {
        let expand = Expand::parse(Some("author,results")).unwrap();
        assert!(expand.author && expand.results);
        for asked in ["", "votes", "author.polls", "author,author"] {
            assert!(Expand::parse(Some(asked)).is_err(), "{asked}");
        }
    }
}
