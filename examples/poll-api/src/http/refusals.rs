//! Handlers say what is wrong; here it is told to the client, in the words and the form of the layers.

use std::any::Any;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tower_http::catch_panic::CatchPanicLayer;
use tower_rampart::{Refuser, RequestFacts, RequestView};

use super::host::named_once;
use crate::fault::Fault;

/// A router whose faults and panics are told so.
pub fn told(router: Router, refuser: Refuser) -> Router {
    let refusing = move |request, next| refusals(refuser.clone(), request, next);
    // Panics further in, where they become faults like others: out here it is known who asks, and by which protocol.
    router.layer(CatchPanicLayer::custom(caught)).layer(from_fn(named_once)).layer(from_fn(refusing))
}

/// Renders a [`Fault`] that a handler left in its response's extensions.
async fn refusals(refuser: Refuser, request: Request, next: Next) -> Response {
    let facts = RequestFacts::of(RequestView::of(&request));
    let mut response = next.run(request).await;
    let Some(fault) = response.extensions_mut().remove::<Fault>() else { return response };
    let mut refused = refuser.refuse::<Body>(fault.to_rejection(), &facts).map(Body::new);
    // What was said beside: the methods that are there, and what is left of a limit further in.
    let beside = response.headers().iter().filter(|(name, _)| ![CONTENT_LENGTH, CONTENT_TYPE].contains(name));
    for (name, value) in beside {
        refused.headers_mut().append(name, value.clone());
    }
    refused
}

fn caught(panic: Box<dyn Any + Send>) -> Response {
    Fault::panicked("a handler panicked", &*panic).into_response()
}

#[cfg(test)]
mod tests {
    use axum::routing::any;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_is_a_fault_of_ours_to_whoever_asked() {
        let handler = || async {
            assert_eq!(std::hint::black_box(1), 2, "at work");
        };
        let router = told(Router::new().route("/", any(handler)), Refuser::new());
        let asked = |content_type| {
            let request = Request::post("/")
                .header("host", "polls.example")
                .header("x-request-id", "r-7")
                .header(CONTENT_TYPE, content_type);
            router.clone().oneshot(request.body(Body::empty()).unwrap())
        };
        let answer = asked("application/json").await.unwrap();
        assert_eq!(
            (answer.status(), &answer.headers()[CONTENT_TYPE]),
            (500.try_into().unwrap(), &"application/problem+json".parse().unwrap())
        );
        let body = axum::body::to_bytes(answer.into_body(), 1 << 16).await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["request_id"], "r-7", "{problem}");
        assert!(!problem.to_string().contains("at work"), "{problem}");

        let answer = asked("application/grpc").await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(
            (&answer.headers()[CONTENT_TYPE], &answer.headers()["grpc-status"]),
            (&"application/grpc".parse().unwrap(), &"13".parse().unwrap())
        );
    }
}
