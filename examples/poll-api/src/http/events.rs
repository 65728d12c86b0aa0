//! `/v1/polls/{id}/events`: results as they change, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Interval, interval};

use super::extract::PollId;
use crate::app::{App, drained};
use crate::db::Results;
use crate::fault::{Fault, Result};
use crate::polls::{Refreshed, Watching};

/// So often a line that says nothing, so that proxies keep the connection and a lost client is noticed.
const STILL_HERE: Duration = Duration::from_secs(15);

/// How a poll stands, now and after every change.
#[utoipa::path(get, path = "/v1/polls/{id}/events", tag = "polls", params(("id" = String, Path),
    ("Last-Event-ID" = Option<String>, Header, description = "What the client has seen last")),
    responses((status = 200, content_type = "text/event-stream"), (status = 400), (status = 404), (status = 503)))]
pub async fn events(State(app): State<Arc<App>>, PollId(id): PollId, headers: HeaderMap) -> Result<Response> {
    let place = app.watcher().ok_or(Fault::Unavailable("Too many people are watching. Try again later."))?;
    let mut watching = app.polls.watch(&id).await?;
    if let Some(seen) = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok()) {
        watching.seen(seen);
    }
    let mut ticks = interval(STILL_HERE);
    // The first tick comes at once.
    ticks.reset();
    let listener = Listener { watching, ticks, draining: app.draining(), _place: place };
    let events = stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    let mut response = Sse::new(events).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Some proxies hold back what is small.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// A client that listens.
struct Listener {
    watching: Watching,
    ticks: Interval,
    draining: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    async fn next(&mut self) -> Option<Event> {
        tokio::select! {
            biased;
            () = drained(&mut self.draining) => None,
            results = self.watching.next() => Some(event(&results?)),
            _ = self.ticks.tick() => match self.watching.refresh().await {
                Refreshed::Changed(results) => Some(event(&results)),
                Refreshed::Same => Some(Event::default().comment("still here")),
                Refreshed::Gone => None,
            },
        }
    }
}

fn event(results: &Results) -> Event {
    // Numbers and texts: nothing that cannot be written as JSON.
    let data = serde_json::to_string(results).unwrap_or_default();
    Event::default().event("results").id(results.version().to_string()).data(data)
}
