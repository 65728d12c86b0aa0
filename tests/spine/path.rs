//! Path patterns.

use proptest::prelude::*;
use tower_rampart::PathPattern;

fn pattern(text: &str) -> PathPattern {
    text.parse().unwrap()
}

#[test]
fn a_star_is_a_segment_and_two_are_any_number() {
    for (text, matched, others) in [
        ("/", &["/", ""][..], &["/a"][..]),
        ("/login", &["/login", "/login/", "/log%69n"], &["/", "/logins", "/login/x", "/Login"]),
        ("/a/{id}/c", &["/a/b/c"], &["/a/c", "/a/b/b/c"]),
        ("/a/{*rest}", &["/a", "/a/b/c"], &["/b"]),
        ("/a/*/c", &["/a/b/c"], &["/a/c", "/a/b/b/c", "/a/b"]),
        ("/api/**", &["/api", "/api/", "/api/a", "/api/a/b"], &["/", "/apis", "/v1/api"]),
        ("/**", &["/", "", "/a", "/a/b/c", "*"], &[]),
        ("/**/votes", &["/votes", "/a/votes", "/a/b/votes"], &["/votes/a", "/a"]),
        ("/a/**/b/*/c", &["/a/b/x/c", "/a/y/b/x/c", "/a/b/b/b/c"], &["/a/b/c", "/a/b/x/c/d"]),
        ("/caf%C3%A9", &["/caf%c3%a9"], &["/cafe"]),
        ("/a%2Fb", &["/a%2fb"], &[]),
    ] {
        for path in matched {
            assert!(pattern(text).matches(path), "{text} {path}");
        }
        for path in others {
            assert!(!pattern(text).matches(path), "{text} {path}");
        }
    }
}

#[test]
fn every_reading_of_an_odd_path_is_matched() {
    let login = pattern("/login");
    for path in [
        "//login",
        "/./login",
        "/x/../login",
        "/x%2f..%2flogin",
        "/%2e/login",
        "/x/%2e%2E/login",
        "/login%2f",
        "\\login",
        "/%5clogin",
        "/login%00.html",
        "/login//",
        "/x%2F../login",
        "/../login",
        "/login/.",
        "/login/x/..",
        "/lo%gin",
        "/login%",
        "/login%4",
    ] {
        assert!(login.matches(path), "{path}");
    }
    for path in ["/.well-known/login", "/login.html", "/x/login", "/logi%6e%6e"] {
        assert!(!login.matches(path), "{path}");
    }
    // Nobody reads these as something else.
    assert!(!pattern("/.well-known/a").matches("/.well-known/b"));
    assert!(pattern("/.well-known/a").matches("/.well-known/a"));
}

/// RFC 3986 section 3.3: what follows a semicolon in a segment is the server's own affair, and some take it off.
#[test]
fn parameters_of_segments_hide_nothing() {
    for path in [
        "/login;v=1",
        "/login;",
        "/;x/login;y",
        "/%3B/login",
        "/;/;/login",
        "/login%3Bv",
        "/x/..;/login",
        "/.;/login",
        "/x;a/..;b/login",
        "/login;a%3Bb",
    ] {
        assert!(pattern("/login").matches(path), "{path}");
    }
    assert!(pattern("/a/b").matches("/a/;/b") && pattern("/a/**").matches("/;x/a/b"));
    // What is written with them is matched as it is written, too.
    assert!(pattern("/login;v=1").matches("/login;v=1"));
    assert!(pattern("/*").matches("/;v=1"));
    assert!(!pattern("/login").matches("/logi;n"));
}

#[test]
fn patterns_that_cannot_be_are_named() {
    for (text, breach) in [
        ("", "does not begin with `/`"),
        ("login", "does not begin with `/`"),
        ("/a//b", "has an empty segment"),
        ("/a/../b", "has a dot segment"),
        ("/a*", "mixes `*` with text in one segment"),
        ("/a?b", "holds what no path holds"),
        ("/a b", "holds what no path holds"),
        ("/a/:id", "has a parameter with a colon"),
        ("/a/{id}.json", "mixes a parameter with text in one segment, or does not name it"),
        ("/a/{}", "mixes a parameter with text in one segment, or does not name it"),
        ("/%4", "has a malformed escape"),
    ] {
        assert_eq!(text.parse::<PathPattern>().unwrap_err().breach(), breach, "{text}");
    }
    assert!(format!("/{}", "a".repeat(2000)).parse::<PathPattern>().is_err());
}

/// What the stars mean, without any thought of speed.
fn naive(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) => {
            naive(rest, path) || path.split_first().is_some_and(|(_, path)| naive(pattern, path))
        }
        (Some((&"*", rest)), Some((_, path))) => naive(rest, path),
        (Some((literal, rest)), Some((segment, path))) => literal == segment && naive(rest, path),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn matching_agrees_with_its_meaning(
        stars in proptest::collection::vec(prop_oneof!["a", "b", "\\*", "\\*\\*"], 0..7),
        path in proptest::collection::vec(prop_oneof!["a", "b", "c"], 0..9),
    ) {
        let stars: Vec<&str> = stars.iter().map(String::as_str).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let matched = pattern(&format!("/{}", stars.join("/"))).matches(&format!("/{}", path.join("/")));
        prop_assert_eq!(matched, naive(&stars, &path));
    }

    #[test]
    fn no_path_is_too_strange(text in ".{0,60}", path in "[/.%0-9a-f\\\\]{0,60}") {
        let _ = pattern("/**/a/*").matches(&text);
        // What is matched as it stands is matched with a letter spelled otherwise.
        let a = pattern("/**/a");
        if a.matches(&path) {
            prop_assert!(a.matches(&path.replace('a', "%61")) || path.contains('%'));
        }
    }
}
