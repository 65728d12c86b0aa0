//! Two processes that are one service, through a Redis server that the test starts.

use std::time::Duration;

use http::Method;
use serde_json::Value;
use tokio::time::sleep;

use crate::redis_server::Server;
use crate::support::{Events, PATIENCE, Service, Setup};

/// Two on one database; a slow machine is no outage.
async fn two(redis: &Server, config: &str) -> [Service; 2] {
    let store =
        |name: &str| format!("[{name}]\nurl = \"{}\"\nnamespace = \"poll-api\"\ntimeout = \"5s\"\n", redis.url());
    let config = format!("{}{}{config}", store("rate_limit_store"), store("cache_store"));
    let url = format!("--redis-url={}", redis.url());
    let setup = || Setup::new().argument(url.clone()).config(&config);
    let first = setup().start().await;
    let database = format!("sqlite:{}", first.database().display());
    let second = setup().database(&database).start().await;
    [first, second]
}

/// Asks again until this holds.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it never came to that");
}

async fn results(service: &Service, poll: &str) -> Events {
    let request = service.request(Method::GET, &format!("/v1/polls/{poll}/events"));
    Events::of(service.open(request.body(Default::default()).unwrap()).await)
}

#[tokio::test]
async fn a_vote_is_seen_by_all_cached_or_live() {
    let Some(redis) = Server::start().await else { return };
    let [first, second] = two(&redis, "").await;
    let (_, token) = first.user().await;
    let poll = first.poll(&token).await;
    let mut events = results(&second, &poll).await;
    assert_eq!(events.results().await.1["total"], 0);
    // What one has stored the other may serve.
    assert_eq!(first.votes(&poll).await, [0, 0]);
    until(async || {
        let answer = second.get(&format!("/v1/polls/{poll}/results")).await.is(200);
        answer.header("cache-status").is_some_and(|status| status.contains("hit"))
    })
    .await;

    first.vote(&token, &poll, 1).await.is(201);
    // Before the next look at the database, which is fifteen seconds away.
    assert_eq!(events.results().await.1["total"], 1);
    until(async || second.votes(&poll).await == [1, 0]).await;

    first.with_token(Method::DELETE, &format!("/v1/polls/{poll}"), &token).await.is(204);
    assert_eq!(events.next().await, None);
    until(async || second.get(&format!("/v1/polls/{poll}")).await.status == 404).await;
}

#[tokio::test]
async fn who_logs_out_of_one_is_out_of_both() {
    let Some(redis) = Server::start().await else { return };
    let [first, second] = two(&redis, "").await;
    let (_, token) = first.user().await;
    second.post("/v1/polls", Some(&token), &Value::Null).await.is(400);
    first.post("/v1/auth/logout", Some(&token), &Value::Null).await.is(204);
    until(async || second.post("/v1/polls", Some(&token), &Value::Null).await.status == 401).await;
}

#[tokio::test]
async fn limits_are_of_both_together() {
    let Some(redis) = Server::start().await else { return };
    let limit =
        "[[rate_limit]]\nname = \"all\"\nquota = 10\nwindow = \"1h\"\nkey = [\"client-ip\"]\npaths = [\"/v1/polls\"]\n";
    let services = two(&redis, limit).await;
    let mut passed = 0;
    for at in 0..24 {
        passed += u32::from(services[at % 2].get("/v1/polls").await.status == 200);
    }
    assert_eq!(passed, 10);
}

#[tokio::test]
async fn without_the_server_each_goes_on_alone() {
    let Some(redis) = Server::start().await else { return };
    let [first, second] = two(&redis, "").await;
    let (_, token) = first.user().await;
    let poll = first.poll(&token).await;
    drop(redis);
    first.vote(&token, &poll, 2).await.is(201);
    // It stands in the database, and nobody is told.
    assert_eq!(second.get(&format!("/v1/polls/{poll}")).await.is(200).json()["id"], poll.as_str());
    assert_eq!(first.votes(&poll).await, [0, 1]);
    second.vote(&token, &poll, 1).await.is(409);
}
