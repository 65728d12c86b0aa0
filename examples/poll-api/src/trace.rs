//! A span for each request, sent to an OpenTelemetry collector (OTLP over gRPC) where a flag names one.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{
    Link, Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tower_rampart::ConfigError;
use tracing::warn;

/// What is not sent by then is lost.
const EXPORT: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// A collector's URL.
#[derive(Debug, Clone)]
pub struct Endpoint(String);

impl FromStr for Endpoint {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let url: http::Uri = text.parse().map_err(|_| endpoint_error(text, "is no URL"))?;
        if url.scheme_str() != Some("http") || url.authority().is_none() {
            return Err(endpoint_error(text, "is no http URL"));
        }
        Ok(Self(text.to_owned()))
    }
}

fn endpoint_error(text: &str, breach: &'static str) -> ConfigError {
    ConfigError::new(
        "--otlp-endpoint",
        text,
        breach,
        "write the URL of a collector's gRPC port, such as `http://127.0.0.1:4317`",
    )
}

/// A request, before it is answered.
#[derive(Debug)]
pub struct Begun {
    at: SystemTime,
    /// What its sender said it belongs to (W3C Trace Context).
    said: Context,
    /// Whether the sender is one of ours, whose word counts.
    is_trusted: bool,
}

/// What is known of a request when it was answered.
#[derive(Debug)]
pub struct Answered<'a> {
    pub method: &'static str,
    pub route: &'static str,
    pub status: StatusCode,
    pub took: Duration,
    pub request_id: &'a str,
}

impl Traces {
    /// Sends to a collector. It is connected to when there is something to send; must be called on a runtime.
    pub fn to(endpoint: &Endpoint) -> Result<Self, ConfigError> {
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(&endpoint.0).with_timeout(EXPORT).build();
        let exporter = exporter.map_err(|_| endpoint_error(&endpoint.0, "cannot be sent to"))?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(Resource::builder().with_service_name("poll-api").build())
            .build();
        Ok(Self { tracer: provider.tracer("poll-api"), provider })
    }

    /// Notes what a request says of the trace that it belongs to.
    pub fn begin(headers: &HeaderMap, is_trusted: bool) -> Begun {
        let said = TraceContextPropagator::new().extract_with_context(&Context::new(), &Fields(headers));
        Begun { at: SystemTime::now(), said, is_trusted }
    }

    /// Sends the span of a request. A stranger's trace is linked to and not joined: who joins one lets it decide what is
    /// recorded, and mixes its spans with ours.
    pub fn end(&self, begun: Begun, answered: &Answered<'_>) {
        let Begun { at, said, is_trusted } = begun;
        let attributes = [
            KeyValue::new("http.request.method", answered.method),
            KeyValue::new("http.route", answered.route),
            KeyValue::new("http.response.status_code", i64::from(answered.status.as_u16())),
            KeyValue::new("request_id", answered.request_id.to_owned()),
        ];
        let mut builder = SpanBuilder::from_name(format!("{} {}", answered.method, answered.route))
            .with_kind(SpanKind::Server)
            .with_start_time(at)
            .with_attributes(attributes);
        let elsewhere = said.span().span_context().clone();
        let parent = if is_trusted { said } else { Context::new() };
        if !is_trusted && elsewhere.is_valid() {
            builder = builder.with_links(vec![Link::with_context(elsewhere)]);
        }
        let mut span = self.tracer.build_with_context(builder, &parent);
        if answered.status.is_server_error() {
            span.set_status(Status::error(""));
        }
        span.end_with_timestamp(at + answered.took);
    }

    /// Sends what is left. It waits, so it is not to be called on a runtime's thread.
    pub fn close(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(EXPORT) {
            warn!(%error, "the last spans are lost");
        }
    }
}

struct Fields<'a>(&'a HeaderMap);

impl Extractor for Fields<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collectors_are_checked() {
        for endpoint in ["", "collector", "127.0.0.1:4317", "https://collector:4317", "/x"] {
            let error = endpoint.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains("--otlp-endpoint"), "{endpoint}: {error}");
        }
    }
}
