//! How errors of any type are looked into for refusals.

use std::error::Error;

/// Shows an error to the policy, which tries again after all but those that are, or were caused by, a
/// [`Rejection`](crate::Rejection).
#[diagnostic::on_unimplemented(
    message = "retries cannot look into errors of type `{E}`",
    label = "looks for refusals in errors, by way of `std::error::Error`",
    note = "for boxed errors, those of tower's own layers, take `RetryLayer::new(policy.boxed_errors())`; \
            an error of your own needs `impl std::error::Error`"
)]
pub trait ViewError<E> {
    /// The error, where it can be looked into.
    fn view(error: &E) -> Option<&(dyn Error + 'static)>;
}

/// Looks into errors of a type that implements [`Error`]: those of hyper's and tonic's clients, and
/// [`ClientError`](crate::client::ClientError).
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Typed;

/// Looks into boxed errors, as tower's own layers have them.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Boxed;

#[diagnostic::do_not_recommend]
impl<E: Error + 'static> ViewError<E> for Typed {
    fn view(error: &E) -> Option<&(dyn Error + 'static)> {
        Some(error)
    }
}

impl ViewError<Box<dyn Error + Send + Sync>> for Boxed {
    fn view(error: &Box<dyn Error + Send + Sync>) -> Option<&(dyn Error + 'static)> {
        Some(&**error)
    }
}
