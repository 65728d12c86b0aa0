//! Members that one side may not send: `readOnly` ones are the server's, `writeOnly` ones the client's.

use std::collections::BTreeSet;

use super::bundle::{Bundler, Direction};
use super::document::{Version, below, item};
use crate::spine::json::Json;

impl Bundler<'_> {
    /// The members that this schema, and what it is put together from, does not let this side send.
    pub(super) fn hidden(&self, at: &str, schema: &Json<'static>, seen: &mut Vec<String>) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        if let Some(Json::Object(properties)) = schema.get("properties") {
            let place = below(at, "properties");
            let hidden = properties
                .iter()
                .filter(|(name, schema)| self.is_hidden(&below(&place, name), schema, &mut Vec::new()));
            names.extend(hidden.map(|(name, _)| name.to_string()));
        }
        self.each_part(at, schema, seen, |seen, at, part| names.extend(self.hidden(at, part, seen)));
        names
    }

    pub(super) fn is_hidden(&self, at: &str, schema: &Json<'static>, seen: &mut Vec<String>) -> bool {
        let keyword = match self.direction {
            Direction::Request => "readOnly",
            Direction::Response => "writeOnly",
        };
        let has_reference = schema.get("$ref").is_some() && self.document.version == Version::V30;
        if !has_reference && schema.get(keyword) == Some(&Json::Flag(true)) {
            return true;
        }
        let mut is_hidden = false;
        self.each_part(at, schema, seen, |seen, at, part| is_hidden |= self.is_hidden(at, part, seen));
        is_hidden
    }

    /// What a schema is put together from: its reference, and its `allOf`. Nothing is seen twice.
    fn each_part(
        &self,
        at: &str,
        schema: &Json<'static>,
        seen: &mut Vec<String>,
        mut each: impl FnMut(&mut Vec<String>, &str, &Json<'static>),
    ) {
        let target = schema.get("$ref").and_then(Json::text).and_then(|held| self.document.target(held).ok());
        if let Some(pointer) = target.filter(|pointer| !seen.contains(pointer)) {
            seen.push(pointer.clone());
            if let Some(part) = self.document.at(&pointer) {
                each(seen, &pointer, part);
            }
        }
        for (index, part) in schema.get("allOf").and_then(Json::list).unwrap_or_default().iter().enumerate() {
            each(seen, &item(&below(at, "allOf"), index), part);
        }
    }
}
