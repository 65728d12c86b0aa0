//! Spans at a collector.

use std::sync::{Arc, Mutex};

use http::Method;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

use crate::support::Setup;

/// A collector that keeps what it gets.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let spans = resources.flat_map(|of| of.scope_spans).flat_map(|scope| scope.spans);
        self.0.lock().unwrap().extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = tonic::service::Routes::new(TraceServiceServer::new(self.clone()));
        tokio::spawn(async move { axum::serve(listener, routes.into_axum_router()).await });
        url
    }

    fn span(&self, name: &str) -> Span {
        let spans = self.0.lock().unwrap();
        let named: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
        assert_eq!(named.len(), 1, "{name} of {spans:?}");
        named[0].clone()
    }
}

/// A trace of somebody else's, as W3C Trace Context writes it.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn spans_of(config: &str) -> Collector {
    let collector = Collector::default();
    let url = collector.start().await;
    let mut service = Setup::new().argument(format!("--otlp-endpoint={url}")).config(config).start().await;
    service.get("/healthz").await.is(200);
    let request = service.request(Method::GET, "/v1/polls").header("traceparent", PARENT);
    service.send(request.body(Default::default()).unwrap()).await.is(200);
    // What is left is sent at the end.
    service.signal("-TERM").await;
    service.wait().await;
    collector
}

#[tokio::test]
async fn each_request_is_a_span() {
    let collector = spans_of("").await;
    let span = collector.span("GET /healthz");
    assert_eq!(span.kind, opentelemetry_proto::tonic::trace::v1::span::SpanKind::Server as i32);
    let mut named: Vec<_> = span.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    named.sort_unstable();
    assert_eq!(named, ["http.request.method", "http.response.status_code", "http.route", "request_id"]);
    assert!(span.parent_span_id.is_empty() && span.end_time_unix_nano > span.start_time_unix_nano);
}

#[tokio::test]
async fn a_strangers_trace_is_linked_to() {
    let collector = spans_of("").await;
    let span = collector.span("GET /v1/polls");
    assert!(span.parent_span_id.is_empty() && hex(&span.trace_id) != TRACE);
    assert_eq!(span.links.len(), 1);
    assert_eq!(hex(&span.links[0].trace_id), TRACE);
}

#[tokio::test]
async fn a_trusted_proxys_trace_is_joined() {
    let collector = spans_of("[client_ip]\ntrusted_proxies = [\"127.0.0.0/8\"]\n").await;
    let span = collector.span("GET /v1/polls");
    assert_eq!((hex(&span.trace_id).as_str(), hex(&span.parent_span_id).as_str()), (TRACE, "00f067aa0ba902b7"));
    assert!(span.links.is_empty());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
