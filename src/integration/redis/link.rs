//! The connection: made when it is needed, made anew when it is lost, and left alone while the server is unwell.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError,
    RedisResult,
};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::integration::timer;
use crate::layers::circuit_breaker::{CircuitBreaker, CircuitBreakerHandle, OnAbandoned, State, Window};
use crate::spine::config::ConfigError;

/// How long a connection may take, name, TLS and greeting. Requests do not wait for it beyond their own timeout.
const CONNECT: Duration = Duration::from_secs(1);
/// Answers that come too late in a row, after which the connection is given up: what it was lost in may be the
/// network's, which tells nobody.
const LATE_IN_A_ROW: u32 = 5;

/// See the module.
pub(super) struct Link {
    client: Client,
    timeout: Duration,
    breaker: CircuitBreakerHandle,
    /// Shared with the task that connects.
    line: Arc<Line>,
    late: AtomicU32,
}

struct Line {
    now: watch::Sender<Connection>,
    is_connecting: AtomicBool,
    /// Connections that were made, or could not be.
    tries: AtomicU64,
}

#[derive(Clone)]
enum Connection {
    /// None; the last try was this one.
    Down(u64),
    Up(u64, MultiplexedConnection),
}

/// Why a server gave no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// It was unwell, and is given time.
    LeftAlone,
    TooLate,
    NoTimer,
    Failed(RedisError),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LeftAlone => f.write_str("the server is unwell, and is given time to recover"),
            Self::NoTimer => f.write_str("there is no tokio runtime with timers"),
            Self::TooLate => f.write_str("the server did not answer in time"),
            Self::Failed(_) => f.write_str("the server failed"),
        }
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            Self::LeftAlone | Self::TooLate | Self::NoTimer => None,
        }
    }
}

/// A connection in the making. However that ends, those who wait hear of it, and the next may try.
struct Connecting {
    line: Arc<Line>,
    made: Option<MultiplexedConnection>,
}

impl Drop for Connecting {
    fn drop(&mut self) {
        let number = self.line.tries.fetch_add(1, Ordering::Relaxed) + 1;
        self.line.now.send_replace(match self.made.take() {
            Some(connection) => Connection::Up(number, connection),
            None => Connection::Down(number),
        });
        self.line.is_connecting.store(false, Ordering::Release);
    }
}

impl Link {
    pub(super) fn new(url: &str, timeout: Duration) -> Result<Self, ConfigError> {
        // The URL may hold a password, so that it is not shown.
        const MEND: &str = "write one such as `redis://127.0.0.1:6379` or `rediss://user:password@host:6380/0`";
        let refuse = || ConfigError::new("url", "(not shown)", "is no URL of a Redis server", MEND);
        let info: ConnectionInfo = url.into_connection_info().map_err(|_| refuse())?;
        if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            // The client takes the process's provider; where there is none yet, it is ours.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        // An answer is short, and is waited for.
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = Client::open(info).map_err(|_| refuse())?;
        let breaker = CircuitBreaker::new("redis")
            .quiet()
            .window(Window::calls(20))
            .min_calls(10)
            .consecutive_failures(LATE_IN_A_ROW)
            .slow_call(None)
            .on_abandoned(OnAbandoned::Ignore)
            .open_for(Duration::from_millis(250))
            .max_open(Duration::from_secs(1))
            .probes(1)
            .probe_lease(Duration::from_secs(1))
            .build()?
            .handle();
        let line = Line {
            now: watch::Sender::new(Connection::Down(0)),
            is_connecting: AtomicBool::new(false),
            tries: AtomicU64::new(0),
        };
        Ok(Self { client, timeout, breaker, line: Arc::new(line), late: AtomicU32::new(0) })
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.breaker.snapshot().state == State::Closed
    }

    /// A connection of its own to subscribe by.
    #[cfg(any(feature = "_auth", feature = "cache"))]
    pub(super) async fn subscription(&self) -> RedisResult<redis::aio::PubSub> {
        self.client.get_async_pubsub().await
    }

    /// Asks the server, unless it is unwell, for no longer than the timeout.
    pub(super) async fn ask<T>(
        &self,
        work: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>,
    ) -> Result<T, Fault> {
        let permit = self.breaker.admit().map_err(|_| Fault::LeftAlone)?;
        let asking = async {
            let (number, connection) = self.connection().await?;
            work(connection).await.inspect_err(|error| {
                if error.is_unrecoverable_error() || is_elsewhere(error) {
                    self.hang_up(number);
                }
            })
        };
        // Outside of a runtime with timers nobody could say that it is too late.
        let Some(mut late) = timer::start(self.timeout) else {
            permit.ignore();
            return Err(Fault::NoTimer);
        };
        let mut asking = pin!(asking);
        let said = poll_fn(|cx| match asking.as_mut().poll(cx) {
            Poll::Ready(said) => Poll::Ready(Some(said)),
            Poll::Pending => Pin::new(&mut late).poll(cx).map(|()| None),
        });
        match said.await {
            Some(Ok(answer)) => {
                permit.success();
                self.late.store(0, Ordering::Relaxed);
                Ok(answer)
            }
            Some(Err(error)) => {
                permit.failure();
                Err(Fault::Failed(error))
            }
            None => {
                permit.failure();
                if self.late.fetch_add(1, Ordering::Relaxed) + 1 >= LATE_IN_A_ROW {
                    self.late.store(0, Ordering::Relaxed);
                    self.hang_up(self.line.tries.load(Ordering::Relaxed));
                }
                Err(Fault::TooLate)
            }
        }
    }

    /// The connection, once there is one; an error when it could not be made.
    async fn connection(&self) -> RedisResult<(u64, MultiplexedConnection)> {
        let mut line = self.line.now.subscribe();
        let seen = match &*line.borrow_and_update() {
            Connection::Up(number, connection) => return Ok((*number, connection.clone())),
            Connection::Down(number) => *number,
        };
        self.connect();
        let lost = || RedisError::from((ErrorKind::Io, "the connection could not be made"));
        loop {
            line.changed().await.map_err(|_| lost())?;
            match &*line.borrow_and_update() {
                Connection::Up(number, connection) => return Ok((*number, connection.clone())),
                Connection::Down(number) if *number > seen => return Err(lost()),
                Connection::Down(_) => {}
            }
        }
    }

    /// Connects in a task of its own: a connection may take longer than any request waits for it.
    fn connect(&self) {
        if self.line.is_connecting.swap(true, Ordering::AcqRel) {
            return;
        }
        let (client, connecting) = (self.client.clone(), Connecting { line: Arc::clone(&self.line), made: None });
        tokio::spawn(async move {
            // The whole of it, so that it ends with the task.
            let mut connecting = connecting;
            let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(None);
            let made = timeout(CONNECT, client.get_multiplexed_async_connection_with_config(&config)).await;
            connecting.made = made.ok().and_then(Result::ok);
        });
    }

    /// Gives a connection up, unless it is another by now.
    fn hang_up(&self, number: u64) {
        self.line.now.send_if_modified(|line| {
            let is_it = matches!(line, Connection::Up(up, _) if *up == number);
            if is_it {
                *line = Connection::Down(number);
            }
            is_it
        });
    }
}

/// Whether the server is no longer the one that counts: it became a replica, or is loading.
fn is_elsewhere(error: &RedisError) -> bool {
    matches!(error.code(), Some("READONLY" | "MASTERDOWN" | "LOADING"))
}
