//! `/v1/polls`: each row of the README's table.

use http::Method;
use serde_json::{Value, json};

use crate::support::{ADMIN_PASSWORD, Service};

fn draft() -> Value {
    json!({ "question": "Tabs or spaces?", "options": ["tabs", "spaces", "both"] })
}

#[tokio::test]
async fn a_poll_is_made_and_read() {
    let service = Service::start().await;
    let (name, token) = service.user().await;
    let made = service.post("/v1/polls", Some(&token), &draft()).await.is(201);
    let poll = made.json();
    let id = poll["id"].as_str().unwrap();
    assert_eq!(made.header("location"), Some(format!("/v1/polls/{id}").as_str()));
    assert_eq!(&id[14..15], "7", "a UUIDv7");
    let keys: Vec<_> = poll.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["author", "closed", "closes_at", "created_at", "id", "options", "question"]);
    let options = json!([
        { "id": 1, "text": "tabs" }, { "id": 2, "text": "spaces" }, { "id": 3, "text": "both" }
    ]);
    assert_eq!(poll["options"], options);
    assert_eq!((&poll["author"], &poll["closed"]), (&json!(name), &json!(false)));
    assert_eq!(service.get(&format!("/v1/polls/{id}")).await.is(200).json(), poll);
    assert_eq!(service.get("/v1/polls").await.is(200).json()["items"][0], poll);
    let results = service.get(&format!("/v1/polls/{id}/results")).await.is(200).json();
    assert_eq!(results["poll_id"], id);
    assert_eq!((&results["total"], &results["closed"]), (&json!(0), &json!(false)));
    assert_eq!(results["options"][2], json!({ "id": 3, "text": "both", "votes": 0 }));
}

#[tokio::test]
async fn what_breaks_rules_is_told_with_its_place() {
    let service = Service::start().await;
    let (_, token) = service.user().await;
    for (body, pointer) in [
        (json!({ "question": "", "options": ["a", "b"] }), "#/question"),
        (json!({ "question": "?", "options": ["a"] }), "#/options"),
        (json!({ "question": "?", "options": ["", "b"] }), "#/options/0"),
        (json!({ "question": "?", "options": ["a", "x".repeat(101)] }), "#/options/1"),
        (json!({ "question": "?", "options": ["a", "a"] }), "#/options"),
        (json!({ "question": "?", "options": ["a", 7] }), "#/options/1"),
        (json!({ "question": "x".repeat(201), "options": ["a", "b"] }), "#/question"),
        (json!({ "question": "?", "options": ["a", "b"], "closes_at": "2001-01-01T00:00:00Z" }), "#/closes_at"),
        (json!({ "question": "?", "options": ["a", "b"], "closes_at": "tomorrow" }), "#/closes_at"),
    ] {
        let problem = service.post("/v1/polls", Some(&token), &body).await.is_problem(422);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body} {problem}");
    }
    service.post("/v1/polls", Some(&token), &json!({ "question": "?" })).await.is_problem(422);
    let odd = json!({ "question": "?", "options": ["a", "b"], "extra": 1 });
    service.post("/v1/polls", Some(&token), &odd).await.is_problem(422);
    for text in ["{", "", "{\"question\":\"a\",\"question\":\"b\",\"options\":[\"a\",\"b\"]}"] {
        let mut request = service.posting("/v1/polls", Some(&token), &draft());
        *request.body_mut() = text.into();
        service.send(request).await.is_problem(400);
    }
    let mut long = service.posting("/v1/polls", Some(&token), &draft());
    *long.body_mut() = "x".repeat(65 << 10).into();
    service.send(long).await.is_problem(413);
}

#[tokio::test]
async fn strangers_and_unknown_polls_are_told_apart() {
    let service = Service::start().await;
    let (_, token) = service.user().await;
    let unknown = "/v1/polls/0193b0c5-7a2e-7c3f-9e10-0123456789ab";
    service.post("/v1/polls", None, &draft()).await.is_problem(401);
    service.post(&format!("{unknown}/votes"), None, &json!({ "option_id": 1 })).await.is_problem(401);
    service.post(&format!("{unknown}/votes"), Some(&token), &json!({ "option_id": 1 })).await.is_problem(404);
    service.with_token(Method::DELETE, unknown, &token).await.is_problem(404);
    for path in ["", "/results", "/events"] {
        service.get(&format!("{unknown}{path}")).await.is_problem(404);
        service.get(&format!("/v1/polls/seven{path}")).await.is_problem(400);
    }
}

#[tokio::test]
async fn a_vote_counts_once_and_is_seen_at_once() {
    let service = Service::start().await;
    let (_, ann) = service.user().await;
    let (_, bob) = service.user().await;
    let poll = service.poll(&ann).await;
    // All of these are in the cache before anybody votes.
    let listed = "/v1/polls?expand=results";
    let shown = format!("/v1/polls/{poll}?expand=results");
    assert_eq!(service.votes(&poll).await, [0, 0]);
    for path in [listed, &shown] {
        service.get(path).await.is(200);
    }
    service.vote(&ann, &poll, 1).await.is(201);
    assert_eq!(service.votes(&poll).await, [1, 0]);
    assert_eq!(service.get(listed).await.json()["items"][0]["results"]["total"], 1);
    assert_eq!(service.get(&shown).await.json()["results"]["total"], 1);
    service.vote(&ann, &poll, 2).await.is_problem(409);
    let voted = service.vote(&bob, &poll, 2).await.is(201);
    assert_eq!(voted.json(), json!({ "poll_id": poll, "option_id": 2 }));
    assert_eq!(service.votes(&poll).await, [1, 1]);
    let problem = service.vote(&bob, &poll, 3).await.is_problem(422);
    assert_eq!(problem["errors"][0]["pointer"], "#/option_id");
    service.vote(&bob, &poll, 0).await.is_problem(422);
}

#[tokio::test]
async fn results_come_from_the_cache_and_304_says_nothing_changed() {
    let service = Service::start().await;
    let (_, token) = service.user().await;
    let poll = service.poll(&token).await;
    for path in [format!("/v1/polls/{poll}/results"), format!("/v1/polls/{poll}"), "/v1/polls?limit=5".to_owned()] {
        let miss = service.get(&path).await.is(200);
        assert!(miss.header("cache-status").unwrap().contains("fwd="), "{miss:?}");
        let hit = service.get(&path).await.is(200);
        assert!(hit.header("cache-status").unwrap().contains("hit"), "{hit:?}");
        assert_eq!((&hit.body, hit.header("etag")), (&miss.body, miss.header("etag")));
        let etag = hit.header("etag").unwrap();
        let asking = service.request(Method::GET, &path).header("if-none-match", etag);
        let same = service.send(asking.body(http_body_util::Full::default()).unwrap()).await.is(304);
        assert!(same.body.is_empty());
        // With a token it is the same answer, and everybody's.
        let known = service.with_token(Method::GET, &path, &token).await.is(200);
        assert!(known.header("cache-status").unwrap().contains("hit"), "{known:?}");
    }
    // Past the cache the handler says it, too.
    let path = format!("/v1/polls/{poll}/results?fields=total");
    let etag = service.get(&path).await.is(200).header("etag").unwrap().to_owned();
    service.vote(&token, &poll, 1).await.is(201);
    let asking = || service.request(Method::GET, &path).header("if-none-match", &etag);
    service.send(asking().body(http_body_util::Full::default()).unwrap()).await.is(200);
}

#[tokio::test]
async fn owners_and_admins_close_and_delete() {
    let service = Service::start().await;
    let (_, ann) = service.user().await;
    let (_, bob) = service.user().await;
    let admin = service.token("admin", ADMIN_PASSWORD).await;
    let poll = service.poll(&ann).await;
    let path = format!("/v1/polls/{poll}");
    let close = format!("{path}/close");
    service.get(&path).await.is(200);
    service.post(&close, Some(&bob), &Value::Null).await.is_problem(403);
    service.with_token(Method::DELETE, &path, &bob).await.is_problem(403);
    let closed = service.post(&close, Some(&ann), &Value::Null).await.is(200).json();
    assert_eq!(closed["closed"], true);
    assert_eq!(service.get(&path).await.json()["closed"], true);
    assert_eq!(service.get("/v1/polls").await.json()["items"][0]["closed"], true);
    service.vote(&bob, &poll, 1).await.is_problem(409);
    // Closed once more, it is closed.
    service.post(&close, Some(&admin), &Value::Null).await.is(200);
    service.with_token(Method::DELETE, &path, &admin).await.is(204);
    service.get(&path).await.is_problem(404);
    service.get(&format!("{path}/results")).await.is_problem(404);
    service.vote(&bob, &poll, 1).await.is_problem(404);
    assert_eq!(service.get("/v1/polls").await.json()["items"], json!([]));
    service.with_token(Method::DELETE, &path, &admin).await.is_problem(404);
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps() {
    let service = Service::start().await;
    let (_, token) = service.user().await;
    let mut made = Vec::new();
    for _ in 0..7 {
        made.push(service.poll(&token).await);
    }
    made.reverse();
    let (mut seen, mut path) = (Vec::new(), "/v1/polls?limit=3".to_owned());
    loop {
        let page = service.get(&path).await.is(200).json();
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|poll| poll["id"].as_str().unwrap().to_owned()));
        assert_eq!(items[0]["options"].as_array().unwrap().len(), 2);
        // What is made meanwhile does not move the pages.
        service.poll(&token).await;
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/polls?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, made);
    for query in ["limit=0", "limit=101", "limit=", "limit=x", "cursor=x", "cursor=", "order=up", "fields=secret"] {
        service.get(&format!("/v1/polls?{query}")).await.is_problem(400);
    }
}

#[tokio::test]
async fn fields_pick_and_expand_embeds() {
    let service = Service::start().await;
    let (name, token) = service.user().await;
    let poll = service.poll(&token).await;
    let picked = service.get(&format!("/v1/polls/{poll}?fields=id,closed")).await.is(200).json();
    assert_eq!(picked, json!({ "id": poll, "closed": false }));
    let embedded = service.get(&format!("/v1/polls/{poll}?expand=author,results")).await.is(200).json();
    assert_eq!(embedded["author"]["username"], name);
    assert_eq!(embedded["results"]["total"], 0);
    let picked = service.get("/v1/polls?expand=results&fields=results").await.is(200).json();
    assert_eq!(picked["items"][0].as_object().unwrap().len(), 1);
    let total = service.get(&format!("/v1/polls/{poll}/results?fields=total")).await.is(200).json();
    assert_eq!(total, json!({ "total": 0 }));
    for query in ["expand=author.polls", "expand=votes", "fields=password"] {
        service.get(&format!("/v1/polls/{poll}?{query}")).await.is_problem(400);
    }
}

#[tokio::test]
async fn an_idempotency_key_makes_one_poll() {
    let service = Service::start().await;
    let (_, ann) = service.user().await;
    let (_, bob) = service.user().await;
    let create = async |token: &str, key: &str, body: &Value| {
        let mut request = service.posting("/v1/polls", Some(token), body);
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
        service.send(request).await
    };
    let first = create(&ann, "k-1", &draft()).await.is(201);
    assert_eq!(first.header("idempotency-replayed"), None);
    // Quoted and bare are one key.
    let again = create(&ann, "\"k-1\"", &draft()).await.is(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!((again.json(), again.header("location")), (first.json(), first.header("location")));
    // What is asked for counts, and not how it is written.
    let mut spaced = service.posting("/v1/polls", Some(&ann), &draft()).map(|_| {
        let text = draft().to_string().replace(':', " : ").replace(',', " , ");
        http_body_util::Full::new(bytes::Bytes::from(text))
    });
    spaced.headers_mut().insert("idempotency-key", "k-1".parse().unwrap());
    spaced.headers_mut().remove("content-length");
    assert_eq!(service.send(spaced).await.is(201).json(), first.json());
    create(&ann, "k-1", &json!({ "question": "?", "options": ["a", "b"] })).await.is_problem(422);
    assert_ne!(create(&bob, "k-1", &draft()).await.is(201).json()["id"], first.json()["id"]);
    create(&ann, &"x".repeat(256), &draft()).await.is_problem(400);
    // What was refused was not done, and may be done.
    create(&ann, "k-2", &json!({ "question": "", "options": [] })).await.is_problem(422);
    create(&ann, "k-2", &draft()).await.is(201);
    // At one instant: one is done, the others hear so or are told to wait.
    let body = draft();
    let (one, two, three) =
        tokio::join!(create(&ann, "k-3", &body), create(&ann, "k-3", &body), create(&ann, "k-3", &body));
    let answers = [one, two, three];
    for answer in &answers {
        assert!([201, 409].contains(&answer.status.as_u16()), "{answer:?}");
    }
    let done = answers.iter().filter(|answer| answer.status == 201 && answer.header("idempotency-replayed").is_none());
    assert_eq!(done.count(), 1);
}

#[tokio::test]
async fn every_answer_is_compressed_for_who_asks_and_hardened_for_all() {
    let service = Service::start().await;
    let (_, token) = service.user().await;
    for _ in 0..5 {
        service.poll(&token).await;
    }
    let request = service.request(Method::GET, "/v1/polls").header("accept-encoding", "gzip");
    let zipped = service.send(request.body(http_body_util::Full::default()).unwrap()).await.is(200);
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    let plain = service.get("/v1/polls").await.is(200);
    assert_eq!(plain.header("content-encoding"), None);
    for answer in [plain, service.get("/v1/nothing").await, service.get("/v1/polls/x").await] {
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(answer.header("content-security-policy").unwrap().starts_with("default-src 'none'"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_poll_closes_by_itself() {
    let service = Service::start().await;
    let (_, token) = service.user().await;
    let at = time::OffsetDateTime::now_utc() + time::Duration::milliseconds(1500);
    let at = at.format(&time::format_description::well_known::Rfc3339).unwrap();
    let body = json!({ "question": "Soon?", "options": ["yes", "no"], "closes_at": at });
    let poll = service.post("/v1/polls", Some(&token), &body).await.is(201).json();
    let id = poll["id"].as_str().unwrap();
    // The event of the closing is waited for, not the clock.
    let watching = service.request(Method::GET, &format!("/v1/polls/{id}/events"));
    let mut events = crate::support::Events::of(service.open(watching.body(Default::default()).unwrap()).await);
    assert_eq!(events.results().await.1["closed"], false);
    assert_eq!(events.results().await.1["closed"], true);
    service.vote(&token, id, 1).await.is_problem(409);
    assert_eq!(service.get(&format!("/v1/polls/{id}/results")).await.json()["closed"], true);
    assert_eq!(service.get(&format!("/v1/polls/{id}")).await.json()["closed"], true);
}
