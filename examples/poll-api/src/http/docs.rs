//! The API's description, and a page to read and try it by, which fetches nothing from anywhere else.

use std::sync::{Arc, LazyLock};

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tower_rampart::ConfigError;
use tower_rampart::security_headers::{ContentSecurityPolicy, HeaderOverrides};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

use super::{admin, auth, events, ops, polls};
use crate::app::App;
use crate::fault::{Fault, Result};

#[derive(OpenApi)]
#[openapi(
    info(title = "Poll API", description = "Polls, votes and live results behind tower-rampart's layers."),
    servers((url = "/")),
    paths(
        auth::register, auth::log_in, auth::refresh, auth::log_out, auth::jwks,
        polls::create, polls::list, polls::get, polls::delete, polls::close, polls::vote, polls::results,
        events::events, admin::state, admin::reload, ops::healthz, ops::readyz, ops::metrics,
    ),
    components(schemas(Problem)),
    modifiers(&Token)
)]
struct Description;

/// Why a request was refused (RFC 9457).
#[derive(Serialize, ToSchema)]
struct Problem {
    /// What kind of problem it is; `about:blank` where the status says it all.
    r#type: String,
    title: String,
    status: u16,
    detail: Option<String>,
    request_id: Option<String>,
    /// What is wrong with the content, and where.
    errors: Option<Vec<ProblemAt>>,
}

/// A rule that the content breaks.
#[derive(Serialize, ToSchema)]
struct ProblemAt {
    /// `body`, `path`, `query` and so on.
    r#in: String,
    /// A JSON pointer as a URI fragment: `#/options/0`.
    pointer: Option<String>,
    detail: String,
}

struct Token;

impl Modify for Token {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// The description, OpenAPI 3.1.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = serde_json::to_value(Description::openapi()).unwrap_or_default();
    describe_responses(&mut document);
    document
});
static TEXT: LazyLock<String> = LazyLock::new(|| DOCUMENT.to_string());

/// Says of each response what its status means, and of each refusal that it is a problem.
fn describe_responses(document: &mut Value) {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    let operations = paths.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut);
    let responses = operations.flat_map(Map::values_mut).filter_map(|operation| operation.get_mut("responses"));
    for (status, response) in responses.filter_map(Value::as_object_mut).flatten() {
        let (Ok(status), Some(response)) = (status.parse::<StatusCode>(), response.as_object_mut()) else { continue };
        let meaning = status.canonical_reason().unwrap_or_default();
        let described = response.entry("description").or_insert_with(|| json!(meaning));
        if *described == "" {
            *described = json!(meaning);
        }
        if status.is_client_error() || status.is_server_error() {
            let problem = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
            response.insert("content".to_owned(), json!({ "application/problem+json": problem }));
        }
    }
}

/// The description as it is published, for whatever checks requests by it.
pub fn description() -> &'static str {
    &TEXT
}

pub async fn openapi() -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
    ];
    (headers, description()).into_response()
}

static UI: LazyLock<Arc<utoipa_swagger_ui::Config<'static>>> = LazyLock::new(|| {
    // Without the badge of a validator, which would be asked about every description.
    Arc::new(utoipa_swagger_ui::Config::new(["/openapi.json"]).validator_url("none").use_base_layout())
});

/// What the page of Swagger UI needs: its own files, styles that it writes itself, pictures within them.
static POLICY: LazyLock<std::result::Result<ContentSecurityPolicy, ConfigError>> = LazyLock::new(|| {
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        .parse()
});

pub async fn to_docs() -> Redirect {
    Redirect::permanent("/docs/")
}

pub async fn index(state: State<Arc<App>>) -> Result<Response> {
    file(state, Path("index.html".to_owned())).await
}

pub async fn file(_: State<Arc<App>>, Path(file): Path<String>) -> Result<Response> {
    const UNUSABLE: &str = "the page of the description cannot be shown";
    let found = utoipa_swagger_ui::serve(&file, Arc::clone(&UI)).map_err(|error| Fault::internal(UNUSABLE, error))?;
    let found = found.ok_or(Fault::NotFound("There is no such file."))?;
    let policy = POLICY.as_ref().map_err(|error| Fault::internal(UNUSABLE, error))?.clone();
    let content_type = HeaderValue::from_str(&found.content_type).map_err(|error| Fault::internal(UNUSABLE, error))?;
    let headers = [(CONTENT_TYPE, content_type), (CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"))];
    let overrides = HeaderOverrides::new().content_security_policy(policy);
    Ok((Extension(overrides), headers, found.bytes.into_owned()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_of_3_1_and_describes_what_is_checked() {
        assert_eq!(DOCUMENT["openapi"], "3.1.0");
        let vote = &DOCUMENT["paths"]["/v1/polls/{id}/votes"]["post"];
        assert_eq!(vote["responses"]["409"]["description"], "Conflict");
        assert!(vote["responses"]["409"]["content"]["application/problem+json"].is_object());
        let schemas = &DOCUMENT["components"]["schemas"];
        for name in ["Draft", "NewVote", "Login", "Registration", "Refresh"] {
            assert_eq!(schemas[name]["additionalProperties"], false, "{name}");
        }
        assert_eq!(schemas["Draft"]["properties"]["options"]["uniqueItems"], true);
    }

    #[test]
    fn the_policy_of_the_docs_is_one() {
        POLICY.as_ref().unwrap();
    }
}
