//! Fields that the service writes into requests for its own limits, which count by them.

use http::{HeaderName, HeaderValue, Method, Request};

const READ: HeaderName = HeaderName::from_static("x-poll-read");
const WRITE: HeaderName = HeaderName::from_static("x-poll-write");
/// Whose login it is, as a digest: written where the name has been read.
pub const LOGIN: HeaderName = HeaderName::from_static("x-poll-login");

/// Tells limits whether a request reads or writes. What a client says of it, or of who logs in, does not count.
pub fn mark<B>(mut request: Request<B>) -> Request<B> {
    let reads = match *request.method() {
        Method::GET | Method::HEAD => true,
        // Calls of gRPC are all POST.
        Method::POST => matches!(
            request.uri().path(),
            "/poll.v1.Polls/GetPoll" | "/poll.v1.Polls/GetResults" | "/poll.v1.Polls/WatchResults"
        ),
        _ => false,
    };
    let headers = request.headers_mut();
    let (there, away) = if reads { (READ, WRITE) } else { (WRITE, READ) };
    headers.remove(away);
    headers.remove(LOGIN);
    headers.insert(there, HeaderValue::from_static("1"));
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_writes_does_not_count() {
        let marked = |method: Method, path: &str| {
            let request = Request::builder().method(method).uri(path);
            let request = request.header(READ, "x").header(WRITE, "x").header(LOGIN, "x");
            let headers = mark(request.body(()).unwrap()).headers().clone();
            assert!(!headers.contains_key(LOGIN));
            let value = HeaderValue::from_static("1");
            (headers.get(READ) == Some(&value), headers.get(WRITE) == Some(&value), headers.len())
        };
        assert_eq!(marked(Method::GET, "/v1/polls"), (true, false, 1));
        assert_eq!(marked(Method::POST, "/poll.v1.Polls/GetPoll"), (true, false, 1));
        assert_eq!(marked(Method::POST, "/poll.v1.Polls/Vote"), (false, true, 1));
        assert_eq!(marked(Method::DELETE, "/v1/polls/x"), (false, true, 1));
    }
}
