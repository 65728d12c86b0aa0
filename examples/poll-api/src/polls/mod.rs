//! Polls and votes: what may be done with them, whoever asks by whichever protocol.

mod live;
mod new;
mod owner;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use tower_rampart::Identity;
use tower_rampart::cache::Cache;
use uuid::Uuid;

pub use self::live::{Live, Refreshed, Watching};
pub use self::new::Draft;
use self::owner::Owners;
use crate::clock::now_ms;
use crate::completion::to_completion;
use crate::db::{Db, NewPoll, Page, Poll, Results, Voted};
use crate::fault::{Breach, Fault, Result};
use crate::news::{News, Speaker};

/// See the module.
#[derive(Debug)]
pub struct Polls {
    db: Arc<Db>,
    live: Live,
    owners: Owners,
    /// Purged of what changes. Replaced when the configuration is.
    cache: ArcSwapOption<Cache>,
    /// Idempotency keys whose requests are at work.
    running: Mutex<HashSet<(String, String)>>,
    /// Whether there is somebody to forward polls to, and how they are woken.
    outbox: Option<Arc<tokio::sync::Notify>>,
    speaker: Option<Speaker>,
}

/// Tags of what is cached.
pub const TAG_LISTS: &str = "polls";
pub const TAG_LISTED_RESULTS: &str = "results";

/// The tag of everything that shows a poll.
pub fn tag(id: &str) -> String {
    format!("poll:{id}")
}

/// A request that must be done once.
#[derive(Debug)]
pub struct Once {
    pub key: String,
    /// Of all that the request says.
    pub fingerprint: String,
}

/// A poll that was made, now or under the same key before.
#[derive(Debug)]
pub struct Created {
    pub id: String,
    /// The answer, as it was given first.
    pub body: String,
    pub is_replay: bool,
}

const NO_POLL: Fault = Fault::NotFound("There is no such poll.");

impl Polls {
    pub fn new(
        db: Arc<Db>,
        outbox: Option<Arc<tokio::sync::Notify>>,
        speaker: Option<Speaker>,
    ) -> std::result::Result<Self, tower_rampart::ConfigError> {
        Ok(Self {
            db,
            live: Live::default(),
            owners: Owners::new()?,
            cache: ArcSwapOption::empty(),
            running: Mutex::default(),
            outbox,
            speaker,
        })
    }

    /// Purges this cache from now on.
    pub fn purge_from(&self, cache: Option<Cache>) {
        self.cache.store(cache.map(Arc::new));
    }

    /// Makes a poll. `answer` is what is told of it, and told again under the same key.
    pub async fn create(
        self: &Arc<Self>,
        author: &Identity,
        draft: Draft,
        once: Option<Once>,
        answer: fn(&Poll) -> String,
    ) -> Result<Created> {
        let (polls, user) = (Arc::clone(self), author.subject().to_owned());
        to_completion(async move { polls.create_whole(&user, &draft, once.as_ref(), answer).await }).await
    }

    async fn create_whole(
        &self,
        user: &str,
        draft: &Draft,
        once: Option<&Once>,
        answer: fn(&Poll) -> String,
    ) -> Result<Created> {
        let _running = once.map(|once| Running::begin(&self.running, user, &once.key)).transpose()?;
        if let Some(once) = once
            && let Some(created) = self.replay(user, once).await?
        {
            return Ok(created);
        }
        let author = self.db.user_by_id(user).await?.ok_or(Fault::Unauthenticated("There is no such user."))?;
        let poll = draft.check(&author, now_ms())?;
        let body = answer(&poll);
        let letter = self.outbox.as_ref().map(|_| letter(&poll));
        let new = NewPoll {
            poll: &poll,
            remember: once.map(|once| (once.key.as_str(), once.fingerprint.as_str(), body.as_str())),
            letter: letter.as_deref(),
        };
        if !self.db.add_poll(&new).await? {
            // Another process did it meanwhile.
            const GONE: &str = "a poll was not made, and its idempotency key is not there";
            let once = once.ok_or_else(|| Fault::internal(GONE, "the request has none"))?;
            return self.replay(user, once).await?.ok_or_else(|| Fault::internal(GONE, "it is forgotten"));
        }
        self.purge(&[TAG_LISTS]);
        self.tell(News::Changed, &poll.id);
        if let Some(wake) = &self.outbox {
            wake.notify_one();
        }
        Ok(Created { id: poll.id, body, is_replay: false })
    }

    async fn replay(&self, user: &str, once: &Once) -> Result<Option<Created>> {
        let Some(remembered) = self.db.remembered(user, &once.key).await? else { return Ok(None) };
        if remembered.fingerprint != once.fingerprint {
            let breach = Breach::new("#", "is another request than the one that this Idempotency-Key was used for");
            return Err(Fault::Invalid(vec![breach]));
        }
        const UNREADABLE: &str = "an answer that was remembered cannot be read";
        let told: serde_json::Value =
            serde_json::from_str(&remembered.body).map_err(|error| Fault::internal(UNREADABLE, error))?;
        let id = told.get("id").and_then(serde_json::Value::as_str);
        let id = id.ok_or_else(|| Fault::internal(UNREADABLE, "it names no poll"))?.to_owned();
        Ok(Some(Created { id, body: remembered.body, is_replay: true }))
    }

    pub async fn get(&self, id: &str) -> Result<Poll> {
        self.db.poll(parse_id(id)?.as_str()).await?.ok_or(NO_POLL)
    }

    /// A page of polls, the newest first.
    pub async fn list(&self, before: Option<&str>, limit: i64) -> Result<Page> {
        Ok(self.db.polls(before, limit).await?)
    }

    pub async fn results(&self, id: &str) -> Result<Results> {
        self.db.results(parse_id(id)?.as_str()).await?.ok_or(NO_POLL)
    }

    pub async fn results_of(&self, polls: &[Poll]) -> Result<std::collections::HashMap<String, Results>> {
        Ok(self.db.results_of(polls).await?)
    }

    /// Counts a vote.
    pub async fn vote(self: &Arc<Self>, voter: &Identity, id: &str, option_id: i64) -> Result<()> {
        let (polls, id, voter) = (Arc::clone(self), parse_id(id)?, voter.subject().to_owned());
        to_completion(async move { polls.vote_whole(&voter, &id, option_id).await }).await
    }

    async fn vote_whole(&self, voter: &str, id: &str, option_id: i64) -> Result<()> {
        match self.db.vote(id, voter, option_id).await? {
            Voted::Counted(results) => {
                self.purge(&[&tag(id), TAG_LISTED_RESULTS]);
                self.live.publish(results);
                self.tell(News::Changed, id);
                Ok(())
            }
            Voted::Twice => Err(Fault::Exists("You have voted in this poll already.")),
            Voted::Closed => Err(Fault::Conflict("This poll is closed.")),
            Voted::NoSuchPoll => Err(NO_POLL),
            Voted::NoSuchOption => {
                Err(Fault::Invalid(vec![Breach::new("#/option_id", "must be one of the poll's options")]))
            }
        }
    }

    /// Closes a poll: its owner may, and an admin. One that is closed stays so.
    pub async fn close(self: &Arc<Self>, caller: &Identity, id: &str) -> Result<Poll> {
        let poll = self.get(id).await?;
        self.owners.check(caller, &poll.author_id)?;
        let polls = Arc::clone(self);
        to_completion(async move {
            let (poll, results) = polls.db.close_poll(&poll.id).await?.ok_or(NO_POLL)?;
            polls.purge(&[&tag(&poll.id), TAG_LISTS, TAG_LISTED_RESULTS]);
            polls.live.publish(results);
            polls.tell(News::Changed, &poll.id);
            Ok(poll)
        })
        .await
    }

    /// Takes a poll away: its owner may, and an admin.
    pub async fn delete(self: &Arc<Self>, caller: &Identity, id: &str) -> Result<()> {
        let poll = self.get(id).await?;
        self.owners.check(caller, &poll.author_id)?;
        let polls = Arc::clone(self);
        to_completion(async move {
            if !polls.db.delete_poll(&poll.id).await? {
                return Err(NO_POLL);
            }
            polls.purge(&[&tag(&poll.id), TAG_LISTS, TAG_LISTED_RESULTS]);
            polls.live.end(&poll.id);
            polls.tell(News::Gone, &poll.id);
            Ok(())
        })
        .await
    }

    /// How a poll stands, and every change from now on.
    pub async fn watch(self: &Arc<Self>, id: &str) -> Result<Watching> {
        let id = parse_id(id)?;
        // First the ear, then the look: what happens between them is heard.
        let changes = self.live.subscribe(&id);
        let now = self.results(&id).await?;
        Ok(Watching::new(Arc::clone(self), now, changes))
    }

    /// Tells watchers what another process did, as the database has it.
    pub async fn changed_elsewhere(&self, id: &str) {
        // A replica may not know of it yet.
        self.db.note_write();
        if !self.live.is_watched(id) {
            return;
        }
        match self.results(id).await {
            Ok(results) => self.live.publish(results),
            Err(Fault::NotFound(_)) => self.live.end(id),
            // They look by themselves, later.
            Err(_) => tracing::debug!("what changed elsewhere cannot be read now"),
        }
    }

    pub fn gone_elsewhere(&self, id: &str) {
        self.db.note_write();
        self.live.end(id);
    }

    /// Looks after all that are watched: nobody may have told of what changed.
    pub async fn find_out(&self) {
        for id in self.live.watched() {
            self.changed_elsewhere(&id).await;
        }
    }

    fn tell(&self, news: fn(String) -> News, id: &str) {
        if let Some(speaker) = &self.speaker {
            speaker.tell(news(id.to_owned()));
        }
    }

    /// Until a poll is to be forwarded.
    pub async fn posted(&self) {
        match &self.outbox {
            Some(wake) => wake.notified().await,
            None => std::future::pending().await,
        }
    }

    fn purge(&self, tags: &[&str]) {
        if let Some(cache) = &*self.cache.load() {
            for tag in tags {
                cache.purge_tag(tag);
            }
        }
    }
}

/// A UUID in its usual form; as it is stored.
pub fn parse_id(id: &str) -> Result<String> {
    const MALFORMED: Fault = Fault::Malformed("The id of a poll is a UUID.");
    if id.len() != 36 {
        return Err(MALFORMED);
    }
    Uuid::try_parse(id).map(|id| id.to_string()).map_err(|_| MALFORMED)
}

/// What the external service is sent.
fn letter(poll: &Poll) -> String {
    let options: Vec<_> = poll.options.iter().map(|(_, text)| text).collect();
    serde_json::json!({ "id": poll.id, "question": poll.question, "options": options }).to_string()
}

/// A key whose request is at work, until it is dropped.
struct Running<'a> {
    all: &'a Mutex<HashSet<(String, String)>>,
    key: (String, String),
}

impl<'a> Running<'a> {
    fn begin(all: &'a Mutex<HashSet<(String, String)>>, user: &str, key: &str) -> Result<Self> {
        let key = (user.to_owned(), key.to_owned());
        if !all.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone()) {
            return Err(Fault::Conflict("The request with this Idempotency-Key is still running."));
        }
        Ok(Self { all, key })
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_in_one_form() {
        let id = "0193b0c5-7a2e-7c3f-9e10-0123456789ab";
        assert_eq!(parse_id(id).unwrap(), id);
        assert_eq!(parse_id(&id.to_uppercase()).unwrap(), id);
        for id in ["", "7", "0193b0c57a2e7c3f9e100123456789ab", "{0193b0c5-7a2e-7c3f-9e10-0123456789}"] {
            assert!(parse_id(id).is_err(), "{id}");
        }
    }

    #[test]
    fn one_request_at_a_time_has_a_key() {
        let all = Mutex::default();
        let first = Running::begin(&all, "ann", "k").unwrap();
        assert!(Running::begin(&all, "ann", "k").is_err());
        assert!(Running::begin(&all, "bob", "k").is_ok());
        drop(first);
        assert!(Running::begin(&all, "ann", "k").is_ok());
    }
}
