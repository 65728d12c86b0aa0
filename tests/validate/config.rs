//! The `[validate]` table.
#![cfg(feature = "config")]

use serde::Deserialize;
use tower_rampart::config::{self, ValidateConfig};

use crate::support::{get, json, post, send};

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
                json_string_bytes = \"4B\"\nform_fields = 2\nmultipart_parts = 1\nmultipart_part_bytes = \"3B\"\ndecoded_bytes = \"2KiB\"\nbuffer_bytes = \"1MiB\"\ncontent_encodings = [\"identity\", \"gzip\"]\n\
                unknown_paths = \"refuse\"\n[[validate.route]]\nmethod = \"POST\"\npath = \"/\"\nbody = \"json\"\n\
                [[validate.route]]\nmethod = \"PUT\"\npath = \"/\"\nbody = \"multipart\"\n\
                [[validate.route]]\nmethod = \"POST\"\npath = \"/pkg.S/M\"\nbody = \"grpc\"\nmessage_bytes = \"2B\"\ncompressed_messages = true";
    let layer = parse(text).unwrap().to_layer(std::path::Path::new(".")).unwrap();
    assert_eq!(send(&layer, json("[[1]]")).status, 200);
    for body in ["[[[1]]]", "[1,2,3,4]", "[\"12345\"]", "not json"] {
        assert_eq!(send(&layer, json(body)).status, 400, "{body}");
    }
    assert_eq!(send(&layer, json(" ".repeat(1025))).status, 413);
    assert_eq!(send(&layer, get("/elsewhere")).status, 404);
    assert_eq!(send(&layer, get("/elsewhere/x")).status, 414);
    let form = |content: &str| {
        let body = format!("--b\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n{content}\r\n--b--");
        let mut form = post("multipart/form-data; boundary=b", body);
        *form.method_mut() = http::Method::PUT;
        send(&layer, form).status
    };
    assert_eq!((form("123"), form("1234")), (200, 413));
    let grpc = |message: &'static [u8]| {
        let mut call = post("application/grpc", message);
        *call.uri_mut() = "/pkg.S/M".parse().unwrap();
        send(&layer, call).headers.get("grpc-status").cloned()
    };
    assert_eq!((grpc(b"\x01\0\0\0\x02xx"), grpc(b"\0\0\0\0\x03xxx").unwrap()), (None, "8".parse().unwrap()));
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
        ("[[validate.route]]\nmethod = \"GET\"\npath = \"/\"\nbody = \"grpc\"", "`/` is no gRPC method"),
        ("[[validate.route]]\nmethod = \"POST\"\npath = \"/\"\nbody = \"grpc\"\nschema = \"x\"", "`/` has no JSON"),
        ("[[validate.route]]\nmethod = \"POST\"\npath = \"/\"\nmessage_bytes = \"1B\"", "`/` has no messages"),
        ("[[validate.route]]\nmethod = \"POST\"\npath = \"/\"\nbody = \"xml\"", "`xml` is none of the choices"),
    ] {
        let error = parse(table)
            .and_then(|config| config.to_layer(std::path::Path::new(".")).map_err(|error| error.to_string()))
            .unwrap_err();
        assert!(error.contains(message), "{table}: {error}");
    }
}
