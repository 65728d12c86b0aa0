//! What tells a process to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::error;

/// SIGTERM, or Ctrl-C. They are caught from the call on, so that a stop that comes at once is no sudden end.
pub fn shutdown() -> impl Future<Output = ()> {
    let [interrupted, terminated] = [SignalKind::interrupt(), SignalKind::terminate()].map(caught);
    async move {
        tokio::select! {
            () = received(interrupted) => {}
            () = received(terminated) => {}
        }
    }
}

fn caught(kind: SignalKind) -> Option<Signal> {
    signal(kind).map_err(|error| error!(%error, "a signal to stop cannot be caught")).ok()
}

async fn received(signal: Option<Signal>) {
    match signal {
        Some(mut signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
