//! The `[validate]` table.
#![cfg(feature = "config")]

use serde::Deserialize;
use tower_rampart::config::{self, ValidateConfig};

use crate::support::{get, json, send};

#[derive(Debug, Deserialize)]
struct Config {
    validate: ValidateConfig,
}

fn parse(table: &str) -> Result<ValidateConfig, String> {
    let text = format!("[validate]\n{table}\n");
    config::parse::<Config>(&text, "app.toml").map(|config| config.validate).map_err(|error| error.to_string())
}

#[test]
fn a_table_makes_a_layer() {
    let layer = parse("").unwrap().to_layer(std::path::Path::new(".")).unwrap();
    assert_eq!(send(&layer, get("/a/../b")).status, 400);
    assert_eq!(send(&layer, json("not json")).status, 200, "what no route describes is not read");
    let text = "uri_bytes = \"10B\"\nbody_bytes = \"1KiB\"\nbody_timeout = \"900ms\"\njson_depth = 2\njson_items = 3\n\
                json_string_bytes = \"4B\"\nform_fields = 2\nbuffer_bytes = \"1MiB\"\ncontent_encodings = [\"identity\", \"gzip\"]\n\
                unknown_paths = \"refuse\"\n[[validate.route]]\nmethod = \"POST\"\npath = \"/\"\nbody = \"json\"";
    let layer = parse(text).unwrap().to_layer(std::path::Path::new(".")).unwrap();
    assert_eq!(send(&layer, json("[[1]]")).status, 200);
    for body in ["[[[1]]]", "[1,2,3,4]", "[\"12345\"]", "not json"] {
        assert_eq!(send(&layer, json(body)).status, 400, "{body}");
    }
    assert_eq!(send(&layer, json(" ".repeat(1025))).status, 413);
    assert_eq!(send(&layer, get("/elsewhere")).status, 404);
    assert_eq!(send(&layer, get("/elsewhere/x")).status, 414);
    let layer = parse("mode = \"report\"").unwrap().to_layer(std::path::Path::new(".")).unwrap();
    assert_eq!(send(&layer, get("/a/../b")).status, 200);
}

#[cfg(feature = "json-schema")]
#[test]
fn a_route_can_have_a_schema_in_a_file() {
    let dir = std::env::temp_dir().join(format!("tower-rampart-schema-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("poll.json"), "{\"type\":\"object\"}").unwrap();
    let route = "[[validate.route]]\nmethod = \"POST\"\npath = \"/\"\nschema = \"poll.json\"\n";
    let config = parse(route).unwrap();
    assert_eq!(config.files().count(), 1);
    let layer = config.to_layer(&dir).unwrap();
    assert_eq!((send(&layer, json("{}")).status, send(&layer, json("1")).status), (200, 422));
    let layer = parse(&format!("schema_errors = \"400\"\n{route}")).unwrap().to_layer(&dir).unwrap();
    assert_eq!(send(&layer, json("1")).status, 400);
    std::fs::write(dir.join("poll.json"), "{\"$ref\":\"https://example.com/\"}").unwrap();
    let error = config.to_layer(&dir).unwrap_err().to_string();
    assert!(error.starts_with("validate.route.schema: `poll.json` cannot be used"), "{error}");
    std::fs::remove_dir_all(&dir).unwrap();
    let error = config.to_layer(&dir).unwrap_err().to_string();
    assert!(error.contains("cannot be read"), "{error}");
}

#[test]
fn mistakes_are_named_with_their_line() {
    for (table, message) in [
        ("uri_bytes = \"8\"", "app.toml:2: validate.uri_bytes: `8` is no size"),
        ("body_timeout = \"soon\"", "app.toml:2: validate.body_timeout: `soon` is no duration"),
        ("mode = \"maybe\"", "app.toml:2: validate.mode: `maybe` is none of the choices"),
        ("uri_byte = \"8KiB\"", "uri_byte"),
        ("[[validate.route]]\nmethod = \"post\"\npath = \"/\"", "`post` is no method"),
        ("[[validate.route]]\nmethod = \"POST\"\npath = \"x\"", "`x` does not begin with `/`"),
        ("[[validate.route]]\nmethod = \"POST\"\npath = \"/\"\nbody = \"xml\"", "`xml` is none of the choices"),
    ] {
        let error = parse(table)
            .and_then(|config| config.to_layer(std::path::Path::new(".")).map_err(|error| error.to_string()))
            .unwrap_err();
        assert!(error.contains(message), "{table}: {error}");
    }
}
