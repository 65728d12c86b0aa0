//! The two forms in which a layer can refuse: by a response, or by an error of its own type.

use std::fmt;

use http::Response;

use crate::spine::body::ResponseBody;
use crate::spine::client_error::ClientError;
use crate::spine::rejection::{Refuser, Rejection};
use crate::spine::request::{RequestFacts, RequestView};

/// How a layer that stands on both sides refuses. It is implemented here alone: by [`AsResponse`] and [`AsError`].
pub trait Form: sealed::Sealed + fmt::Debug + Copy + Send + Sync + 'static {
    /// The error of a service whose inner one fails with `E`.
    type Error<E>;
    /// A refusal on its way.
    #[doc(hidden)]
    type Refusal: Send + Sync + 'static;

    /// The inner service's error.
    #[doc(hidden)]
    fn pass<E>(error: E) -> Self::Error<E>;

    /// Decides to refuse.
    #[doc(hidden)]
    fn refuse(refuser: &Refuser, rejection: Rejection, request: RequestView<'_>) -> Self::Refusal;

    /// Refuses.
    #[doc(hidden)]
    #[allow(clippy::missing_errors_doc, reason = "it is called by futures of this crate alone")]
    fn answer<B, E>(refusal: Self::Refusal) -> Result<Response<ResponseBody<B>>, Self::Error<E>>;
}

/// Answers by itself with a response: the error is the inner service's own. What servers and proxies need.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a unit: there is nothing to add")]
pub struct AsResponse;

/// Answers by itself with an error: [`ClientError::Refused`], or [`TimedOut`](crate::TimedOut) of a try. What clients match on
/// that call others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a unit: there is nothing to add")]
pub struct AsError;

impl Form for AsResponse {
    type Error<E> = E;
    // In a box, so that futures of requests that pass are no larger for it.
    type Refusal = Box<(Refuser, Rejection, RequestFacts)>;

    fn pass<E>(error: E) -> E {
        error
    }

    fn refuse(refuser: &Refuser, rejection: Rejection, request: RequestView<'_>) -> Self::Refusal {
        Box::new((refuser.clone(), rejection, RequestFacts::of(request)))
    }

    fn answer<B, E>(refusal: Self::Refusal) -> Result<Response<ResponseBody<B>>, E> {
        let (refuser, rejection, facts) = *refusal;
        Ok(refuser.refuse(rejection, &facts))
    }
}

impl Form for AsError {
    type Error<E> = ClientError<E>;
    type Refusal = Rejection;

    fn pass<E>(error: E) -> ClientError<E> {
        ClientError::Inner(error)
    }

    fn refuse(refuser: &Refuser, rejection: Rejection, _: RequestView<'_>) -> Rejection {
        refuser.report(rejection.origin(), rejection.problem().kind());
        rejection
    }

    fn answer<B, E>(rejection: Rejection) -> Result<Response<ResponseBody<B>>, ClientError<E>> {
        Err(ClientError::Refused(rejection))
    }
}

mod sealed {
    #[allow(unnameable_types, reason = "so that nobody else implements what it seals")]
    pub trait Sealed {}
    impl Sealed for super::AsResponse {}
    impl Sealed for super::AsError {}
}
