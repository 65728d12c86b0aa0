//! What processes tell each other through Redis, beside what the layers share: polls that changed, sessions that ended.
//!
//! The database has all of it. This is only how others hear of it at once, and whoever was deaf for a while looks there.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncCommands as _, Client, ErrorKind, RedisResult};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tower_rampart::ConfigError;
use tracing::debug;
use uuid::Uuid;

use crate::app::App;

const CHANNEL: &str = "poll-api:news";
/// News that wait to be told. What does not fit is not told, and found out later.
const QUEUE: usize = 1024;
/// A server that needs longer is away.
const PATIENCE: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A silence after which somebody asks whether the server is there.
const SILENCE: Duration = Duration::from_secs(5);

/// See the module. Clones speak with one voice.
#[derive(Debug, Clone)]
pub struct Speaker {
    queue: mpsc::Sender<News>,
}

/// The other end: who tells, and who listens.
#[derive(Debug)]
pub struct Listener {
    nodes: Vec<Client>,
    /// By which a process knows what it has told itself.
    name: String,
    queue: mpsc::Receiver<News>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// It was voted in, or closed.
    Changed(String),
    Gone(String),
    /// A session, by its name.
    Ended(String),
}

/// Both ends, for a server or a cluster by its URL.
pub fn through(url: &str) -> Result<(Speaker, Listener), ConfigError> {
    let nodes: Result<Vec<_>, _> = nodes(url).into_iter().map(Client::open).collect();
    let nodes = nodes.map_err(|_| {
        const MEND: &str =
            "write one such as `redis://127.0.0.1:6379`, or `redis+cluster://host:6379,host:6380` for a cluster";
        // It may hold a password.
        ConfigError::new("--redis-url", "", "is no URL of a Redis server", MEND)
    })?;
    let (sender, queue) = mpsc::channel(QUEUE);
    Ok((Speaker { queue: sender }, Listener { nodes, name: Uuid::now_v7().simple().to_string(), queue }))
}

/// The server of a URL, or the nodes of a cluster that it names: each passes on what it is told to all the others.
fn nodes(url: &str) -> Vec<String> {
    let schemes = [("redis+cluster://", "redis://"), ("rediss+cluster://", "rediss://")];
    let Some((nodes, scheme)) = schemes.iter().find_map(|(of, each)| Some((url.strip_prefix(of)?, each))) else {
        return vec![url.to_owned()];
    };
    let (user, hosts) = match nodes.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), nodes),
    };
    hosts.trim_end_matches('/').split(',').map(|host| format!("{scheme}{user}{host}")).collect()
}

impl Speaker {
    /// Tells them soon. Nobody waits for it.
    pub fn tell(&self, news: News) {
        if self.queue.try_send(news).is_err() {
            debug!("others find out by themselves");
        }
    }
}

impl News {
    fn written(&self, name: &str) -> String {
        match self {
            Self::Changed(poll) => format!("{name} changed {poll}"),
            Self::Gone(poll) => format!("{name} gone {poll}"),
            Self::Ended(session) => format!("{name} ended {session}"),
        }
    }

    /// News of others; what is written in another way is none.
    fn read(text: &str, name: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (from, what, id, end) = (words.next()?, words.next()?, words.next()?, words.next());
        if from == name || end.is_some() || id.len() > 64 {
            return None;
        }
        match what {
            "changed" => Some(Self::Changed(id.to_owned())),
            "gone" => Some(Self::Gone(id.to_owned())),
            "ended" => Some(Self::Ended(id.to_owned())),
            _ => None,
        }
    }
}

impl Listener {
    /// Tells and listens until the service is gone.
    pub async fn open(self, app: &Arc<App>) {
        let Self { nodes, name, queue } = self;
        let app = Arc::downgrade(app);
        tokio::join!(tell(&nodes, &name, queue), listen(&nodes, &name, &app));
    }
}

/// What the first of them says that answers.
async fn first<T>(nodes: &[Client], ask: impl AsyncFn(&Client) -> RedisResult<T>) -> RedisResult<T> {
    let mut said = Err((ErrorKind::Io, "the server does not answer").into());
    for node in nodes {
        if let Ok(answer) = timeout(PATIENCE, ask(node)).await {
            said = answer;
        }
        if said.is_ok() {
            break;
        }
    }
    said
}

async fn tell(nodes: &[Client], name: &str, mut queue: mpsc::Receiver<News>) {
    let mut kept: Option<MultiplexedConnection> = None;
    while let Some(news) = queue.recv().await {
        let text = news.written(name);
        if let Some(connection) = kept.take() {
            kept = publish(connection, &text).await;
        }
        // One that was kept may have been lost since it was last used.
        if kept.is_none()
            && let Ok(connection) = first(nodes, async |node| node.get_multiplexed_async_connection().await).await
        {
            kept = publish(connection, &text).await;
        }
        if kept.is_none() {
            debug!("others are not told");
        }
    }
}

/// The connection, where it is of further use.
async fn publish(mut connection: MultiplexedConnection, text: &str) -> Option<MultiplexedConnection> {
    let told = timeout(PATIENCE, connection.publish::<_, _, i64>(CHANNEL, text)).await;
    matches!(told, Ok(Ok(_))).then_some(connection)
}

async fn listen(nodes: &[Client], name: &str, app: &Weak<App>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let subscription = first(nodes, subscribe).await;
        let Some(app_now) = app.upgrade() else { return };
        match subscription {
            Ok(subscription) => {
                pause = FIRST_PAUSE;
                // What was told while nobody listened.
                app_now.find_out().await;
                drop(app_now);
                hear(subscription, name, app).await;
                debug!("others are not heard for a moment");
            }
            Err(error) => debug!(%error, "others are not heard"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn subscribe(client: &Client) -> RedisResult<PubSub> {
    let mut subscription = client.get_async_pubsub().await?;
    subscription.subscribe(CHANNEL).await?;
    Ok(subscription)
}

/// Hears what others tell until the connection is lost.
async fn hear(subscription: PubSub, name: &str, app: &Weak<App>) {
    let (mut asking, heard) = subscription.split();
    // Who is behind looks at each poll once.
    let mut heard = heard.ready_chunks(QUEUE);
    loop {
        let messages = match timeout(SILENCE, heard.next()).await {
            Ok(Some(messages)) => messages,
            Ok(None) => return,
            Err(_) => match timeout(PATIENCE, asking.ping::<redis::Value>()).await {
                Ok(Ok(_)) => continue,
                _ => return,
            },
        };
        let Some(app) = app.upgrade() else { return };
        let mut changed = HashSet::new();
        for message in messages {
            let text: String = message.get_payload().unwrap_or_default();
            match News::read(&text, name) {
                Some(News::Changed(poll)) => {
                    changed.insert(poll);
                }
                Some(News::Gone(poll)) => app.polls.gone_elsewhere(&poll),
                Some(News::Ended(session)) => app.people.ended_elsewhere(&session),
                None => {}
            }
        }
        for poll in changed {
            app.polls.changed_elsewhere(&poll).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_read_as_they_are_written() {
        for news in [News::Changed("7".to_owned()), News::Gone("7".to_owned()), News::Ended("s".to_owned())] {
            assert_eq!(News::read(&news.written("me"), "you"), Some(news.clone()));
            assert_eq!(News::read(&news.written("me"), "me"), None, "its own");
        }
    }

    #[test]
    fn a_cluster_is_some_of_its_nodes() {
        assert_eq!(nodes("redis://a:1/2"), ["redis://a:1/2"]);
        assert_eq!(nodes("redis+cluster://a:1,b"), ["redis://a:1", "redis://b"]);
        assert_eq!(nodes("rediss+cluster://me:x,y@a,[::1]:2/"), ["rediss://me:x,y@a", "rediss://me:x,y@[::1]:2"]);
        assert!(through("redis+cluster://a:1,,b").is_err());
        assert!(through("redis+cluster://a:1,b").is_ok());
    }

    #[test]
    fn nonsense_is_no_news() {
        let long = format!("x ended {}", "s".repeat(65));
        for text in ["", "x", "x changed", "x changed 7 8", "x sung 7", &long] {
            assert_eq!(News::read(text, "me"), None, "{text}");
        }
    }
}
