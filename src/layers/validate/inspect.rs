//! A hook for what this layer does not know.

use std::fmt;

use crate::spine::request::RequestView;

/// Looks at requests with other eyes: an engine of signatures, say. This layer brings none of its own: lists of what is
/// bad miss what is new and refuse what is harmless.
///
/// ```
/// use tower_rampart::validate::{Decision, Part, Validate};
///
/// // A closure of this shape, or whatever implements the trait.
/// let no_php = |part: Part<'_>| match part {
///     Part::Head(request) if request.uri().path().ends_with(".php") => Decision::Refuse,
///     _ => Decision::Pass,
/// };
/// let layer = Validate::new().inspect(no_php).build()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` inspects nothing",
    label = "is not `tower_rampart::validate::Inspect`",
    note = "implement its one function, `fn inspect(&self, part: Part<'_>) -> Verdict`"
)]
pub trait Inspect: Send + Sync + 'static {
    /// Judges a part of a request, at once.
    fn inspect(&self, part: Part<'_>) -> Decision;
}

impl<F> Inspect for F
where
    F: Fn(Part<'_>) -> Decision + Send + Sync + 'static,
{
    fn inspect(&self, part: Part<'_>) -> Decision {
        self(part)
    }
}

/// What an [`Inspect`] is shown.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Part<'a> {
    /// The head, after it has passed the checks of this layer.
    Head(RequestView<'a>),
    /// A body that was read whole, after it has passed.
    Body(&'a [u8]),
}

impl fmt::Debug for Part<'_> {
    /// A body's length, and nothing of what it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(request) => f.debug_tuple("Head").field(request).finish(),
            Self::Body(body) => f.debug_struct("Body").field("bytes", &body.len()).finish(),
        }
    }
}

/// What an [`Inspect`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "whoever judges says one or the other")]
pub enum Decision {
    /// Nothing is wrong.
    Pass,
    /// The request is refused (400).
    Refuse,
}
