//! Where a token may stand: cookies, WebSocket protocols, and the query for those who insist.

use http::{Method, Request};
use tower_rampart::auth::{Auth, AuthLayer};

use crate::layer::{clock, field, send};
use crate::support::{good_token, verifier};

fn auth() -> Auth {
    Auth::new().jwt(verifier()).with_clock(clock().0)
}

fn request(method: Method, uri: &str, fields: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri(uri).body(()).unwrap();
    for (name, value) in fields {
        request.headers_mut().append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
    }
    request
}

fn status(layer: &AuthLayer, method: Method, uri: &str, fields: &[(&str, &str)]) -> u16 {
    send(layer, request(method, uri, fields)).status().as_u16()
}

#[test]
fn a_cookie_opens_what_is_safe() {
    let layer = auth().cookie("session").build().unwrap();
    let (token, get) = (good_token(), Method::GET);
    for cookie in [
        format!("session={token}"),
        format!("a=b; session={token}; c=d"),
        format!("a=b;session={token}"),
        format!("xsession=1; session={token}"),
    ] {
        assert_eq!(status(&layer, get.clone(), "/", &[("cookie", &cookie)]), 200, "{cookie}");
    }
    // RFC 9113 section 8.2.3: HTTP/2 splits the field.
    assert_eq!(status(&layer, get.clone(), "/", &[("cookie", "a=b"), ("cookie", &format!("session={token}"))]), 200);
    assert_eq!(status(&layer, get.clone(), "/", &[("cookie", "session=x")]), 401);
    assert_eq!(status(&layer, get.clone(), "/", &[("cookie", "other=x")]), 401);
    let twice = format!("session={token}; session={token}");
    assert_eq!(status(&layer, get.clone(), "/", &[("cookie", &twice)]), 400);
    let header = format!("Bearer {token}");
    let both = [("cookie", format!("session={token}")), ("authorization", header)];
    assert_eq!(status(&layer, get, "/", &both.each_ref().map(|(name, value)| (*name, value.as_str()))), 400);
    // A layer that was not told to look there does not.
    let deaf = auth().build().unwrap();
    assert_eq!(status(&deaf, Method::GET, "/", &[("cookie", &format!("session={token}"))]), 401);
}

/// A browser sends cookies with whatever another site makes it send.
#[test]
fn a_cookie_opens_what_is_unsafe_to_pages_of_the_same_origin_alone() {
    let layer = auth().cookie("session").build().unwrap();
    let cookie = format!("session={}", good_token());
    let with_site = |method: Method, site: Option<&str>| {
        let mut fields = vec![("cookie", cookie.as_str())];
        fields.extend(site.map(|site| ("sec-fetch-site", site)));
        status(&layer, method, "/", &fields)
    };
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::CONNECT] {
        assert_eq!(with_site(method.clone(), Some("same-origin")), 200, "{method}");
        for site in [None, Some("cross-site"), Some("same-site"), Some("none"), Some("Same-Origin")] {
            assert_eq!(with_site(method.clone(), site), 403, "{method} {site:?}");
        }
    }
    assert_eq!(with_site(Method::GET, Some("cross-site")), 200);
    let twice = [("cookie", &*cookie), ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")];
    assert_eq!(status(&layer, Method::POST, "/", &twice), 403);
    // A WebSocket's handshake is a GET (cross-site WebSocket hijacking).
    let handshake = [("cookie", &*cookie), ("upgrade", "websocket"), ("sec-fetch-site", "cross-site")];
    assert_eq!(status(&layer, Method::GET, "/", &handshake), 403);
    // Welcome strangers are those without a credential.
    let optional = auth().cookie("session").optional(true).build().unwrap();
    assert_eq!(status(&optional, Method::POST, "/", &[("cookie", &cookie)]), 403);
    // A token that scripts put there is no cookie.
    assert_eq!(status(&layer, Method::POST, "/", &[("authorization", &format!("Bearer {}", good_token()))]), 200);
}

#[test]
fn a_websocket_protocol_can_be_a_token() {
    let layer = auth().websocket_protocol("bearer.").strip_credentials(true).build().unwrap();
    let offered = format!("chat, bearer.{}, chat2", good_token());
    let answer = send(&layer, request(Method::GET, "/", &[("sec-websocket-protocol", &offered)]));
    assert_eq!((answer.status().as_u16(), field(answer.headers(), "protocols")), (200, "chat, chat2"));
    let twice = format!("bearer.{}, bearer.x", good_token());
    assert_eq!(status(&layer, Method::GET, "/", &[("sec-websocket-protocol", &twice)]), 400);
    assert_eq!(status(&layer, Method::GET, "/", &[("sec-websocket-protocol", "bearer.x")]), 401);
    assert_eq!(status(&layer, Method::GET, "/", &[("sec-websocket-protocol", "chat")]), 401);
}

/// RFC 6750 section 2.3.
#[test]
fn a_query_opens_the_door_when_somebody_insists() {
    let layer = auth().dangerous_query_parameter("access_token").strip_credentials(true).build().unwrap();
    let token = good_token();
    let answer = send(&layer, request(Method::GET, &format!("/x?a=1&access_token={token}&b=2"), &[]));
    assert_eq!((answer.status().as_u16(), field(answer.headers(), "uri")), (200, "/x?a=1&b=2"));
    assert_eq!(field(answer.headers(), "cache-control"), "private");
    let answer = send(&layer, request(Method::GET, &format!("https://api.example/x?access_token={token}"), &[]));
    assert_eq!(field(answer.headers(), "uri"), "https://api.example/x");
    assert_eq!(status(&layer, Method::GET, &format!("/x?access_token={token}&access_token={token}"), &[]), 400);
    let header = [("authorization", &*format!("Bearer {token}"))];
    assert_eq!(status(&layer, Method::GET, &format!("/x?access_token={token}"), &header), 400);
    assert_eq!(status(&layer, Method::GET, "/x?access_token=", &[]), 401);
    let answer = send(&layer, request(Method::GET, "/x?a", &header));
    assert_eq!((field(answer.headers(), "uri"), field(answer.headers(), "cache-control")), ("/x?a", ""));
    assert_eq!(status(&auth().build().unwrap(), Method::GET, &format!("/x?access_token={token}"), &[]), 401);
}

#[test]
fn cookies_that_are_not_ours_are_passed_on() {
    let layer = auth().cookie("session").strip_credentials(true).build().unwrap();
    let cookie = format!("a=b; flag; session={}; c=d=e;", good_token());
    let answer = send(&layer, request(Method::GET, "/", &[("cookie", &cookie)]));
    assert_eq!(field(answer.headers(), "cookies"), "a=b; flag; c=d=e");
}

#[test]
fn names_that_none_can_have_are_errors() {
    for build in [
        auth().cookie("").build(),
        auth().cookie("a b").build(),
        auth().cookie("a=b").build(),
        auth().websocket_protocol("a,b").build(),
        auth().dangerous_query_parameter("a&b").build(),
    ] {
        assert!(build.unwrap_err().to_string().contains("is no name for it"));
    }
}

/// RFC 6750 section 2.3: whatever the handler thinks of who may keep its answer.
#[test]
fn what_a_query_opened_is_kept_by_nobody_else() {
    use bytes::Bytes;
    use futures_util::FutureExt as _;
    use http_body_util::Full;
    use tower::{Layer as _, ServiceExt as _, service_fn};
    let layer = auth().dangerous_query_parameter("access_token").build().unwrap();
    for (says, expected) in [
        ("public, max-age=60", "private"),
        ("max-age=60", "private"),
        ("x=\"private\"", "private"),
        ("max-age=60, Private", "max-age=60, Private"),
        ("no-store", "no-store"),
    ] {
        let handler = service_fn(|_: Request<()>| async {
            let answer = http::Response::builder().header("cache-control", says);
            Ok::<_, std::convert::Infallible>(answer.body(Full::<Bytes>::default()).unwrap())
        });
        let ask = request(Method::GET, &format!("/x?access_token={}", good_token()), &[]);
        let answer = layer.layer(handler).oneshot(ask).now_or_never().unwrap().unwrap();
        assert_eq!(field(answer.headers(), "cache-control"), expected, "{says}");
    }
}
