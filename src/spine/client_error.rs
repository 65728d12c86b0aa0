//! The error of layers on the client's side, where a refusal need not look like a response.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::spine::rejection::Rejection;

/// Why a call came to nothing: a layer refused it, or the inner service failed.
///
/// Layers answer with responses, so that their service's error is the inner service's own. A client often wants the
/// difference in its types; the client form of a layer has this as its error.
///
/// ```
/// use std::io;
/// use tower_rampart::client::ClientError;
/// use tower_rampart::problem::{Problem, ProblemKind};
/// use tower_rampart::{Origin, Rejection};
///
/// let rejection = Rejection::new(Origin::Custom("office-hours"), Problem::new(ProblemKind::Unavailable));
/// let refused: ClientError<io::Error> = rejection.into();
/// assert!(refused.is_refused());
/// // However deep it is wrapped, a refusal is found.
/// assert!(Rejection::in_error(&refused).is_some());
///
/// let failed = ClientError::Inner(io::Error::other("connection reset"));
/// assert!(Rejection::in_error(&failed).is_none());
/// ```
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "a call is refused, or it was made")]
pub enum ClientError<E> {
    /// A layer refused: the inner service saw nothing of the call.
    Refused(Rejection),
    /// The inner service's own error.
    Inner(E),
}

impl<E> ClientError<E> {
    /// Whether the call was refused.
    pub const fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// Why it was refused.
    pub const fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Refused(rejection) => Some(rejection),
            Self::Inner(_) => None,
        }
    }

    /// When a further try may succeed, where a refusal says so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.rejection().and_then(Rejection::retry_after)
    }

    /// The inner service's error.
    pub const fn inner(&self) -> Option<&E> {
        match self {
            Self::Refused(_) => None,
            Self::Inner(error) => Some(error),
        }
    }

    /// The inner service's error, alone.
    ///
    /// # Errors
    ///
    /// The rejection, when there is no such error.
    pub fn into_inner(self) -> Result<E, Rejection> {
        match self {
            Self::Refused(rejection) => Err(rejection),
            Self::Inner(error) => Ok(error),
        }
    }

    /// Turns the inner error into another.
    pub fn map_inner<F>(self, map: impl FnOnce(E) -> F) -> ClientError<F> {
        match self {
            Self::Refused(rejection) => ClientError::Refused(rejection),
            Self::Inner(error) => ClientError::Inner(map(error)),
        }
    }

    /// The one or the other in a box, for stacks whose errors are boxed already and have no type to keep.
    pub fn into_boxed(self) -> Box<dyn Error + Send + Sync>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        match self {
            Self::Refused(rejection) => Box::new(rejection),
            Self::Inner(error) => error.into(),
        }
    }
}

impl<E> ClientError<ClientError<E>> {
    /// The same error when two layers of this form stand on each other: whichever refused.
    pub fn flatten(self) -> ClientError<E> {
        match self {
            Self::Refused(rejection) => ClientError::Refused(rejection),
            Self::Inner(inner) => inner,
        }
    }
}

impl<E> From<Rejection> for ClientError<E> {
    fn from(rejection: Rejection) -> Self {
        Self::Refused(rejection)
    }
}

impl<E> fmt::Display for ClientError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused(_) => "the call was refused before it was made",
            Self::Inner(_) => "the call failed",
        })
    }
}

impl<E: Error + 'static> Error for ClientError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused(rejection) => Some(rejection),
            Self::Inner(error) => Some(error),
        }
    }
}

/// What can come of an error that cannot happen: nothing, and the compiler says why.
#[diagnostic::on_unimplemented(
    message = "`{E}` is the error of a client's layer, and a server has nobody to give it to",
    label = "a layer for clients, around a service that must answer",
    note = "leave `.client()` away: the layer itself refuses with a response, which a server can send"
)]
#[allow(unnameable_types, reason = "nobody has it, and nobody is to")]
pub trait ComesOf<E>: Sized {
    #[doc(hidden)]
    fn made(error: E) -> Self;
}

/// axum wants errors that cannot happen. Without this the compiler would say so, and nothing about clients.
#[doc(hidden)]
impl<E> From<ClientError<E>> for Infallible
where
    Self: ComesOf<ClientError<E>>,
{
    fn from(error: ClientError<E>) -> Self {
        Self::made(error)
    }
}
