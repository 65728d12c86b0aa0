//! What an operation may be answered.

use http::{HeaderMap, HeaderName, StatusCode, header};

use super::super::breach::Error;
use super::super::media::{Coded, coded};
use super::bundle::{Direction, Notes};
use super::document::{Document, below, members};
use super::look::{Errors, Slot, check_headers};
use super::media::Content;
use super::parameter;
use crate::spine::coding::Coding;
use crate::spine::json::JsonLimits;
use crate::wiring::{CompiledSchema, JsonValue, SchemaBreach};

/// The responses of an operation, by status.
#[derive(Debug)]
pub(in crate::layers::validate) struct Responses(Vec<(Statuses, Response)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Statuses {
    One(u16),
    /// `2XX`
    Class(u16),
    Other,
}

#[derive(Debug)]
struct Response {
    headers: Vec<(HeaderName, Slot)>,
    content: Content,
}

/// What a response is described as.
#[derive(Debug)]
pub(in crate::layers::validate) enum Described<'a> {
    /// Of its body nothing can be said here.
    Passed,
    Breach(String),
    /// Its body is JSON of this schema, once this is undone.
    Json {
        schema: &'a CompiledSchema,
        coding: Option<Coding>,
    },
}

impl Responses {
    pub(super) fn compile(document: &Document, at: &str, notes: &mut Notes) -> Self {
        let at = below(at, "responses");
        let mut all = Vec::new();
        for (status, _) in members(document.at(&at), &at, &mut notes.faults) {
            let place = below(&at, status);
            let statuses = match (&**status, status.parse()) {
                ("default", _) => Statuses::Other,
                (text, Ok(number @ 100..600)) if text.len() == 3 => Statuses::One(number),
                ("1XX" | "2XX" | "3XX" | "4XX" | "5XX", _) => {
                    Statuses::Class(status.bytes().next().map_or(0, |digit| (digit - b'0').into()))
                }
                (text, _) if text.starts_with("x-") => continue,
                _ => {
                    notes.faults.add(&place, "is no status");
                    continue;
                }
            };
            let Some((place, described)) = document.resolve(&place, &mut notes.faults) else { continue };
            let content_at = below(&place, "content");
            let content = Content::compile(document, &content_at, described.get("content"), Direction::Response, notes);
            all.push((statuses, Response { headers: headers(document, &below(&place, "headers"), notes), content }));
        }
        Self(all)
    }

    /// Judges the head of a response; a status of which nothing is said passes.
    pub(in crate::layers::validate) fn check(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        has_body: bool,
        limits: &JsonLimits,
    ) -> Described<'_> {
        let number = status.as_u16();
        let of = |wanted: Statuses| self.0.iter().find(|(held, _)| *held == wanted).map(|(_, response)| response);
        let found =
            of(Statuses::One(number)).or_else(|| of(Statuses::Class(number / 100))).or_else(|| of(Statuses::Other));
        let Some(Response { headers: slots, content }) = found else { return Described::Passed };
        let mut errors = Errors::default();
        check_headers(slots, headers, limits, &mut errors);
        if let Some(Error { name, keyword, .. }) = errors.told.first() {
            return Described::Breach(format!("header {}: {keyword}", name.as_deref().unwrap_or_default()));
        }
        // A part of something is no whole of it.
        if !has_body || content.is_empty() || status == StatusCode::PARTIAL_CONTENT {
            return Described::Passed;
        }
        let field = headers.get(header::CONTENT_TYPE).and_then(|field| field.to_str().ok()).unwrap_or_default();
        let essence = field.split(';').next().unwrap_or_default().trim();
        let Some(media) = content.find(essence).and_then(|index| content.get(index)) else {
            return Described::Breach(String::from("content-type"));
        };
        match &media.schema {
            Some(schema) if super::media::is_json(essence) => match coded(headers) {
                Coded::AsItIs => Described::Json { schema, coding: None },
                Coded::By(coding) => Described::Json { schema, coding: Some(coding) },
                Coded::Unknown => Described::Breach(String::from("content-encoding")),
            },
            _ => Described::Passed,
        }
    }
}

/// Judges the body of a response: what is wrong with it, and where.
pub(in crate::layers::validate) fn check_body(
    schema: &CompiledSchema,
    body: &[u8],
    limits: &JsonLimits,
) -> Option<(String, String)> {
    match JsonValue::read(body, limits) {
        Ok(value) => {
            let SchemaBreach { pointer, keyword, .. } = schema.judge(&value, body.len()).into_iter().next()?;
            Some((keyword, pointer))
        }
        Err(stop) => Some((String::from("json"), stop.pointer())),
    }
}

fn headers(document: &Document, at: &str, notes: &mut Notes) -> Vec<(HeaderName, Slot)> {
    let mut all = Vec::new();
    for (name, _) in members(document.at(at), at, &mut notes.faults) {
        // The one is described by the content, the other is no list that lines can be put together to.
        if name.eq_ignore_ascii_case("content-type") || name.eq_ignore_ascii_case("set-cookie") {
            continue;
        }
        let place = below(at, name);
        let Ok(field) = HeaderName::from_bytes(name.as_bytes()) else {
            notes.faults.add(&place, "is no name of a header field");
            continue;
        };
        all.extend(parameter::field(document, &place, name, notes).map(|parameter| (field, Slot::of(parameter))));
    }
    all
}
