//! A small client of the gRPC twin.
//!
//! `cargo run -p poll-api --bin poll-client -- results <poll>`; what writes needs `--token`, an `access_token` of
//! `POST /v1/auth/login`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use poll_api::proto::polls_client::PollsClient;
use poll_api::proto::{
    CreatePollRequest, GetPollRequest, GetResultsRequest, Poll, Results, VoteRequest, WatchResultsRequest,
};
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status};

#[derive(Parser)]
#[command(name = "poll-client", version)]
struct Flags {
    /// The service.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000")]
    url: String,
    /// An access token.
    #[arg(long, env = "POLL_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
    #[command(subcommand)]
    call: Call,
}

#[derive(Subcommand)]
enum Call {
    /// Makes a poll.
    Create { question: String, options: Vec<String> },
    /// Shows a poll.
    Get { poll: String },
    /// Votes.
    Vote { poll: String, option: u32 },
    /// Shows how a poll stands.
    Results { poll: String },
    /// Shows how a poll stands, and every change.
    Watch { poll: String },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    let client = match Channel::from_shared(flags.url) {
        Ok(endpoint) => endpoint.connect().await.map(PollsClient::new).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let mut client = match client {
        Ok(client) => client,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    match call(&mut client, flags.token.as_deref(), flags.call).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(status) => {
            eprintln!("error: {:?}: {}", status.code(), status.message());
            ExitCode::FAILURE
        }
    }
}

async fn call(client: &mut PollsClient<Channel>, token: Option<&str>, call: Call) -> Result<(), Status> {
    match call {
        Call::Create { question, options } => {
            let asked = CreatePollRequest { question, options, closes_at: None };
            show_poll(client.create_poll(with_token(asked, token)?).await?.get_ref());
        }
        Call::Get { poll } => {
            show_poll(client.get_poll(with_token(GetPollRequest { id: poll }, token)?).await?.get_ref())
        }
        Call::Vote { poll, option } => {
            client.vote(with_token(VoteRequest { poll_id: poll, option_id: option }, token)?).await?;
            println!("counted");
        }
        Call::Results { poll } => {
            let asked = with_token(GetResultsRequest { poll_id: poll }, token)?;
            show_results(client.get_results(asked).await?.get_ref());
        }
        Call::Watch { poll } => {
            let asked = with_token(WatchResultsRequest { poll_id: poll }, token)?;
            let mut results = client.watch_results(asked).await?.into_inner();
            while let Some(results) = results.message().await? {
                show_results(&results);
            }
        }
    }
    Ok(())
}

fn with_token<T>(message: T, token: Option<&str>) -> Result<Request<T>, Status> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        let value: MetadataValue<_> =
            format!("Bearer {token}").parse().map_err(|_| Status::invalid_argument("the token is none"))?;
        request.metadata_mut().insert("authorization", value);
    }
    Ok(request)
}

fn show_poll(poll: &Poll) {
    println!("{}  {}  (by {}{})", poll.id, poll.question, poll.author, if poll.closed { ", closed" } else { "" });
    for option in &poll.options {
        println!("  {}  {}", option.id, option.text);
    }
}

fn show_results(results: &Results) {
    println!("{} votes{}", results.total, if results.closed { ", closed" } else { "" });
    for option in &results.options {
        println!("  {}  {}  {}", option.id, option.votes, option.text);
    }
}
