//! The page, in a real browser: two tabs, everything that people do, and no breach of the policy.

use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection as _, Executor as _};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::{PASSWORD, PATIENCE, Service, Setup};

/// A browser, driven by the WebDriver protocol. It is closed with its driver.
struct Browser {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
    _driver: Child,
}

/// The name under which WebDriver hands out elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

impl Browser {
    /// None where there is no browser; with `POLL_REQUIRE_BROWSER` set, that is a failure.
    async fn start(arguments: &[&str]) -> Option<Self> {
        let driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let Ok(mut driver) = driver else {
            assert!(std::env::var_os("POLL_REQUIRE_BROWSER").is_none(), "chromedriver is missing");
            eprintln!("SKIPPED: chromedriver is missing; install chromium and chromium-driver");
            return None;
        };
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = loop {
            let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().expect("chromedriver stopped");
            if let Some((_, port)) = line.rsplit_once("successfully on port ") {
                break port.trim_end_matches('.').parse::<u16>().unwrap();
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let client = Client::builder(TokioExecutor::new()).build_http();
        let mut browser = Self { client, url: format!("http://127.0.0.1:{port}"), _driver: driver };
        let mut all = vec!["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"];
        all.extend(arguments);
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": all },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let session = browser.ask(Method::POST, "/session", &wanted).await;
        browser.url = format!("{}/session/{}", browser.url, session["sessionId"].as_str().unwrap());
        Some(browser)
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Value {
        let answer = self.try_ask(method, path, body).await;
        answer.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    async fn try_ask(&self, method: Method, path: &str, body: &Value) -> Result<Value, Value> {
        let text = if method == Method::POST { body.to_string() } else { String::new() };
        let request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        let request = request.header("content-type", "application/json").body(Full::from(text)).unwrap();
        let answer = timeout(PATIENCE, self.client.request(request)).await.unwrap().unwrap();
        let is_good = answer.status().is_success();
        let mut told: Value = serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap();
        let value = told["value"].take();
        if is_good { Ok(value) } else { Err(value) }
    }

    async fn open(&self, url: &str) {
        self.ask(Method::POST, "/url", &json!({ "url": url })).await;
    }

    async fn run(&self, script: &str) -> Value {
        self.ask(Method::POST, "/execute/sync", &json!({ "script": script, "args": [] })).await
    }

    /// Waits until a script says yes.
    async fn until(&self, script: &str) {
        let waiting = async {
            while self.run(&format!("return Boolean({script})")).await != true {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(PATIENCE, waiting).await.is_err() {
            let page = self.run("return document.body.innerText").await;
            panic!("never: {script}\n{page}\n{:?}", self.log().await);
        }
    }

    /// What somebody does with an element, by mouse or keyboard.
    async fn on(&self, id: &str, what: &str, body: &Value) {
        let found = self.ask(Method::POST, "/element", &json!({ "using": "css selector", "value": id })).await;
        let element = found[ELEMENT].as_str().unwrap();
        self.ask(Method::POST, &format!("/element/{element}/{what}"), body).await;
    }

    async fn click(&self, id: &str) {
        self.on(id, "click", &json!({})).await;
    }

    async fn enter(&self, id: &str, text: &str) {
        self.on(id, "clear", &json!({})).await;
        self.on(id, "value", &json!({ "text": text })).await;
    }

    async fn says(&self, part: &str) {
        self.until(&format!("document.getElementById('message').textContent.includes({})", json!(part))).await;
    }

    /// What the browser itself complained of.
    async fn log(&self) -> Vec<String> {
        let log = self.ask(Method::POST, "/se/log", &json!({ "type": "browser" })).await;
        log.as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    async fn sign_in(&self, name: &str, button: &str) {
        self.enter("#username", name).await;
        self.enter("#password", PASSWORD).await;
        self.click(button).await;
        self.until(&format!("document.getElementById('who').textContent === {}", json!(name))).await;
    }

    /// No complaint but that a request was refused, and of features that this browser does not know and are denied to it.
    async fn no_breach(&self) {
        let known = ["Failed to load resource", "Permissions-Policy header: Unrecognized feature"];
        let log = self.log().await;
        let odd: Vec<_> = log.iter().filter(|line| !known.iter().any(|known| line.contains(known))).collect();
        assert!(odd.is_empty(), "{odd:?}");
    }
}

impl Drop for Browser {
    /// Closes the browser, after a failure too: it would outlive its driver.
    fn drop(&mut self) {
        let _ = std::process::Command::new("curl").args(["-s", "--max-time", "10", "-X", "DELETE", &self.url]).output();
    }
}

#[tokio::test]
async fn people_can_do_everything_and_another_tab_moves() {
    let Some(browser) = Browser::start(&[]).await else { return };
    let service = Service::start().await;
    browser.open(&service.url("/")).await;
    // Bad input is told in words, at its place or above.
    browser.enter("#username", "ann").await;
    browser.enter("#password", "short").await;
    browser.click("#register").await;
    browser.says("Password: At least 12 characters").await;
    browser.sign_in("ann", "#register").await;
    browser.says("Welcome").await;

    // A poll, with a third option; text stays text.
    browser.enter("#question", "<b>Tabs</b> or spaces?").await;
    browser.click("#add-option").await;
    for (at, text) in ["tabs", "spaces", "<img src=x onerror=alert(1)>"].into_iter().enumerate() {
        browser.enter(&format!("#options input:nth-child({})", at + 1), text).await;
    }
    browser.click("#create-poll").await;
    browser.until("document.getElementById('detail-title').textContent === '<b>Tabs</b> or spaces?'").await;
    assert_eq!(browser.run("return document.querySelectorAll('#vote-form img, #detail-title b').length").await, 0);

    // Another tab on the same poll.
    let first = browser.ask(Method::GET, "/window", &Value::Null).await;
    let address = browser.run("return location.href").await;
    let second = browser.ask(Method::POST, "/window/new", &json!({ "type": "tab" })).await["handle"].clone();
    let switch = async |handle: &Value| {
        browser.ask(Method::POST, "/window", &json!({ "handle": handle })).await;
    };
    switch(&second).await;
    browser.open(address.as_str().unwrap()).await;
    browser.until("document.getElementById('total').textContent === '0 votes'").await;

    // A vote by keyboard in the first; the second hears of it.
    switch(&first).await;
    browser.on("#option-2", "value", &json!({ "text": " " })).await;
    browser.on("#vote", "value", &json!({ "text": "\u{e007}" })).await;
    browser.says("Your vote counts").await;
    switch(&second).await;
    browser.until("document.getElementById('count-2')?.textContent === '1 (100 %)'").await;
    browser.until("document.getElementById('bar-2').style.width === '100%'").await;

    // Somebody else, by the API.
    let (_, token) = service.user().await;
    let poll = address.as_str().unwrap().rsplit_once('/').unwrap().1.to_owned();
    service.vote(&token, &poll, 1).await.is(201);
    browser.until("document.getElementById('total').textContent === '2 votes'").await;

    // Twice is told in words.
    browser.click("#option-1").await;
    browser.click("#vote").await;
    browser.says("You have voted in this poll already").await;

    // Its author closes it, and both tabs know.
    browser.click("#close-poll").await;
    browser.says("closed").await;
    switch(&first).await;
    browser.until("document.getElementById('total').textContent === '2 votes, closed'").await;
    browser.until("document.getElementById('vote-row').hidden").await;
    browser.no_breach().await;

    // One tab logs out, and the other knows.
    browser.click("#sign-out").await;
    browser.says("logged out").await;
    switch(&second).await;
    browser.until("document.getElementById('who').textContent === ''").await;
    browser.no_breach().await;

    // The API's page works under its policy, too.
    browser.open(&service.url("/docs/")).await;
    browser.until("document.querySelector('.opblock')").await;
    browser.no_breach().await;
}

#[tokio::test]
async fn a_page_that_was_open_for_days_goes_on() {
    let Some(browser) = Browser::start(&[]).await else { return };
    let service = Service::start().await;
    browser.open(&service.url("/")).await;
    browser.sign_in("ann", "#register").await;
    // Its access token is no good any more; the refresh token is.
    let spoil = "const kept = JSON.parse(localStorage['polls.session']); kept.access = 'e30.e30.AAAA';
        localStorage['polls.session'] = JSON.stringify(kept);";
    browser.run(spoil).await;
    let ask = async |question: &str| {
        browser.enter("#question", question).await;
        browser.enter("#options input:nth-child(1)", "yes").await;
        browser.enter("#options input:nth-child(2)", "no").await;
        browser.click("#create-poll").await;
    };
    ask("Still here?").await;
    browser.until("document.getElementById('detail-title').textContent === 'Still here?'").await;
    // Neither is good: reading goes on, and writing asks to log in.
    let spoil = "const kept = JSON.parse(localStorage['polls.session']); kept.access = 'e30.e30.AAAA';
        kept.refresh = 'gone'; localStorage['polls.session'] = JSON.stringify(kept);";
    browser.run(spoil).await;
    browser.click("#option-1").await;
    browser.click("#vote").await;
    browser.says("Log in").await;
    browser.until("!document.getElementById('sign-in').hidden").await;
    browser.no_breach().await;
}

#[tokio::test]
async fn a_poll_that_is_gone_and_a_stream_that_is_refused_are_seen_to() {
    let Some(browser) = Browser::start(&[]).await else { return };
    let service = Service::start().await;
    let (_, token) = service.user().await;
    let poll = service.poll(&token).await;
    // The first stream is refused, as by a proxy whose service is starting.
    browser.open(&service.url("/")).await;
    let refuse_once = "const real = EventSource; let left = 1;
        EventSource = class extends real { constructor(url) { super(left-- > 0 ? '/v1/none' : url); } };";
    browser.run(refuse_once).await;
    browser.run(&format!("location.hash = '#/polls/{poll}'")).await;
    browser.until("document.getElementById('total').textContent === '0 votes'").await;
    service.vote(&token, &poll, 1).await.is(201);
    browser.until("document.getElementById('total').textContent === '1 vote'").await;
    service.with_token(Method::DELETE, &format!("/v1/polls/{poll}"), &token).await.is(204);
    browser.says("This poll does not exist").await;
    browser.until("document.getElementById('detail-title').textContent === ''").await;
    // One that never was shows nothing of the one before.
    browser.run("location.hash = '#/polls/0193b0c5-7a2e-7c3f-9e10-0123456789ab'").await;
    browser.says("This poll does not exist").await;
}

#[tokio::test]
async fn a_session_outlives_a_database_that_is_locked() {
    let Some(browser) = Browser::start(&[]).await else { return };
    let service = Service::start().await;
    let (_, token) = service.user().await;
    let poll = service.poll(&token).await;
    browser.open(&service.url("/")).await;
    browser.sign_in("ann", "#register").await;
    browser.run(&format!("location.hash = '#/polls/{poll}'")).await;
    browser.until("document.getElementById('total').textContent === '0 votes'").await;
    let spoil = "const kept = JSON.parse(localStorage['polls.session']); kept.access = 'e30.e30.AAAA';
        localStorage['polls.session'] = JSON.stringify(kept);";
    browser.run(spoil).await;
    sqlx::any::install_default_drivers();
    let url = format!("sqlite:{}", service.database().display());
    let mut other = AnyConnection::connect(&url).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    browser.click("#option-1").await;
    browser.click("#vote").await;
    browser.says("The server is busy").await;
    assert_eq!(browser.run("return document.getElementById('who').textContent").await, "ann");
    other.execute("ROLLBACK").await.unwrap();
    browser.click("#vote").await;
    browser.says("Your vote counts").await;
    browser.no_breach().await;
}

#[tokio::test]
async fn too_often_and_unreachable_are_told_in_words() {
    // A phone's width, and the dark.
    let Some(browser) = Browser::start(&["--window-size=360,740", "--force-dark-mode"]).await else { return };
    let limit = "[[rate_limit]]\nname = \"auth\"\nquota = 2\nwindow = \"4m\"\npaths = [\"/v1/auth/*\"]\n";
    let mut service = Setup::new().config(limit).start().await;
    browser.open(&service.url("/")).await;
    browser.sign_in("ann", "#register").await;
    browser.until("document.documentElement.scrollWidth <= innerWidth").await;
    browser.click("#sign-out").await;
    browser.until("!document.getElementById('sign-in').hidden").await;
    browser.enter("#username", "ann").await;
    browser.enter("#password", PASSWORD).await;
    browser.click("#log-in").await;
    browser.says("Try again in 2 minutes").await;
    service.child.kill().await.unwrap();
    browser.click("#log-in").await;
    browser.says("cannot be reached").await;
}
