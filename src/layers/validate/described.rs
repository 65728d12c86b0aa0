//! Requests that an OpenAPI document describes.

use http::header;

use super::breach::{Breach, Check};
use super::judge::{is_hidden, missing, unexpected};
use super::layer::Shared;
use super::media::{BodyKind, check_encoding, kind_of};
use super::route::Described;
use crate::spine::problem::ProblemKind;
use crate::spine::request::RequestView;
use crate::wiring;

impl Shared {
    /// Judges the parameters and the type of the body: what kind it is, as far as it is to be read, and which of those
    /// that are described.
    pub(super) fn described(
        &self,
        request: RequestView<'_>,
        described: &Described,
        has_body: bool,
    ) -> Result<(BodyKind, usize), Breach> {
        let Described { operation, template, refuses_unknown_query, .. } = described;
        let path = wiring::original_path(request.extensions()).unwrap_or_else(|| request.uri().path());
        if let Some(breach) = operation.check(request, path, template, *refuses_unknown_query, &self.limits) {
            self.tell(breach)?;
        }
        match operation.expects_body() {
            None if has_body => self.tell(unexpected())?,
            Some(true) if !has_body => self.tell(missing())?,
            _ => {}
        }
        const NOT_READ: (BodyKind, usize) = (BodyKind::Other, 0);
        if !has_body || operation.expects_body().is_none() {
            return Ok(NOT_READ);
        }
        if let Some(breach) = check_encoding(request.headers(), &self.content_encodings) {
            return self.tell(breach).map(|()| NOT_READ);
        }
        let unsupported = |check: Check, detail: &'static str, name: &'static str| {
            Breach::new(check, ProblemKind::UnsupportedMediaType, detail).named(name)
        };
        let found = kind_of(request.headers(), &self.content_types).and_then(|kind| {
            const DETAIL: &str = "The content type is another than is taken here.";
            let field = request.headers().get(header::CONTENT_TYPE).and_then(|field| field.to_str().ok());
            let essence = field.and_then(|field| field.split(';').next()).unwrap_or_default().trim();
            let media = operation.media(essence);
            media.map(|media| (kind, media)).ok_or_else(|| unsupported(Check::ContentType, DETAIL, "content-type"))
        });
        match found {
            // What cannot be looked at is not let through as if it had been.
            Ok((kind, _)) if is_hidden(kind, request) => {
                const DETAIL: &str = "A body of this type is not taken in this encoding.";
                self.tell(unsupported(Check::ContentEncoding, DETAIL, "content-encoding")).map(|()| NOT_READ)
            }
            // It is no gRPC route, whose messages would be bounded.
            Ok((BodyKind::Grpc, media)) => Ok((BodyKind::Other, media)),
            Ok(found) => Ok(found),
            Err(breach) => self.tell(breach).map(|()| NOT_READ),
        }
    }
}
