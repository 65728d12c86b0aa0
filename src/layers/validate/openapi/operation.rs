//! An operation, and the judgement of a request's head by it.

use std::borrow::Cow;

use http::{HeaderName, Method, header};

use super::super::breach::{Breach, Check};
use super::super::limits::Limits;
use super::decode::{Escapes, Fault, Field, one};
use super::fields::{form, pairs};
use super::look::{Errors, Slot, check_headers, check_pairs, look, nameless, words};
use super::media::{Content, Form, Media};
use super::parameter::{Parameter, Place};
use super::template::{Captured, PathTemplate};
use crate::spine::json::JsonLimits;
use crate::spine::problem::ProblemKind;
use crate::spine::request::RequestView;
use crate::wiring::CompiledSchema;

/// What a description says of one method of one path.
#[derive(Debug)]
pub(in crate::layers::validate) struct Operation {
    pub(super) method: Method,
    pub(super) path: Box<str>,
    /// Where its servers have their paths.
    pub(super) base: Box<str>,
    /// Where it is described.
    pub(super) at: Box<str>,
    pub(super) security: Security,
    keys_in_query: Vec<Box<str>>,
    path_parameters: Vec<Slot>,
    query: Vec<Slot>,
    headers: Vec<(HeaderName, Slot)>,
    cookies: Vec<Slot>,
    body: Option<Body>,
}

/// The schemes that it asks for: all of one of these lists.
pub(super) type Security = Vec<Vec<Box<str>>>;

/// The credentials that it asks for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) security: Security,
    /// Query parameters that are keys, and described by their schemes alone.
    pub(super) in_query: Vec<Box<str>>,
}

#[derive(Debug)]
pub(super) struct Body {
    pub(super) is_required: bool,
    pub(super) content: Content,
}

impl Operation {
    pub(super) fn new(
        (method, path, base, at): (Method, &str, String, &str),
        Asked { security, in_query }: Asked,
        parameters: Vec<Parameter>,
        body: Option<Body>,
    ) -> Self {
        let mut operation = Self {
            method,
            path: path.into(),
            base: base.into(),
            at: at.into(),
            security,
            keys_in_query: in_query,
            path_parameters: Vec::new(),
            query: Vec::new(),
            headers: Vec::new(),
            cookies: Vec::new(),
            body,
        };
        for parameter in parameters {
            let slot = Slot::of(parameter);
            match slot.parameter.place {
                Place::Path => operation.path_parameters.push(slot),
                Place::Query => operation.query.push(slot),
                Place::Cookie => operation.cookies.push(slot),
                // A name that is no field's name was told of when it was read.
                Place::Header => {
                    let name = HeaderName::from_bytes(slot.parameter.field.name.as_bytes());
                    operation.headers.extend(name.ok().map(|name| (name, slot)));
                }
            }
        }
        operation
    }

    /// Whether it describes a body, and whether there must be one.
    pub(in crate::layers::validate) fn expects_body(&self) -> Option<bool> {
        self.body.as_ref().map(|body| body.is_required)
    }

    /// The number of the media type that a body's type falls under. A body of which nothing is said may be anything.
    pub(in crate::layers::validate) fn media(&self, essence: &str) -> Option<usize> {
        let content = &self.body.as_ref()?.content;
        if content.is_empty() { Some(0) } else { content.find(essence) }
    }

    fn media_at(&self, index: usize) -> Option<&Media> {
        self.body.as_ref()?.content.get(index)
    }

    /// The schema of a media type.
    pub(in crate::layers::validate) fn schema(&self, media: usize) -> Option<&CompiledSchema> {
        self.media_at(media)?.schema.as_deref()
    }

    /// Judges the parameters of a request. The path is the one that was asked for, as it was sent.
    pub(in crate::layers::validate) fn check(
        &self,
        request: RequestView<'_>,
        path: &str,
        template: &PathTemplate,
        refuses_unknown: bool,
        limits: &Limits,
    ) -> Option<Breach> {
        let limits = limits.json(limits.uri_bytes.max(limits.header_value_bytes));
        let mut errors = Errors::default();
        self.check_path(path, template, &limits, &mut errors);
        self.check_query(request.uri().query().unwrap_or_default(), refuses_unknown, &limits, &mut errors);
        check_headers(&self.headers, request.headers(), &limits, &mut errors);
        self.check_cookies(request, &limits, &mut errors);
        if errors.told.is_empty() {
            return None;
        }
        const DETAIL: &str = "The parameters are not as described.";
        Some(Breach::listed(Check::Parameters, ProblemKind::BadRequest, DETAIL, errors.told, errors.is_truncated))
    }

    fn check_path(&self, path: &str, template: &PathTemplate, limits: &JsonLimits, errors: &mut Errors) {
        let path = path.strip_prefix('/').unwrap_or(path);
        for slot in &self.path_parameters {
            let decode = |field: &Field| match template.capture(path, &field.name) {
                None => Ok(None),
                Some(Captured::Segment(raw)) => one(field, raw, Escapes::Percent, limits).map(Some),
                Some(Captured::Part(text)) => one(field, &text, Escapes::None, limits).map(Some),
            };
            look(slot, path.len(), decode, errors);
        }
    }

    fn check_query(&self, query: &str, refuses_unknown: bool, limits: &JsonLimits, errors: &mut Errors) {
        if self.query.is_empty() && (query.is_empty() || !refuses_unknown) {
            return;
        }
        let fields = self.query.iter().map(|slot| &slot.parameter.field);
        let pairs = match pairs(query, '&', Escapes::Plus, fields) {
            Ok(pairs) => pairs,
            Err(fault) => {
                errors.add_nameless("query", words(fault));
                return;
            }
        };
        check_pairs(&self.query, &pairs, query.len(), Escapes::Plus, limits, errors);
        let is_key = |name: &str| self.keys_in_query.iter().any(|key| **key == *name);
        if refuses_unknown && pairs.iter().any(|pair| pair.owner.is_none() && !is_key(&pair.name)) {
            const UNKNOWN: (&str, &str) = ("unknown", "The query has a parameter that is not described.");
            errors.add_nameless("query", UNKNOWN);
        }
    }

    fn check_cookies(&self, request: RequestView<'_>, limits: &JsonLimits, errors: &mut Errors) {
        if self.cookies.is_empty() {
            return;
        }
        let lines = request.headers().get_all(header::COOKIE).iter();
        // HTTP/2 may send them one by one (RFC 9113 section 8.2.3). What is no text is nobody's value.
        let lines: Vec<_> = lines.filter_map(|line| std::str::from_utf8(line.as_bytes()).ok()).collect();
        let all = lines.join(";");
        let fields = self.cookies.iter().map(|slot| &slot.parameter.field);
        // Loose escapes are never at fault.
        let pairs = pairs(&all, ';', Escapes::Loose, fields).unwrap_or_default();
        check_pairs(&self.cookies, &pairs, all.len(), Escapes::Loose, limits, errors);
    }

    /// Reads a form, and judges it.
    pub(in crate::layers::validate) fn check_form(
        &self,
        media: usize,
        body: &[u8],
        limits: &JsonLimits,
        kind: ProblemKind,
    ) -> Option<Breach> {
        let Media { schema: Some(schema), form: Form { fields, as_text, others }, .. } = self.media_at(media)? else {
            return None;
        };
        let told = |(index, fault): (Option<usize>, Fault)| {
            let mut error = nameless("body", words(fault));
            error.name = index.and_then(|index| fields.get(index)).map(|field| Cow::Owned(field.name.to_string()));
            Breach::listed(Check::Form, ProblemKind::BadRequest, "The form is not as described.", vec![error], false)
        };
        let judge = |fields: &[Field]| {
            let made = std::str::from_utf8(body).map_err(|_| (None, Fault::Escape));
            match made.and_then(|body| form(body, fields, *others, limits)) {
                Ok(value) if schema.accepts(&value) => None,
                Ok(value) => Some(Breach::of_schema(schema.breaches(&value, body.len()), kind)),
                Err(fault) => Some(told(fault)),
            }
        };
        judge(fields).or_else(|| judge(as_text.as_ref()?))
    }
}
