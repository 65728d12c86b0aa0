//! Reload on SIGHUP and when the file is saved. A bad file keeps the old configuration.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tower_rampart::ConfigError;
use tower_rampart::config::{AuthConfig, ValidateConfig};
use tracing::{error, info, warn};

use crate::config::{Flags, Loaded};
use crate::state::State;

/// Editors save in several steps; they are one reload.
const SETTLE: Duration = Duration::from_millis(100);
/// After this time a reload that failed is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// Reloads until it is aborted.
pub fn watch(flags: Flags, state: Arc<State>) -> JoinHandle<()> {
    // One waiting reload is enough: it reads whatever the file holds by then.
    let (ask, mut asked) = mpsc::channel(1);
    let mut watchers = Watchers::new(ask.clone());
    watchers.follow(watched(&flags, &state));
    let hangup = signal(SignalKind::hangup());
    tokio::spawn(async move {
        let mut hangup = match hangup {
            Ok(hangup) => hangup,
            Err(error) => {
                error!(%error, "SIGHUP cannot be caught");
                return;
            }
        };
        let mut has_failed = false;
        loop {
            tokio::select! {
                _ = hangup.recv() => {}
                _ = asked.recv() => {
                    tokio::time::sleep(SETTLE).await;
                    while asked.try_recv().is_ok() {}
                }
                // What it failed for may be mended in a file that nobody watches.
                () = tokio::time::sleep(AGAIN), if has_failed => {}
            }
            has_failed = !reload(&flags, &state).await;
            if watchers.follow(watched(&flags, &state)) {
                // What was saved between its reading and its watching was seen by neither.
                let _ = ask.try_send(());
            }
        }
    })
}

/// Who watches which file.
struct Watchers {
    ask: mpsc::Sender<()>,
    files: HashMap<PathBuf, RecommendedWatcher>,
}

impl Watchers {
    fn new(ask: mpsc::Sender<()>) -> Self {
        Self { ask, files: HashMap::new() }
    }

    /// Watches these, and no others any more; one that could not be watched is tried again. Says whether there are new ones.
    fn follow(&mut self, files: Vec<PathBuf>) -> bool {
        self.files.retain(|file, _| files.contains(file));
        let before = self.files.len();
        for file in files {
            if !self.files.contains_key(&file)
                && let Some(watcher) = watch_file(&file, self.ask.clone())
            {
                self.files.insert(file, watcher);
            }
        }
        self.files.len() > before
    }
}

/// The configuration, and the key sets, schemas and descriptions that it names by now.
fn watched(flags: &Flags, state: &State) -> Vec<PathBuf> {
    let Some(file) = &flags.config else { return Vec::new() };
    let base = file.parent().unwrap_or_else(|| Path::new(""));
    let pipeline = state.pipeline();
    let keys = pipeline.config.auth.iter().flat_map(AuthConfig::files);
    let schemas = pipeline.config.validate.iter().flat_map(ValidateConfig::files);
    std::iter::once(file.clone()).chain(keys.chain(schemas).map(|named| base.join(named))).collect()
}

/// Whether it was reloaded.
async fn reload(flags: &Flags, state: &State) -> bool {
    match read(flags.clone()).await {
        Ok(loaded) => {
            let pipeline = state.pipeline();
            let before = &pipeline.config;
            if before.listen != loaded.config.listen || before.admin_listen != loaded.config.admin_listen {
                warn!("listen addresses change at a restart only");
            }
            if before.tls.is_some() != loaded.config.tls.is_some() {
                warn!("connections that are open keep their encryption, or lack of it");
            }
            state.replace(loaded);
            info!("configuration reloaded");
            true
        }
        Err(error) => {
            state.reload_failed();
            error!(%error, "configuration not reloaded, the old one stays");
            false
        }
    }
}

/// Reads in a thread of its own: files block, and where there is no runtime nobody begins to fetch keys that the running
/// pipeline has.
async fn read(flags: Flags) -> Result<Loaded, ConfigError> {
    apart(move || Loaded::read(&flags)).await
}

/// What comes of reading; that it did not come to its end is an error like others.
async fn apart<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ConfigError> + Send + 'static,
) -> Result<T, ConfigError> {
    let broken_off = |cause: &dyn std::fmt::Display| {
        ConfigError::new("--config", "", format!("was not read to its end ({cause})"), "reload again")
    };
    let (tell, told) = oneshot::channel();
    let thread = std::thread::Builder::new().name(String::from("reload"));
    thread.spawn(move || tell.send(read()).is_ok()).map_err(|error| broken_off(&error))?;
    told.await.unwrap_or_else(|_| Err(broken_off(&"it panicked")))
}

/// Watches the directory: many editors replace the file, and a watch on the file itself would be left behind.
fn watch_file(file: &Path, ask: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let name = file.file_name()?.to_owned();
    // A mounted configuration is a link, and what changes is a link elsewhere in the directory.
    let is_link = file.is_symlink();
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let on_event = move |event: notify::Result<notify::Event>| match event {
        Ok(event) if event.kind.is_access() => {}
        Ok(event) => {
            if is_link || event.paths.iter().any(|path| path.file_name() == Some(&name)) {
                // A full channel already holds the request to reload.
                let _ = ask.try_send(());
            }
        }
        Err(error) => warn!(%error, "the configuration file is not watched for a moment"),
    };
    let watching = notify::recommended_watcher(on_event).and_then(|mut watcher| {
        watcher.watch(&directory, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    watching.map_err(|error| warn!(%error, "the configuration file is not watched; SIGHUP reloads")).ok()
}

#[cfg(test)]
mod tests {
    use tower_rampart::ConfigError;

    /// So that it is counted and told like a file that cannot be used.
    #[tokio::test]
    async fn a_reading_that_breaks_off_is_an_error_of_the_configuration() {
        let broken = super::apart(|| -> Result<(), ConfigError> { panic!("at work") }).await;
        assert_eq!(broken.unwrap_err().setting(), "--config");
        super::apart(|| Ok(())).await.unwrap();
    }
}
