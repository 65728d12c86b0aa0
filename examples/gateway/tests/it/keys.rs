//! Keys over HTTP: fetched at the start, rotated under load, kept over reloads and outages.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use http::{Request, StatusCode};
use http_body_util::Empty;
use tower_rampart::auth::testing::Authority;

use crate::support::{Body, Gateway, eventually, full, gateway_in, hello, toml, upstream, wait_for, write};

/// An authority that is reached over loopback.
async fn served() -> (Authority, SocketAddr) {
    let place: Arc<OnceLock<Authority>> = Arc::default();
    let answering = Arc::clone(&place);
    let (address, _) = upstream(move |request| {
        let answering = Arc::clone(&answering);
        async move { document(answering.get(), request.uri().path()) }
    })
    .await;
    let authority = place.get_or_init(|| Authority::new(&format!("http://{address}"), "api"));
    (authority.clone(), address)
}

fn document(authority: Option<&Authority>, path: &str) -> http::Response<Body> {
    let answer = authority.map_or(Err(StatusCode::SERVICE_UNAVAILABLE), |authority| authority.document(path));
    let (status, body) = match answer {
        Ok(document) => (StatusCode::OK, document),
        Err(status) => (status, String::new()),
    };
    http::Response::builder().status(status).body(full(body)).unwrap()
}

fn issuer(address: SocketAddr, keys: &str) -> String {
    format!(
        "[auth]\nresource_metadata = \"https://api.example/.well-known/oauth-protected-resource\"\n\
         [[auth.issuer]]\nissuer = \"http://{address}\"\naudience = [\"api\"]\nalgorithms = [\"EdDSA\"]\n\
         jwks_cooldown = \"1s\"\n{keys}\n"
    )
}

async fn guarded(upstream: SocketAddr, rest: &str) -> Gateway {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("admin_listen = \"127.0.0.1:0\"\n{}", toml(upstream, rest));
    write(dir.path(), "gateway.toml", &text);
    gateway_in(dir).await
}

async fn send(gateway: &Gateway, token: &str) -> u16 {
    let request = Request::get(format!("http://{}/", gateway.address));
    let request = request.header("authorization", format!("Bearer {token}")).body(Empty::new()).unwrap();
    gateway.send(request).await.status
}

async fn admin(gateway: &Gateway, path: &str) -> u16 {
    let request = Request::get(format!("http://{}{path}", gateway.admin.unwrap())).body(Empty::new()).unwrap();
    gateway.send(request).await.status
}

#[tokio::test]
async fn keys_are_fetched_and_a_rotation_under_load_is_one_fetch() {
    let (address, _) = hello().await;
    let (authority, idp) = served().await;
    let gateway = guarded(address, &issuer(idp, &format!("jwks_url = \"http://{idp}/jwks.json\""))).await;
    assert_eq!(send(&gateway, &authority.token("alice").sign()).await, 200);
    assert_eq!((admin(&gateway, "/-/readyz").await, authority.fetches()), (200, 1));
    authority.rotate();
    let tokens: Vec<_> = (0..200).map(|at| authority.token(&format!("user-{at}")).sign()).collect();
    // Refused until the cooldown is over, and then let in by one fetch for all.
    let admitted = tokens.iter().map(|token| eventually(async || send(&gateway, token).await == 200));
    futures_util::future::join_all(admitted).await;
    assert_eq!(authority.fetches(), 2);
}

#[tokio::test]
async fn an_issuer_is_discovered_and_the_service_describes_itself() {
    let (address, seen) = hello().await;
    let (authority, idp) = served().await;
    let gateway = guarded(address, &issuer(idp, "discovery = true")).await;
    assert_eq!(send(&gateway, &authority.token("alice").sign()).await, 200);
    assert_eq!(seen.count(), 1);
    let url = format!("http://{}/.well-known/oauth-protected-resource", gateway.address);
    let answer = gateway.send(Request::get(url).body(Empty::new()).unwrap()).await;
    let document: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(document["resource"], "https://api.example/");
    assert_eq!(document["authorization_servers"][0], format!("http://{idp}"));
    assert_eq!(seen.count(), 1, "the upstream is not asked");
}

#[tokio::test]
async fn without_keys_it_is_not_ready_and_tokens_cannot_be_checked() {
    let (address, _) = hello().await;
    let (authority, idp) = served().await;
    authority.set_down(true);
    let gateway = guarded(address, &issuer(idp, "discovery = true")).await;
    assert_eq!(send(&gateway, &authority.token("alice").sign()).await, 503);
    assert_eq!(admin(&gateway, "/-/readyz").await, 503);
    authority.set_down(false);
    eventually(async || admin(&gateway, "/-/readyz").await == 200).await;
    assert_eq!(send(&gateway, &authority.token("alice").sign()).await, 200);
}

/// A reload asks for nothing that is there, and an outage meanwhile locks nobody out.
#[tokio::test]
async fn a_reload_goes_on_with_the_keys_there_are() {
    let (address, _) = hello().await;
    let (authority, idp) = served().await;
    let mut gateway = guarded(address, &issuer(idp, "discovery = true")).await;
    let token = authority.token("alice").sign();
    assert_eq!(send(&gateway, &token).await, 200);
    let file = gateway.file();
    let text = std::fs::read_to_string(&file).unwrap();
    // Neither a file that can be used nor one that cannot.
    let broken = "[[validate.route]]\nmethod = \"GET\"\npath = \"/x\"\nschema = \"missing.json\"";
    for (more, said) in [("# another", "configuration reloaded"), (broken, "not reloaded"), ("", "reloaded")] {
        std::fs::write(&file, format!("{text}\n{more}\n")).unwrap();
        wait_for(&mut gateway.log, said).await;
        assert_eq!(send(&gateway, &authority.token("carol").sign()).await, 200);
    }
    assert_eq!(authority.fetches(), 1);
    authority.set_down(true);
    // Other rules for the fetches are no other keys.
    std::fs::write(&file, text.replace("\"1s\"", "\"2s\"")).unwrap();
    wait_for(&mut gateway.log, "configuration reloaded").await;
    assert_eq!(send(&gateway, &token).await, 200);
    assert_eq!(send(&gateway, &authority.token("bob").sign()).await, 200);
    assert_eq!(admin(&gateway, "/-/readyz").await, 200);
}

#[tokio::test]
async fn weak_settings_are_errors_before_it_listens() {
    for (keys, blame) in [
        ("jwks_url = \"http://idp.example/keys\"", "jwks_url"),
        ("jwks_url = \"http://127.0.0.1:1/keys\"\ndiscovery = true", "two kinds"),
        ("jwks_url = \"http://127.0.0.1:1/keys\"\njwks_file = \"keys.json\"", "two kinds"),
        ("jwks_url = \"http://127.0.0.1:1/keys\"\nmax_stale = \"soon\"", "is no duration"),
    ] {
        let text = toml("127.0.0.1:9".parse().unwrap(), &issuer("127.0.0.1:1".parse().unwrap(), keys));
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "gateway.toml", &text);
        let output = crate::support::command().arg("--config").arg(dir.path().join("gateway.toml")).output().await;
        let output = output.unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && error.contains(blame), "{keys}: {error}");
    }
}
