//! A small external polling service to play with, which fails, stalls or refuses when it is told to.
//!
//! `cargo run -p poll-api --bin fake-upstream`, then
//! `curl -X PUT http://127.0.0.1:9100/mode -d fail` (`ok`, `fail`, `stall`, `refuse`) and
//! `curl http://127.0.0.1:9100/polls` for what it has.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{post, put};
use axum::{Json, Router};
use clap::Parser;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

#[derive(Parser)]
#[command(name = "fake-upstream", version)]
struct Flags {
    /// The address to listen on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9100")]
    listen: SocketAddr,
    /// Whom it takes polls from; anybody, where nothing is said.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Ok,
    /// Answers 503.
    Fail,
    /// Does not answer.
    Stall,
    /// Answers 422.
    Refuse,
}

#[derive(Default)]
struct Service {
    key: Option<String>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    mode: Mode,
    /// How often it was asked.
    asked: u64,
    polls: BTreeMap<String, Value>,
}

/// It is a toy: it keeps no more.
const MAX_POLLS: usize = 10_000;

fn main() -> ExitCode {
    let flags = Flags::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(serve(flags))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(flags: Flags) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(flags.listen).await?;
    println!("external polling service on http://{}", listener.local_addr()?);
    let service = Arc::new(Service { key: flags.key.map(|key| format!("Bearer {key}")), ..Service::default() });
    let routes = Router::new()
        .route("/polls", post(take).get(list))
        .route("/mode", put(set_mode))
        .layer(DefaultBodyLimit::max(64 << 10))
        .with_state(service);
    axum::serve(listener, routes).with_graceful_shutdown(async { _ = tokio::signal::ctrl_c().await }).await
}

async fn take(State(service): State<Arc<Service>>, headers: HeaderMap, Json(poll): Json<Value>) -> Response {
    let mode = {
        let mut held = service.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.asked += 1;
        held.mode
    };
    match mode {
        Mode::Ok => {}
        Mode::Fail => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Mode::Stall => std::future::pending::<()>().await,
        Mode::Refuse => return StatusCode::UNPROCESSABLE_ENTITY.into_response(),
    }
    let sent = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if service.key.is_some() && service.key.as_deref() != sent {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Some(id) = poll.get("id").and_then(Value::as_str).map(str::to_owned) else {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    };
    // What it is sent twice it has once.
    if headers.get("idempotency-key").and_then(|key| key.to_str().ok()) != Some(id.as_str()) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let mut held = service.held.lock().unwrap_or_else(PoisonError::into_inner);
    if held.polls.contains_key(&id) {
        return StatusCode::CONFLICT.into_response();
    }
    if held.polls.len() >= MAX_POLLS {
        return StatusCode::INSUFFICIENT_STORAGE.into_response();
    }
    println!("poll {id}");
    held.polls.insert(id, poll);
    StatusCode::CREATED.into_response()
}

async fn list(State(service): State<Arc<Service>>) -> Json<Value> {
    let held = service.held.lock().unwrap_or_else(PoisonError::into_inner);
    Json(json!({ "asked": held.asked, "polls": held.polls.values().collect::<Vec<_>>() }))
}

async fn set_mode(State(service): State<Arc<Service>>, mode: String) -> StatusCode {
    let mode = match mode.trim() {
        "ok" => Mode::Ok,
        "fail" => Mode::Fail,
        "stall" => Mode::Stall,
        "refuse" => Mode::Refuse,
        _ => return StatusCode::BAD_REQUEST,
    };
    service.held.lock().unwrap_or_else(PoisonError::into_inner).mode = mode;
    StatusCode::NO_CONTENT
}
