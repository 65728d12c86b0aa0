//! What stores that instances share have in common, whatever they keep.

use std::error::Error;
use std::fmt;
use std::pin::Pin;

/// What a store promises.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Why a store could not do what it was asked. A layer goes on without it, as it was told to, and reports it.
#[derive(Debug)]
pub struct StoreError {
    cause: Box<dyn Error + Send + Sync>,
    reason: Option<&'static str>,
}

impl StoreError {
    /// Wraps whatever the store's own client says.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { cause: cause.into(), reason: None }
    }

    /// Says why, for the log. What the cause says stays out of there: it may name keys, and keys are clients'.
    #[must_use]
    pub fn because(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Why, where the store says so.
    pub(crate) fn reason(&self) -> &'static str {
        self.reason.unwrap_or("it does not say why")
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store failed")
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}
