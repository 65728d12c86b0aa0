//! A server, or a cluster of them: whoever asks need not know which.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use redis::{FromRedisValue, RedisError, from_redis_value};

use super::address::{self, Address};
use super::cluster::Cluster;
use super::cluster::slots::slot;
use super::fault::Fault;
use super::link::Link;
use super::question::Question;
use crate::integration::timer::{self, Timer};
use crate::spine::config::ConfigError;

/// See the module.
pub(super) struct Servers {
    timeout: Duration,
    kind: Kind,
}

enum Kind {
    One(Arc<Link>),
    Cluster(Arc<Cluster>),
}

impl Servers {
    /// By their URL. Nothing is connected yet.
    pub(super) fn new(url: &str, timeout: Duration) -> Result<Self, ConfigError> {
        let kind = match address::read(url)? {
            Address::One(info) => Kind::One(Arc::new(Link::new(*info, timeout, false)?)),
            Address::Cluster(seeds) => Kind::Cluster(Arc::new(Cluster::new(&seeds, timeout)?)),
        };
        Ok(Self { timeout, kind })
    }

    pub(super) fn is_healthy(&self) -> bool {
        match &self.kind {
            Kind::One(link) => link.is_healthy(),
            Kind::Cluster(cluster) => cluster.is_healthy(),
        }
    }

    /// The slot of a key; a server by itself has one for all.
    pub(super) fn slot(&self, key: &str) -> u16 {
        match &self.kind {
            Kind::One(_) => 0,
            Kind::Cluster(_) => slot(key.as_bytes()),
        }
    }

    /// The time that an answer is given.
    pub(super) fn patience(&self) -> Result<Timer, Fault> {
        // Outside of a runtime with timers nobody could say that it is too late.
        timer::start(self.timeout).ok_or(Fault::NoTimer)
    }

    /// Asks, for no longer than the timeout.
    pub(super) async fn ask<T: FromRedisValue>(&self, question: Question) -> Result<T, Fault> {
        self.ask_within(question, &mut self.patience()?).await
    }

    /// Asks, until it is too late.
    pub(super) async fn ask_within<T: FromRedisValue>(&self, question: Question, late: &mut Timer) -> Result<T, Fault> {
        let question = Arc::new(question);
        let mut asking = pin!(async {
            match &self.kind {
                Kind::One(link) => link.ask(&question, false).await,
                Kind::Cluster(cluster) => cluster.ask(&question).await,
            }
        });
        let said = poll_fn(|cx| match asking.as_mut().poll(cx) {
            Poll::Ready(said) => Poll::Ready(said),
            Poll::Pending => Pin::new(&mut *late).poll(cx).map(|()| Err(Fault::TooLate)),
        });
        let said = said.await.inspect_err(|_| self.look())?;
        from_redis_value(said).map_err(|error| Fault::Failed(RedisError::from(error)))
    }

    /// Who has which keys may be otherwise by now.
    fn look(&self) {
        if let Kind::Cluster(cluster) = &self.kind {
            cluster.look();
        }
    }

    /// A connection of its own to subscribe by, to whoever has the channel's slot: there it is told first.
    #[cfg(any(feature = "_auth", feature = "cache"))]
    pub(super) async fn subscription(&self, channel: &str) -> redis::RedisResult<(redis::aio::PubSub, Arc<Link>)> {
        let link = match &self.kind {
            Kind::One(link) => Arc::clone(link),
            Kind::Cluster(cluster) => match cluster.owner(slot(channel.as_bytes())).await {
                Ok(place) => place.link,
                Err(fault) => return Err(std::io::Error::other(fault).into()),
            },
        };
        let subscription = link.subscription().await.inspect_err(|_| self.look())?;
        Ok((subscription, link))
    }

    /// Whether a channel's slot is still where it was subscribed to.
    #[cfg(any(feature = "_auth", feature = "cache"))]
    pub(super) fn has(&self, channel: &str, link: &Arc<Link>) -> bool {
        match &self.kind {
            Kind::One(_) => true,
            Kind::Cluster(cluster) => cluster.is_owner(slot(channel.as_bytes()), link),
        }
    }
}
