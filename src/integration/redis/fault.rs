//! Why there is no answer.

use std::fmt;

use redis::{ErrorKind, RedisError};

use crate::spine::store::StoreError;

/// See the module.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// The server was unwell, and is given time.
    LeftAlone,
    TooLate,
    NoTimer,
    /// There is no connection.
    Unreachable(Option<RedisError>),
    /// The cluster has nobody for these keys.
    Nobody,
    Failed(RedisError),
}

impl Fault {
    /// In words that are ours: those of a server may name keys.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::LeftAlone => "the server is unwell, and is given time to recover",
            Self::TooLate => "the server did not answer in time",
            Self::NoTimer => "there is no tokio runtime with timers",
            Self::Unreachable(error) => error.as_ref().map_or("the server could not be reached", unreachable),
            Self::Nobody => "the cluster has no server for these keys",
            Self::Failed(error) => failed(error),
        }
    }

    /// Whether some of the keys are on their way to another node of a cluster, and others are not.
    pub(super) fn is_moving(&self) -> bool {
        matches!(self, Self::Failed(error) if error.code() == Some("TRYAGAIN"))
    }
}

fn unreachable(error: &RedisError) -> &'static str {
    if error.kind() == ErrorKind::AuthenticationFailed {
        return "the server does not take the password";
    }
    match error.code() {
        None if error.is_connection_refusal() => "nobody listens at the server's address",
        None => "the server could not be reached",
        Some(_) => failed(error),
    }
}

fn failed(error: &RedisError) -> &'static str {
    match error.code() {
        Some("NOAUTH" | "WRONGPASS") => "the server does not take the password",
        Some("NOPERM") => "the server does not let this user do it",
        Some("OOM") => "the server has no memory left",
        Some("MISCONF") => "the server cannot save, and so it takes nothing",
        Some("READONLY") => "the server is a replica",
        Some("LOADING" | "MASTERDOWN") => "the server is not ready",
        Some("BUSY") => "the server is busy with somebody's script",
        Some("MOVED" | "ASK") => "the server is one of a cluster: write `redis+cluster://` in its URL",
        Some("TRYAGAIN") => "the cluster is moving these keys",
        Some("CLUSTERDOWN") => "the cluster does not serve",
        None if error.is_io_error() => "the connection was lost",
        _ => "the server answers with an error",
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable(Some(error)) | Self::Failed(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        let reason = fault.reason();
        Self::new(fault).because(reason)
    }
}

#[cfg(test)]
mod tests {
    use redis::{Value, parse_redis_value};

    use super::*;

    fn said(line: &str) -> RedisError {
        let Ok(value) = parse_redis_value(format!("-{line}\r\n").as_bytes()) else { panic!("{line}") };
        Value::extract_error(value).unwrap_err()
    }

    #[test]
    fn reasons_say_what_is_wrong_and_nothing_else() {
        for (line, reason) in [
            ("NOAUTH Authentication required. alice", "does not take the password"),
            ("OOM command not allowed alice", "no memory left"),
            ("MOVED 3999 127.0.0.1:6381", "`redis+cluster://`"),
            ("CLUSTERDOWN Hash slot not served", "does not serve"),
            ("WHATEVER alice", "answers with an error"),
            ("ERR alice", "answers with an error"),
        ] {
            let fault = Fault::Failed(said(line));
            assert!(fault.reason().contains(reason), "{line}: {}", fault.reason());
            assert!(!fault.reason().contains("alice"));
        }
    }
}
