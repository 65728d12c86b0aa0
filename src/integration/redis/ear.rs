//! A subscription, which is looked after: whoever has heard nothing for a while asks whether anybody is there.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream as _;
use redis::aio::{PubSubSink, PubSubStream};
use redis::{ErrorKind, RedisError, RedisResult};
use tokio::time::timeout;

use super::link::Link;
use super::servers::Servers;
use crate::integration::timer;

/// How long a silence may be before somebody asks.
const SILENCE: Duration = Duration::from_secs(2);
/// How long a subscription may take, and an answer to whoever asks.
const PATIENCE: Duration = Duration::from_secs(2);

/// One that is open hears every message from the moment it was opened.
pub(super) struct Ear {
    servers: Arc<Servers>,
    channel: String,
    open: Option<Open>,
}

struct Open {
    sink: PubSubSink,
    stream: PubSubStream,
    /// Where it is heard.
    at: Arc<Link>,
}

impl Ear {
    pub(super) const fn new(servers: Arc<Servers>, channel: String) -> Self {
        Self { servers, channel, open: None }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(super) async fn open(&mut self) -> RedisResult<()> {
        // Outside of a runtime with timers nobody could say that it takes too long.
        timer::start(PATIENCE).ok_or_else(lost)?;
        let opening = async {
            let (mut subscription, at) = self.servers.subscription(&self.channel).await?;
            subscription.subscribe(&self.channel).await?;
            let (sink, stream) = subscription.split();
            RedisResult::Ok(Open { sink, stream, at })
        };
        self.open = Some(timeout(PATIENCE, opening).await.map_err(|_| lost())??);
        Ok(())
    }

    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// The next message. After an error it is closed.
    pub(super) async fn hear(&mut self) -> RedisResult<Vec<u8>> {
        let heard = self.listen().await;
        if heard.is_err() {
            self.close();
        }
        heard
    }

    async fn listen(&mut self) -> RedisResult<Vec<u8>> {
        let Some(Open { sink, stream, at }) = &mut self.open else { return Err(lost()) };
        loop {
            if !self.servers.has(&self.channel, at) {
                return Err(lost());
            }
            let next = poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx));
            match timeout(SILENCE, next).await {
                Ok(Some(message)) => return Ok(message.get_payload_bytes().to_vec()),
                Ok(None) => return Err(lost()),
                Err(_) => {
                    timeout(PATIENCE, sink.ping::<redis::Value>()).await.map_err(|_| lost())??;
                }
            }
        }
    }
}

fn lost() -> RedisError {
    RedisError::from((ErrorKind::Io, "the subscription was lost"))
}
