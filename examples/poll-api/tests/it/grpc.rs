//! The gRPC twin.

use poll_api::proto::polls_client::PollsClient;
use poll_api::proto::{CreatePollRequest, GetPollRequest, GetResultsRequest, VoteRequest, WatchResultsRequest};
use tonic::transport::Channel;
use tonic::{Code, Request};

use crate::support::Service;

async fn client(service: &Service) -> PollsClient<Channel> {
    PollsClient::connect(service.url("")).await.unwrap()
}

fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

fn draft(question: &str) -> CreatePollRequest {
    CreatePollRequest { question: question.into(), options: vec!["yes".into(), "no".into()], closes_at: None }
}

#[tokio::test]
async fn the_same_polls_are_there_by_both_protocols() {
    let service = Service::start().await;
    let (name, token) = service.user().await;
    let mut client = client(&service).await;
    let poll = client.create_poll(with_token(draft("By gRPC?"), &token)).await.unwrap().into_inner();
    assert_eq!((poll.author.as_str(), poll.options.len(), poll.options[1].id), (name.as_str(), 2, 2));
    let seen = service.get(&format!("/v1/polls/{}", poll.id)).await.is(200).json();
    assert_eq!((&seen["question"], &seen["created_at"]), (&"By gRPC?".into(), &poll.created_at.clone().into()));
    assert_eq!(client.get_poll(GetPollRequest { id: poll.id.clone() }).await.unwrap().into_inner(), poll);

    let asked = WatchResultsRequest { poll_id: poll.id.clone() };
    let mut watched = client.watch_results(asked).await.unwrap().into_inner();
    assert_eq!(watched.message().await.unwrap().unwrap().total, 0);
    assert_eq!(service.votes(&poll.id).await, [0, 0]);
    let vote = VoteRequest { poll_id: poll.id.clone(), option_id: 2 };
    client.vote(with_token(vote.clone(), &token)).await.unwrap();
    // Its effect is seen at once over HTTP, whose cache was purged.
    assert_eq!(service.votes(&poll.id).await, [0, 1]);
    let results = watched.message().await.unwrap().unwrap();
    assert_eq!((results.total, results.options[1].votes), (1, 1));
    let asked = GetResultsRequest { poll_id: poll.id.clone() };
    assert_eq!(client.get_results(asked).await.unwrap().into_inner(), results);
    assert_eq!(client.vote(with_token(vote, &token)).await.unwrap_err().code(), Code::AlreadyExists);
}

#[tokio::test]
async fn refusals_are_statuses() {
    let service = Service::start().await;
    let (_, token) = service.user().await;
    let mut client = client(&service).await;
    // By the layers.
    let status = client.create_poll(draft("?")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let status = client.create_poll(with_token(draft("?"), "made.up.token")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    // By the service.
    let status = client.create_poll(with_token(draft(""), &token)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("#/question"), "{status:?}");
    let get = async |id: &str| {
        let mut client = client.clone();
        client.get_poll(GetPollRequest { id: id.into() }).await.unwrap_err().code()
    };
    assert_eq!(get("seven").await, Code::InvalidArgument);
    assert_eq!(get("0193b0c5-7a2e-7c3f-9e10-0123456789ab").await, Code::NotFound);
    let poll = service.poll(&token).await;
    service.post(&format!("/v1/polls/{poll}/close"), Some(&token), &serde_json::Value::Null).await.is(200);
    let vote = VoteRequest { poll_id: poll, option_id: 1 };
    assert_eq!(client.vote(with_token(vote, &token)).await.unwrap_err().code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn the_limits_are_the_same() {
    let limit = "[[rate_limit]]\nname = \"write\"\nquota = 2\nwindow = \"1h\"\n\
        key = [\"subject\", \"header:x-poll-write\"]\non_missing_key = \"pass\"\n";
    let service = crate::support::Setup::new().config(limit).start().await;
    let (_, token) = service.user().await;
    let mut client = client(&service).await;
    let poll = client.create_poll(with_token(draft("?"), &token)).await.unwrap().into_inner();
    // One by each protocol, and the quota is used up for both.
    service.vote(&token, &poll.id, 1).await.is(201);
    let status = client.create_poll(with_token(draft("?"), &token)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    service.vote(&token, &poll.id, 1).await.is_problem(429);
    // Reading is not writing, though gRPC calls are all POST.
    for _ in 0..3 {
        client.get_poll(with_token(GetPollRequest { id: poll.id.clone() }, &token)).await.unwrap();
    }
}

#[tokio::test]
async fn streams_end_when_the_service_drains() {
    let mut service = Service::start().await;
    let (_, token) = service.user().await;
    let poll = service.poll(&token).await;
    let mut client = client(&service).await;
    let mut watched = client.watch_results(WatchResultsRequest { poll_id: poll }).await.unwrap().into_inner();
    watched.message().await.unwrap().unwrap();
    service.signal("-INT").await;
    assert!(watched.message().await.unwrap().is_none());
    drop(client);
    assert_eq!(service.wait().await, Some(0));
}

#[tokio::test]
async fn the_small_client_speaks_to_it() {
    let service = Service::start().await;
    let (_, token) = service.user().await;
    let run = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_poll-client"));
        command.args(["--url", &service.url(""), "--token", &token]).args(arguments);
        let output = command.output().await.unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (done, shown, _) = run(&["create", "Tea?", "yes", "no"]).await;
    assert!(done && shown.contains("Tea?"), "{shown}");
    let id = shown.split_whitespace().next().unwrap();
    assert_eq!(run(&["vote", id, "1"]).await.1, "counted\n");
    let (done, _, error) = run(&["vote", id, "1"]).await;
    assert!(!done && error.contains("AlreadyExists"), "{error}");
    assert_eq!(run(&["results", id]).await.1, "1 votes\n  1  1  yes\n  2  0  no\n");
}
