//! Handlers say what is wrong; here it is told to the client, in the words and the form of the layers.

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tower_rampart::{Refuser, RequestFacts, RequestView};

use crate::fault::Fault;

/// Renders a [`Fault`] that a handler left in its response's extensions.
pub async fn refusals(refuser: Refuser, request: Request, next: Next) -> Response {
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
