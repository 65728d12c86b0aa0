//! Forwarding to the external service, which fails and stalls.

use std::process::Stdio;

use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::support::{ADMIN_PASSWORD, Service, Setup};

/// The external service of this repository.
struct Fake {
    url: String,
    _child: Child,
}

impl Fake {
    async fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fake-upstream"));
        command.args(["--listen", "127.0.0.1:0", "--key", "a key"]).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next_line().await.unwrap().unwrap();
        // It must be able to go on writing.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { url: format!("http://{}", first.rsplit_once("//").unwrap().1), _child: child }
    }

    /// As its state is shown.
    fn name(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    async fn ask(&self, method: Method, path: &str, body: &str) -> Value {
        let request = http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let answer = client.request(request.body(Full::from(Bytes::from(body.to_owned()))).unwrap()).await.unwrap();
        assert!(answer.status().is_success());
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    async fn mode(&self, mode: &str) {
        self.ask(Method::PUT, "/mode", mode).await;
    }

    /// Waits until this holds of what it has.
    async fn until(&self, holds: impl Fn(&Value) -> bool) -> Value {
        let waiting = async {
            loop {
                let has = self.ask(Method::GET, "/polls", "").await;
                if holds(&has) {
                    return has;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(crate::support::PATIENCE, waiting).await.expect("it never came")
    }
}

fn setup(fake: &Fake) -> Setup {
    Setup::new().argument("--upstream-key=a key").argument(format!("--upstream-url={}", fake.url))
}

fn count(has: &Value) -> usize {
    has["polls"].as_array().unwrap().len()
}

async fn pending(service: &Service, admin: &str) -> i64 {
    let state = service.with_token(Method::GET, "/v1/admin/state", admin).await.is(200).json();
    state["outbox"]["pending"].as_i64().unwrap()
}

#[tokio::test]
async fn a_new_poll_is_forwarded() {
    let fake = Fake::start().await;
    let service = setup(&fake).start().await;
    let (_, token) = service.user().await;
    let poll = service.poll(&token).await;
    let has = fake.until(|has| count(has) == 1).await;
    assert_eq!(has["polls"][0], json!({ "id": poll, "question": "Tabs?", "options": ["yes", "no"] }));
}

#[tokio::test]
async fn nothing_is_lost_and_nobody_waits_while_it_fails_or_stalls() {
    let fake = Fake::start().await;
    let mut service = setup(&fake).start().await;
    let (_, token) = service.user().await;
    let admin = service.token("admin", ADMIN_PASSWORD).await;
    fake.mode("fail").await;
    service.poll(&token).await;
    fake.until(|has| has["asked"].as_u64() >= Some(1)).await;
    fake.mode("stall").await;
    let asked = fake.ask(Method::GET, "/polls", "").await["asked"].as_u64();
    service.poll(&token).await;
    fake.until(|has| has["asked"].as_u64() > asked).await;
    // The worker is stuck, and the service is not.
    service.poll(&token).await;
    assert_eq!(pending(&service, &admin).await, 3);
    // Killed, it knows what it has still to send.
    service.child.kill().await.unwrap();
    fake.mode("ok").await;
    let service = setup(&fake).in_directory(service.into_directory()).start().await;
    fake.until(|has| count(has) == 3).await;
    let admin = service.token("admin", ADMIN_PASSWORD).await;
    while pending(&service, &admin).await > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_is_refused_is_counted_and_not_sent_again() {
    let fake = Fake::start().await;
    let service = setup(&fake).start().await;
    let (_, token) = service.user().await;
    let admin = service.token("admin", ADMIN_PASSWORD).await;
    fake.mode("refuse").await;
    service.poll(&token).await;
    let refused = async {
        loop {
            let state = service.with_token(Method::GET, "/v1/admin/state", &admin).await.is(200).json();
            if state["outbox"] == json!({ "pending": 0, "refused": 1 }) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, refused).await.expect("it is not counted");
}

/// Waits until this holds of the service's state.
async fn until_state(service: &Service, admin: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let waiting = async {
        loop {
            let state = service.with_token(Method::GET, "/v1/admin/state", admin).await.is(200).json();
            if holds(&state) {
                return state;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, waiting).await.expect("it never came to that")
}

#[tokio::test]
async fn an_open_circuit_loses_nothing_and_asks_nobody() {
    let fake = Fake::start().await;
    let circuit = "[circuit_breaker]\nconsecutive_failures = 2\nopen_for = \"1s\"\nmax_open = \"1s\"\nprobes = 1\n\
                   [retry]\nattempts = 1\n";
    let name = fake.name();
    let service = setup(&fake).config(circuit).start().await;
    let (_, token) = service.user().await;
    let admin = service.token("admin", ADMIN_PASSWORD).await;
    fake.mode("fail").await;
    // It is there from the start, as the gateway's.
    until_state(&service, &admin, |state| state["circuit_breaker"][name]["state"] == "closed").await;
    let (first, second) = (service.poll(&token).await, service.poll(&token).await);
    let state = until_state(&service, &admin, |state| state["circuit_breaker"][name]["opened"] != 0).await;
    assert_eq!(state["outbox"]["pending"], 2, "{state}");
    // Whoever asks whether to send requests here is told, and told to.
    let ready = service.get("/readyz").await.is(200).json();
    assert!(ready["circuit_breaker"][name].is_string(), "{ready}");
    // Nothing of it slows down who makes a poll.
    let third = service.poll(&token).await;
    fake.mode("ok").await;
    let has = fake.until(|has| count(has) == 3).await;
    let delivered: Vec<_> = has["polls"].as_array().unwrap().iter().map(|poll| poll["id"].as_str().unwrap()).collect();
    for poll in [&first, &second, &third] {
        assert!(delivered.contains(&poll.as_str()), "{poll} of {delivered:?}");
    }
    let closed = |state: &Value| state["circuit_breaker"][name]["state"] == "closed";
    let state = until_state(&service, &admin, |state| closed(state) && state["outbox"]["pending"] == 0).await;
    assert_eq!(state["bulkhead"][name]["in_flight"], 0, "{state}");
}

#[tokio::test]
async fn a_circuit_outlives_a_reload() {
    let fake = Fake::start().await;
    let name = fake.name();
    let service =
        setup(&fake).config("[circuit_breaker]\nconsecutive_failures = 1\nopen_for = \"60s\"\n").start().await;
    let (_, token) = service.user().await;
    let admin = service.token("admin", ADMIN_PASSWORD).await;
    fake.mode("fail").await;
    service.poll(&token).await;
    let is_open = |state: &Value| state["circuit_breaker"][name]["state"] == "open";
    until_state(&service, &admin, is_open).await;
    service.with_token(Method::POST, "/v1/admin/reload", &admin).await.is(204);
    let state = until_state(&service, &admin, |state| state["config"]["reloads"] == 1).await;
    assert!(is_open(&state), "{state}");
}
