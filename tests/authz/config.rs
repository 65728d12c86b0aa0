//! The `[authz]` table.
#![cfg(feature = "config")]

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Method, Request, Response};
use http_body_util::Full;
use serde::Deserialize;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_rampart::authz::AuthzLayer;
use tower_rampart::config::{self, AuthzConfig};
use tower_rampart::key::PeerAddr;
use tower_rampart::{ClientCertificate, Identity};

#[derive(Debug, Deserialize)]
struct Config {
    authz: AuthzConfig,
}

fn layer(text: &str) -> Result<AuthzLayer, String> {
    let config: Config = config::parse(text, "app.toml").map_err(|error| error.to_string())?;
    config.authz.to_layer().map_err(|error| error.to_string())
}

fn rule(rest: &str) -> String {
    format!("[[authz.rule]]\nid = \"a\"\nmethods = [\"*\"]\npath = \"/a/{{tenant}}\"\n{rest}\n")
}

/// What a caller is answered who comes from 10.0.0.1 with a certificate.
fn ask(layer: &AuthzLayer, path: &str, who: Option<Identity>) -> u16 {
    let handler = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
    let mut request = Request::builder().method(Method::GET).uri(path).body(()).unwrap();
    request.extensions_mut().insert(PeerAddr::new(SocketAddr::from(([10, 0, 0, 1], 1))));
    request.extensions_mut().insert(ClientCertificate::new(["batch.example"]));
    who.map(|who| request.extensions_mut().insert(who));
    layer.layer(handler).oneshot(request).now_or_never().unwrap().unwrap().status().as_u16()
}

fn ann() -> Identity {
    Identity::new("idp", "ann").with_roles(["author"]).with_claims([
        ("plan", "gold"),
        ("org", "acme"),
        ("mail", "ann@a"),
    ])
}

#[test]
fn what_rules_ask_for() {
    for (asks, expected) in [
        ("where = { \"claim:org\" = \"path:tenant\" }", 200),
        ("where = { \"claim:plan\" = \"path:tenant\" }", 403),
        ("where = { \"claim:plan\" = \"text:gold\" }", 200),
        ("where = { \"claim:plan\" = [\"silver\", \"gold\"] }", 200),
        ("where = { \"claim:plan\" = [\"silver\"] }", 403),
        ("where = { \"claim:mail\" = \"prefix:ann@\" }", 200),
        ("where = { \"claim:mail\" = \"prefix:bob@\" }", 403),
        ("client = [\"10.0.0.0/8\"]", 200),
        ("client = [\"192.0.2.0/24\"]", 403),
        ("certificate = [\"other.example\", \"batch.example\"]", 200),
        ("certificate = [\"other.example\"]", 403),
        ("permissions = [\"polls:write\"]", 200),
        ("permissions = [\"polls:delete\"]", 403),
        ("time = { not_before = 2020-01-01T00:00:00Z }", 200),
        ("time = { not_after = 2020-01-01T00:00:00Z }", 403),
        (
            "time = { from = \"00:00\", until = \"12:00\", days = [] }\nany = [{ roles = [\"author\"] }]\nallow = \"authenticated\"",
            0,
        ),
        (
            "any = [{ roles = [\"admin\"] }, { client = [\"10.0.0.1/32\"], where = { \"claim:plan\" = [\"gold\"] } }]",
            200,
        ),
        ("any = [{ roles = [\"admin\"] }, { scopes = [\"x\"] }]", 403),
        ("not = { certificate = [\"batch.example\"] }", 403),
        ("not = { any = [{ roles = [\"voter\"] }, { roles = [\"admin\"] }] }", 200),
        ("deny = true", 403),
    ] {
        let text = format!("{}\n[authz.permissions]\nauthor = [\"polls:write\"]\n", rule(asks));
        let layer = layer(&text).unwrap();
        let status = ask(&layer, "/a/acme", Some(ann()));
        // The hour is whatever it is when this runs.
        assert!(status == expected || (expected == 0 && matches!(status, 200 | 403)), "{asks}: {status}");
    }
}

#[test]
fn public_rules_and_denials_have_conditions_too() {
    let text = format!("{}\n", rule("allow = \"public\"\nclient = [\"10.0.0.0/8\"]"));
    assert_eq!(ask(&layer(&text).unwrap(), "/a/x", None), 200);
    let text = format!("{}\n", rule("allow = \"public\"\nclient = [\"192.0.2.0/24\"]"));
    assert_eq!(ask(&layer(&text).unwrap(), "/a/x", None), 401);
    let deny = "[[authz.rule]]\nid = \"b\"\nmethods = [\"GET\"]\npath = \"/**\"\ndeny = true\nnot = { roles = [\"author\"] }\n";
    let layer = layer(&format!("{}{deny}", rule("allow = \"public\""))).unwrap();
    assert_eq!((ask(&layer, "/a/x", None), ask(&layer, "/a/x", Some(ann()))), (401, 200));
}

#[test]
fn a_shadow_table_is_read_and_decides_nothing() {
    let shadow = "[[authz.shadow_rule]]\nid = \"s\"\nmethods = [\"*\"]\npath = \"/elsewhere\"\nallow = \"public\"\n";
    let layer = layer(&format!("{}{shadow}", rule("allow = \"public\"\naudit = true"))).unwrap();
    assert_eq!((ask(&layer, "/a/x", None), ask(&layer, "/elsewhere", None)), (200, 401));
}

#[test]
fn mistakes_are_named_with_their_line() {
    for (asks, message) in [
        ("where = { \"org\" = \"path:tenant\" }", "app.toml:5: authz.rule.where.org: `org` is no claim"),
        ("where = { \"claim:org\" = \"pth:tenant\" }", "`pth:tenant` compares with nothing"),
        ("where = { \"claim:org\" = \"path:other\" }", "`other` is no parameter of the path"),
        ("client = [\"10.0.0.0/33\"]", "app.toml:5: authz.rule.client: `10.0.0.0/33` is not an address block"),
        ("time = { from = \"8\" }", "app.toml:5: authz.rule.time: `8` is no time of a day"),
        ("time = { days = [\"monday\"] }", "`monday` is no day of the week"),
        ("time = { not_before = 2027-01-01 }", "is no moment"),
        ("any = [{}]", "asks for nothing"),
        ("any = [{ role = [\"x\"] }]", "role"),
        ("deny = true\nroles = [\"x\"]", "says nothing, or two things"),
        ("", "says nothing, or two things"),
    ] {
        let error = layer(&rule(asks)).unwrap_err();
        assert!(error.contains(message), "{asks}: {error}");
    }
}

#[test]
fn a_table_of_credentials_is_printed_without_them() {
    #[derive(Debug, Deserialize)]
    struct Config {
        auth: tower_rampart::config::AuthConfig,
    }
    let text = "[[auth.issuer]]\nissuer = \"https://idp.example/\"\naudience = [\"api\"]\nalgorithms = [\"RS256\"]\n\
        jwks_url = \"https://idp.example/keys?token=secret\"\n\
        [[auth.api_key]]\nid = \"batch\"\nsha256 = \"the secret itself\"\n";
    let Config { auth } = config::parse(text, "app.toml").unwrap();
    let shown = format!("{auth:?}");
    assert!(shown.contains("idp.example") && shown.contains("batch") && !shown.contains("secret"), "{shown}");
}
