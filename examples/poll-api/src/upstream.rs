//! The external service, behind the layers that stand on a client's side. Outermost first: the deadline, retry, the circuit
//! breaker, the timeout of one try, the bulkhead, the client.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::uri::Authority;
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::time::timeout;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt as _};
use tower_rampart::circuit_breaker::{AllErrors, CircuitBreakerHandle};
use tower_rampart::config::{UpstreamConfig, UpstreamLayers};
use tower_rampart::deadline::DeadlineLayer;
use tower_rampart::retry::ReplayBody;
use tower_rampart::{ConfigError, Origin, Rejection};
use tracing::debug;

use crate::config::Config;
use crate::db::Letter;
use crate::shown;

/// An answer is not read further, nor longer.
const MAX_ANSWER_BYTES: usize = 64 << 10;
const READ: Duration = Duration::from_secs(5);

/// Where the external service is, and connections to it.
#[derive(Clone)]
pub struct Address {
    polls: Uri,
    authority: Authority,
    key: Option<HeaderValue>,
    client: Client<HttpsConnector<HttpConnector>, ReplayBody<Full<Bytes>>>,
}

/// One configuration of the layers around it.
pub struct Upstream {
    address: Address,
    config: UpstreamConfig,
    layers: UpstreamLayers<AllErrors>,
    service: BoxCloneSyncService<Request<Full<Bytes>>, Response<Body>, Error>,
}

/// What became of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Delivered,
    /// It may be taken later.
    Later,
    /// It was not even tried, and may be after this.
    Unasked(Duration),
    /// It will never be taken.
    Refused(StatusCode),
}

impl Address {
    /// A service by its URL, and the key that it knows this one by.
    pub fn new(url: &str, key: Option<&str>) -> Result<Self, ConfigError> {
        let refuse = |breach: &'static str| {
            ConfigError::new("--upstream-url", url, breach, "write one such as `https://polls.example/api`")
        };
        let polls: Uri = format!("{}/polls", url.trim_end_matches('/')).parse().map_err(|_| refuse("is no URL"))?;
        let authority = polls.authority().filter(|_| matches!(polls.scheme_str(), Some("http" | "https"))).cloned();
        let Some(authority) = authority else { return Err(refuse("is no http or https URL")) };
        if authority.as_str().contains('@') {
            // Nor is it shown.
            const MEND: &str = "say who you are by `--upstream-key`";
            return Err(ConfigError::new("--upstream-url", "", "holds credentials", MEND));
        }
        if authority.as_str() != authority.host() && authority.port_u16().is_none() {
            return Err(refuse("has a port that is none"));
        }
        let key = key.map(bearer).transpose()?;
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
        Ok(Self { polls, authority, key, client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    /// What it is called where its state is shown.
    fn name(&self) -> &str {
        self.authority.as_str()
    }
}

fn bearer(key: &str) -> Result<HeaderValue, ConfigError> {
    // The key is no value to be shown.
    const MEND: &str = "write it in printable characters";
    let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
        .map_err(|_| ConfigError::new("--upstream-key", "", "is no key that can be sent", MEND))?;
    value.set_sensitive(true);
    Ok(value)
}

impl Upstream {
    /// Layers that begin anew, or go on with the circuit, the places and the budget of those that run.
    pub fn new(address: Address, config: &Config, running: Option<&Self>) -> Result<Self, ConfigError> {
        let config = &config.upstream;
        let mut layers = config.load(address.name(), AllErrors)?;
        if let Some(running) = running {
            layers.bulkhead = layers.bulkhead.adopt_places(&running.layers.bulkhead.handle());
            if running.config.retry == config.retry {
                layers.retry = running.layers.retry.clone();
            }
            if running.config.circuit_breaker == config.circuit_breaker {
                layers.circuit_breaker = running.layers.circuit_breaker.clone();
            }
        }
        let deadline = match &config.timeouts {
            Some(table) => table.to_deadline_layer()?,
            None => DeadlineLayer::empty(),
        };
        let service = layers.stack().deadline(deadline).build().layer(address.client.clone());
        let service = service.map_response(|response: Response<_>| response.map(Body::new));
        Ok(Self { address, config: config.clone(), layers, service: BoxCloneSyncService::new(service) })
    }

    /// The circuit, if there is one.
    pub fn circuit(&self) -> Option<CircuitBreakerHandle> {
        self.config.circuit_breaker.as_ref().map(|_| self.layers.circuit_breaker.handle())
    }

    /// How long nobody will be let through.
    pub fn is_shut_for(&self) -> Option<Duration> {
        self.circuit().and_then(|circuit| circuit.snapshot().open_for).filter(|wait| !wait.is_zero())
    }

    pub async fn send(&self, letter: &Letter) -> Sent {
        let mut request = Request::post(self.address.polls.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", &letter.poll_id);
        if let Some(key) = &self.address.key {
            request = request.header(AUTHORIZATION, key);
        }
        let Ok(request) = request.body(Full::new(Bytes::from(letter.body.clone()))) else {
            return Sent::Refused(StatusCode::BAD_REQUEST);
        };
        match self.service.clone().oneshot(request).await {
            Ok(response) => {
                let sent = unasked(&response).unwrap_or_else(|| judge(response.status()));
                // Read to its end, the connection serves again, and the circuit hears that all was well.
                let _ = timeout(READ, Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect()).await;
                sent
            }
            Err(error) => {
                debug!(%error, "the external service does not answer");
                Sent::Later
            }
        }
    }

    /// What `/v1/admin/state` shows, by the names of the tables.
    pub fn describe(&self) -> [(&'static str, Value); 3] {
        let (name, config, layers) = (self.address.name(), &self.config, &self.layers);
        [
            ("circuit_breaker", shown::circuit(self.circuit().as_ref())),
            ("retry", json!(config.retry.as_ref().map(|_| shown::retry(name, &layers.retry)))),
            ("bulkhead", json!(config.bulkhead.as_ref().map(|_| shown::bulkhead(name, &layers.bulkhead.handle())))),
        ]
    }
}

/// Whether one of ours refused before anybody was asked. Where time ran out, somebody was.
fn unasked(response: &Response<Body>) -> Option<Sent> {
    let rejection = response.extensions().get::<Rejection>()?;
    let is_ours = matches!(rejection.origin(), Origin::CircuitBreaker | Origin::Bulkhead);
    is_ours.then(|| Sent::Unasked(rejection.retry_after().unwrap_or(Duration::from_secs(1))))
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
    fn urls_are_checked() {
        for url in ["", "polls.example", "ftp://polls.example", "/polls", "http://[::1]:99999", "http://polls.example:"]
        {
            assert!(Address::new(url, None).is_err(), "{url}");
        }
        let error = Address::new("http://ann:secret@polls.example", None).map(|_| ()).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert_eq!(Address::new("http://[::1]:9000", None).unwrap().name(), "[::1]:9000");
        let upstream = Address::new("http://127.0.0.1:9000/api/", Some("k")).unwrap();
        assert_eq!(upstream.polls, "http://127.0.0.1:9000/api/polls");
        assert!(Address::new("http://127.0.0.1", Some("a\nb")).is_err());
    }
}
