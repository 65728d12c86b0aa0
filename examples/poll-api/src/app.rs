//! What the running service shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Notify, Semaphore, watch};
use tower_rampart::{ConfigError, Refuser};

use crate::config::{Config, Flags};
use crate::db::Db;
use crate::fault::{Fault, Result};
use crate::news::Speaker;
use crate::people::People;
use crate::polls::Polls;
use crate::stack::Stack;
use crate::trace::Traces;
use crate::upstream::Address;
use crate::watcher::Watcher;

/// See the module.
pub struct App {
    pub db: Arc<Db>,
    pub people: People,
    pub polls: Arc<Polls>,
    pub metrics: PrometheusHandle,
    /// Tells of every refusal that is not a layer's own, so that all of them are sampled together.
    pub refuser: Refuser,
    pub upstream: Option<Address>,
    pub traces: Option<Traces>,
    flags: Flags,
    stack: ArcSwapOption<Stack>,
    /// One reload at a time: the last one asked for is the one that stays.
    reloading: Mutex<()>,
    draining: watch::Sender<bool>,
    watchers: Arc<Semaphore>,
    reloads: AtomicU64,
    failed_reloads: AtomicU64,
}

/// Whom the service speaks to of its own accord, beside its database.
#[derive(Default)]
pub struct Outside {
    pub upstream: Option<Address>,
    pub traces: Option<Traces>,
    /// Other processes.
    pub speaker: Option<Speaker>,
}

/// People who watch at once, over HTTP and gRPC.
const MAX_WATCHERS: usize = 4096;

impl App {
    pub async fn open(flags: Flags, metrics: PrometheusHandle, outside: Outside) -> Result<Arc<Self>> {
        let Outside { upstream, traces, speaker } = outside;
        let db = Arc::new(Db::open(&flags.database_url, flags.database_read_url.as_deref()).await?);
        let people = People::open(Arc::clone(&db), speaker.clone()).await?;
        let wake = upstream.as_ref().map(|_| Arc::new(Notify::new()));
        let polls = Polls::new(Arc::clone(&db), wake, speaker)
            .map_err(|error| Fault::internal("a rule of this program is none", error))?;
        Ok(Arc::new(Self {
            db,
            people,
            polls: Arc::new(polls),
            metrics,
            refuser: Refuser::new(),
            upstream,
            traces,
            flags,
            stack: ArcSwapOption::empty(),
            reloading: Mutex::default(),
            draining: watch::Sender::new(false),
            watchers: Arc::new(Semaphore::new(MAX_WATCHERS)),
            reloads: AtomicU64::new(0),
            failed_reloads: AtomicU64::new(0),
        }))
    }

    /// The layers of this moment. A request keeps those it began with.
    pub fn stack(&self) -> Option<Arc<Stack>> {
        self.stack.load_full()
    }

    /// Puts a configuration to work: new requests see all of it, running ones none.
    pub fn start(self: &Arc<Self>, config: &Config) -> std::result::Result<(), ConfigError> {
        let running = self.stack();
        let stack = Stack::new(config, self, running.as_deref())?;
        self.polls.purge_from(stack.cache().cloned());
        self.stack.store(Some(Arc::new(stack)));
        Ok(())
    }

    /// Reads the configuration anew; one that cannot be used changes nothing.
    pub async fn reload(self: &Arc<Self>) -> std::result::Result<(), ConfigError> {
        let _alone = self.reloading.lock().await;
        let flags = self.flags.clone();
        let read = tokio::task::spawn_blocking(move || Config::read(&flags)).await;
        let read = read.unwrap_or_else(|_| Err(ConfigError::new("--config", "", "was not read", "try again")));
        match read.and_then(|config| self.start(&config)) {
            Ok(()) => {
                self.reloads.fetch_add(1, Ordering::Relaxed);
                tracing::info!("configuration reloaded");
                Ok(())
            }
            Err(error) => {
                self.failed_reloads.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "configuration not reloaded, the old one stays");
                Err(error)
            }
        }
    }

    /// Learns from the database what other processes did: nobody may have told of it.
    pub async fn find_out(&self) {
        self.learn_revocations().await;
        self.polls.find_out().await;
    }

    /// Learns from the database which sessions ended in other processes.
    pub async fn learn_revocations(&self) {
        if self.people.learn_revocations().await.is_err() {
            tracing::warn!("sessions that ended elsewhere are not known for a moment");
        }
    }

    /// Tells streams to end, and load balancers to go elsewhere.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    pub fn draining(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }

    /// Watches a poll, if there is a place among those who watch.
    pub async fn watch(&self, poll: &str) -> Result<Watcher> {
        const FULL: Fault = Fault::Unavailable("Too many people are watching. Try again later.");
        let place = Arc::clone(&self.watchers).try_acquire_owned().map_err(|_| FULL)?;
        Ok(Watcher::new(self.polls.watch(poll).await?, self.draining(), place))
    }

    /// The document of `/v1/admin/state`.
    pub async fn describe(&self) -> Result<Value> {
        let mut state = self.stack().map_or_else(|| json!({}), |stack| stack.describe());
        if let Value::Object(members) = &mut state {
            if self.upstream.is_some() {
                let (pending, refused) = self.db.outbox_counts().await?;
                members.insert("outbox".to_owned(), json!({ "pending": pending, "refused": refused }));
            }
            members.entry("circuit_breaker").or_insert_with(|| json!({}));
            let watchers = MAX_WATCHERS - self.watchers.available_permits();
            members.insert("watchers".to_owned(), json!(watchers));
            let reloads = json!({
                "reloads": self.reloads.load(Ordering::Relaxed),
                "failed_reloads": self.failed_reloads.load(Ordering::Relaxed),
            });
            members.insert("config".to_owned(), reloads);
        }
        Ok(state)
    }
}

/// Until the service is told to stop. What a watch lends must not be held while somebody waits.
pub async fn drained(draining: &mut watch::Receiver<bool>) {
    let _ = draining.wait_for(|draining| *draining).await;
}
