//! Instances that count as one.

use std::time::Duration;

use http::StatusCode;
use tower_rampart::rate_limit::{Quota, testing};

use super::support::{HOUR, Instance, Server, admitted, field, hourly, redis};

#[tokio::test]
async fn the_store_keeps_what_it_promises() {
    let Some(server) = Server::start() else { return };
    let store = redis(&server.url()).limits();
    testing::check_store(&store, "suite", async |time| tokio::time::sleep(time).await).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_admit_exactly_the_quota() {
    let Some(server) = Server::start() else { return };
    let instances = [Instance::hourly(&server.url(), 100), Instance::hourly(&server.url(), 100)];
    assert_eq!(admitted(&instances, 400, 1).await, 100);
    assert_eq!(admitted(&instances, 400, 2).await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admitted_request_is_one_command_and_a_refused_client_none() {
    let Some(server) = Server::start() else { return };
    let instance = Instance::hourly(&server.url(), 10);
    // The server learns the script.
    assert_eq!(instance.status(9).await, 200);
    let monitor = server.monitor();
    for _ in 0..10 {
        assert_eq!(instance.status(1).await, 200);
    }
    assert_eq!(monitor.scripts(), 10);
    // The first refusal is the server's, all others are known.
    assert_eq!(instance.status(1).await, 429);
    let monitor = server.monitor();
    for _ in 0..100 {
        let answer = instance.send(1).await;
        assert_eq!(answer.status(), 429);
        assert!((1..=360).contains(&field(&answer, "retry-after").parse::<u64>().unwrap()));
    }
    assert_eq!(monitor.scripts(), 0);
}

#[tokio::test]
async fn clients_are_told_what_both_have_left() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (Instance::hourly(&server.url(), 3), Instance::hourly(&server.url(), 3));
    assert_eq!(field(&one.send(1).await, "ratelimit"), "\"default\";r=2;t=1200");
    let answer = other.send(1).await;
    assert!(field(&answer, "ratelimit").starts_with("\"default\";r=1;t="), "{answer:?}");
    assert_eq!(field(&answer, "ratelimit-policy"), "\"default\";q=3;w=3600");
    one.send(1).await;
    let refused = other.send(1).await;
    assert_eq!(refused.status(), 429);
    assert!(field(&refused, "ratelimit").starts_with("\"default\";r=0;t="), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_admit_no_more_than_the_quota_and_ask_seldom() {
    let Some(server) = Server::start() else { return };
    let leased = || Instance::of(redis(&server.url()), hourly(1000), |counts| counts.leased(true));
    let instances = [leased(), leased()];
    // The server learns the script.
    instances[0].send(9).await;
    let monitor = server.monitor();
    let mut count = 0;
    for turn in 0..2000 {
        count += usize::from(instances[turn % 2].status(1).await == 200);
    }
    let asked = monitor.scripts();
    // A second of an hour's quota is less than a token, and what the leases hold at the end is used up.
    assert!((990..=1000).contains(&count), "{count} were admitted");
    assert!(asked < 200, "{asked} commands for {count} requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_of_a_crowd_admit_no_more_than_the_quota() {
    let Some(server) = Server::start() else { return };
    let leased = || Instance::of(redis(&server.url()), hourly(200), |counts| counts.leased(true));
    let instances: Vec<_> = (0..8).map(|_| leased()).collect();
    let count = admitted(&instances, 1600, 1).await;
    assert!((150..=200).contains(&count), "{count} were admitted");
}

#[tokio::test]
async fn charges_that_do_not_stand_come_back_for_all() {
    let Some(server) = Server::start() else { return };
    let failures = || {
        Instance::of(redis(&server.url()), hourly(2).count_statuses([http::StatusCode::UNAUTHORIZED]), |counts| counts)
    };
    let (one, other) = (failures(), failures());
    for _ in 0..5 {
        assert_eq!(one.send_for(1, StatusCode::OK).await.status(), 200);
        // The server is told behind the response's back.
        until(async || field(&other.send_for(1, StatusCode::OK).await, "ratelimit").contains("r=2")).await;
    }
    for _ in 0..2 {
        assert_eq!(one.send_for(1, StatusCode::UNAUTHORIZED).await.status(), 401);
    }
    assert_eq!(other.send_for(1, StatusCode::UNAUTHORIZED).await.status(), 429);
}

/// Tries until it holds.
async fn until(holds: impl AsyncFn() -> bool) {
    for _ in 0..500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never holds");
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_count_together_too() {
    let Some(server) = Server::start() else { return };
    let policy = || {
        tower_rampart::rate_limit::Policy::new("window", Quota::new(100).per(HOUR).fixed_window())
            .key(tower_rampart::key::ClientIp::new())
    };
    let instance = || Instance::of(redis(&server.url()), policy(), |counts| counts);
    assert_eq!(admitted(&[instance(), instance()], 400, 1).await, 100);
}
