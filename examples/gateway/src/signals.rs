//! What tells a process to stop.

use tokio::signal::unix::{SignalKind, signal};
use tracing::error;

/// SIGTERM, or Ctrl-C.
pub async fn shutdown() {
    let interrupted = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
        }
        Err(error) => {
            error!(%error, "SIGTERM cannot be caught");
            let _ = interrupted.await;
        }
    }
}
