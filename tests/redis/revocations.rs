//! What one instance revokes, all refuse.

use std::time::{Duration, SystemTime};

use tower_rampart::auth::testing::Authority;
use tower_rampart::auth::{JwtVerifier, KeySet};
use tower_rampart::redis::{RedisRevocations, RevocationError};

use crate::support::*;

const ISSUER: &str = "https://idp.example/";

/// One of several instances.
pub(crate) struct Instance {
    revocations: RedisRevocations,
    verifier: JwtVerifier,
}

pub(crate) fn authority() -> Authority {
    Authority::new(ISSUER, "api")
}

impl Instance {
    fn new(server: &Server, authority: &Authority) -> Self {
        Self::at(&server.url(), authority)
    }

    pub(crate) fn at(url: &str, authority: &Authority) -> Self {
        let revocations = redis(url).revocations(1000);
        let keys = KeySet::from_jwks(authority.jwks().as_bytes()).unwrap();
        let issuer = authority.issuer().keys(keys);
        let verifier = JwtVerifier::new([issuer]).unwrap().revocation(revocations.clone());
        Self { revocations, verifier }
    }

    async fn loaded(server: &Server, authority: &Authority) -> Self {
        Self::new(server, authority).load().await
    }

    pub(crate) async fn load(self) -> Self {
        self.revocations.loaded().await;
        self
    }

    pub(crate) fn accepts(&self, token: &str) -> bool {
        self.verifier.verify(token.as_bytes(), SystemTime::now()).is_ok()
    }

    pub(crate) async fn revoke(&self, id: &str) -> Result<(), RevocationError> {
        let now = SystemTime::now();
        self.revocations.revoke(ISSUER, id, now + HOUR, now).await
    }

    async fn log_out(&self, subject: &str) -> Result<(), RevocationError> {
        let now = SystemTime::now() + Duration::from_secs(1);
        self.revocations.log_out(ISSUER, subject, now + HOUR, now).await
    }

    pub(crate) async fn refuses(&self, token: &str) {
        for _ in 0..1000 {
            if !self.accepts(token) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it is let in");
    }
}

pub(crate) fn token(authority: &Authority, subject: &str, id: &str) -> String {
    authority.token(subject).claim("jti", id.to_owned()).sign()
}

#[tokio::test]
async fn what_one_revokes_all_refuse() {
    let Some(server) = Server::start() else { return };
    let authority = authority();
    let (one, other) = (Instance::loaded(&server, &authority).await, Instance::loaded(&server, &authority).await);
    let (alice, again, bob) =
        (token(&authority, "alice", "1"), token(&authority, "alice", "2"), token(&authority, "bob", "3"));
    for token in [&alice, &again, &bob] {
        assert!(one.accepts(token) && other.accepts(token));
    }
    one.revoke("1").await.unwrap();
    assert!(!one.accepts(&alice));
    other.refuses(&alice).await;
    assert!(other.accepts(&again));
    other.log_out("alice").await.unwrap();
    one.refuses(&again).await;
    assert!(one.accepts(&bob) && other.accepts(&bob));
    // One that begins now knows it before its first request.
    let late = Instance::loaded(&server, &authority).await;
    assert_eq!([&alice, &again, &bob].map(|token| late.accepts(token)), [false, false, true]);
    // Nothing stays for ever, and no name is there.
    for of in ["until", "from"] {
        let left: i64 = server.say(&format!("PTTL {{rampart:revoked}}:{of}")).trim_start_matches(':').parse().unwrap();
        assert!(left > 0, "{of}: {left}");
    }
    assert_eq!(server.say("ZCARD {rampart:revoked}:until"), ":2");
}

#[tokio::test]
async fn a_server_that_goes_away() {
    let Some(mut server) = Server::start() else { return };
    let authority = authority();
    let (one, other) = (Instance::loaded(&server, &authority).await, Instance::loaded(&server, &authority).await);
    let (alice, bob, carol) =
        (token(&authority, "alice", "1"), token(&authority, "bob", "2"), token(&authority, "carol", "3"));
    one.revoke("1").await.unwrap();
    other.refuses(&alice).await;
    // What is told while nobody listens is read afterwards.
    server.say("CLIENT KILL TYPE pubsub");
    one.revoke("2").await.unwrap();
    other.refuses(&bob).await;
    server.kill();
    let error = one.revoke("3").await.unwrap_err();
    assert!(matches!(error, RevocationError::NotShared(_)) && std::error::Error::source(&error).is_some());
    assert!(!one.accepts(&carol), "it is revoked here all the same");
    assert!(!other.accepts(&alice) && !other.accepts(&bob), "what is known is refused");
    server.restart();
    one.revocations.loaded().await;
    for _ in 0..1000 {
        if one.revoke("3").await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    other.refuses(&carol).await;
    assert!(!other.accepts(&alice), "what the server has lost is known here");
}

#[tokio::test]
async fn foreign_values() {
    let Some(server) = Server::start() else { return };
    let authority = authority();
    for key in ["{rampart:revoked}:until", "{rampart:revoked}:from"] {
        for command in ["SET", "LPUSH"] {
            server.say("FLUSHALL");
            server.say(&format!("{command} {key} junk"));
            let one = Instance::loaded(&server, &authority).await;
            let alice = token(&authority, "alice", "1");
            assert!(one.accepts(&alice));
            one.log_out("alice").await.unwrap();
            assert!(!Instance::loaded(&server, &authority).await.accepts(&alice), "{command} {key}");
        }
    }
    server.say("FLUSHALL");
    server.say("ZADD {rampart:revoked}:until 9e15 junk 9e15 tjunk 1e300 sjunk inf t00000000000000000000000000000000");
    server.say("PUBLISH {rampart:revoked}:told junk");
    let one = Instance::loaded(&server, &authority).await;
    assert!(one.accepts(&token(&authority, "alice", "1")));
    one.revoke("1").await.unwrap();
    assert!(!Instance::loaded(&server, &authority).await.accepts(&token(&authority, "alice", "1")));
}

#[tokio::test]
async fn there_is_so_much_room() {
    let Some(server) = Server::start() else { return };
    let revocations = redis(&server.url()).revocations(2);
    revocations.loaded().await;
    let now = SystemTime::now();
    for id in ["a", "b", "b"] {
        revocations.revoke(ISSUER, id, now + HOUR, now).await.unwrap();
    }
    assert!(matches!(revocations.revoke(ISSUER, "c", now + HOUR, now).await, Err(RevocationError::Full)));
    assert!(!format!("{revocations:?}").contains("idp"));
}

/// More than are read at a time.
#[tokio::test]
async fn many() {
    let Some(server) = Server::start() else { return };
    let authority = authority();
    let one = Instance::loaded(&server, &authority).await;
    for id in 0..1000 {
        one.revoke(&id.to_string()).await.unwrap();
    }
    let other = Instance::loaded(&server, &authority).await;
    for id in [0, 499, 500, 999] {
        assert!(!other.accepts(&token(&authority, "alice", &id.to_string())), "{id}");
    }
    assert!(other.accepts(&token(&authority, "alice", "1000")));
}
