//! The worker that brings new polls to the external service.
//!
//! A poll and its letter are stored together, so nothing is lost; the poll's id is the Idempotency-Key, so a letter that
//! is sent twice is harmless. While the service is down letters wait, each longer than the time before, and nobody waits
//! for them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use metrics::counter;
use tokio::time::{sleep, timeout};
use tower_rampart::ConfigError;
use tracing::{debug, info, warn};

use crate::app::{App, drained};
use crate::clock::now_ms;
use crate::db::Letter;

/// A try that takes longer has failed.
const TRY: Duration = Duration::from_secs(5);
/// Letters that are on the way at once.
const AT_A_TIME: i64 = 8;
/// So often the worker looks by itself; a new letter wakes it at once.
const LOOK: Duration = Duration::from_secs(1);
const FIRST_WAIT_MS: i64 = 1_000;
const LONGEST_WAIT_MS: i64 = 60_000;
/// An answer is not read further.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// The external service.
#[derive(Clone)]
pub struct Upstream {
    polls: Uri,
    key: Option<HeaderValue>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// What became of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Delivered,
    /// It may be taken later.
    Later,
    /// It will never be taken.
    Refused(StatusCode),
}

impl Upstream {
    /// A service by its URL, and the key that it knows this one by.
    pub fn new(url: &str, key: Option<&str>) -> Result<Self, ConfigError> {
        let refuse = |breach: &'static str| {
            ConfigError::new("--upstream-url", url, breach, "write one such as `https://polls.example/api`")
        };
        let polls: Uri = format!("{}/polls", url.trim_end_matches('/')).parse().map_err(|_| refuse("is no URL"))?;
        if !matches!(polls.scheme_str(), Some("http" | "https")) || polls.authority().is_none() {
            return Err(refuse("is no http or https URL"));
        }
        let key = match key {
            Some(key) => {
                // The key is no value to be shown.
                const MEND: &str = "write it in printable characters";
                let value = HeaderValue::from_str(&format!("Bearer {key}"));
                let mut value =
                    value.map_err(|_| ConfigError::new("--upstream-key", "", "is no key that can be sent", MEND))?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let connector = if polls.scheme_str() == Some("https") {
            HttpsConnectorBuilder::new().with_native_roots().map_err(|_| {
                const MEND: &str = "install the system's certificates, `ca-certificates` on Debian";
                ConfigError::new("--upstream-url", url, "cannot be trusted without certificates", MEND)
            })?
        } else {
            // A machine without certificates may speak to itself.
            let tls =
                rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                    .with_safe_default_protocol_versions()
                    .map_err(|_| refuse("cannot be spoken to"))?
                    .with_root_certificates(rustls::RootCertStore::empty())
                    .with_no_client_auth();
            HttpsConnectorBuilder::new().with_tls_config(tls)
        };
        let connector = connector.https_or_http().enable_http1().build();
        Ok(Self { polls, key, client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    async fn send(&self, letter: &Letter) -> Sent {
        let mut request = Request::post(self.polls.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", &letter.poll_id);
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, key);
        }
        let Ok(request) = request.body(Full::new(Bytes::from(letter.body.clone()))) else {
            return Sent::Refused(StatusCode::BAD_REQUEST);
        };
        match timeout(TRY, self.client.request(request)).await {
            Ok(Ok(response)) => {
                let status = response.status();
                // Read to its end, the connection serves again.
                let _ = timeout(TRY, Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect()).await;
                judge(status)
            }
            Ok(Err(error)) => {
                debug!(%error, "the external service cannot be reached");
                Sent::Later
            }
            Err(_) => {
                debug!("the external service is too slow");
                Sent::Later
            }
        }
    }
}

/// 2xx, and 409 which says that it was there already. What only a change of ours can mend is not sent again.
fn judge(status: StatusCode) -> Sent {
    match status {
        status if status.is_success() || status == StatusCode::CONFLICT => Sent::Delivered,
        // A key that is wrong can be mended without the letter.
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND
        | StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_EARLY
        | StatusCode::TOO_MANY_REQUESTS => Sent::Later,
        status if status.is_client_error() => Sent::Refused(status),
        _ => Sent::Later,
    }
}

/// Sends what is due until the service drains.
pub async fn work(app: Arc<App>, upstream: Upstream) {
    let mut draining = app.draining();
    loop {
        let sent = tokio::select! {
            () = drained(&mut draining) => return,
            sent = round(&app, &upstream) => sent,
        };
        // More may be due when all of a full round went out.
        if sent == Some(true) {
            continue;
        }
        tokio::select! {
            () = drained(&mut draining) => return,
            () = app.polls.posted() => {}
            () = sleep(LOOK) => {}
        }
    }
}

/// Sends some letters; whether it is worth while to go on at once.
async fn round(app: &App, upstream: &Upstream) -> Option<bool> {
    let letters = match app.db.due_letters(AT_A_TIME).await {
        Ok(letters) => letters,
        Err(error) => {
            warn!(%error, "the outbox cannot be read");
            return None;
        }
    };
    let is_full = i64::try_from(letters.len()).is_ok_and(|count| count == AT_A_TIME);
    let sent = futures_util::future::join_all(letters.iter().map(|letter| deliver(app, upstream, letter))).await;
    Some(is_full && sent.iter().all(|delivered| *delivered))
}

async fn deliver(app: &App, upstream: &Upstream, letter: &Letter) -> bool {
    let sent = upstream.send(letter).await;
    let settled = match sent {
        Sent::Delivered => {
            counter!("poll_api_outbox_delivered_total").increment(1);
            info!(poll = letter.poll_id, attempts = letter.attempts + 1, "poll forwarded");
            app.db.letter_delivered(&letter.poll_id).await
        }
        Sent::Refused(status) => {
            counter!("poll_api_outbox_refused_total").increment(1);
            warn!(poll = letter.poll_id, %status, "the external service refuses a poll");
            app.db.letter_refused(&letter.poll_id).await
        }
        Sent::Later => {
            counter!("poll_api_outbox_failed_total").increment(1);
            app.db.letter_failed(&letter.poll_id, now_ms() + wait_ms(letter.attempts)).await
        }
    };
    if let Err(error) = settled {
        // It is sent again, which is harmless.
        warn!(%error, poll = letter.poll_id, "what became of a letter cannot be noted");
    }
    sent == Sent::Delivered
}

/// Twice as long each time.
fn wait_ms(attempts: i64) -> i64 {
    let doublings = u32::try_from(attempts.clamp(0, 16)).unwrap_or_default();
    FIRST_WAIT_MS.saturating_mul(1 << doublings).min(LONGEST_WAIT_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged() {
        for status in [200, 201, 204, 409] {
            assert_eq!(judge(StatusCode::from_u16(status).unwrap()), Sent::Delivered, "{status}");
        }
        for status in [301, 401, 403, 404, 408, 425, 429, 500, 503] {
            assert_eq!(judge(StatusCode::from_u16(status).unwrap()), Sent::Later, "{status}");
        }
        for status in [400, 413, 422] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(judge(status), Sent::Refused(status), "{status}");
        }
    }

    #[test]
    fn waits_grow_and_end() {
        assert_eq!([0, 1, 5, 6, 1000].map(wait_ms), [1_000, 2_000, 32_000, 60_000, 60_000]);
    }

    #[test]
    fn urls_are_checked() {
        for url in ["", "polls.example", "ftp://polls.example", "/polls"] {
            assert!(Upstream::new(url, None).is_err(), "{url}");
        }
        let upstream = Upstream::new("http://127.0.0.1:9000/api/", Some("k")).unwrap();
        assert_eq!(upstream.polls, "http://127.0.0.1:9000/api/polls");
        assert!(Upstream::new("http://127.0.0.1", Some("a\nb")).is_err());
    }
}
