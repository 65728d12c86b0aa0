//! Paths, methods, servers, and what is handed on.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Method, Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_rampart::key::RouteTemplate;
use tower_rampart::validate::{CheckedBody, OpenApi, Route, UnknownPaths, UnknownQuery, Validate, ValidateLayer};

use super::{document, errors, get, read, request};
use crate::support::send;

/// A parameter of a path that is a number.
fn number(name: &str) -> Value {
    json!({ "name": name, "in": "path", "required": true, "schema": { "type": "integer" } })
}

fn text(name: &str) -> Value {
    json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
}

fn polls() -> Value {
    document(json!({
        "/polls/{id}": { "parameters": [number("id")], "get": {}, "delete": {} },
        "/polls/mine": { "get": {} },
        "/polls/{id}/votes": { "post": { "parameters": [number("id")] } },
        "/reports/{name}.{format}": { "get": { "parameters": [text("name"), number("format")] } },
        "/reports/{name}": { "get": { "parameters": [number("name")] } },
        // It is written behind a wider one.
        "/reports/{name}.~a": { "get": { "parameters": [number("name")] } },
        "/caf%C3%A9": { "get": {} },
        "/": { "get": {} },
        "/docs/": { "get": {} },
    }))
}

fn refusing(document: &Value) -> ValidateLayer {
    Validate::new().add_openapi(read(document).unwrap()).unknown_paths(UnknownPaths::Refuse).build().unwrap()
}

fn status(layer: &ValidateLayer, method: Method, target: &str) -> u16 {
    send(layer, request(method, target, &[], "")).status
}

/// OpenAPI 3.1, "Path Templating Matching": concrete paths before templated ones.
#[test]
fn paths_are_matched_the_concrete_first() {
    let layer = refusing(&polls());
    for (target, expected) in [
        ("/polls/7", 200),
        ("/polls/seven", 400),
        ("/polls/mine", 200),
        ("/polls/%37", 200),
        ("/polls/%6Dine", 200),
        ("/polls/", 404),
        ("/polls", 404),
        ("/polls/7/", 404),
        ("/reports/a.7", 200),
        ("/reports/a.seven", 400),
        ("/reports/a%2E7", 200),
        ("/reports/a.b.7", 400),
        ("/reports/7", 200),
        ("/reports/x", 400),
        ("/reports/.7", 400),
        ("/reports/7.~a", 200),
        ("/reports/a.~a", 400),
        ("/caf%C3%A9", 200),
        ("/caf%c3%a9", 200),
        ("/", 200),
        ("/docs/", 200),
        ("/docs", 404),
    ] {
        assert_eq!(status(&layer, Method::GET, target), expected, "{target}");
    }
}

/// RFC 9110 section 15.5.6.
#[test]
fn other_methods_are_answered_with_those_that_there_are() {
    let layer = refusing(&polls());
    let answer = send(&layer, request(Method::PUT, "/polls/7", &[], ""));
    assert_eq!((answer.status, answer.headers["allow"].to_str().unwrap()), (405, "DELETE, GET, HEAD"));
    assert_eq!(status(&layer, Method::HEAD, "/polls/7"), 200);
    assert_eq!(status(&layer, Method::HEAD, "/polls/x"), 400);
    let passing = Validate::new().add_openapi(read(&polls()).unwrap()).build().unwrap();
    assert_eq!(status(&passing, Method::GET, "/nowhere"), 200);
    assert_eq!(status(&passing, Method::PUT, "/polls/7"), 405);
}

#[test]
fn servers_have_paths_which_can_be_replaced() {
    let of = |servers: Value, operation: Value| {
        let mut document = document(json!({ "/a": { "get": operation } }));
        document["servers"] = servers;
        document
    };
    let url = |url: &str| json!([{ "url": url }]);
    for (document, target) in [
        (of(url("https://api.example/v1"), json!({})), "/v1/a"),
        (of(url("https://api.example/v1/"), json!({})), "/v1/a"),
        (of(url("https://api.example"), json!({})), "/a"),
        (of(url("/"), json!({})), "/a"),
        (of(url("/v2"), json!({})), "/v2/a"),
        (of(url("v3"), json!({})), "/v3/a"),
        (of(url("//api.example/v4?x"), json!({})), "/v4/a"),
        (
            of(
                json!([{ "url": "https://{host}/{v}", "variables": { "host": { "default": "h" }, "v": { "default": "v5" } } }]),
                json!({}),
            ),
            "/v5/a",
        ),
        (of(url("/v6"), json!({ "servers": [{ "url": "/own" }] })), "/own/a"),
    ] {
        let layer = refusing(&document);
        assert_eq!(get(&layer, target).status, 200, "{target}");
        assert_eq!(get(&layer, "/b").status, 404);
        let api = read(&document).unwrap().base_path("/elsewhere");
        let layer = Validate::new().add_openapi(api).unknown_paths(UnknownPaths::Refuse).build().unwrap();
        assert_eq!((get(&layer, "/elsewhere/a").status, get(&layer, target).status), (200, 404));
    }
    let error = read(&of(url("/{v}"), json!({}))).unwrap_err();
    assert!(error.contains("#/servers/0/url: has a variable without a default"), "{error}");
    for base in ["v1", "/{v}"] {
        let api = read(&of(url("/"), json!({}))).unwrap().base_path(base);
        let error = Validate::new().add_openapi(api).build().unwrap_err();
        assert_eq!(error.setting(), "base_path", "{base}");
    }
}

#[test]
fn the_template_is_handed_on() {
    let handler = service_fn(|request: Request<CheckedBody<Full<Bytes>>>| async move {
        let template = request.extensions().get::<RouteTemplate>().map(|template| template.as_str().to_owned());
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(template.unwrap_or_default()))))
    });
    let api = read(&polls()).unwrap().base_path("/v1");
    let layer = Validate::new().add_openapi(api).add_route(Route::new(Method::GET, "/own/{x}")).build().unwrap();
    for (target, template) in
        [("/v1/polls/7", "/v1/polls/{id}"), ("/v1/reports/a.7", "/v1/reports/{name}.{format}"), ("/x", "")]
    {
        let answer =
            layer.layer(handler).oneshot(request(Method::GET, target, &[], "")).now_or_never().unwrap().unwrap();
        let body = http_body_util::BodyExt::collect(answer.into_body()).now_or_never().unwrap().unwrap().to_bytes();
        assert_eq!(body, template, "{target}");
    }
}

#[test]
fn unknown_query_parameters_are_refused_unless_they_may_be_there() {
    let layer = refusing(&polls());
    let answer = get(&layer, "/polls/7?s3cret=1");
    assert_eq!((answer.status, errors(&answer)), (400, vec![["query", "", "unknown", ""].map(str::to_owned)]));
    assert!(!String::from_utf8_lossy(&answer.body).contains("s3cret"));
    assert_eq!(get(&layer, "/polls/7?").status, 200);
    let api = read(&polls()).unwrap().unknown_query(UnknownQuery::Pass);
    let layer = Validate::new().add_openapi(api).build().unwrap();
    assert_eq!(get(&layer, "/polls/7?x=1").status, 200);
}

/// A key in the query is described by its scheme (OpenAPI, "Security Scheme Object"), where one is asked for.
#[test]
fn keys_in_the_query_are_not_unknown() {
    let mut described = document(json!({ "/a": { "get": { "security": [{ "key": [] }, {}] } }, "/b": { "get": {} } }));
    described["components"] = json!({ "securitySchemes": {
        "key": { "$ref": "#/components/securitySchemes/own" },
        "own": { "type": "apiKey", "in": "query", "name": "api_key" },
    } });
    let layer = refusing(&described);
    for (target, status) in [
        ("/a?api_key=1", 200),
        ("/a?api%5Fkey=1", 200),
        ("/a?api_key=1&x=1", 400),
        ("/a?own=1", 400),
        ("/b?api_key=1", 400),
    ] {
        assert_eq!(get(&layer, target).status, status, "{target}");
    }
}

/// A preflight asks about another request (Fetch, section 4.8).
#[test]
fn preflights_pass() {
    let fields = [("origin", "https://a.example"), ("access-control-request-method", "DELETE")];
    assert_eq!(send(&refusing(&polls()), request(Method::OPTIONS, "/polls/7", &fields, "")).status, 200);
}

#[test]
fn operations_that_ask_for_credentials_need_somebody_who_checks() {
    let described = |security: Value| {
        let mut document = document(json!({ "/a": { "get": { "security": security } }, "/b": { "get": {} } }));
        document["components"] = json!({ "securitySchemes": { "bearer": {}, "key": {} } });
        document
    };
    let build = |api: OpenApi| Validate::new().add_openapi(api).build().map(|_| ()).map_err(|error| error.to_string());
    let asking = read(&described(json!([{ "bearer": [] }]))).unwrap();
    let error = build(asking.clone()).unwrap_err();
    assert!(error.contains("#/paths/~1a/get/security") && error.contains("as 1 of its operations do"), "{error}");
    assert!(build(asking.clone().bound_security(["key"])).is_err());
    assert!(build(asking.clone().bound_security(["bearer"])).is_ok());
    assert!(build(asking.clone().all_security_bound()).is_ok());
    assert!(build(asking.dangerous_ignore_security()).is_ok());
    let both = read(&described(json!([{ "bearer": [], "key": [] }]))).unwrap();
    assert!(build(both.clone().bound_security(["bearer"])).is_err());
    assert!(build(both.bound_security(["bearer", "key"])).is_ok());
    for open in [json!([]), json!([{ "bearer": [] }, {}]), json!([{ "bearer": [] }, { "key": [] }])] {
        let api = read(&described(open.clone())).unwrap().bound_security(["key"]);
        assert!(build(api).is_ok(), "{open}");
    }
    let mut inherited = described(json!([]));
    inherited["security"] = json!([{ "key": [] }]);
    assert!(build(read(&inherited).unwrap()).unwrap_err().contains("#/paths/~1b/get/security"));
    let error = read(&described(json!([{ "nobody": [] }]))).unwrap_err();
    assert!(error.contains("#/paths/~1a/get/security/0/nobody: names a security scheme"), "{error}");
}

#[test]
fn a_path_is_described_once() {
    let twice = |other: &str| {
        let parameters = |name: &str| json!({ "get": { "parameters": [text(name)] } });
        read(&document(json!({ "/a/{x}": parameters("x"), other: parameters("y") }))).map(|_| ())
    };
    assert!(twice("/a/{y}").unwrap_err().contains("#/paths/~1a~1{y}: matches the same paths"));
    assert!(twice("/a/{y}.json").is_ok());
    let api = read(&polls()).unwrap();
    let error =
        Validate::new().add_openapi(api).add_route(Route::new(Method::GET, "/polls/{key}")).build().unwrap_err();
    assert!(error.to_string().contains("is described twice for GET"), "{error}");
}

/// 3.2 has a method of its own, and others by name.
#[test]
fn newer_methods() {
    let mut document = document(json!({ "/a": { "query": {}, "additionalOperations": { "COPY": {} } } }));
    document["openapi"] = json!("3.2.0");
    let layer = refusing(&document);
    assert_eq!(status(&layer, Method::from_bytes(b"QUERY").unwrap(), "/a"), 200);
    assert_eq!(status(&layer, Method::from_bytes(b"COPY").unwrap(), "/a"), 200);
    assert_eq!(status(&layer, Method::GET, "/a"), 405);
}
