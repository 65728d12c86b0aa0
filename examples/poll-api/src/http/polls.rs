//! `/v1/polls`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tower_rampart::Identity;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::answer::cached;
use super::extract::{Asked, Content, PollId, idempotency_key};
use super::view::{self, Expand, Fields, POLL_FIELDS, PollView, RESULTS_FIELDS};
use crate::app::App;
use crate::db::Results;
use crate::digest::digest;
use crate::fault::{Fault, Result};
use crate::polls::{Draft, Once, TAG_LISTED_RESULTS, TAG_LISTS, tag};

/// Some polls, the newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PollPage {
    pub items: Vec<PollView>,
    /// Ask with it for the next page; null on the last.
    pub next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// How many polls; 20 where nothing is said.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    #[param(min_length = 1, max_length = 64)]
    cursor: Option<String>,
    /// Members that are wanted, separated by commas.
    #[param(max_length = 200)]
    fields: Option<String>,
    /// What is embedded: `results`, `author`.
    #[param(max_length = 50)]
    expand: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PollQuery {
    /// Members that are wanted, separated by commas.
    #[param(max_length = 200)]
    fields: Option<String>,
    /// What is embedded: `results`, `author`.
    #[param(max_length = 50)]
    expand: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ResultsQuery {
    /// Members that are wanted, separated by commas.
    #[param(max_length = 200)]
    fields: Option<String>,
}

/// A vote.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVote {
    #[schema(minimum = 1, maximum = 20)]
    pub option_id: i64,
}

/// A vote that counts.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct VoteView {
    pub poll_id: String,
    pub option_id: i64,
}

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Makes a poll.
#[utoipa::path(post, path = "/v1/polls", tag = "polls", request_body = Draft, security(("token" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Does it once, however often it is sent")),
    responses((status = 201, body = PollView), (status = 401), (status = 403), (status = 409), (status = 422), (status = 429)))]
pub async fn create(
    State(app): State<Arc<App>>,
    author: Identity,
    headers: HeaderMap,
    draft: Content<Draft>,
) -> Result<Response> {
    let key = idempotency_key(&headers)?;
    // What is asked for counts, and not how its JSON is written.
    let asked =
        serde_json::to_vec(&draft.value).map_err(|error| Fault::internal("a draft cannot be written", error))?;
    let once = key.map(|key| Once { key: key.to_owned(), fingerprint: digest(&asked) });
    let created = app.polls.create(&author, draft.value, once, |poll| json!(PollView::from(poll)).to_string()).await?;
    let mut response = json_text(StatusCode::CREATED, created.body);
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/polls/{}", created.id)) {
        response.headers_mut().insert(LOCATION, location);
    }
    if created.is_replay {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Polls, the newest first.
#[utoipa::path(get, path = "/v1/polls", tag = "polls", params(ListQuery),
    responses((status = 200, body = PollPage), (status = 304), (status = 400), (status = 429)))]
pub async fn list(State(app): State<Arc<App>>, headers: HeaderMap, Asked(asked): Asked<ListQuery>) -> Result<Response> {
    let limit = asked.limit.unwrap_or(20);
    if !(1..=100).contains(&limit) {
        return Err(Fault::Malformed("`limit` is 1 to 100."));
    }
    let fields = Fields::parse(asked.fields.as_deref(), &POLL_FIELDS)?;
    let expand = Expand::parse(asked.expand.as_deref())?;
    let before = asked.cursor.as_deref().map(read_cursor).transpose()?;
    let page = app.polls.list(before.as_deref(), limit).await?;
    let results = if expand.results { app.polls.results_of(&page.polls).await? } else { HashMap::new() };
    let next_cursor = page.more_after.as_deref().map(write_cursor).transpose()?;
    let shown = page.polls.iter().filter(|poll| !expand.results || results.contains_key(&poll.id));
    let items = shown.map(|poll| view::poll(poll, expand, &results, &fields)).collect::<Result<Vec<_>>>()?;
    let until = page.polls.iter().filter(|poll| !poll.closed).filter_map(|poll| poll.closes_at).min();
    let tags: &[&str] = if expand.results { &[TAG_LISTS, TAG_LISTED_RESULTS] } else { &[TAG_LISTS] };
    Ok(cached(&headers, &json!({ "items": items, "next_cursor": next_cursor }), until, tags))
}

/// A poll.
#[utoipa::path(get, path = "/v1/polls/{id}", tag = "polls", params(("id" = String, Path), PollQuery),
    responses((status = 200, body = PollView), (status = 304), (status = 400), (status = 404), (status = 429)))]
pub async fn get(
    State(app): State<Arc<App>>,
    PollId(id): PollId,
    headers: HeaderMap,
    Asked(asked): Asked<PollQuery>,
) -> Result<Response> {
    let fields = Fields::parse(asked.fields.as_deref(), &POLL_FIELDS)?;
    let expand = Expand::parse(asked.expand.as_deref())?;
    let poll = app.polls.get(&id).await?;
    let mut results = HashMap::new();
    if expand.results {
        results.insert(poll.id.clone(), app.polls.results(&id).await?);
    }
    let body = view::poll(&poll, expand, &results, &fields)?;
    let until = poll.closes_at.filter(|_| !poll.closed);
    Ok(cached(&headers, &body, until, &[&tag(&poll.id)]))
}

/// Takes a poll away; its author may, and admins.
#[utoipa::path(delete, path = "/v1/polls/{id}", tag = "polls", params(("id" = String, Path)), security(("token" = [])),
    responses((status = 204), (status = 400), (status = 401), (status = 403), (status = 404), (status = 429)))]
pub async fn delete(State(app): State<Arc<App>>, caller: Identity, PollId(id): PollId) -> Result<StatusCode> {
    app.polls.delete(&caller, &id).await.map(|()| StatusCode::NO_CONTENT)
}

/// Closes a poll; its author may, and admins.
#[utoipa::path(post, path = "/v1/polls/{id}/close", tag = "polls", params(("id" = String, Path)),
    security(("token" = [])),
    responses((status = 200, body = PollView), (status = 400), (status = 401), (status = 403), (status = 404), (status = 429)))]
pub async fn close(State(app): State<Arc<App>>, caller: Identity, PollId(id): PollId) -> Result<Response> {
    let poll = app.polls.close(&caller, &id).await?;
    Ok(json_text(StatusCode::OK, json!(PollView::from(&poll)).to_string()))
}

/// Votes, once.
#[utoipa::path(post, path = "/v1/polls/{id}/votes", tag = "polls", params(("id" = String, Path)),
    request_body = NewVote, security(("token" = [])),
    responses((status = 201, body = VoteView), (status = 400), (status = 401), (status = 404), (status = 409), (status = 422), (status = 429)))]
pub async fn vote(
    State(app): State<Arc<App>>,
    voter: Identity,
    PollId(id): PollId,
    vote: Content<NewVote>,
) -> Result<Response> {
    let option_id = vote.value.option_id;
    app.polls.vote(&voter, &id, option_id).await?;
    Ok(json_text(StatusCode::CREATED, json!({ "poll_id": id.to_lowercase(), "option_id": option_id }).to_string()))
}

/// How a poll stands.
#[utoipa::path(get, path = "/v1/polls/{id}/results", tag = "polls", params(("id" = String, Path), ResultsQuery),
    responses((status = 200, body = Results), (status = 304), (status = 400), (status = 404), (status = 429)))]
pub async fn results(
    State(app): State<Arc<App>>,
    PollId(id): PollId,
    headers: HeaderMap,
    Asked(asked): Asked<ResultsQuery>,
) -> Result<Response> {
    let fields = Fields::parse(asked.fields.as_deref(), &RESULTS_FIELDS)?;
    let results = app.polls.results(&id).await?;
    let body = view::shown(&results)?;
    let until = results.closes_at_ms.filter(|_| !results.closed);
    Ok(cached(&headers, &fields.pick(body), until, &[&tag(&results.poll_id)]))
}

fn json_text(status: StatusCode, body: String) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, body).into_response()
}

/// A cursor is the last id of its page, in a form that nobody takes apart.
fn write_cursor(id: &str) -> Result<String> {
    let id = Uuid::try_parse(id).map_err(|error| Fault::internal("a stored poll has an id that is none", error))?;
    Ok(URL_SAFE_NO_PAD.encode(id.as_bytes()))
}

fn read_cursor(cursor: &str) -> Result<String> {
    const MALFORMED: Fault = Fault::Malformed("`cursor` is the `next_cursor` of another answer.");
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| MALFORMED)?;
    Uuid::from_slice(&bytes).map(|id| id.to_string()).map_err(|_| MALFORMED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back() {
        let id = Uuid::now_v7().to_string();
        assert_eq!(read_cursor(&write_cursor(&id).unwrap()).unwrap(), id);
        for cursor in ["", "x", "AAAA", "../../etc", &"A".repeat(64)] {
            assert!(read_cursor(cursor).is_err(), "{cursor}");
        }
    }
}
