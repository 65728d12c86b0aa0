//! `/v1/auth` and the keys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::{Value, json};

use crate::support::{ADMIN_PASSWORD, PASSWORD, Service, Setup};

fn registration(username: &str, password: &str) -> Value {
    json!({ "username": username, "password": password })
}

#[tokio::test]
async fn people_register_once_and_by_rules() {
    let service = Service::start().await;
    let user = service.post("/v1/auth/register", None, &registration("Ann", PASSWORD)).await.is(201).json();
    assert_eq!(user["username"], "ann");
    assert_eq!(user["roles"], json!(["author"]));
    assert_eq!(user.as_object().unwrap().len(), 3);
    service.post("/v1/auth/register", None, &registration("aNN", PASSWORD)).await.is_problem(409);
    for (username, password, pointer) in [
        ("an", PASSWORD, "#/username"),
        ("ann smith", PASSWORD, "#/username"),
        ("bob", "too short", "#/password"),
        ("long-enough-name", "Long-Enough-Name", "#/password"),
    ] {
        let answer = service.post("/v1/auth/register", None, &registration(username, password)).await;
        let problem = answer.is_problem(422);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        assert!(!problem.to_string().contains(password), "a password is never told");
    }
    let odd = json!({ "username": "bob", "password": PASSWORD, "roles": ["admin"] });
    service.post("/v1/auth/register", None, &odd).await.is_problem(422);
}

/// RFC 9110 section 15.5.2: each 401 says how to come in, whoever gives it.
#[tokio::test]
async fn every_401_has_a_challenge() {
    let service = Service::start().await;
    let refresh = json!({ "refresh_token": "x".repeat(600) });
    for answer in [
        service.post("/v1/auth/login", None, &registration("nobody", PASSWORD)).await,
        service.post("/v1/auth/refresh", None, &refresh).await,
        service.get("/v1/admin/state").await,
        service.with_token(Method::GET, "/v1/polls", "junk").await,
    ] {
        answer.is_problem(401);
        assert!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer realm=\"api\"")));
    }
}

#[tokio::test]
async fn tokens_are_signed_by_the_published_key_and_say_who_it_is() {
    let service = Service::start().await;
    let (name, token) = service.user().await;
    let part = |at: usize| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap()).unwrap()
    };
    let (header, claims) = (part(0), part(1));
    assert_eq!((&header["alg"], &header["typ"]), (&json!("EdDSA"), &json!("at+jwt")));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
    assert_eq!((&claims["roles"], &claims["preferred_username"]), (&json!(["author"]), &json!(name)));
    let jwks = service.get("/.well-known/jwks.json").await.is(200).json();
    let key = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
    assert_eq!((&key["kty"], &key["crv"]), (&json!("OKP"), &json!("Ed25519")));
    assert!(key.get("d").is_none(), "the private part stays");
    // One bit of the signature, and it is nobody's.
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    service.with_token(Method::POST, "/v1/auth/logout", &forged).await.is_problem(401);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_are_the_same() {
    let service = Service::start().await;
    let (name, _) = service.user().await;
    let mut known = service.log_in(&name, "not the password").await.is_problem(401);
    let mut unknown = service.log_in("nobody-at-all", "not the password").await.is_problem(401);
    for problem in [&mut known, &mut unknown] {
        problem.as_object_mut().unwrap().remove("request_id");
    }
    assert_eq!(known, unknown);
    service.log_in(&name.to_uppercase(), PASSWORD).await.is(200);
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_copy_ends_the_family() {
    let service = Service::start().await;
    let (name, _) = service.user().await;
    let first = service.log_in(&name, PASSWORD).await.is(200).json();
    let other = service.log_in(&name, PASSWORD).await.is(200).json();
    assert_eq!((&first["token_type"], &first["expires_in"]), (&json!("Bearer"), &json!(600)));
    let refresh = async |pair: &Value| {
        service.post("/v1/auth/refresh", None, &json!({ "refresh_token": pair["refresh_token"] })).await
    };
    let second = refresh(&first).await.is(200).json();
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    let access = second["access_token"].as_str().unwrap();
    let poll = service.poll(access).await;
    // Somebody has kept a copy.
    refresh(&first).await.is_problem(401);
    refresh(&second).await.is_problem(401);
    service.vote(access, &poll, 1).await.is_problem(401);
    // Another session of the same user goes on.
    refresh(&other).await.is(200);
    service.post("/v1/auth/refresh", None, &json!({ "refresh_token": "made up" })).await.is_problem(401);
}

#[tokio::test]
async fn two_refreshes_at_one_instant_are_not_both_good() {
    let service = Service::start().await;
    let (name, _) = service.user().await;
    let pair = service.log_in(&name, PASSWORD).await.is(200).json();
    let body = json!({ "refresh_token": pair["refresh_token"] });
    let (one, two) =
        tokio::join!(service.post("/v1/auth/refresh", None, &body), service.post("/v1/auth/refresh", None, &body));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
}

#[tokio::test]
async fn logging_out_ends_access_and_refresh_tokens_at_once_and_for_good() {
    let mut service = Service::start().await;
    let (name, _) = service.user().await;
    let pair = service.log_in(&name, PASSWORD).await.is(200).json();
    let access = pair["access_token"].as_str().unwrap().to_owned();
    let poll = service.poll(&access).await;
    let out = service.with_token(Method::POST, "/v1/auth/logout", &access).await.is(204);
    assert!(out.body.is_empty());
    service.vote(&access, &poll, 1).await.is_problem(401);
    // A bad credential is refused where none is needed, too.
    service.with_token(Method::GET, "/v1/polls", &access).await.is_problem(401);
    let refresh = json!({ "refresh_token": pair["refresh_token"] });
    service.post("/v1/auth/refresh", None, &refresh).await.is_problem(401);
    service.with_token(Method::POST, "/v1/auth/logout", &access).await.is_problem(401);
    service.send(service.posting("/v1/auth/logout", None, &Value::Null)).await.is_problem(401);

    // After a restart, too: keys, sessions and what was revoked are in the database.
    let (other, kept) = service.user().await;
    service.signal("-INT").await;
    assert_eq!(service.wait().await, Some(0));
    let service = Setup::new().in_directory(service.into_directory()).start().await;
    service.vote(&access, &poll, 1).await.is_problem(401);
    service.vote(&kept, &poll, 1).await.is(201);
    service.token(&other, PASSWORD).await;
}

#[tokio::test]
async fn a_password_is_made_up_for_the_first_admin_and_told_once() {
    let mut service = Setup::new().no_admin_password().start().await;
    let line = service.banner.last().unwrap().clone();
    let password = line.split('`').nth(3).unwrap();
    let admin = service.token("admin", password).await;
    service.with_token(Method::GET, "/v1/admin/state", &admin).await.is(200);
    service.signal("-TERM").await;
    assert_eq!(service.wait().await, Some(0));
    // Another start knows it, tells nothing, and takes no other.
    let service = Setup::new().in_directory(service.into_directory()).start().await;
    service.token("admin", password).await;
    service.log_in("admin", ADMIN_PASSWORD).await.is_problem(401);
    assert!(!service.banner.iter().any(|line| line.contains("admin")));
}

#[tokio::test]
async fn a_start_that_fails_makes_up_no_password_that_nobody_is_told() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("bad.toml"), "[cache]\nbytes = \"1KiB\"\nentry_bytes = \"2KiB\"\n").unwrap();
    let mut starting = crate::support::command(directory.path());
    starting.env_remove("POLL_ADMIN_PASSWORD").args(["--config", "bad.toml"]);
    let output = starting.output().await.unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let service = Setup::new().no_admin_password().in_directory(directory).start().await;
    assert!(service.banner.last().unwrap().starts_with("  admin"));
}

#[tokio::test]
async fn the_first_admin_is_there_and_reads_the_state() {
    let service = Service::start().await;
    let (_, author) = service.user().await;
    let admin = service.token("admin", ADMIN_PASSWORD).await;
    service.get("/v1/admin/state").await.is_problem(401);
    service.with_token(Method::GET, "/v1/admin/state", &author).await.is_problem(403);
    let state = service.with_token(Method::GET, "/v1/admin/state", &admin).await.is(200).json();
    assert!(state["cache"]["entries"].is_number(), "{state}");
    assert!(state["rate_limit"]["write"]["keys"].is_number(), "{state}");
    assert!(state["rate_limit"]["login-failures"]["keys"].is_number(), "{state}");
    assert_eq!(state["circuit_breaker"], json!({}), "there is no upstream");
}
