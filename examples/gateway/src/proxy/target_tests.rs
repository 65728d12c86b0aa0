use http::{Request, StatusCode, Version};

use super::*;

fn request(version: Version, target: &str, fields: &[(&str, &str)]) -> Request<()> {
    let mut builder = Request::get(target).version(version);
    for (name, value) in fields {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap()
}

fn http1(target: &str, fields: &[(&str, &str)]) -> Result<String, StatusCode> {
    host(&request(Version::HTTP_11, target, fields)).map(|host| host.to_string()).map_err(|bad| bad.kind().status())
}

fn http2(target: &str, fields: &[(&str, &str)]) -> Result<String, StatusCode> {
    host(&request(Version::HTTP_2, target, fields)).map(|host| host.to_string()).map_err(|bad| bad.kind().status())
}

const BAD: Result<String, StatusCode> = Err(StatusCode::BAD_REQUEST);

/// RFC 9112 section 3.2.
#[test]
fn http1_needs_exactly_one_valid_host() {
    assert_eq!(http1("/", &[("host", "a.example:8080")]).unwrap(), "a.example:8080");
    assert_eq!(http1("/", &[]), BAD);
    assert_eq!(http1("/", &[("host", "a.example"), ("host", "a.example")]), BAD);
    for bad in ["", "a.example/x", "user@a.example", "a b", "http://a.example", "[::1"] {
        assert_eq!(http1("/", &[("host", bad)]), BAD, "{bad}");
    }
}

/// RFC 9112 section 3.2.2: the target overrules the field, which must still be there.
#[test]
fn an_absolute_target_names_the_host() {
    assert_eq!(http1("http://b.example/x", &[("host", "a.example")]).unwrap(), "b.example");
    assert_eq!(http1("http://b.example/x", &[]), BAD);
    assert_eq!(http1("http://user@b.example/x", &[("host", "b.example")]), BAD);
}

/// RFC 9113 section 8.3.1.
#[test]
fn http2_authority_and_host_agree() {
    assert_eq!(http2("http://a.example/", &[]).unwrap(), "a.example");
    assert_eq!(http2("http://a.example/", &[("host", "A.example")]).unwrap(), "a.example");
    assert_eq!(http2("http://a.example/", &[("host", "b.example")]), BAD);
    assert_eq!(http2("/", &[]), BAD);
    assert_eq!(http2("/", &[("host", "a.example")]).unwrap(), "a.example");
}

#[test]
fn tunnels_and_websockets_are_refused_and_other_upgrades_ignored() {
    let connect = Request::connect("a.example:443").header("host", "a.example").body(()).unwrap();
    assert_eq!(host(&connect).unwrap_err().kind().status(), StatusCode::NOT_IMPLEMENTED);
    let upgrade = |to| [("host", "a.example"), ("connection", "keep-alive, Upgrade"), ("upgrade", to)];
    assert_eq!(http1("/", &upgrade("WebSocket")), Err(StatusCode::NOT_IMPLEMENTED));
    assert_eq!(http1("/", &upgrade("h2c")).unwrap(), "a.example");
}

#[test]
fn the_path_is_kept_byte_for_byte() {
    for target in ["/a//b/../c%2F?q=%zz&x", "/", "/?"] {
        assert_eq!(path(&request(Version::HTTP_11, target, &[])).as_str(), target);
    }
    let options = Request::options("*").body(()).unwrap();
    assert_eq!(path(&options).as_str(), "*");
}
