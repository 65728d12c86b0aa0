//! What tonic's server leaves in a request's extensions.

use std::net::SocketAddr;

use http::Extensions;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};

/// The socket peer, over plain TCP or TLS.
pub(crate) fn peer_addr(extensions: &Extensions) -> Option<SocketAddr> {
    if let Some(tcp) = extensions.get::<TcpConnectInfo>() {
        return tcp.remote_addr();
    }
    extensions.get::<TlsConnectInfo<TcpConnectInfo>>().and_then(|tls| tls.get_ref().remote_addr())
}

/// Whether tonic terminated TLS itself.
pub(crate) fn is_tls(extensions: &Extensions) -> bool {
    extensions.get::<TlsConnectInfo<TcpConnectInfo>>().is_some()
}
