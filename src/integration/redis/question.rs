//! What a server is asked: a command, or a script that it knows by its hash.

use redis::aio::MultiplexedConnection;
use redis::{Arg, Cmd, ErrorKind, Pipeline, RedisResult, Script, ServerErrorKind, ToRedisArgs, Value};

/// A script, and the hash by which the server knows it.
pub(super) struct Code {
    text: &'static str,
    hash: String,
}

/// A command, and whose it is.
pub(super) struct Question {
    command: Cmd,
    /// Which of its words is the first key.
    key_at: usize,
    /// What a server is sent that does not know the script's hash.
    text: Option<&'static str>,
    can_be_parted: bool,
}

impl Code {
    pub(super) fn new(text: &'static str) -> Self {
        Self { text, hash: Script::new(text).get_hash().to_owned() }
    }

    /// To run it. All keys are in one slot of a cluster.
    pub(super) fn on(&self, keys: &[String], arguments: &[impl ToRedisArgs]) -> Question {
        let mut command = Cmd::new();
        command.arg("EVALSHA").arg(&self.hash).arg(keys.len()).arg(keys).arg(arguments);
        Question { command, key_at: 3, text: Some(self.text), can_be_parted: false }
    }
}

impl Question {
    /// A command with one key, or with none.
    pub(super) fn of(name: &str, key: &str) -> Self {
        let mut command = Cmd::new();
        command.arg(name).arg(key);
        Self { command, key_at: 1, text: None, can_be_parted: false }
    }

    /// For keys each of which could be asked for by itself: who asks does that when some of them are being moved.
    pub(super) const fn in_parts(mut self, can_be_parted: bool) -> Self {
        self.can_be_parted = can_be_parted;
        self
    }

    pub(super) const fn can_be_parted(&self) -> bool {
        self.can_be_parted
    }

    /// The first of its keys, which are all in one slot.
    pub(super) fn key(&self) -> &[u8] {
        match self.command.args_iter().nth(self.key_at) {
            Some(Arg::Simple(key)) => key,
            _ => &[],
        }
    }

    /// Puts it to a server. One that is `asked` for keys that are on their way to it is told so first.
    pub(super) async fn put_to(&self, connection: MultiplexedConnection, asked: bool) -> RedisResult<Value> {
        match send(connection.clone(), &self.command, asked).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => match self.in_full() {
                Some(command) => send(connection, &command, asked).await,
                None => Err(error),
            },
            answer => answer,
        }
    }

    /// With the script's text, which the server keeps then.
    fn in_full(&self) -> Option<Cmd> {
        let mut command = Cmd::new();
        command.arg("EVAL").arg(self.text?);
        for word in self.command.args_iter().skip(2) {
            if let Arg::Simple(word) = word {
                command.arg(word);
            }
        }
        Some(command)
    }
}

async fn send(mut connection: MultiplexedConnection, command: &Cmd, asked: bool) -> RedisResult<Value> {
    if !asked {
        return command.query_async(&mut connection).await;
    }
    // Both are sent as one, so that nobody's command comes between.
    let mut both = Pipeline::with_capacity(2);
    both.cmd("ASKING").add_command(command.clone());
    let said = connection.send_packed_commands(&both, 1, 1).await?;
    said.into_iter().next().unwrap_or_default().extract_error()
}
