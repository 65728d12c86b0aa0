//! Which requests may be made twice.

use std::fmt;
use std::sync::Arc;

use http::Method;

use crate::spine::request::{Protocol, RequestView};

type Hook = Arc<dyn Fn(RequestView<'_>) -> bool + Send + Sync>;

/// See the module.
#[derive(Clone, Default)]
pub(super) struct Repeatable {
    /// Whether all calls of gRPC may.
    pub(super) grpc: bool,
    pub(super) when: Option<Hook>,
}

impl Repeatable {
    /// RFC 9110 section 9.2.2: safe methods, PUT and DELETE are idempotent, of which TRACE asks about the very way that it
    /// takes; a client that sends an `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header) asks the server to make
    /// the call so.
    pub(super) fn allows(&self, request: RequestView<'_>) -> bool {
        let by_method =
            matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE);
        by_method
            || request.headers().contains_key("idempotency-key")
            || (self.grpc && Protocol::of_headers(request.headers()) == Protocol::Grpc)
            || self.when.as_ref().is_some_and(|allows| allows(request))
    }
}

impl fmt::Debug for Repeatable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repeatable").field("grpc", &self.grpc).field("when", &self.when.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn by_method_key_protocol_and_hook() {
        let post = |fields: &[(&str, &str)]| {
            let request = Request::post("/search");
            fields.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(()).unwrap()
        };
        let allows = |repeatable: &Repeatable, request: &Request<()>| repeatable.allows(RequestView::of(request));
        let plain = Repeatable::default();
        for (method, is_idempotent) in [
            ("GET", true),
            ("HEAD", true),
            ("OPTIONS", true),
            ("TRACE", false),
            ("PUT", true),
            ("DELETE", true),
            ("POST", false),
            ("PATCH", false),
            ("CONNECT", false),
            ("QUERY", false),
            ("get", false),
        ] {
            let request = Request::builder().method(method).uri("/x").body(()).unwrap();
            assert_eq!(allows(&plain, &request), is_idempotent, "{method}");
        }
        assert!(allows(&plain, &post(&[("idempotency-key", "\"8e03978e\"")])));
        let grpc = post(&[("content-type", "application/grpc")]);
        assert!(!allows(&plain, &grpc));
        assert!(allows(&Repeatable { grpc: true, when: None }, &grpc));
        assert!(!allows(&Repeatable { grpc: true, when: None }, &post(&[])));
        let when: Hook = Arc::new(|request: RequestView<'_>| request.uri().path() == "/search");
        assert!(allows(&Repeatable { grpc: false, when: Some(when) }, &post(&[])));
    }
}
