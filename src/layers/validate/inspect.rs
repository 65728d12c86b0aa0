//! A hook for what this layer does not know.

use crate::spine::request::RequestView;

/// Looks at requests with other eyes: an engine of signatures, say. This layer brings none of its own: lists of what is
/// bad miss what is new and refuse what is harmless.
///
/// ```
/// use tower_rampart::validate::{Inspect, Part, Validate, Verdict};
///
/// struct NoPhp;
///
/// impl Inspect for NoPhp {
///     fn inspect(&self, part: Part<'_>) -> Verdict {
///         match part {
///             Part::Head(request) if request.uri().path().ends_with(".php") => Verdict::Refuse,
///             _ => Verdict::Pass,
///         }
///     }
/// }
///
/// let layer = Validate::new().inspect(NoPhp).build()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` inspects nothing",
    label = "is not `tower_rampart::validate::Inspect`",
    note = "implement its one function, `fn inspect(&self, part: Part<'_>) -> Verdict`"
)]
pub trait Inspect: Send + Sync + 'static {
    /// Judges a part of a request, at once.
    fn inspect(&self, part: Part<'_>) -> Verdict;
}

/// What an [`Inspect`] is shown.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Part<'a> {
    /// The head, after it has passed the checks of this layer.
    Head(RequestView<'a>),
    /// A body that was read whole, after it has passed.
    Body(&'a [u8]),
}

/// What an [`Inspect`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "whoever judges says one or the other")]
pub enum Verdict {
    /// Nothing is wrong.
    Pass,
    /// The request is refused (400).
    Refuse,
}
