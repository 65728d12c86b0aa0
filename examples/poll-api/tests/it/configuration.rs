//! `--config`, `--print-config` and reloads.

use http::Method;
use serde_json::Value;

use crate::support::{ADMIN_PASSWORD, Setup, command};

const TIGHT: &str = "[[rate_limit]]\nname = \"read\"\nquota = 2\nwindow = \"1h\"\npaths = [\"/v1/polls\"]\n";

#[tokio::test]
async fn what_is_in_effect_is_printed_and_can_be_given_back() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("app.toml"), TIGHT).unwrap();
    let print = async |file: &str| {
        let mut command = command(directory.path());
        let output = command.args(["--config", file, "--print-config"]).output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let printed = print("app.toml").await;
    assert!(printed.contains("quota = 2") && !printed.contains("login-failures"), "{printed}");
    assert!(printed.contains("[authz.roles]"), "{printed}");
    std::fs::write(directory.path().join("again.toml"), &printed).unwrap();
    assert_eq!(print("again.toml").await, printed);
    assert!(!directory.path().join("polls.db").exists(), "nothing was started");
}

#[tokio::test]
async fn a_reload_changes_all_or_nothing() {
    let service = Setup::new().config("[cache]\nbytes = \"1MiB\"\nentry_bytes = \"1KiB\"\n").start().await;
    let file = service.directory.path().join("layers.toml");
    let admin = service.token("admin", ADMIN_PASSWORD).await;
    let (_, author) = service.user().await;
    let reload = async |token: &str| service.post("/v1/admin/reload", Some(token), &Value::Null).await;
    reload(&author).await.is_problem(403);
    for _ in 0..5 {
        service.get("/v1/polls").await.is(200);
    }
    std::fs::write(&file, "[cache]\nbites = 1\n").unwrap();
    let problem = reload(&admin).await.is_problem(422);
    assert!(problem["detail"].as_str().unwrap().contains("layers.toml:2"), "{problem}");
    service.get("/v1/polls").await.is(200);
    // What only a layer finds, after the limits were read: they must not count by what was refused.
    let circle = "[authz.roles]\na = [\"b\"]\nb = [\"a\"]\n";
    std::fs::write(&file, format!("{TIGHT}{circle}")).unwrap();
    reload(&admin).await.is_problem(422);
    for _ in 0..4 {
        service.get("/v1/polls").await.is(200);
    }
    std::fs::write(&file, TIGHT).unwrap();
    reload(&admin).await.is(204);
    for _ in 0..2 {
        service.get("/v1/polls").await.is(200);
    }
    service.get("/v1/polls").await.is_problem(429);
    let state = service.with_token(Method::GET, "/v1/admin/state", &admin).await.is(200).json();
    assert_eq!((&state["config"]["reloads"], &state["config"]["failed_reloads"]), (&1.into(), &2.into()));
    // A vote is seen at once by the cache that the reload made.
    std::fs::write(&file, "").unwrap();
    reload(&admin).await.is(204);
    let poll = service.poll(&author).await;
    assert_eq!(service.votes(&poll).await, [0, 0]);
    service.vote(&author, &poll, 2).await.is(201);
    assert_eq!(service.votes(&poll).await, [0, 1]);
}
