//! The client's certificate.

use std::fmt;
use std::sync::Arc;

use crate::spine::request::RequestView;

/// A client certificate that the TLS acceptor has verified, which it puts into the request's extensions.
///
/// Nothing that a client sends makes one of these: an acceptor does, after the handshake, with the certificate's subject
/// alternative names.
///
/// ```
/// use tower_rampart::ClientCertificate;
///
/// let certificate = ClientCertificate::new(["spiffe://prod.example/batch", "batch.prod.example"]);
/// assert!(certificate.has_name("batch.prod.example"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate(Arc<[Box<str>]>);

/// The most names that are kept of a certificate.
const MAX_NAMES: usize = 64;

impl ClientCertificate {
    /// A certificate by its subject alternative names: DNS names, URIs such as SPIFFE ids, addresses. The first of them
    /// is what its bearer is called. The first 64 are kept.
    #[must_use]
    pub fn new<N: Into<Box<str>>>(names: impl IntoIterator<Item = N>) -> Self {
        Self(names.into_iter().take(MAX_NAMES).map(Into::into).collect())
    }

    /// The certificate of a request's connection.
    #[must_use]
    pub fn of(request: RequestView<'_>) -> Option<&Self> {
        request.extensions().get()
    }

    /// The names.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// Whether it has this name, letter by letter.
    #[must_use]
    pub fn has_name(&self, name: &str) -> bool {
        self.names().any(|held| held == name)
    }
}

impl fmt::Debug for ClientCertificate {
    /// Without the names, which may be people's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("names", &self.0.len()).finish_non_exhaustive()
    }
}
