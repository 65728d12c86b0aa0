//! What the inner service's errors count as.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::spine::classify::Verdict;
use crate::spine::rejection::Rejection;

/// Judges an error of the inner service: a connection that failed is the dependency's, a request that cannot be sent is
/// not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot judge errors of type `{E}`",
    note = "use `AllErrors`, `RefusalsAside`, or `ErrorsBy::new(|error: &{E}| ..)`"
)]
pub trait ClassifyError<E>: Clone {
    /// What the error says.
    fn verdict(&self, error: &E) -> Verdict;
}

/// Every error is a failure.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::exhaustive_structs, reason = "a unit: there is nothing to add")]
pub struct AllErrors;

impl<E> ClassifyError<E> for AllErrors {
    fn verdict(&self, _: &E) -> Verdict {
        Verdict::Failure
    }
}

/// Every error is a failure, but for refusals by layers further in, which say nothing of the dependency.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::exhaustive_structs, reason = "a unit: there is nothing to add")]
pub struct RefusalsAside;

#[diagnostic::do_not_recommend]
impl<E: Error + 'static> ClassifyError<E> for RefusalsAside {
    fn verdict(&self, error: &E) -> Verdict {
        if Rejection::in_error(error).is_some() { Verdict::Neutral } else { Verdict::Failure }
    }
}

/// Judges errors of one type by a closure.
pub struct ErrorsBy<E>(Arc<Judge<E>>);

type Judge<E> = dyn Fn(&E) -> Verdict + Send + Sync;

impl<E> ErrorsBy<E> {
    /// Judges by this.
    pub fn new(judge: impl Fn(&E) -> Verdict + Send + Sync + 'static) -> Self {
        Self(Arc::new(judge))
    }
}

impl<E> ClassifyError<E> for ErrorsBy<E> {
    fn verdict(&self, error: &E) -> Verdict {
        (self.0)(error)
    }
}

impl<E> Clone for ErrorsBy<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E> fmt::Debug for ErrorsBy<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorsBy").finish_non_exhaustive()
    }
}
