//! What handlers take from requests, with refusals in this service's words.

use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use crate::fault::{Breach, Fault};

/// A body of JSON. The validation layer has judged it by the document; what it says is read here.
#[derive(Debug)]
pub struct Content<T> {
    pub value: T,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Content<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        let is_json = media_type(request.headers()).is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
        let bytes = Bytes::from_request(request, state).await.map_err(|error| unread(&error))?;
        if !is_json {
            return Err(Fault::Malformed("The content must be JSON, and say so: `Content-Type: application/json`."));
        }
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Self { value }),
            Err(error) if error.is_data() => {
                Err(Fault::Invalid(vec![Breach::new("#", "is not as the API's description says")]))
            }
            Err(_) => Err(Fault::Malformed("The content is no JSON.")),
        }
    }
}

fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(str::trim)
}

fn unread(error: &BytesRejection) -> Fault {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Fault::Malformed("The content is too long."),
        _ => Fault::Malformed("The content did not arrive."),
    }
}

/// The query.
#[derive(Debug)]
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let query = Query::from_request_parts(parts, state).await;
        query.map(|Query(asked)| Self(asked)).map_err(|_| Fault::Malformed("The query is not as described."))
    }
}

/// The poll that the path names.
#[derive(Debug)]
pub struct PollId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PollId {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(id) = path.map_err(|_| Fault::Malformed("The path is not as described."))?;
        crate::polls::parse_id(&id).map(|_| Self(id))
    }
}

/// The Idempotency-Key, quoted or bare (draft-ietf-httpapi-idempotency-key-header).
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Fault> {
    const MALFORMED: Fault = Fault::Malformed("An Idempotency-Key is one of 1 to 255 printable characters.");
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().map_err(|_| MALFORMED)?.trim();
    let key = match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').ok_or(MALFORMED)?,
        None => text,
    };
    if values.next().is_some() || key.is_empty() || key.len() > 255 || key.contains('"') {
        return Err(MALFORMED);
    }
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn keys_are_quoted_or_bare() {
        let key = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("idempotency-key", HeaderValue::from_str(text).unwrap());
            idempotency_key(&headers).map(|key| key.map(str::to_owned))
        };
        assert_eq!(key("7-a").unwrap().as_deref(), Some("7-a"));
        assert_eq!(key("\"7-a\"").unwrap().as_deref(), Some("7-a"));
        let longest = "x".repeat(255);
        assert_eq!(key(&longest).unwrap(), key(&format!("\"{longest}\"")).unwrap());
        for text in ["", "\"", "\"\"", "\"7", "7\"", &"x".repeat(256)] {
            assert!(key(text).is_err(), "{text}");
        }
        assert_eq!(idempotency_key(&HeaderMap::new()).unwrap(), None);
    }
}
