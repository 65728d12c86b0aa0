//! Tasks of tokio, for work that must go on when the request that asked for it is gone.

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// A task that ends with whoever holds this.
#[derive(Debug)]
pub(crate) struct Task(JoinHandle<()>);

/// Whether there is a runtime here.
pub(crate) fn can_spawn() -> bool {
    Handle::try_current().is_ok()
}

/// Runs a future in a task of its own; `None` outside of a runtime.
pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Option<Task> {
    Handle::try_current().ok().map(|runtime| Task(runtime.spawn(work)))
}

impl Task {
    /// Whether it has ended, or its runtime has.
    pub(crate) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
