//! The keys of `[validate]` about a document.
#![cfg(feature = "config")]

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;
use tower_rampart::config::{self, ValidateConfig};

use super::{document, get};

#[derive(Debug, Deserialize)]
struct Config {
    validate: ValidateConfig,
}

fn parse(table: &str) -> ValidateConfig {
    config::parse::<Config>(&format!("[validate]\n{table}\n"), "app.toml").unwrap().validate
}

/// A directory that goes when the test ends.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tower-rampart-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let mut described = document(json!({ "/a": { "get": { "security": [{ "key": [] }] }, "post": {} } }));
        described["components"] = json!({ "securitySchemes": { "key": {} } });
        described["servers"] = json!([{ "url": "/v1" }]);
        std::fs::write(path.join("api.json"), described.to_string()).unwrap();
        std::fs::write(path.join("api.yaml"), "openapi: 3.1.0\npaths:\n  /a:\n    get: {}\n").unwrap();
        std::fs::write(path.join("bad.json"), "{\"openapi\":\"3.1.0\",\"paths\":{\"a\":{},\"b\":{}}}").unwrap();
        Self(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_document_is_a_file() {
    let dir = Dir::new("openapi-config");
    let api = "openapi = \"api.json\"\nunknown_paths = \"refuse\"\n";
    let error = parse(api).to_layer(&dir.0).unwrap_err().to_string();
    assert!(error.contains("asks for credentials that nothing is said to check"), "{error}");
    let layer = parse(api).to_layer_behind_auth(&dir.0).unwrap();
    assert_eq!(
        (get(&layer, "/v1/a").status, get(&layer, "/a").status, get(&layer, "/v1/a?b=1").status),
        (200, 404, 400)
    );
    let more = format!("{api}base_path = \"\"\nunknown_query = \"pass\"\nignore_security = true\n");
    let layer = parse(&more).to_layer(&dir.0).unwrap();
    assert_eq!((get(&layer, "/v1/a").status, get(&layer, "/a").status, get(&layer, "/a?b=1").status), (404, 200, 200));
    assert_eq!(parse(api).files().collect::<Vec<_>>(), [Path::new("api.json")]);
    let route = "[[validate.route]]\nmethod = \"GET\"\npath = \"/b\"\n";
    let layer = parse(&format!("{api}{route}")).to_layer_behind_auth(&dir.0).unwrap();
    assert_eq!((get(&layer, "/b").status, get(&layer, "/v1/a").status), (200, 200));
}

#[cfg(feature = "openapi-yaml")]
#[test]
fn a_document_may_be_yaml() {
    let dir = Dir::new("openapi-yaml");
    let layer = parse("openapi = \"api.yaml\"").to_layer(&dir.0).unwrap();
    assert_eq!((get(&layer, "/a").status, get(&layer, "/a?b").status), (200, 400));
}

#[test]
fn mistakes_are_named_with_their_file() {
    let dir = Dir::new("openapi-mistakes");
    for (table, message) in [
        ("openapi = \"none.json\"", "validate.openapi: `none.json` cannot be read"),
        ("openapi = \"bad.json\"", "validate.openapi: `bad.json` has 2 problems:\n  #/paths/a: "),
        ("openapi = \"api.json\"\nignore_security = true\nbase_path = \"v1\"", "base_path: `v1` is no path"),
        ("base_path = \"/v1\"", "validate.base_path: `/v1` stands before no paths"),
    ] {
        let error = parse(table).to_layer(&dir.0).unwrap_err().to_string();
        assert!(error.contains(message), "{table}: {error}");
    }
    let error = parse("responses = \"enforce\"").to_responses_layer(&dir.0).unwrap_err().to_string();
    assert!(error.contains("validate.responses: are described nowhere"), "{error}");
    for (table, value) in [("unknown_query = \"x\"", "`x`"), ("responses = \"on\"", "`on`")] {
        let error = config::parse::<Config>(&format!("[validate]\n{table}\n"), "app.toml").unwrap_err().to_string();
        assert!(error.contains("app.toml:2") && error.contains(value), "{error}");
    }
    let api = "openapi = \"api.json\"\nresponses = \"report\"\n";
    assert!(parse(api).to_responses_layer(&dir.0).is_ok());
    assert!(parse(&format!("{api}body_bytes = \"1KiB\"\nbuffer_bytes = \"2KiB\"")).to_responses_layer(&dir.0).is_ok());
    assert!(parse("openapi = \"bad.json\"\nresponses = \"off\"").to_responses_layer(&dir.0).is_ok());
}
