//! What the tables of stores in Redis have in common: the server, and what keys there begin with.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::duration;
use super::parse::{carry, carry_from};
use crate::integration::redis::{Redis, RedisBuilder};
use crate::spine::config::ConfigError;

/// An error, and where it stands in the file; what is missing stands nowhere.
pub(super) type Fault = (Option<Range<usize>>, ConfigError);

/// A server that is known to be one.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct RedisServer {
    url: String,
    pub(super) timeout: Duration,
    secret: Vec<u8>,
    namespace: String,
}

/// The keys of a table that name it.
#[derive(Clone, Copy)]
pub(super) struct Written<'a> {
    pub(super) url: &'a Option<Spanned<String>>,
    pub(super) url_env: &'a Option<Spanned<String>>,
    pub(super) secret_env: &'a Option<Spanned<String>>,
    pub(super) timeout: &'a Option<Spanned<String>>,
    pub(super) namespace: &'a Option<Spanned<String>>,
}

/// Hands a fault to serde.
pub(super) fn carried<E: serde::de::Error>((place, error): Fault) -> E {
    match place {
        Some(place) => carry_from(place, &error),
        None => carry(&error),
    }
}

impl RedisServer {
    /// Reads the keys, and asks the builder whether they can be used.
    pub(super) fn read(written: Written<'_>, default_timeout: Duration) -> Result<Self, Fault> {
        let timeout = written.timeout.as_ref().map_or(Ok(default_timeout), |text| {
            duration::parse_duration("timeout", text.get_ref()).map_err(|error| (Some(text.span()), error))
        })?;
        let secret = written
            .secret_env
            .as_ref()
            .map(|name| variable("secret_env", name, "set it to a long random text, the same for all instances"));
        let server = Self {
            url: url(written)?,
            timeout,
            secret: secret.transpose()?.unwrap_or_default().into_bytes(),
            namespace: written.namespace.as_ref().map_or("rampart", |name| name.get_ref()).to_owned(),
        };
        let place = |setting: &str| match setting {
            "timeout" => written.timeout.as_ref(),
            "namespace" => written.namespace.as_ref(),
            _ => written.url.as_ref().or(written.url_env.as_ref()),
        };
        match server.builder().build() {
            Ok(_) => Ok(server),
            Err(error) => Err((place(error.setting()).map(Spanned::span), error)),
        }
    }

    /// The connection. Nothing is connected until it is asked.
    pub(super) fn builder(&self) -> RedisBuilder {
        let builder = Redis::builder(self.url.as_str()).timeout(self.timeout).namespace(self.namespace.as_str());
        builder.secret(self.secret.clone())
    }
}

/// Where a server is, if nothing is said.
const DEFAULT_URL: &str = "redis://127.0.0.1:6379";

fn url(written: Written<'_>) -> Result<String, Fault> {
    match (written.url, written.url_env) {
        (Some(url), None) => Ok(url.get_ref().clone()),
        (None, Some(name)) => {
            variable("url_env", name, "set it to a URL such as `redis://user:password@127.0.0.1:6379`")
        }
        (Some(_), Some(name)) => Err((
            Some(name.span()),
            ConfigError::new("url_env", name.get_ref(), "stands beside `url`", "write one of them"),
        )),
        (None, None) => Ok(DEFAULT_URL.to_owned()),
    }
}

fn variable(setting: &'static str, name: &Spanned<String>, mend: &'static str) -> Result<String, Fault> {
    let held = std::env::var(name.get_ref()).ok().filter(|held| !held.is_empty());
    held.ok_or_else(|| {
        let error = ConfigError::new(setting, name.get_ref(), "names a variable that is not set", mend);
        (Some(name.span()), error)
    })
}

impl fmt::Debug for RedisServer {
    /// Without the URL, which may hold a password, and the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisServer")
            .field("timeout", &self.timeout)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}
