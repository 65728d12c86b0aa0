//! `/v1/polls/{id}/events`.

use http::{Method, Request};
use serde_json::Value;

use crate::support::{Events, Service};

async fn watch(service: &Service, poll: &str, seen: Option<&str>) -> Events {
    let mut request = Request::builder().method(Method::GET).uri(service.url(&format!("/v1/polls/{poll}/events")));
    request = request.header("accept-encoding", "gzip");
    if let Some(seen) = seen {
        request = request.header("last-event-id", seen);
    }
    let response = service.open(request.body(Default::default()).unwrap()).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(!response.headers().contains_key("content-encoding"), "nothing may hold it back");
    Events::of(response)
}

#[tokio::test]
async fn every_change_is_an_event() {
    let service = Service::start().await;
    let (_, ann) = service.user().await;
    let (_, bob) = service.user().await;
    let poll = service.poll(&ann).await;
    let mut events = watch(&service, &poll, None).await;
    let (_, first) = events.results().await;
    assert_eq!((&first["poll_id"], &first["total"]), (&poll.clone().into(), &0.into()));
    service.vote(&ann, &poll, 1).await.is(201);
    let (seen, after) = events.results().await;
    assert_eq!(after["options"][0]["votes"], 1);
    service.vote(&bob, &poll, 2).await.is(201);
    assert_eq!(events.results().await.1["total"], 2);

    // Who comes back is told what is new, and what is not is not told again.
    let mut behind = watch(&service, &poll, Some(&seen)).await;
    let (seen, now) = behind.results().await;
    assert_eq!(now["total"], 2);
    let mut up_to_date = watch(&service, &poll, Some(&seen)).await;
    service.post(&format!("/v1/polls/{poll}/close"), Some(&ann), &Value::Null).await.is(200);
    for events in [&mut events, &mut behind, &mut up_to_date] {
        let (_, closed) = events.results().await;
        assert_eq!((&closed["closed"], &closed["total"]), (&true.into(), &2.into()));
    }
    // A poll that is gone has no more events.
    service.with_token(Method::DELETE, &format!("/v1/polls/{poll}"), &ann).await.is(204);
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_silent_stream_says_that_it_is_there() {
    let service = Service::start().await;
    let (_, ann) = service.user().await;
    let poll = service.poll(&ann).await;
    let mut events = watch(&service, &poll, None).await;
    events.results().await;
    let block = events.next().await.unwrap();
    assert!(block.starts_with(':'), "{block}");
}

#[tokio::test]
async fn streams_end_when_the_service_drains() {
    let mut service = Service::start().await;
    let (_, ann) = service.user().await;
    let poll = service.poll(&ann).await;
    let mut events = watch(&service, &poll, None).await;
    events.results().await;
    service.signal("-INT").await;
    assert_eq!(events.next().await, None);
    assert_eq!(service.wait().await, Some(0));
}
