//! What renders the refusals of all layers of a configuration.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use crate::spine::problem::ProblemRenderer;
use crate::spine::rejection::{Rejection, RenderRejection};
use crate::spine::request::RequestFacts;

/// The renderer that a program gave, or that of problems.
#[derive(Clone)]
pub(super) struct Renderer(Arc<dyn RenderRejection>);

impl Renderer {
    pub(super) fn new(renderer: impl RenderRejection) -> Self {
        Self(Arc::new(renderer))
    }
}

impl Default for Renderer {
    fn default() -> Self {
        Self::new(ProblemRenderer)
    }
}

impl RenderRejection for Renderer {
    fn render(&self, rejection: &Rejection, request: &RequestFacts) -> Response<Bytes> {
        self.0.render(rejection, request)
    }
}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renderer").finish_non_exhaustive()
    }
}
