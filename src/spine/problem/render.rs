//! The standard renderer.

use bytes::Bytes;
use http::{HeaderValue, Response, header};

use super::json::{Member, write_text};
use super::{MAX_DETAIL_BYTES, Problem, cut, grpc};
use crate::spine::rejection::{Rejection, RenderRejection};
use crate::spine::request::{Protocol, RequestFacts};

/// Renders a rejection as `application/problem+json` for HTTP clients and as a trailers-only response for gRPC ones.
///
/// This is what every layer does unless it is given another [`RenderRejection`].
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::exhaustive_structs, reason = "a unit: there is nothing to add")]
pub struct ProblemRenderer;

impl RenderRejection for ProblemRenderer {
    fn render(&self, rejection: &Rejection, request: &RequestFacts) -> Response<Bytes> {
        match request.protocol() {
            Protocol::Grpc => grpc::trailers_only(rejection, request),
            Protocol::Http => problem_json(rejection.problem(), request),
        }
    }
}

fn problem_json(problem: &Problem, request: &RequestFacts) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(document(problem, request)));
    *response.status_mut() = problem.kind().status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn document(problem: &Problem, request: &RequestFacts) -> String {
    let kind = problem.kind();
    let mut json = String::with_capacity(256);
    json.push_str("{\"type\":");
    write_text(&mut json, kind.type_uri());
    json.push_str(",\"title\":");
    write_text(&mut json, kind.title());
    json.push_str(",\"status\":");
    Member::Number(kind.status().as_u16().into()).write(&mut json);
    if let Some(detail) = problem.detail() {
        json.push_str(",\"detail\":");
        write_text(&mut json, cut(detail, MAX_DETAIL_BYTES));
    }
    for (name, value) in problem.members() {
        json.push(',');
        write_text(&mut json, name);
        json.push(':');
        value.write(&mut json);
    }
    if let Some(id) = request.request_id() {
        json.push_str(",\"request_id\":");
        write_text(&mut json, id.as_str());
    }
    json.push('}');
    json
}
