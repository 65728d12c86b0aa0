//! Tasks of tokio's.

use tokio::runtime::Handle;

/// Whether there is a runtime.
pub(crate) fn can_start() -> bool {
    Handle::try_current().is_ok()
}

/// Runs a task beside the one that asks; false outside of a runtime, and the task is dropped.
pub(crate) fn start(task: impl Future<Output = ()> + Send + 'static) -> bool {
    let Ok(runtime) = Handle::try_current() else { return false };
    drop(runtime.spawn(task));
    true
}
