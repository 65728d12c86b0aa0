//! What others may write.

use super::support::{Instance, Server, field};

#[tokio::test]
async fn a_strange_value_locks_nobody_out() {
    let Some(server) = Server::start() else { return };
    for command in [
        "SET {key} hello",
        "SET {key} \"\"",
        "SET {key} -1",
        "SET {key} 1e300",
        "SET {key} nan",
        "SET {key} 9999999999999999",
        "SET {key} 9999999999999999b",
        "SET {key} 99999999999999999999999999999999",
        "SET {key} 9999999999999999:9999999999999999",
        "SET {key} 12:b",
        "LPUSH {key} 1",
        "HSET {key} a b",
        "SETRANGE {key} 100000 x",
    ] {
        server.say("FLUSHALL");
        // One that knows nothing yet.
        let instance = Instance::hourly(&server.url(), 10);
        assert_eq!(instance.status(1).await, 200);
        let key = server.key();
        server.say(&format!("DEL {key}"));
        let said = server.say(&command.replace("{key}", &key));
        assert!(!said.starts_with('-'), "{command}: {said}");
        let fresh = Instance::hourly(&server.url(), 10);
        let answer = fresh.send(1).await;
        match answer.status().as_u16() {
            200 => assert_eq!(field(&answer, "ratelimit").split(';').nth(1), Some("r=9"), "{command}"),
            // No longer than a used up bucket takes for one token.
            429 => assert!(field(&answer, "retry-after").parse::<u64>().unwrap() <= 360, "{command}: {answer:?}"),
            other => panic!("{command}: {other}"),
        }
        assert!(fresh.redis.is_healthy(), "{command}");
    }
}

#[tokio::test]
async fn what_is_far_ahead_comes_to_its_end() {
    let Some(server) = Server::start() else { return };
    let second = std::time::Duration::from_secs(1);
    let policy = || {
        let quota = tower_rampart::rate_limit::Quota::new(5).per(second);
        tower_rampart::rate_limit::Policy::new("default", quota).key(tower_rampart::key::ClientIp::new())
    };
    let instance = || Instance::of(super::support::redis(&server.url()), policy(), |counts| counts);
    assert_eq!(instance().status(1).await, 200);
    let key = server.key();
    for value in ["9999999999999999", "9999999999999999b"] {
        server.say(&format!("SET {key} {value}"));
        assert_eq!(instance().status(1).await, 429, "{value}");
        // The clock is the server's.
        super::support::eventually(async || instance().status(1).await == 200).await;
    }
}

#[tokio::test]
async fn keys_hold_no_address_and_do_not_stay() {
    let Some(server) = Server::start() else { return };
    Instance::hourly(&server.url(), 10).send(7).await;
    let key = server.key();
    assert!(key.starts_with("rampart:limit:{") && key.ends_with("}:default"), "{key}");
    assert!(!key.contains("192") && !key.contains("c00002"), "{key}");
    let lives: u64 = server.say(&format!("PTTL {key}")).trim_start_matches(':').parse().unwrap();
    assert!((1..=360_001).contains(&lives), "{lives}");
}

#[tokio::test]
async fn a_secret_and_a_namespace_make_other_keys() {
    let Some(server) = Server::start() else { return };
    let mut keys = Vec::new();
    let builder = || tower_rampart::redis::Redis::builder(server.url()).timeout(std::time::Duration::from_secs(5));
    for builder in [builder(), builder().secret("sesame"), builder().namespace("other")] {
        server.say("FLUSHALL");
        Instance::of(builder.build().unwrap(), super::support::hourly(10), |counts| counts).send(1).await;
        keys.push(server.key());
    }
    assert!(keys[0] != keys[1] && keys[2].starts_with("other:limit:{"), "{keys:?}");
}

#[test]
fn what_cannot_be_is_said_when_it_is_built() {
    use std::time::Duration;

    use tower_rampart::redis::Redis;
    for (builder, setting) in [
        (Redis::builder("http://sesame@127.0.0.1"), "url"),
        (Redis::builder(""), "url"),
        (Redis::builder("redis://127.0.0.1").timeout(Duration::ZERO), "timeout"),
        (Redis::builder("redis://127.0.0.1").timeout(Duration::from_secs(61)), "timeout"),
        (Redis::builder("redis://127.0.0.1").namespace("a{b"), "namespace"),
        (Redis::builder("redis://127.0.0.1").namespace(""), "namespace"),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.setting(), setting);
        assert!(!error.to_string().contains("sesame"), "{error}");
    }
    let shown = format!("{:?}", Redis::builder("redis://:sesame@127.0.0.1").secret("sesame").build().unwrap());
    assert!(!shown.contains("sesame"), "{shown}");
    Redis::builder("rediss://user:sesame@localhost:6380/2").build().unwrap();
}
