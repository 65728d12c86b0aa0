//! The document that describes the service (RFC 9728).

use futures_util::FutureExt as _;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower_rampart::Challenge;
use tower_rampart::auth::{Auth, Resource};

use crate::layer::{field, outcome, send, with};
use crate::support::verifier;

fn resource() -> Resource {
    Resource::new("https://api.example/polls")
        .unwrap()
        .authorization_servers(["https://idp.example/"])
        .scopes(["polls:read", "polls:write"])
}

/// RFC 9728 section 3: the well-known part stands between origin and path; section 5.1: challenges name it.
#[test]
fn the_document_is_answered_to_everybody_and_named_in_challenges() {
    let layer = Auth::new().jwt(verifier()).resource(resource()).build().unwrap();
    let refused = send(&layer, with(&[]));
    assert_eq!(
        outcome(&refused),
        (
            401,
            "Bearer realm=\"api\", resource_metadata=\"https://api.example/.well-known/oauth-protected-resource/polls\""
        )
    );
    let path = "/.well-known/oauth-protected-resource/polls";
    let answer = send(&layer, Request::get(path).body(()).unwrap());
    assert_eq!((answer.status().as_u16(), field(answer.headers(), "content-type")), (200, "application/json"));
    let length = field(answer.headers(), "content-length").to_owned();
    let body = answer.into_body().collect().now_or_never().unwrap().unwrap().to_bytes();
    assert_eq!(length, body.len().to_string());
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap(),
        json!({
            "resource": "https://api.example/polls",
            "authorization_servers": ["https://idp.example/"],
            "scopes_supported": ["polls:read", "polls:write"],
            "bearer_methods_supported": ["header"],
        })
    );
    let head = send(&layer, Request::head(path).body(()).unwrap());
    assert_eq!((head.status().as_u16(), field(head.headers(), "content-length")), (200, &*length));
    assert!(head.into_body().collect().now_or_never().unwrap().unwrap().to_bytes().is_empty());
    for other in [Request::post(path), Request::get("/.well-known/oauth-protected-resource"), Request::get("/")] {
        assert_eq!(send(&layer, other.body(()).unwrap()).status(), 401);
    }
}

#[test]
fn a_resource_is_found_by_its_document() {
    for (url, path) in [
        ("https://api.example/.well-known/oauth-protected-resource", ""),
        ("https://api.example/.well-known/oauth-protected-resource/a/b", "/a/b"),
    ] {
        let resource = Resource::described_at(url).unwrap();
        assert_eq!(resource.metadata_url(), url);
        let document: Value = serde_json::from_str(&resource.document()).unwrap();
        let expected = if path.is_empty() { "/" } else { path };
        assert_eq!(document["resource"], format!("https://api.example{expected}"));
    }
    for bad in ["https://api.example/", "https://api.example/x/.well-known/oauth-protected-resource", "x", ""] {
        assert!(Resource::described_at(bad).is_err(), "{bad}");
    }
    for bad in ["http://api.example/", "https://api.example/?a", "https://api.example/#a", "https://a\"b/", "api"] {
        assert!(Resource::new(bad).is_err(), "{bad}");
    }
}

/// What one part of the crate takes for this machine, the others do.
#[test]
fn this_machine_is_this_machine_everywhere() {
    for here in ["http://127.0.0.1:8080/", "http://[::1]:8080/", "http://localhost/"] {
        let layer = Auth::new().jwt(verifier()).resource(Resource::new(here).unwrap()).build();
        assert!(layer.is_ok(), "{here}: {layer:?}");
    }
    for elsewhere in ["http://127.evil.example/x", "http://api.example/x", "https://user:secret@api.example/x"] {
        let error = Challenge::default().resource_metadata(elsewhere).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
