//! The built-in limits.

use serde_json::json;

use crate::support::{Answer, PASSWORD, Service, Setup};

#[tokio::test]
async fn the_limits_are_told_as_they_are() {
    let service = Service::start().await;
    let (name, token) = service.user().await;
    let policies = |answer: Answer| -> Vec<String> {
        let values = answer.headers.get_all("ratelimit-policy").iter();
        values.flat_map(|value| value.to_str().unwrap().split(", ")).map(str::to_owned).collect()
    };
    assert_eq!(policies(service.get("/v1/polls").await), ["\"read\";q=1200;w=60"]);
    let created = service.post("/v1/polls", Some(&token), &json!({ "question": "?", "options": ["a", "b"] })).await;
    assert_eq!(policies(created.is(201)), ["\"write\";q=120;w=60"]);
    let refreshed = service.post("/v1/auth/refresh", None, &json!({ "refresh_token": "none" })).await;
    assert_eq!(policies(refreshed.is(401)), ["\"auth\";q=100;w=900"]);
    for (password, status) in [(PASSWORD, 200), ("not the password", 401)] {
        let told = policies(service.log_in(&name, password).await.is(status));
        assert_eq!(told, ["\"login-failures\";q=10;w=900", "\"auth\";q=100;w=900"], "{status}");
    }
}

#[tokio::test]
async fn failed_logins_are_limited_for_each_name_and_only_they() {
    let service = Service::start().await;
    let (name, _) = service.user().await;
    let (other, _) = service.user().await;
    // Good ones cost nothing.
    for _ in 0..12 {
        service.log_in(&name, PASSWORD).await.is(200);
    }
    for _ in 0..10 {
        service.log_in(&name.to_uppercase(), "not the password").await.is_problem(401);
    }
    let refused = service.log_in(&name, PASSWORD).await;
    refused.is_problem(429);
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert!(refused.header("ratelimit").unwrap().contains("login-failures"), "{refused:?}");
    service.log_in(&other, PASSWORD).await.is(200);
}

#[tokio::test]
async fn a_client_cannot_say_whose_login_it_is_or_that_a_write_is_a_read() {
    let service = Service::start().await;
    let (name, token) = service.user().await;
    let mut refusals = 0;
    for at in 0..12 {
        let body = json!({ "username": name, "password": "not the password" });
        let mut request = service.posting("/v1/auth/login", None, &body);
        request.headers_mut().insert("x-poll-login", at.to_string().parse().unwrap());
        refusals += u32::from(service.send(request).await.status == 429);
    }
    assert_eq!(refusals, 2);
    let mut refusals = 0;
    for _ in 0..125 {
        let mut request = service.posting("/v1/polls", Some(&token), &json!({ "question": "" , "options": [] }));
        request.headers_mut().insert("x-poll-read", "1".parse().unwrap());
        refusals += u32::from(service.send(request).await.status == 429);
    }
    assert!((1..=5).contains(&refusals), "{refusals}");
}

#[tokio::test]
async fn unauthenticated_writes_are_limited_for_each_address() {
    let service = Service::start().await;
    let body = json!({ "refresh_token": "made up" });
    for _ in 0..100 {
        service.post("/v1/auth/refresh", None, &body).await.is(401);
    }
    let refused = service.post("/v1/auth/refresh", None, &body).await;
    refused.is_problem(429);
    // Reading goes on, and what reads there is none of them.
    service.get("/v1/polls").await.is(200);
    service.get("/v1/auth/login").await.is(401);
}

#[tokio::test]
async fn reads_are_limited_from_the_configuration_and_carry_the_fields() {
    let limits = "[[rate_limit]]\nname = \"read\"\nquota = 3\nwindow = \"1h\"\n\
        key = [\"client-ip\", \"header:x-poll-read\"]\non_missing_key = \"pass\"\n";
    let service = Setup::new().config(limits).start().await;
    for left in ["2", "1", "0"] {
        let answer = service.get("/v1/polls").await.is(200);
        assert!(answer.header("ratelimit").unwrap().contains(&format!("r={left}")), "{answer:?}");
    }
    service.get("/v1/polls").await.is_problem(429);
}
