//! Starts the service, and speaks to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Nothing here takes so long, unless it never comes.
pub const PATIENCE: Duration = Duration::from_secs(60);
pub const ADMIN_PASSWORD: &str = "the admin's own password";
pub const PASSWORD: &str = "correct horse battery";

/// A running service.
pub struct Service {
    pub address: SocketAddr,
    pub banner: Vec<String>,
    pub child: Child,
    pub directory: TempDir,
    client: Client<HttpConnector, Full<Bytes>>,
    _lines: Lines<BufReader<ChildStdout>>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// That it is a problem of this status, in the words of RFC 9457.
    #[track_caller]
    pub fn is_problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"));
        problem
    }

    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

/// How the service is to be started.
#[derive(Default)]
pub struct Setup {
    arguments: Vec<String>,
    config: Option<String>,
    database: Option<String>,
    file_kib: Option<u32>,
    no_admin_password: bool,
    directory: Option<TempDir>,
}

impl Setup {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub fn config(mut self, text: &str) -> Self {
        self.config = Some(text.to_owned());
        self
    }

    /// On another database than a file in its directory.
    pub fn database(mut self, url: &str) -> Self {
        self.database = Some(url.to_owned());
        self
    }

    /// The first admin's password is made up.
    pub fn no_admin_password(mut self) -> Self {
        self.no_admin_password = true;
        self
    }

    /// No file may grow further: as on a disk that is full.
    pub fn file_kib(mut self, kib: u32) -> Self {
        self.file_kib = Some(kib);
        self
    }

    /// On a database that is there already.
    pub fn in_directory(mut self, directory: TempDir) -> Self {
        self.directory = Some(directory);
        self
    }

    pub async fn start(self) -> Service {
        let directory = self.directory.unwrap_or_else(|| TempDir::new().unwrap());
        let mut command = match self.file_kib {
            Some(kib) => limited(directory.path(), kib),
            None => command(directory.path()),
        };
        command.args(&self.arguments);
        if self.no_admin_password {
            command.env_remove("POLL_ADMIN_PASSWORD");
        }
        if let Some(url) = &self.database {
            command.env("POLL_DATABASE_URL", url);
        }
        if let Some(text) = &self.config {
            let file = directory.path().join("layers.toml");
            std::fs::write(&file, text).unwrap();
            command.arg("--config").arg(file);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut banner = Vec::new();
        // The layers come last of what is always there; a password follows where one was made up.
        let last = if self.no_admin_password { "  admin" } else { "  layers" };
        while !banner.iter().any(|line: &String| line.starts_with(last)) {
            let line = timeout(PATIENCE, lines.next_line()).await.expect("no banner").unwrap();
            banner.push(line.expect("it stopped"));
        }
        let first = banner.first().unwrap();
        let address = first.rsplit_once("//").unwrap().1.parse().unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        Service { address, banner, child, directory, client, _lines: lines }
    }
}

/// The program, in its own directory and without the surroundings' settings.
pub fn command(directory: &Path) -> Command {
    surrounded(Command::new(env!("CARGO_BIN_EXE_poll-api")), directory)
}

/// The same, whose files may not grow beyond a size.
fn limited(directory: &Path, kib: u32) -> Command {
    // The signal is ignored, so that a write that goes too far fails.
    let script = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\" \"$@\"");
    let mut command = Command::new("/bin/bash");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_poll-api")]);
    surrounded(command, directory)
}

fn surrounded(mut command: Command, directory: &Path) -> Command {
    let database = format!("sqlite:{}", directory.join("polls.db").display());
    command
        .env_clear()
        .env("RUST_LOG", "warn")
        .env("POLL_ADMIN_PASSWORD", ADMIN_PASSWORD)
        .env("POLL_DATABASE_URL", database)
        .args(["--listen", "127.0.0.1:0"])
        .current_dir(directory)
        .kill_on_drop(true);
    command
}

impl Service {
    pub async fn start() -> Self {
        Setup::new().start().await
    }

    pub fn database(&self) -> PathBuf {
        self.directory.path().join("polls.db")
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn open(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        timeout(PATIENCE, self.client.request(request)).await.expect("no answer").expect("no answer")
    }

    pub async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        self.try_send(request).await.expect("no answer")
    }

    /// The answer; none when the service is gone.
    pub async fn try_send(&self, request: Request<Full<Bytes>>) -> Option<Answer> {
        let answer = timeout(PATIENCE, self.client.request(request)).await.expect("it takes too long").ok()?;
        let (parts, body) = answer.into_parts();
        let body = timeout(PATIENCE, body.collect()).await.expect("it takes too long").ok()?.to_bytes();
        Some(Answer { status: parts.status, headers: parts.headers, body })
    }

    pub fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(self.url(path))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).body(Full::default()).unwrap()).await
    }

    pub async fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Answer {
        self.send(self.posting(path, token, body)).await
    }

    pub fn posting(&self, path: &str, token: Option<&str>, body: &Value) -> Request<Full<Bytes>> {
        let mut request = self.request(Method::POST, path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.is_null() {
            return request.body(Full::default()).unwrap();
        }
        request.header("content-type", "application/json").body(Full::from(body.to_string())).unwrap()
    }

    pub async fn with_token(&self, method: Method, path: &str, token: &str) -> Answer {
        let request = self.request(method, path).header("authorization", format!("Bearer {token}"));
        self.send(request.body(Full::default()).unwrap()).await
    }

    pub async fn log_in(&self, username: &str, password: &str) -> Answer {
        self.post("/v1/auth/login", None, &json!({ "username": username, "password": password })).await
    }

    /// Somebody new, and a token of theirs.
    pub async fn user(&self) -> (String, String) {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("user-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let body = json!({ "username": name, "password": PASSWORD });
        self.post("/v1/auth/register", None, &body).await.is(201);
        (name.clone(), self.token(&name, PASSWORD).await)
    }

    pub async fn token(&self, username: &str, password: &str) -> String {
        let pair = self.log_in(username, password).await.is(200).json();
        pair["access_token"].as_str().unwrap().to_owned()
    }

    /// A poll of `yes` and `no`, by its id.
    pub async fn poll(&self, token: &str) -> String {
        let body = json!({ "question": "Tabs?", "options": ["yes", "no"] });
        let poll = self.post("/v1/polls", Some(token), &body).await.is(201).json();
        poll["id"].as_str().unwrap().to_owned()
    }

    pub async fn vote(&self, token: &str, poll: &str, option: i64) -> Answer {
        self.post(&format!("/v1/polls/{poll}/votes"), Some(token), &json!({ "option_id": option })).await
    }

    /// Votes of both options.
    pub async fn votes(&self, poll: &str) -> Vec<i64> {
        let results = self.get(&format!("/v1/polls/{poll}/results")).await.is(200).json();
        let options = results["options"].as_array().unwrap();
        let votes: Vec<_> = options.iter().map(|option| option["votes"].as_i64().unwrap()).collect();
        assert_eq!(results["total"].as_i64().unwrap(), votes.iter().sum::<i64>());
        votes
    }

    /// Sends a signal.
    pub async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([name, &id]).status().await.unwrap().success());
    }

    /// Waits for its end; its code.
    pub async fn wait(&mut self) -> Option<i32> {
        timeout(PATIENCE, self.child.wait()).await.expect("it does not stop").unwrap().code()
    }

    pub fn into_directory(self) -> TempDir {
        self.directory
    }
}

/// Server-sent events, one after the other; comments are events of no name.
pub struct Events {
    body: Incoming,
    buffer: String,
}

impl Events {
    pub fn of(response: Response<Incoming>) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), buffer: String::new() }
    }

    /// The next block; none at the end.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                return Some(block);
            }
            let frame = timeout(PATIENCE, self.body.frame()).await.expect("no event comes")?;
            let data = frame.ok()?.into_data().unwrap();
            self.buffer.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    /// The next event's id and data.
    pub async fn results(&mut self) -> (String, Value) {
        loop {
            let block = self.next().await.expect("the stream ended");
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name).map(str::trim));
            if field("event:") == Some("results") {
                let data = serde_json::from_str(field("data:").unwrap()).unwrap();
                return (field("id:").unwrap().to_owned(), data);
            }
        }
    }
}
