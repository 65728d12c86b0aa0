//! The connection to one server: made when it is needed, made anew when it is lost, and left alone while the server is
//! unwell.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, RedisError, RedisResult, Value};
use tokio::sync::watch;
use tokio::time::timeout;

use super::fault::Fault;
use super::question::Question;
use crate::integration::{spawn, timer};
use crate::layers::circuit_breaker::{CircuitBreaker, CircuitBreakerHandle, OnAbandoned, Permit, State, Window};
use crate::spine::clock::Clock;
use crate::spine::config::ConfigError;

/// How long a connection may take, name, TLS and greeting. Requests do not wait for it beyond their own timeout.
const CONNECT: Duration = Duration::from_secs(1);
/// Answers that come too late in a row, after which the connection is given up: what it was lost in may be the
/// network's, which tells nobody.
const LATE_IN_A_ROW: u32 = 5;
/// Timers are no more exact than this.
const TIMER: Duration = Duration::from_millis(1);

/// See the module.
pub(super) struct Link {
    timeout: Duration,
    line: Arc<Line>,
}

/// Shared with the tasks that connect, and with those that hear what nobody waits for any more.
struct Line {
    client: Client,
    breaker: CircuitBreakerHandle,
    /// Whether the server is one of many: that it sends us to another is an answer.
    is_node: bool,
    now: watch::Sender<Connection>,
    is_connecting: AtomicBool,
    /// Connections that were made, or could not be.
    tries: AtomicU64,
    late: AtomicU32,
}

#[derive(Clone)]
enum Connection {
    /// None; the last try was this one.
    Down(u64, Option<RedisError>),
    Up(u64, MultiplexedConnection),
}

/// A connection in the making. However that ends, those who wait hear of it, and the next may try.
struct Connecting {
    line: Arc<Line>,
    made: Option<RedisResult<MultiplexedConnection>>,
}

impl Drop for Connecting {
    fn drop(&mut self) {
        let number = self.line.tries.fetch_add(1, Ordering::Relaxed) + 1;
        self.line.now.send_replace(match self.made.take() {
            Some(Ok(connection)) => Connection::Up(number, connection),
            Some(Err(error)) => Connection::Down(number, Some(error)),
            None => Connection::Down(number, None),
        });
        self.line.is_connecting.store(false, Ordering::Release);
    }
}

impl Link {
    /// To a server by itself, or to a node of a cluster.
    pub(super) fn new(info: ConnectionInfo, timeout: Duration, is_node: bool) -> Result<Self, ConfigError> {
        const MEND: &str = "write the URL of a server that can be reached from here";
        let client = Client::open(info).map_err(|_| ConfigError::new("url", "(not shown)", "cannot be used", MEND))?;
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
            client,
            breaker,
            is_node,
            now: watch::Sender::new(Connection::Down(0, None)),
            is_connecting: AtomicBool::new(false),
            tries: AtomicU64::new(0),
            late: AtomicU32::new(0),
        };
        Ok(Self { timeout, line: Arc::new(line) })
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.line.breaker.snapshot().state == State::Closed
    }

    /// A connection of its own to subscribe by.
    #[cfg(any(feature = "_auth", feature = "cache"))]
    pub(super) async fn subscription(&self) -> RedisResult<redis::aio::PubSub> {
        self.line.client.get_async_pubsub().await
    }

    /// Asks the server, unless it is unwell. Whoever asks sees to it that it does not wait for too long; what becomes of
    /// a question that nobody waits for is heard all the same, since it says how the server is.
    pub(super) async fn ask(&self, question: &Arc<Question>, asked: bool) -> Result<Value, Fault> {
        let permit = self.line.breaker.admit().map_err(|_| Fault::LeftAlone)?;
        let work = Box::pin(put(Arc::clone(&self.line), Arc::clone(question), asked));
        let until = Clock::system().now().checked_add(self.timeout);
        Asked { line: Arc::clone(&self.line), open: Some(Open { work, permit, until }) }.await
    }
}

type Work = Pin<Box<dyn Future<Output = Result<Value, Fault>> + Send>>;

/// A question that was put.
struct Asked {
    line: Arc<Line>,
    /// `None` once it is answered.
    open: Option<Open>,
}

struct Open {
    work: Work,
    permit: Permit,
    until: Option<Instant>,
}

impl Future for Asked {
    type Output = Result<Value, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(mut open) = self.open.take() else { return Poll::Ready(Err(Fault::LeftAlone)) };
        match open.work.as_mut().poll(cx) {
            Poll::Ready(said) => {
                self.line.judge(open.permit, &said);
                Poll::Ready(said)
            }
            Poll::Pending => {
                self.open = Some(open);
                Poll::Pending
            }
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let Some(Open { mut work, permit, until }) = self.open.take() else { return };
        let line = Arc::clone(&self.line);
        let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Clock::system().now()));
        if left <= TIMER {
            return line.too_late(permit);
        }
        let Some(mut late) = timer::start(left) else { return permit.ignore() };
        spawn::detach(async move {
            let said = poll_fn(|cx| match work.as_mut().poll(cx) {
                Poll::Ready(said) => Poll::Ready(Some(said)),
                Poll::Pending => Pin::new(&mut late).poll(cx).map(|()| None),
            });
            match said.await {
                Some(said) => line.judge(permit, &said),
                None => line.too_late(permit),
            }
        });
    }
}

async fn put(line: Arc<Line>, question: Arc<Question>, asked: bool) -> Result<Value, Fault> {
    let (number, connection) = connection(&line).await?;
    question.put_to(connection, asked).await.map_err(|error| {
        if error.is_unrecoverable_error() || is_elsewhere(&error) {
            line.hang_up(number);
        }
        Fault::Failed(error)
    })
}

/// The connection, once there is one; an error when it could not be made.
async fn connection(line: &Arc<Line>) -> Result<(u64, MultiplexedConnection), Fault> {
    // As it is nearly always.
    if let Connection::Up(number, connection) = &*line.now.borrow() {
        return Ok((*number, connection.clone()));
    }
    let mut now = line.now.subscribe();
    let seen = match &*now.borrow_and_update() {
        Connection::Up(number, connection) => return Ok((*number, connection.clone())),
        Connection::Down(number, _) => *number,
    };
    connect(line);
    loop {
        now.changed().await.map_err(|_| Fault::Unreachable(None))?;
        match &*now.borrow_and_update() {
            Connection::Up(number, connection) => return Ok((*number, connection.clone())),
            Connection::Down(number, why) if *number > seen => return Err(Fault::Unreachable(why.clone())),
            Connection::Down(..) => {}
        }
    }
}

/// Connects in a task of its own: a connection may take longer than any request waits for it.
fn connect(line: &Arc<Line>) {
    if line.is_connecting.swap(true, Ordering::AcqRel) {
        return;
    }
    let connecting = Connecting { line: Arc::clone(line), made: None };
    spawn::detach(async move {
        // The whole of it, so that it ends with the task.
        let mut connecting = connecting;
        let client = connecting.line.client.clone();
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(None);
        connecting.made = timeout(CONNECT, client.get_multiplexed_async_connection_with_config(&config)).await.ok();
    });
}

impl Line {
    /// What an answer says of the server.
    fn judge(&self, permit: Permit, said: &Result<Value, Fault>) {
        let is_answer = match said {
            Ok(_) => true,
            Err(Fault::Failed(error)) => self.is_node && matches!(error.code(), Some("MOVED" | "ASK" | "TRYAGAIN")),
            Err(_) => false,
        };
        if is_answer {
            permit.success();
            self.late.store(0, Ordering::Relaxed);
        } else {
            permit.failure();
        }
    }

    fn too_late(&self, permit: Permit) {
        permit.failure();
        if self.late.fetch_add(1, Ordering::Relaxed) + 1 >= LATE_IN_A_ROW {
            self.late.store(0, Ordering::Relaxed);
            self.hang_up(self.tries.load(Ordering::Relaxed));
        }
    }

    /// Gives a connection up, unless it is another by now.
    fn hang_up(&self, number: u64) {
        self.now.send_if_modified(|now| {
            let is_it = matches!(now, Connection::Up(up, _) if *up == number);
            if is_it {
                *now = Connection::Down(number, None);
            }
            is_it
        });
    }
}

/// Whether the server is no longer the one that counts: it became a replica, or is loading.
fn is_elsewhere(error: &RedisError) -> bool {
    matches!(error.code(), Some("READONLY" | "MASTERDOWN" | "LOADING"))
}
