//! The one place that knows both the spine and the integrations.
//!
//! The spine asks for a peer address or counts a refusal here and never learns which frameworks are compiled in; an
//! integration implements the answers and never learns who asks.

use std::net::SocketAddr;

use http::Extensions;

use crate::spine::event::Origin;
use crate::spine::problem::ProblemKind;

/// The peer address that a framework left in the request's extensions.
pub(crate) fn framework_peer(extensions: &Extensions) -> Option<SocketAddr> {
    let sources: &[fn(&Extensions) -> Option<SocketAddr>] = &[
        #[cfg(feature = "axum")]
        crate::integration::axum::peer_addr,
        #[cfg(feature = "tonic")]
        crate::integration::tonic::peer_addr,
    ];
    sources.iter().find_map(|source| source(extensions))
}

/// Whether a framework says that the connection is encrypted.
pub(crate) fn framework_tls(extensions: &Extensions) -> bool {
    let sources: &[fn(&Extensions) -> bool] = &[
        #[cfg(feature = "tonic")]
        crate::integration::tonic::is_tls,
    ];
    sources.iter().any(|source| source(extensions))
}

/// Counts a refusal, when metrics are compiled in.
#[cfg_attr(not(feature = "metrics"), allow(unused_variables, reason = "nothing counts without metrics"))]
pub(crate) fn count_refusal(origin: Origin, kind: ProblemKind) {
    #[cfg(feature = "metrics")]
    crate::integration::metrics::count_refusal(origin, kind);
}
