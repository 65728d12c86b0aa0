//! `/v1/polls/{id}/events`: results as they change, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue};

use super::extract::PollId;
use crate::app::App;
use crate::db::Results;
use crate::fault::Result;
use crate::watcher::Told;

/// How a poll stands, now and after every change.
#[utoipa::path(get, path = "/v1/polls/{id}/events", tag = "polls", params(("id" = String, Path),
    ("Last-Event-ID" = Option<String>, Header, description = "What the client has seen last")),
    responses((status = 200, content_type = "text/event-stream"), (status = 400), (status = 404), (status = 503)))]
pub async fn events(State(app): State<Arc<App>>, PollId(id): PollId, headers: HeaderMap) -> Result<Response> {
    let mut watcher = app.watch(&id).await?;
    if let Some(seen) = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok()) {
        watcher.seen(seen);
    }
    let events = stream::unfold(watcher, |mut watcher| async move {
        let event = match watcher.next().await? {
            Told::Results(results) => event(&results),
            // So that proxies keep the connection and a lost client is noticed.
            Told::StillHere => Event::default().comment("still here"),
        };
        Some((Ok::<_, Infallible>(event), watcher))
    });
    let mut response = Sse::new(events).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Some proxies hold back what is small.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn event(results: &Results) -> Event {
    // Numbers and texts: nothing that cannot be written as JSON.
    let data = serde_json::to_string(results).unwrap_or_default();
    Event::default().event("results").id(results.version().to_string()).data(data)
}
