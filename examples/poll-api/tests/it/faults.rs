//! What goes wrong: two votes at one instant, a crash under load, a database that is locked, a disk that is full.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::future::join_all;
use http::Method;
use sqlx::{AnyConnection, Connection as _, Executor as _};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::{ADMIN_PASSWORD, PASSWORD, PATIENCE, Service, Setup};

/// So many people vote that the built-in limits would stop them.
const NO_LIMITS: &str = "[[rate_limit]]\nname = \"all\"\nquota = 1000000\nwindow = \"1m\"\n";

#[tokio::test]
async fn of_two_votes_at_one_instant_one_counts() {
    let service = Service::start().await;
    let (_, token) = service.user().await;
    for _ in 0..10 {
        let poll = service.poll(&token).await;
        let (one, two) = tokio::join!(service.vote(&token, &poll, 1), service.vote(&token, &poll, 2));
        let mut statuses = [one.status.as_u16(), two.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
        assert_eq!(service.votes(&poll).await.iter().sum::<i64>(), 1);
    }
}

#[tokio::test]
async fn tallies_are_the_sum_of_votes_after_a_crash_under_load() {
    let mut service = Setup::new().config(NO_LIMITS).start().await;
    let people = 24;
    let tokens = join_all((0..people).map(|_| service.user())).await;
    let tokens: Vec<_> = tokens.into_iter().map(|(_, token)| token).collect();
    let polls = join_all((0..8).map(|_| service.poll(&tokens[0]))).await;
    let counted = Arc::new(AtomicU64::new(0));
    let voting = join_all(tokens.iter().enumerate().map(|(at, token)| {
        let (service, polls, counted) = (&service, &polls, Arc::clone(&counted));
        async move {
            for poll in polls {
                let body = serde_json::json!({ "option_id": 1 + at % 2 });
                let request = service.posting(&format!("/v1/polls/{poll}/votes"), Some(token), &body);
                match service.try_send(request).await {
                    Some(answer) if answer.status == 201 => {
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                    Some(answer) => panic!("{answer:?}"),
                    None => return,
                }
            }
        }
    }));
    let crash = async {
        // Some votes are in, and more are on their way.
        while counted.load(Ordering::Relaxed) < 20 {
            tokio::task::yield_now().await;
        }
        service.signal("-KILL").await;
    };
    tokio::join!(voting, crash);
    service.wait().await;
    let told = counted.load(Ordering::Relaxed);
    assert!((20..people * 8).contains(&told), "it was killed in the middle: {told}");

    let service = Setup::new().config(NO_LIMITS).in_directory(service.into_directory()).start().await;
    sqlx::any::install_default_drivers();
    let url = format!("sqlite:{}", service.database().display());
    let mut database = AnyConnection::connect(&url).await.unwrap();
    let count = async |database: &mut AnyConnection, sql: &'static str| -> i64 {
        sqlx::query_scalar(sql).fetch_one(database).await.unwrap()
    };
    let votes = count(&mut database, "SELECT COUNT(*) FROM votes").await;
    let differing = count(
        &mut database,
        "SELECT COUNT(*) FROM tallies t WHERE t.votes <> \
         (SELECT COUNT(*) FROM votes v WHERE v.poll_id = t.poll_id AND v.option_id = t.option_id)",
    )
    .await;
    assert_eq!(differing, 0);
    // What was told to have been counted is there; what was not told may be.
    assert!(u64::try_from(votes).unwrap() >= told, "{votes} {told}");
    let mut shown = 0;
    for poll in &polls {
        shown += service.votes(poll).await.iter().sum::<i64>();
    }
    assert_eq!(shown, votes);
}

#[tokio::test]
async fn a_locked_database_refuses_writes_serves_reads_and_recovers() {
    let service = Service::start().await;
    let (_, token) = service.user().await;
    let poll = service.poll(&token).await;
    sqlx::any::install_default_drivers();
    let url = format!("sqlite:{}", service.database().display());
    let mut other = AnyConnection::connect(&url).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let refused = service.vote(&token, &poll, 1).await;
    refused.is_problem(503);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(service.votes(&poll).await, [0, 0]);
    service.get("/readyz").await.is(200);
    other.execute("ROLLBACK").await.unwrap();
    service.vote(&token, &poll, 1).await.is(201);
    assert_eq!(service.votes(&poll).await, [1, 0]);
}

/// Sends a request, and leaves when it is at work.
async fn send_and_leave(service: &Service, admin: &str, request: &str) {
    let in_flight = async || {
        let state = service.with_token(Method::GET, "/v1/admin/state", admin).await.is(200).json();
        state["load_shed"]["in_flight"].as_u64().unwrap()
    };
    let until = async |count: u64| {
        let waiting = async { while in_flight().await != count {} };
        tokio::time::timeout(PATIENCE, waiting).await.expect("it never came to that");
    };
    let mut connection = TcpStream::connect(service.address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    // Who asks is one of them.
    until(2).await;
    drop(connection);
    until(1).await;
}

#[tokio::test]
async fn a_poll_that_goes_while_it_is_listed_is_shown_whole_or_not_at_all() {
    let service = Setup::new().config(NO_LIMITS).start().await;
    let (_, token) = service.user().await;
    let done = AtomicBool::new(false);
    let list = async || {
        while !done.load(Ordering::Relaxed) {
            let asking = service.request(Method::GET, "/v1/polls?limit=100&expand=results");
            let asking = asking.header("cache-control", "no-cache").body(Default::default()).unwrap();
            for poll in service.send(asking).await.is(200).json()["items"].as_array().unwrap() {
                let count = |options: &serde_json::Value| options.as_array().map(Vec::len);
                assert_eq!(count(&poll["options"]), Some(2), "{poll}");
                assert_eq!(count(&poll["results"]["options"]), Some(2), "{poll}");
            }
        }
    };
    let write = async {
        for _ in 0..12 {
            let polls = join_all((0..8).map(|_| service.poll(&token))).await;
            let paths: Vec<_> = polls.iter().map(|poll| format!("/v1/polls/{poll}")).collect();
            let gone = join_all(paths.iter().map(|path| service.with_token(Method::DELETE, path, &token))).await;
            assert!(gone.iter().all(|answer| answer.status == 204));
        }
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(write, list(), list(), list(), list());
}

#[tokio::test]
async fn what_is_written_is_told_though_its_sender_has_left() {
    let service = Service::start().await;
    let (name, token) = service.user().await;
    let admin = service.token("admin", ADMIN_PASSWORD).await;
    let poll = service.poll(&token).await;
    sqlx::any::install_default_drivers();
    let url = format!("sqlite:{}", service.database().display());
    let mut other = AnyConnection::connect(&url).await.unwrap();

    // Both wait for the database when their senders leave.
    assert_eq!(service.votes(&poll).await, [0, 0]);
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let body = r#"{"option_id":1}"#;
    let vote = format!(
        "POST /v1/polls/{poll}/votes HTTP/1.1\r\nhost: polls\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    send_and_leave(&service, &admin, &vote).await;
    other.execute("ROLLBACK").await.unwrap();
    let counted = async { while service.votes(&poll).await != [1, 0] {} };
    tokio::time::timeout(PATIENCE, counted).await.expect("the cache was never told");

    let leaving = service.token(&name, PASSWORD).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let logout = format!(
        "POST /v1/auth/logout HTTP/1.1\r\nhost: polls\r\nauthorization: Bearer {leaving}\r\ncontent-length: 0\r\n\r\n"
    );
    send_and_leave(&service, &admin, &logout).await;
    other.execute("ROLLBACK").await.unwrap();
    let refused = async { while service.with_token(Method::GET, "/v1/polls", &leaving).await.status != 401 {} };
    tokio::time::timeout(PATIENCE, refused).await.expect("the token is good for ever");
}

#[tokio::test]
async fn a_full_disk_refuses_writes_serves_reads_and_loses_nothing() {
    let mut service = Setup::new().config(NO_LIMITS).file_kib(512).start().await;
    let (_, token) = service.user().await;
    let first = service.poll(&token).await;
    service.vote(&token, &first, 1).await.is(201);
    let body = serde_json::json!({ "question": "x".repeat(200), "options": ["a".repeat(100), "b".repeat(100)] });
    let mut made = 1;
    let refused = loop {
        let answer = service.post("/v1/polls", Some(&token), &body).await;
        if answer.status != 201 {
            break answer;
        }
        made += 1;
        assert!(made < 10_000, "it is never full");
    };
    refused.is_problem(503);
    assert_eq!(service.votes(&first).await, [1, 0]);
    service.get("/v1/polls?limit=100").await.is(200);
    service.get("/healthz").await.is(200);
    service.signal("-KILL").await;
    service.wait().await;

    let service = Setup::new().config(NO_LIMITS).in_directory(service.into_directory()).start().await;
    let (mut there, mut path) = (0, "/v1/polls?limit=100".to_owned());
    loop {
        let page = service.get(&path).await.is(200).json();
        there += page["items"].as_array().unwrap().len();
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/polls?limit=100&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(there, made);
    service.post("/v1/polls", Some(&token), &body).await.is(201);
}

#[tokio::test]
async fn votes_cannot_be_changed_even_by_hand() {
    let service = Service::start().await;
    let (_, token) = service.user().await;
    let poll = service.poll(&token).await;
    service.vote(&token, &poll, 1).await.is(201);
    sqlx::any::install_default_drivers();
    let url = format!("sqlite:{}", service.database().display());
    let mut database = AnyConnection::connect(&url).await.unwrap();
    for sql in ["UPDATE votes SET option_id = 2", "DELETE FROM votes"] {
        let error = database.execute(sql).await.unwrap_err().to_string();
        assert!(error.contains("append-only"), "{error}");
    }
}
