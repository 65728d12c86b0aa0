//! A server that is slow, stopped, killed, emptied or restarted: requests are answered all the same.

use std::num::NonZeroU32;
use std::time::Duration;

use tower_rampart::rate_limit::OnStoreFailure;

use super::log::{Log, meet_call_sites_from_anywhere};
use super::support::{Instance, Server, admitted, field, holed, hourly, impatient, redis, slow};

fn local(instances: u32) -> OnStoreFailure {
    OnStoreFailure::Local { instances: NonZeroU32::new(instances).unwrap() }
}

/// An instance with little patience, and so many an hour.
fn strict(url: &str, quota: u32, on_failure: OnStoreFailure) -> Instance {
    Instance::of(impatient(url), hourly(quota), |counts| counts.on_failure(on_failure))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_costs_no_request_and_is_found_again() {
    let Some(server) = Server::start() else { return };
    let instance = strict(&server.url(), 1000, local(2));
    assert_eq!(instance.status(1).await, 200);
    server.signal("STOP");
    // Some wait for their deadline, and then none does.
    for _ in 0..200 {
        assert_eq!(instance.status(1).await, 200);
    }
    assert!(!instance.redis.is_healthy());
    server.signal("CONT");
    instance.recover().await;
    let others = Instance::hourly(&server.url(), 1000);
    let before = remaining(&field(&others.send(2).await, "ratelimit"));
    let after = remaining(&field(&instance.send(2).await, "ratelimit"));
    assert_eq!((before, after), (999, 998), "they count together again");
}

fn remaining(field: &str) -> u32 {
    field.split(";r=").nth(1).unwrap().split(';').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_is_gone_each_counts_by_its_share_and_says_so() {
    let Some(mut server) = Server::start() else { return };
    // Where nobody listens, no patience is needed.
    let instance = || Instance::of(redis(&server.url()), hourly(100), |counts| counts.on_failure(local(2)));
    let instances = [instance(), instance()];
    for instance in &instances {
        assert_eq!(instance.status(9).await, 200);
    }
    server.kill();
    for instance in &instances {
        let answer = instance.send(1).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(field(&answer, "ratelimit-policy"), "\"default\";q=50;w=3600");
        assert!(field(&answer, "ratelimit").starts_with("\"default\";r=49;t="), "{answer:?}");
        let mut count = 1;
        while instance.status(1).await == 200 {
            count += 1;
            assert!(count <= 50);
        }
        assert_eq!(count, 50, "half of the quota");
    }
    server.restart();
    for instance in &instances {
        instance.recover().await;
    }
    // The new server knows nobody, and what is remembered of another time refuses nobody.
    assert_eq!(admitted(&instances, 400, 2).await, 100);
    assert_eq!(instances[0].status(1).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_used_before_an_outage_counts_in_it() {
    let Some(mut server) = Server::start() else { return };
    let instance = strict(&server.url(), 100, local(2));
    for _ in 0..100 {
        assert_eq!(instance.status(1).await, 200);
    }
    server.kill();
    assert_eq!(instance.status(1).await, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_so_is_let_through_or_refused() {
    let Some(mut server) = Server::start() else { return };
    let open = strict(&server.url(), 1, OnStoreFailure::Open);
    let closed = strict(&server.url(), 1, OnStoreFailure::Closed);
    server.kill();
    for _ in 0..20 {
        let answer = open.send(1).await;
        assert_eq!((answer.status().as_u16(), field(&answer, "ratelimit").as_str()), (200, ""));
        let answer = closed.send(1).await;
        assert_eq!((answer.status().as_u16(), field(&answer, "retry-after").as_str()), (503, "1"));
    }
}

/// Nobody could say there that an answer is too late.
#[test]
fn outside_of_a_runtime_it_counts_by_itself() {
    let Some(server) = Server::start() else { return };
    let instance = strict(&server.url(), 10, local(2));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let without_timers = |client| runtime.block_on(instance.status(client));
    let admitted = |send: &dyn Fn(u8) -> u16, client| (0..10).filter(|_| send(client) == 200).count();
    assert_eq!(admitted(&without_timers, 1), 5);
    let alone = |client| futures_util::FutureExt::now_or_never(instance.status(client)).expect("it waits for nobody");
    assert_eq!(admitted(&alone, 2), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_scripts_cost_no_count() {
    let Some(server) = Server::start() else { return };
    let instances = [Instance::hourly(&server.url(), 100), Instance::hourly(&server.url(), 100)];
    let mut count = 0;
    for turn in 0..120 {
        if turn % 10 == 0 {
            assert_eq!(server.say("SCRIPT FLUSH"), "+OK");
        }
        count += usize::from(instances[turn % 2].status(1).await == 200);
    }
    assert_eq!(count, 100);
    assert!(instances.iter().all(|instance| instance.redis.is_healthy()));
}

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_counts_begin_anew() {
    let Some(server) = Server::start() else { return };
    let instance = Instance::hourly(&server.url(), 10);
    for _ in 0..5 {
        assert_eq!(instance.status(1).await, 200);
    }
    assert_eq!(server.say("FLUSHALL"), "+OK");
    assert_eq!(field(&instance.send(1).await, "ratelimit"), "\"default\";r=9;t=360");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_connections_are_made_anew() {
    let Some(server) = Server::start() else { return };
    let instance = Instance::hourly(&server.url(), 1000);
    for _ in 0..10 {
        assert_eq!(instance.status(1).await, 200);
        server.say("CLIENT KILL TYPE normal SKIPME yes");
    }
    instance.recover().await;
    let other = Instance::hourly(&server.url(), 1000);
    other.send(2).await;
    assert_eq!(remaining(&field(&instance.send(2).await, "ratelimit")), 998);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_network_is_waited_for_no_longer_than_was_said() {
    let Some(server) = Server::start() else { return };
    // The greeting takes a few turns, for which no request waits.
    let far = slow(server.address, Duration::from_millis(600)).await;
    let instance = strict(&format!("redis://{far}"), 100, local(2));
    let mut count = 0;
    while instance.status(1).await == 200 {
        count += 1;
        assert!(count <= 50);
    }
    assert_eq!(count, 50, "it counts by itself");

    let near = slow(server.address, Duration::from_millis(2)).await;
    let url = format!("redis://{near}");
    let instances = [
        Instance::of(redis(&url), hourly(100), |counts| counts),
        Instance::of(redis(&url), hourly(100), |counts| counts),
    ];
    assert_eq!(admitted(&instances, 400, 2).await, 100);
}

/// Those who ask and leave before the connection's own time is over see to it all the same that it is given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_swallows_everything_is_given_up_for_those_in_a_hurry_too() {
    let Some(server) = Server::start() else { return };
    let (near, good) = holed(server.address).await;
    let instance = strict(&format!("redis://{near}"), 100_000, OnStoreFailure::Closed);
    instance.recover().await;
    assert_eq!(instance.status(1).await, 200);
    good.store(1, std::sync::atomic::Ordering::Release);
    let in_a_hurry = Duration::from_millis(100);
    super::support::eventually(async || {
        // No answer within the hurry, or none while the server is given time.
        tokio::time::timeout(in_a_hurry, instance.status(1)).await == Ok(200)
    })
    .await;
}

#[tokio::test]
async fn an_outage_is_said_once_and_its_end_too() {
    let Some(mut server) = Server::start() else { return };
    meet_call_sites_from_anywhere();
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let instance = strict(&server.url(), 1000, local(2));
    assert_eq!(instance.status(1).await, 200);
    server.kill();
    for _ in 0..100 {
        assert_eq!(instance.status(1).await, 200);
    }
    server.restart();
    instance.recover().await;
    let said = log.text();
    let lines: Vec<_> = said.lines().filter(|line| line.contains("tower_rampart")).collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].contains("WARN") && lines[0].contains("rate_limit_store_failed"), "{said}");
    let causes = ["the connection was lost", "nobody listens at the server's address"];
    assert!(causes.iter().any(|cause| lines[0].contains(&format!("cause=\"{cause}\""))), "{said}");
    assert!(lines[1].contains("INFO") && lines[1].contains("rate_limit_store_is_back"), "{said}");
}
