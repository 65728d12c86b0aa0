//! The only body type this crate hands out.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The inner service's body, passed through untouched, or the whole of an answer that a layer gave itself.
    ///
    /// Frames, trailers, size hints, errors and end-of-stream of the inner body come out exactly as they went in. An
    /// answer of our own has an exact size, and when it is empty reports its end before it is polled, which makes
    /// HTTP/2 put END_STREAM on the HEADERS frame: gRPC calls that a trailers-only response.
    ///
    /// ```
    /// use http_body::Body;
    /// use tower_rampart::ResponseBody;
    ///
    /// let refusal: ResponseBody<String> = ResponseBody::local("no");
    /// assert_eq!(refusal.size_hint().exact(), Some(2));
    /// assert!(ResponseBody::<String>::default().is_end_stream());
    /// ```
    pub struct ResponseBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<B> {
        Inner { #[pin] body: B },
        Guarded { #[pin] body: B, guard: Option<BodyGuard> },
        Local { data: Option<Bytes> },
    }
}

/// What is held until a body ends.
type BodyGuard = Box<dyn Guard>;

/// Anything that does its work when it is dropped.
pub(crate) trait Guard: Send + Sync + 'static {}

impl<B> ResponseBody<B> {
    /// Passes `body` through unchanged.
    pub const fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body } }
    }

    /// Passes `body` through unchanged, and drops `guard` when it has ended, failed, or is dropped itself.
    #[cfg(feature = "rate-limit")]
    pub(crate) fn guarded(body: B, guard: BodyGuard) -> Self {
        Self { kind: Kind::Guarded { body, guard: Some(guard) } }
    }

    /// The same answer of our own, beside bodies of another type.
    #[cfg(any(feature = "_auth", feature = "circuit-breaker"))]
    pub(crate) fn retyped<C>(self) -> ResponseBody<C> {
        match self.kind {
            Kind::Local { data } => ResponseBody { kind: Kind::Local { data } },
            Kind::Inner { .. } | Kind::Guarded { .. } => ResponseBody::default(),
        }
    }

    /// The same around another body.
    #[cfg(feature = "cache")]
    pub(crate) fn map<C>(self, map: impl FnOnce(B) -> C) -> ResponseBody<C> {
        let kind = match self.kind {
            Kind::Inner { body } => Kind::Inner { body: map(body) },
            Kind::Guarded { body, guard } => Kind::Guarded { body: map(body), guard },
            Kind::Local { data } => Kind::Local { data },
        };
        ResponseBody { kind }
    }

    /// An answer of our own, sent as one frame; empty data is no frame at all.
    pub fn local(data: impl Into<Bytes>) -> Self {
        let data = data.into();
        Self { kind: Kind::Local { data: (!data.is_empty()).then_some(data) } }
    }
}

/// How long a body is that begins with bytes that were read already.
#[cfg(any(feature = "retry", feature = "validate"))]
pub(crate) fn after(read_bytes: u64, rest: &SizeHint) -> SizeHint {
    let mut hint = SizeHint::new();
    hint.set_lower(rest.lower().saturating_add(read_bytes));
    if let Some(upper) = rest.upper() {
        hint.set_upper(upper.saturating_add(read_bytes));
    }
    hint
}

impl<B> Default for ResponseBody<B> {
    /// The empty body. tower-http's `Timeout` and others ask for it.
    fn default() -> Self {
        Self { kind: Kind::Local { data: None } }
    }
}

impl<B> From<Bytes> for ResponseBody<B> {
    fn from(data: Bytes) -> Self {
        Self::local(data)
    }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Inner { .. } | Kind::Guarded { .. } => f.write_str("ResponseBody::inner(..)"),
            Kind::Local { data } => {
                write!(f, "ResponseBody::local({} bytes)", data.as_ref().map_or(0, Bytes::len))
            }
        }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProjection::Inner { body } => body.poll_frame(cx),
            KindProjection::Guarded { mut body, guard } => {
                let polled = body.as_mut().poll_frame(cx);
                // A server may see the end coming and not poll for it.
                let ended =
                    matches!(polled, Poll::Ready(None | Some(Err(_)))) || (polled.is_ready() && body.is_end_stream());
                if ended {
                    *guard = None;
                }
                polled
            }
            KindProjection::Local { data } => Poll::Ready(data.take().map(|data| Ok(Frame::data(data)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } | Kind::Guarded { body, .. } => body.is_end_stream(),
            Kind::Local { data } => data.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } | Kind::Guarded { body, .. } => body.size_hint(),
            Kind::Local { data } => SizeHint::with_exact(data.as_ref().map_or(0, |data| data.len() as u64)),
        }
    }
}
