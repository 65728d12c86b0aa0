//! Sockets of this machine, for tests of several kinds.

use std::net::SocketAddr;

use tokio::net::TcpListener;

/// A socket that listens, and where.
pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}
