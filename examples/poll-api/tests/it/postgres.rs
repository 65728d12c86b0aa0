//! The same service on PostgreSQL, with a server of its own.

use std::path::PathBuf;
use std::process::Stdio;

use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::{PASSWORD, PATIENCE, Service, Setup};

/// Where no other test listens.
const HOST: &str = "127.0.0.5";

/// A server in a directory of its own. It ends with the test.
struct Postgres {
    url: String,
    server: Child,
    _directory: TempDir,
}

/// The newest of what Debian installs beside `PATH`, else whatever is on it.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let installed = versions.map(|version| version.path().join("bin").join(name)).filter(|program| program.exists());
    installed.max().unwrap_or_else(|| PathBuf::from(name))
}

/// A server does not run as root; Debian's package brings a user for it.
fn unprivileged(name: &str) -> Command {
    let is_root =
        std::fs::metadata("/proc/self").is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0);
    if !is_root {
        return Command::new(program(name));
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program(name));
    command
}

impl Postgres {
    /// None where there is no server; with `POLL_REQUIRE_POSTGRES` set, that is a failure.
    async fn start() -> Option<Self> {
        let directory = TempDir::new().unwrap();
        std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let data = directory.path().join("data");
        let made = unprivileged("initdb")
            .args(["--auth=trust", "--username=polls", "--no-sync", "-D"])
            .arg(&data)
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await;
        if !made.is_ok_and(|status| status.success()) {
            assert!(std::env::var_os("POLL_REQUIRE_POSTGRES").is_none(), "PostgreSQL is missing");
            eprintln!("SKIPPED: PostgreSQL is missing; install postgresql");
            return None;
        }
        // No other test listens at this address: nobody takes the port meanwhile.
        let port = std::net::TcpListener::bind((HOST, 0)).unwrap().local_addr().unwrap().port();
        let server = unprivileged("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-h", HOST, "-p", &port.to_string(), "-k", "", "-F"])
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let ready = async {
            let port = port.to_string();
            let asks = || {
                let mut command = Command::new(program("pg_isready"));
                command.args(["-q", "-h", HOST, "-p", &port, "-U", "polls"]);
                command
            };
            while !asks().status().await.unwrap().success() {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.expect("PostgreSQL does not start");
        Some(Self { url: format!("postgres://polls@{HOST}:{port}/postgres"), server, _directory: directory })
    }

    fn setup(&self) -> Setup {
        Setup::new().database(&self.url)
    }

    async fn stop(mut self) {
        let _ = self.server.kill().await;
    }
}

#[tokio::test]
async fn everything_is_the_same_on_postgresql() {
    let Some(postgres) = Postgres::start().await else { return };
    let service = postgres.setup().argument(format!("--database-read-url={}", postgres.url)).start().await;
    people(&service).await;
    polls(&service).await;
    // Another process on the same database knows the same keys, polls and logouts.
    let (_, token) = service.user().await;
    let poll = service.poll(&token).await;
    let other = postgres.setup().start().await;
    other.vote(&token, &poll, 1).await.is(201);
    service.vote(&token, &poll, 2).await.is_problem(409);
    service.with_token(Method::POST, "/v1/auth/logout", &token).await.is(204);
    let known = async {
        while other.with_token(Method::GET, "/v1/polls", &token).await.status != 401 {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, known).await.expect("the logout is not heard of");
    postgres.stop().await;
    // The database is gone: a clear answer, and no crash.
    service.get("/v1/polls?limit=7").await.is_problem(503);
    service.get("/readyz").await.is(503);
    service.get("/healthz").await.is(200);
}

async fn people(service: &Service) {
    let (name, _) = service.user().await;
    let body = json!({ "username": name, "password": PASSWORD });
    service.post("/v1/auth/register", None, &body).await.is_problem(409);
    let first = service.log_in(&name, PASSWORD).await.is(200).json();
    let refresh = json!({ "refresh_token": first["refresh_token"] });
    service.post("/v1/auth/refresh", None, &refresh).await.is(200);
    service.post("/v1/auth/refresh", None, &refresh).await.is_problem(401);
}

async fn polls(service: &Service) {
    let (_, ann) = service.user().await;
    let (_, bob) = service.user().await;
    let mut request = service.posting("/v1/polls", Some(&ann), &json!({ "question": "?", "options": ["a", "b"] }));
    request.headers_mut().insert("idempotency-key", "once".parse().unwrap());
    let made = service.send(request.clone()).await.is(201).json();
    assert_eq!(service.send(request).await.is(201).header("idempotency-replayed"), Some("true"));
    let poll = made["id"].as_str().unwrap();
    let (one, two) = tokio::join!(service.vote(&ann, poll, 1), service.vote(&ann, poll, 2));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    service.vote(&bob, poll, 1).await.is(201);
    assert_eq!(service.votes(poll).await.iter().sum::<i64>(), 2);
    let page = service.get("/v1/polls?expand=results&limit=1").await.is(200).json();
    assert_eq!(page["items"][0]["results"]["total"], 2);
    let close = format!("/v1/polls/{poll}/close");
    service.post(&close, Some(&bob), &Value::Null).await.is_problem(403);
    assert_eq!(service.post(&close, Some(&ann), &Value::Null).await.is(200).json()["closed"], true);
    service.with_token(Method::DELETE, &format!("/v1/polls/{poll}"), &ann).await.is(204);
    service.get(&format!("/v1/polls/{poll}")).await.is_problem(404);
}
