//! Tasks of tokio, for work that must go on when the request that asked for it is gone.

use tokio::runtime::Handle;
#[cfg(any(feature = "_auth", feature = "cache"))]
use tokio::task::JoinHandle;

/// Whether there is a runtime here.
#[cfg(any(feature = "_auth", feature = "cache"))]
pub(crate) fn can_spawn() -> bool {
    Handle::try_current().is_ok()
}

/// Runs a future in a task that goes on until it ends; outside of a runtime it is dropped.
pub(crate) fn detach(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        drop(runtime.spawn(work));
    }
}

/// A task that ends with whoever holds this.
#[cfg(any(feature = "_auth", feature = "cache"))]
#[derive(Debug)]
#[must_use = "a task that nobody holds ends at once"]
pub(crate) struct Task(JoinHandle<()>);

/// Runs a future in a task of its own; `None` outside of a runtime.
#[cfg(any(feature = "_auth", feature = "cache"))]
pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Option<Task> {
    Handle::try_current().ok().map(|runtime| Task(runtime.spawn(work)))
}

#[cfg(any(feature = "_auth", feature = "cache"))]
impl Task {
    /// Whether it has ended, or its runtime has.
    pub(crate) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

#[cfg(any(feature = "_auth", feature = "cache"))]
impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
