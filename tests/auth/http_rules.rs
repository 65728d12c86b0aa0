//! Where we go, and where we let ourselves be sent: the rules' own file, compiled here.

#[path = "../../src/spine/address.rs"]
#[allow(dead_code, reason = "its bounds serve the client")]
mod rules;

use http::Uri;

use self::rules::{is_trustworthy, origin_and_path, redirected};

fn uri(text: &str) -> Uri {
    text.parse().unwrap()
}

#[test]
fn only_https_and_this_machine_are_believed() {
    for good in ["https://idp.example/", "http://127.0.0.1:8080/x", "http://localhost/", "http://[::1]:80/"] {
        assert!(is_trustworthy(&uri(good)), "{good}");
    }
    for bad in
        ["http://idp.example/", "http://127.0.0.1.evil.example/", "https://user:pw@idp.example/", "/jwks", "ftp://x/"]
    {
        assert!(!is_trustworthy(&uri(bad)), "{bad}");
    }
}

#[test]
fn redirects_lead_to_no_worse_place() {
    let from = uri("https://idp.example/a");
    assert_eq!(redirected(&from, b"/b?c"), Some(uri("https://idp.example/b?c")));
    assert_eq!(redirected(&from, b"https://keys.example/b"), Some(uri("https://keys.example/b")));
    for bad in [
        &b"http://idp.example/b"[..],
        b"http://127.0.0.1/",
        b"https://127.0.0.1/",
        b"b",
        b"//x",
        b"",
        b"\xff",
        b"file:///x",
    ] {
        assert_eq!(redirected(&from, bad), None, "{:?}", String::from_utf8_lossy(bad));
    }
    for here in
        ["https://LOCALHOST/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://0.0.0.0/", "https://[::]/"]
    {
        assert_eq!(redirected(&from, here.as_bytes()), None, "{here}");
    }
    let here = uri("http://127.0.0.1:1/a");
    assert_eq!(redirected(&here, b"http://127.0.0.1:2/b"), Some(uri("http://127.0.0.1:2/b")));
    assert_eq!(redirected(&here, b"http://idp.example/b"), None);
}

#[test]
fn addresses_are_split_before_their_path() {
    assert_eq!(origin_and_path("https://idp.example"), Some(("https://idp.example", "")));
    assert_eq!(origin_and_path("https://idp.example/"), Some(("https://idp.example", "")));
    assert_eq!(origin_and_path("https://idp.example/t/1/"), Some(("https://idp.example", "/t/1")));
    assert_eq!(origin_and_path("idp.example"), None);
}
