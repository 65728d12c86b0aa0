//! HTTP/1.1 names the host that a request is for (RFC 9112 section 3.2).

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, Version};

use crate::fault::Fault;

/// A request that names none, several, or one that cannot be, is answered 400.
pub async fn named_once(request: Request, next: Next) -> Response {
    if request.version() == Version::HTTP_11 && !names_one(request.headers()) {
        return Fault::Malformed("The request must name its host, once.").into_response();
    }
    next.run(request).await
}

fn names_one(headers: &HeaderMap) -> bool {
    let mut fields = headers.get_all(HOST).iter();
    let (Some(host), None) = (fields.next(), fields.next()) else { return false };
    // A target may have no authority, and then there is none to name.
    host.is_empty() || Authority::try_from(host.as_bytes()).is_ok_and(|host| !host.as_str().contains('@'))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn one_host_is_named() {
        let names = |hosts: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(HOST, HeaderValue::from_static(host));
            }
            names_one(&headers)
        };
        assert!(names(&["polls.example"]) && names(&["[::1]:3000"]) && names(&[""]));
        assert!(!names(&[]) && !names(&["a.example", "a.example"]) && !names(&["a b"]) && !names(&["ann@a.example"]));
    }
}
