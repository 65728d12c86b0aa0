//! Scripts that the server runs.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, Script, ServerErrorKind, ToRedisArgs};

/// A script, and the hash by which the server knows it.
pub(super) struct Code {
    text: &'static str,
    hash: String,
}

impl Code {
    pub(super) fn new(text: &'static str) -> Self {
        Self { text, hash: Script::new(text).get_hash().to_owned() }
    }

    /// Runs it by its hash; a server that does not know it is sent the text, which it then keeps.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        mut connection: MultiplexedConnection,
        keys: &[String],
        arguments: &[impl ToRedisArgs],
    ) -> RedisResult<T> {
        let command = |name, code: &str| {
            let mut command = Cmd::new();
            command.arg(name).arg(code).arg(keys.len()).arg(keys).arg(arguments);
            command
        };
        match command("EVALSHA", &self.hash).query_async(&mut connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                command("EVAL", self.text).query_async(&mut connection).await
            }
            answer => answer,
        }
    }
}
