//! What is followed within a body that streams through.

use super::end::Cut;
use super::grpc::Messages;
use super::multipart::Multipart;

/// The messages or parts of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Inside {
    Messages(Messages),
    Parts(Box<Multipart>),
}

impl Inside {
    /// Goes on with a further piece.
    pub(super) fn admit(&mut self, piece: &[u8]) -> Result<(), Cut> {
        match self {
            Self::Messages(messages) => messages.admit(piece).map_err(Cut::Message),
            Self::Parts(parts) => parts.admit(piece).map_err(Cut::Part),
        }
    }

    /// The body has ended.
    pub(super) fn finish(&self) -> Result<(), Cut> {
        match self {
            Self::Messages(messages) => messages.finish().map_err(Cut::Message),
            Self::Parts(parts) => parts.finish().map_err(Cut::Part),
        }
    }

    /// Whether they may go on for as long as both sides like.
    pub(super) const fn is_endless(&self) -> bool {
        matches!(self, Self::Messages(_))
    }
}
