//! An HTTP client of any kind, without its type.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body::Body;
use tower_service::Service;

use crate::spine::address::{MAX_REDIRECTS, redirected};
use crate::spine::clock::Clock;

/// Sends requests for this crate: any tower service that speaks HTTP.
///
/// With feature `auth-https-client` there is one at hand, `HttpClient::https`. Another is a service for requests with a body
/// that can be made of bytes (`Full<Bytes>`, axum's and reqwest's `Body`), which can be cloned. Redirects, sizes and
/// timeouts are looked after here.
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower_rampart::auth::HttpClient;
///
/// let service = tower::service_fn(|_: Request<Full<Bytes>>| async {
///     Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::from("{\"keys\":[]}")))
/// });
/// let client = HttpClient::new(service);
/// ```
#[derive(Clone)]
pub struct HttpClient(Arc<dyn Exchange>);

type BoxError = Box<dyn Error + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// One request and its answer.
trait Exchange: Send + Sync {
    fn send(&self, request: Request<Bytes>, max_bytes: usize) -> BoxFuture<Result<Response<Bytes>, Fault>>;
}

/// How much is waited for and read.
#[derive(Debug, Clone, Copy)]
pub(in crate::layers::auth) struct Limits {
    pub(in crate::layers::auth) max_bytes: usize,
    pub(in crate::layers::auth) timeout: Duration,
}

/// Why there is no answer. It holds nothing of what was sent or received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::layers::auth) enum Fault {
    Unreachable,
    TimedOut,
    TooLarge,
    Status(StatusCode),
    Redirect,
}

impl HttpClient {
    /// Sends by this service.
    pub fn new<S, B, ResB>(service: S) -> Self
    where
        S: Service<Request<B>, Response = Response<ResB>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: From<Bytes> + Send + 'static,
        ResB: Body + Send,
    {
        // A mutex makes it `Sync`, whatever the service is; it is held for a clone.
        Self(Arc::new(Erased { service: Mutex::new(service), body: std::marker::PhantomData::<fn(B)> }))
    }

    /// Fetches a document, in no certain time: whoever asks sees to that with [`within`].
    pub(in crate::layers::auth) async fn get(&self, uri: &Uri, max_bytes: usize) -> Result<Bytes, Fault> {
        let mut uri = uri.clone();
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.0.send(request(Method::GET, &uri, Bytes::new()), max_bytes).await?;
            let status = answer.status();
            if status == StatusCode::OK {
                return Ok(answer.into_body());
            }
            let location = answer.headers().get(header::LOCATION).filter(|_| status.is_redirection());
            let Some(location) = location else { return Err(Fault::Status(status)) };
            uri = redirected(&uri, location.as_bytes()).ok_or(Fault::Redirect)?;
        }
        Err(Fault::Redirect)
    }

    /// Sends a form with a credential, which no redirect is to see.
    #[cfg_attr(not(feature = "auth-introspection"), expect(dead_code, reason = "only introspection sends"))]
    pub(in crate::layers::auth) async fn post_form(
        &self,
        uri: &Uri,
        credential: HeaderValue,
        form: Bytes,
        limits: Limits,
        clock: &Clock,
    ) -> Result<Bytes, Fault> {
        const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
        let mut request = request(Method::POST, uri, form);
        request.headers_mut().insert(header::AUTHORIZATION, credential);
        request.headers_mut().insert(header::CONTENT_TYPE, FORM);
        let send = async {
            let answer = self.0.send(request, limits.max_bytes).await?;
            if answer.status() == StatusCode::OK { Ok(answer.into_body()) } else { Err(Fault::Status(answer.status())) }
        };
        within(clock, limits.timeout, send).await
    }
}

fn request(method: Method, uri: &Uri, body: Bytes) -> Request<Bytes> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri.clone();
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    request
}

/// The work's result, if it comes in time; a clock that cannot wait is out of time at once.
pub(in crate::layers::auth) async fn within<T, E: From<Fault>>(
    clock: &Clock,
    timeout: Duration,
    work: impl Future<Output = Result<T, E>> + Send,
) -> Result<T, E> {
    let Some(mut sleep) = clock.sleep(timeout) else { return Err(Fault::TimedOut.into()) };
    let mut work = std::pin::pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(result) = work.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        Pin::new(&mut sleep).poll(cx).map(|()| Err(Fault::TimedOut.into()))
    })
    .await
}

struct Erased<S, B> {
    service: Mutex<S>,
    body: std::marker::PhantomData<fn(B)>,
}

impl<S, B, ResB> Exchange for Erased<S, B>
where
    S: Service<Request<B>, Response = Response<ResB>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: From<Bytes> + Send + 'static,
    ResB: Body + Send,
{
    fn send(&self, request: Request<Bytes>, max_bytes: usize) -> BoxFuture<Result<Response<Bytes>, Fault>> {
        let mut service = self.service.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(async move {
            poll_fn(|cx| service.poll_ready(cx)).await.map_err(|_| Fault::Unreachable)?;
            let answer = service.call(request.map(B::from)).await.map_err(|_| Fault::Unreachable)?;
            let (head, body) = answer.into_parts();
            // What stands in a redirect or an error is not looked at, and need not be waited for.
            let is_read = head.status == StatusCode::OK;
            let body = if is_read { collect(body, max_bytes).await? } else { Bytes::new() };
            Ok(Response::from_parts(head, body))
        })
    }
}

/// A body, whole, if it is not too long.
async fn collect<B: Body + Send>(body: B, max_bytes: usize) -> Result<Bytes, Fault> {
    if body.size_hint().lower() > max_bytes as u64 {
        return Err(Fault::TooLarge);
    }
    let mut body = Box::pin(body);
    let mut collected = Vec::new();
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(mut data) = frame.map_err(|_| Fault::Unreachable)?.into_data() else { continue };
        if collected.len() + data.remaining() > max_bytes {
            return Err(Fault::TooLarge);
        }
        while data.has_remaining() {
            let chunk = data.chunk();
            collected.extend_from_slice(chunk);
            let taken = chunk.len();
            data.advance(taken);
        }
    }
    Ok(collected.into())
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("the server cannot be reached, or broke off"),
            Self::TimedOut => f.write_str("the server did not answer in time"),
            Self::TooLarge => f.write_str("the answer is too large"),
            Self::Status(status) => write!(f, "the server answered {}", status.as_u16()),
            Self::Redirect => f.write_str("the server redirects to where we do not go, or too often"),
        }
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}
