use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use serde_json::{Value, json};

use crate::support::{
    Answer, Gateway, client_http2, command, gateway_in, hello, patiently, start, toml, wait_for, write,
};

/// A key, and the set that holds its public half.
struct Authority {
    key: Ed25519KeyPair,
    id: &'static str,
}

impl Authority {
    fn new(id: &'static str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self { key: Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap(), id }
    }

    fn jwks(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.key.public_key());
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": self.id, "x": x }] }).to_string()
    }

    fn sign(&self, changes: Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({
            "iss": "https://idp.example/", "aud": "api", "sub": "alice", "client_id": "app", "jti": "1",
            "iat": now, "exp": now + 300, "roles": ["author", "a,b", "x\u{1}y"],
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": self.id }).to_string();
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(self.key.sign(message.as_bytes())))
    }
}

const ISSUER: &str = "[[auth.issuer]]\nissuer = \"https://idp.example/\"\naudience = [\"api\"]\nalgorithms = [\"EdDSA\"]\n\
     jwks_file = \"jwks.json\"\n";
/// The secret is `secret`.
const API_KEY: &str = "[[auth.api_key]]\nid = \"batch\"\nroles = [\"reader\"]\n\
     sha256 = \"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\"\n";

async fn guarded(upstream: std::net::SocketAddr, authority: &Authority, rest: &str) -> Gateway {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "jwks.json", &authority.jwks());
    write(dir.path(), "gateway.toml", &toml(upstream, &format!("{rest}{ISSUER}{API_KEY}")));
    gateway_in(dir).await
}

async fn send(gateway: &Gateway, fields: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(format!("http://{}/", gateway.address));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    gateway.send(request.body(Empty::new()).unwrap()).await
}

#[tokio::test]
async fn the_upstream_learns_who_calls_and_not_how_they_proved_it() {
    let (address, seen) = hello().await;
    let authority = Authority::new("1");
    let gateway = guarded(address, &authority, "[auth]\n").await;
    let token = format!("Bearer {}", authority.sign(json!({})));
    let answer =
        send(&gateway, &[("authorization", &token), ("x-auth-subject", "root"), ("x_auth_roles", "admin")]).await;
    assert_eq!(answer.status, 200);
    let headers = seen.last().headers;
    assert_eq!(headers["x-auth-subject"], "alice");
    assert_eq!(headers["x-auth-issuer"], "https://idp.example/");
    // Names with commas or control characters have no place in a list.
    assert_eq!(headers["x-auth-roles"], "author");
    assert!(!headers.contains_key("authorization") && !headers.contains_key("x_auth_roles"));

    assert_eq!(send(&gateway, &[("x-api-key", "batch.secret")]).await.status, 200);
    let headers = seen.last().headers;
    assert_eq!(
        (&headers["x-auth-subject"], &headers["x-auth-issuer"]),
        (&"batch".parse().unwrap(), &"api-key".parse().unwrap())
    );
    assert!(!headers.contains_key("x-api-key"));
    assert_eq!(seen.count(), 2);
}

#[tokio::test]
async fn strangers_and_forgers_do_not_get_that_far() {
    let (address, seen) = hello().await;
    let authority = Authority::new("1");
    let gateway = guarded(address, &authority, "[auth]\nresource_metadata = \"https://api.example/meta\"\n").await;
    let stranger = send(&gateway, &[]).await;
    assert_eq!(stranger.status, 401);
    assert_eq!(
        stranger.headers["www-authenticate"],
        "Bearer realm=\"api\", resource_metadata=\"https://api.example/meta\""
    );
    let expired = authority.sign(json!({ "exp": 1 }));
    let other = Authority::new("1").sign(json!({}));
    for token in [&*expired, &other, "junk", &authority.sign(json!({ "aud": "other" }))] {
        let refused = send(&gateway, &[("authorization", &format!("Bearer {token}"))]).await;
        assert_eq!(refused.status, 401);
        assert!(refused.headers["www-authenticate"].to_str().unwrap().contains("error=\"invalid_token\""));
    }
    assert_eq!(send(&gateway, &[("authorization", "Basic YTpi")]).await.status, 401);
    assert_eq!(send(&gateway, &[("x-api-key", "batch.wrong")]).await.status, 401);
    let token = format!("Bearer {}", authority.sign(json!({})));
    assert_eq!(send(&gateway, &[("authorization", &token), ("x-api-key", "batch.secret")]).await.status, 400);
    let grpc = Request::post(format!("http://{}/p.S/M", gateway.address)).header("content-type", "application/grpc");
    let refused = patiently(client_http2().request(grpc.body(Empty::<Bytes>::new()).unwrap())).await.unwrap();
    assert_eq!(refused.headers()["grpc-status"], "16");
    assert_eq!(seen.count(), 0);
}

#[tokio::test]
async fn optional_lets_strangers_in_and_forgers_stay_out() {
    let (address, seen) = hello().await;
    let gateway = guarded(address, &Authority::new("1"), "[auth]\noptional = true\nforward_credentials = true\n").await;
    assert_eq!(send(&gateway, &[("x-auth-subject", "root")]).await.status, 200);
    assert!(!seen.last().headers.contains_key("x-auth-subject"));
    assert_eq!(send(&gateway, &[("authorization", "Bearer junk")]).await.status, 401);
    assert_eq!(send(&gateway, &[("x-api-key", "batch.secret")]).await.status, 200);
    assert_eq!(seen.last().headers["x-api-key"], "batch.secret");
}

#[tokio::test]
async fn saving_the_key_set_rotates_the_keys() {
    let (address, _) = hello().await;
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let mut gateway = guarded(address, &old, "[auth]\n").await;
    let bearer = |authority: &Authority| format!("Bearer {}", authority.sign(json!({})));
    assert_eq!(send(&gateway, &[("authorization", &bearer(&old))]).await.status, 200);
    assert_eq!(send(&gateway, &[("authorization", &bearer(&new))]).await.status, 401);
    write(gateway.dir.path(), "jwks.json", &new.jwks());
    wait_for(&mut gateway.log, "configuration reloaded").await;
    assert_eq!(send(&gateway, &[("authorization", &bearer(&new))]).await.status, 200);
    assert_eq!(send(&gateway, &[("authorization", &bearer(&old))]).await.status, 401);
    // A set without keys replaces nothing.
    write(gateway.dir.path(), "jwks.json", "{\"keys\":[]}");
    wait_for(&mut gateway.log, "not reloaded").await;
    assert_eq!(send(&gateway, &[("authorization", &bearer(&new))]).await.status, 200);
}

/// A file that a reload names is watched from then on.
#[tokio::test]
async fn a_key_set_that_is_named_later_rotates_too() {
    let (address, _) = hello().await;
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let mut gateway = guarded(address, &old, "[auth]\n").await;
    let bearer = |authority: &Authority| format!("Bearer {}", authority.sign(json!({})));
    write(gateway.dir.path(), "later.json", &old.jwks());
    let tables = format!("[auth]\n{}{API_KEY}", ISSUER.replace("jwks.json", "later.json"));
    write(gateway.dir.path(), "gateway.toml", &toml(address, &tables));
    wait_for(&mut gateway.log, "configuration reloaded").await;
    write(gateway.dir.path(), "later.json", &new.jwks());
    patiently(async {
        while send(&gateway, &[("authorization", &bearer(&new))]).await.status != 200 {
            wait_for(&mut gateway.log, "configuration reloaded").await;
        }
    })
    .await;
    assert_eq!(send(&gateway, &[("authorization", &bearer(&old))]).await.status, 401);
}

/// Issuers say which claim it is; who has none is told so, where that is wished.
#[tokio::test]
async fn tenants_are_limited_together() {
    let (address, _) = hello().await;
    let authority = Authority::new("1");
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "jwks.json", &authority.jwks());
    let tables =
        "[[rate_limit]]\nquota = 2\nwindow = \"1h\"\nkey = [\"tenant\"]\non_missing_key = \"refuse\"\n[auth]\n";
    write(dir.path(), "gateway.toml", &toml(address, &format!("{tables}{ISSUER}tenant_claim = \"org.id\"\n")));
    let gateway = gateway_in(dir).await;
    let of = async |subject: &str, tenant: Option<&str>| {
        let token = authority.sign(json!({ "sub": subject, "org": { "id": tenant } }));
        send(&gateway, &[("authorization", &format!("Bearer {token}"))]).await.status
    };
    assert_eq!((of("a", Some("x")).await, of("b", Some("x")).await, of("c", Some("x")).await), (200, 200, 429));
    assert_eq!((of("a", Some("y")).await, of("a", None).await), (200, 403));
}

#[tokio::test]
async fn callers_are_limited_by_who_they_are() {
    let (address, _) = hello().await;
    let authority = Authority::new("1");
    let limits = "[auth]\n";
    let tables = "[[rate_limit]]\nname = \"user\"\nquota = 2\nwindow = \"1h\"\nkey = [\"subject\"]\n\
         [[rate_limit]]\nname = \"address\"\nquota = 20\nwindow = \"1h\"\n";
    let gateway = guarded(address, &authority, &format!("admin_listen = \"127.0.0.1:0\"\n{tables}{limits}")).await;
    let call = async |subject: &str| {
        let token = format!("Bearer {}", authority.sign(json!({ "sub": subject })));
        send(&gateway, &[("authorization", &token)]).await
    };
    for subject in ["alice", "bob"] {
        assert_eq!(
            [call(subject).await.status, call(subject).await.status, call(subject).await.status],
            [200, 200, 429]
        );
    }
    // Both limits are told, and strangers' requests count by address alone.
    let told = call("carol").await;
    let lines: Vec<_> = told.headers.get_all("ratelimit").iter().map(|line| line.to_str().unwrap()).collect();
    assert!(lines[0].starts_with("\"user\";r=1") && lines[1].starts_with("\"address\";r=13"), "{lines:?}");
    assert_eq!(send(&gateway, &[]).await.status, 401);
    let state = gateway.admin("/-/state").await.json();
    assert_eq!((&state["rate_limit"]["user"]["keys"], &state["rate_limit"]["address"]["keys"]), (&json!(3), &json!(1)));
}

/// Runs the gateway with this file and returns what it said when it gave up.
async fn refused(tables: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "gateway.toml", tables);
    let mut command = command();
    command.current_dir(dir.path()).args(["--config", "gateway.toml"]).env("SHORT", "short").stderr(Stdio::piped());
    let output = patiently(command.output()).await.unwrap();
    assert_eq!(output.status.code(), Some(2), "{tables}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn tables_that_cannot_be_are_named() {
    let issuer =
        |rest: &str| format!("[[auth.issuer]]\nissuer = \"i\"\naudience = [\"a\"]\nalgorithms = [\"HS256\"]\n{rest}");
    for (tables, expected) in [
        ("[auth]\n".to_owned(), "auth: knows no credential; add an `[[auth.issuer]]`"),
        (issuer(""), "auth.issuer: `i` has no keys"),
        (issuer("jwks_file = \"none.json\"\n"), "auth.issuer.algorithms: `HS256` takes a secret"),
        (
            issuer("jwks_file = \"none.json\"\n").replace("HS256", "ES256"),
            "auth.issuer.jwks_file: `none.json` cannot be read",
        ),
        (issuer("hmac_secret_env = \"NOT_SET_HERE\"\n"), "auth.issuer.hmac_secret_env: `NOT_SET_HERE` is not set"),
        (issuer("hmac_secret_env = \"SHORT\"\n"), "auth.issuer.hmac_secret_env: `SHORT` is shorter than HS256's hash"),
        (issuer("leeway = \"soon\"\n"), "gateway.toml:5: auth.issuer.leeway: `soon` is no duration"),
        (
            "[[auth.issuer]]\nissuer = \"i\"\naudience = [\"a\"]\nalgorithms = [\"none\"]\n".to_owned(),
            "gateway.toml:4: auth.issuer.algorithms: `none` is no signature algorithm",
        ),
        (
            "[auth]\nresource_metadata = \"ftp://a\"\n".to_owned(),
            "gateway.toml:2: auth.resource_metadata: `ftp://a` is no https URL",
        ),
        ("[[auth.api_key]]\nid = \"a\"\nsha256 = \"secret\"\n".to_owned(), "auth.api_key.sha256: of `a` is no SHA-256"),
        ("[auth]\nissuers = []\n".to_owned(), "gateway.toml:2: auth.issuers: `issuers` is no known key"),
    ] {
        let said = refused(&tables).await;
        assert!(said.contains(expected), "{said}\n  has no\n{expected}");
    }
}

#[tokio::test]
async fn a_secret_comes_from_the_environment() {
    let (address, _) = hello().await;
    let dir = tempfile::tempdir().unwrap();
    let table = "[[auth.issuer]]\nissuer = \"i\"\naudience = [\"a\"]\nalgorithms = [\"HS256\"]\nprofile = \"any-jwt\"\nhmac_secret_env = \"TOKEN_SECRET\"\n";
    write(dir.path(), "gateway.toml", &toml(address, table));
    let secret = "0123456789abcdef0123456789abcdef";
    let mut command = command();
    command.env("TOKEN_SECRET", secret).arg("--config").arg(dir.path().join("gateway.toml"));
    let gateway = start(&mut command, dir, false).await;
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#),
        URL_SAFE_NO_PAD.encode(r#"{"iss":"i","aud":"a","sub":"s","exp":9999999999}"#)
    );
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, message.as_bytes()));
    assert_eq!(send(&gateway, &[("authorization", &format!("Bearer {message}.{signature}"))]).await.status, 200);
    assert_eq!(send(&gateway, &[("authorization", &format!("Bearer {message}.AAAA"))]).await.status, 401);
}

/// Rules as in gateway.toml, and one for whoever is known.
const RULES: &str = r#"
[authz]
roles_claim = "realm.roles"
[authz.roles]
admin = ["author"]
author = ["voter"]
[[authz.rule]]
id = "public-read"
methods = ["GET"]
path = "/v1/polls/{id}"
allow = "public"
[[authz.rule]]
id = "create"
methods = ["POST"]
path = "/v1/polls"
roles = ["author"]
scopes = ["polls:write"]
[[authz.rule]]
id = "me"
methods = ["GET"]
path = "/me"
allow = "authenticated"
[[authz.rule]]
id = "tenant"
methods = ["GET"]
path = "/tenants/{tenant}/{*rest}"
allow = "authenticated"
where = { "claim:tenant" = "path:tenant" }
[[authz.rule]]
id = "frozen"
methods = ["*"]
path = "/v1/polls/frozen"
deny = true
"#;

#[tokio::test]
async fn rules_decide_and_what_none_allows_is_refused() {
    let (address, seen) = hello().await;
    let authority = Authority::new("1");
    let gateway = guarded(address, &authority, &format!("{RULES}[auth]\n")).await;
    let call = async |method: &str, path: &str, token: Option<&str>| {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", gateway.address));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        gateway.send(request.body(Empty::new()).unwrap()).await
    };
    let author = authority.sign(json!({ "realm": { "roles": "author" }, "scope": "polls:write", "tenant": "acme" }));
    let admin = authority.sign(json!({ "realm": { "roles": ["admin"] } }));
    let voter = authority.sign(json!({ "realm": { "roles": ["voter"] }, "scope": "polls:write" }));
    for (method, path, token, status) in [
        ("GET", "/v1/polls/7", None, 200),
        ("HEAD", "/v1/polls/7", None, 200),
        ("GET", "/v1/polls/7/", None, 401),
        ("GET", "/v1/polls/frozen", None, 401),
        ("GET", "/v1/polls/frozen", Some(&author), 403),
        ("GET", "/v1/polls/%66rozen", Some(&author), 403),
        ("POST", "/v1/polls", None, 401),
        ("POST", "/v1/polls", Some(&author), 200),
        ("POST", "/v1/polls", Some(&voter), 403),
        ("POST", "/v1/polls", Some(&admin), 403),
        ("GET", "/me", Some(&voter), 200),
        ("GET", "/me", None, 401),
        ("GET", "/tenants/acme/x", Some(&author), 200),
        ("GET", "/tenants/other/x", Some(&author), 403),
        ("GET", "/tenants/acme/x", Some(&voter), 403),
        ("GET", "/nowhere", Some(&admin), 403),
        ("GET", "//v1/polls/7", None, 400),
        ("GET", "/v1/polls/7/%2e%2e/frozen", None, 400),
        ("GET", "/v1%2Fpolls/7", Some(&admin), 400),
    ] {
        assert_eq!(call(method, path, token.map(String::as_str)).await.status, status, "{method} {path}");
    }
    // A bad credential is refused on public paths too.
    assert_eq!(call("GET", "/v1/polls/7", Some("junk")).await.status, 401);
    let scopeless = call("POST", "/v1/polls", Some(&admin)).await;
    assert_eq!(
        scopeless.headers["www-authenticate"],
        "Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"polls:write\""
    );
    // Inherited roles are told to the upstream.
    let scoped = authority.sign(json!({ "realm": { "roles": ["admin"] }, "scope": "polls:write" }));
    assert_eq!(call("POST", "/v1/polls", Some(&scoped)).await.status, 200);
    assert_eq!(seen.last().headers["x-auth-roles"], "admin,author,voter");
}

#[tokio::test]
async fn rules_that_cannot_be_are_named() {
    let rule = |rest: &str| format!("[[authz.rule]]\nid = \"a\"\nmethods = [\"GET\"]\npath = \"/a\"\n{rest}");
    for (tables, expected) in [
        (rule(""), "gateway.toml:2: authz.rule.id: `a` says nothing, or two things"),
        (
            rule("allow = \"public\"\nroles = [\"x\"]\n"),
            "gateway.toml:2: authz.rule.id: `a` says nothing, or two things",
        ),
        (rule("allow = \"public\"\ndeny = true\n"), "gateway.toml:2: authz.rule.id: `a` says nothing, or two things"),
        (rule("allow = \"nobody\"\n"), "gateway.toml:5: authz.rule.allow: `nobody` is none of the choices"),
        (rule("scopes = [\"a b\"]\n"), "authz.rule.id: `a b` is no scope"),
        // There is no `[auth]`.
        (rule("roles = [\"x\"]\n"), "authz.rule: `a` asks who the caller is, and nothing finds out"),
        (rule("where = { \"claim:x\" = \"path:y\" }\n"), "`y` is no parameter of the path"),
        (rule("where = { \"x\" = \"path:y\" }\n"), "`x` is no claim"),
        (
            format!("{}{}", rule("allow = \"public\"\n"), rule("allow = \"public\"\n")),
            "authz.id: `a` is the id of two rules",
        ),
        (
            "[[authz.rule]]\nid = \"a\"\nmethods = [\"get\"]\npath = \"/a\"\ndeny = true\n".to_owned(),
            "gateway.toml:3: authz.rule.methods: `get` is no method",
        ),
        (
            "[[authz.rule]]\nid = \"a\"\nmethods = [\"*\"]\npath = \"a\"\ndeny = true\n".to_owned(),
            "gateway.toml:4: authz.rule.path: `a` does not begin with `/`",
        ),
        ("[authz.roles]\na = [\"b\"]\nb = [\"a\"]\n".to_owned(), "authz.roles: `a` inherits itself"),
    ] {
        let said = refused(&tables).await;
        assert!(said.contains(expected), "{said}\n  has no\n{expected}");
    }
}

/// Some servers read trailers as if they were header fields.
#[tokio::test]
async fn a_claim_in_a_trailer_does_not_reach_the_upstream() {
    use http::{HeaderMap, Response};
    use http_body_util::{BodyExt as _, StreamBody};
    use hyper::body::Frame;
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let (address, _) = crate::support::upstream(move |request| {
        let told = told.clone();
        async move {
            let collected = request.into_body().collect().await.unwrap();
            told.send(collected.trailers().cloned().unwrap_or_default()).unwrap();
            Response::new(crate::support::full("hello"))
        }
    })
    .await;
    let gateway = crate::support::gateway(&toml(address, "upstream_http2 = true\n")).await;
    let mut trailers = HeaderMap::new();
    for name in ["x-auth-subject", "x_auth_roles", "x-checksum"] {
        trailers.insert(name, "1".parse().unwrap());
    }
    let frames =
        [Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from_static(b"x"))), Ok(Frame::trailers(trailers))];
    let body = StreamBody::new(futures_util::stream::iter(frames));
    let request = Request::post(format!("http://{}/", gateway.address)).body(body).unwrap();
    assert_eq!(patiently(client_http2().request(request)).await.unwrap().status(), 200);
    let seen = patiently(heard.recv()).await.unwrap();
    assert_eq!(seen.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["x-checksum"]);
}
