//! The gRPC twin: the same polls, on the same port, behind the same layers.

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use futures_util::{Stream, stream};
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tower_rampart::Identity;

use crate::app::App;
use crate::fault::Fault;
use crate::polls::Draft;
use crate::proto::polls_server::{Polls, PollsServer};
use crate::proto::{
    CreatePollRequest, GetPollRequest, GetResultsRequest, Option as PollOption, OptionResult, Poll, Results,
    VoteRequest, VoteResponse, WatchResultsRequest,
};
use crate::watcher::Told;
use crate::{clock, db};

/// Messages are small.
const MAX_MESSAGE_BYTES: usize = 64 << 10;

/// The service, as routes.
pub fn router(app: &Arc<App>) -> Router {
    let service = PollsServer::new(Twin(Arc::clone(app))).max_decoding_message_size(MAX_MESSAGE_BYTES);
    Routes::new(service).prepare().into_axum_router().reset_fallback()
}

struct Twin(Arc<App>);

type Watched = Pin<Box<dyn Stream<Item = Result<Results, Status>> + Send>>;

#[tonic::async_trait]
impl Polls for Twin {
    type WatchResultsStream = Watched;

    async fn create_poll(&self, request: Request<CreatePollRequest>) -> Result<Response<Poll>, Status> {
        let author = caller(&request)?;
        let asked = request.into_inner();
        let draft = Draft { question: asked.question, options: asked.options, closes_at: asked.closes_at };
        let created = self.0.polls.create(&author, draft, None, |_| String::new()).await;
        let id = created.map_err(|fault| fault.to_status())?.id;
        let poll = self.0.polls.get(&id).await.map_err(|fault| fault.to_status())?;
        Ok(Response::new(poll.into()))
    }

    async fn get_poll(&self, request: Request<GetPollRequest>) -> Result<Response<Poll>, Status> {
        let poll = self.0.polls.get(&request.into_inner().id).await.map_err(|fault| fault.to_status())?;
        Ok(Response::new(poll.into()))
    }

    async fn vote(&self, request: Request<VoteRequest>) -> Result<Response<VoteResponse>, Status> {
        let voter = caller(&request)?;
        let asked = request.into_inner();
        let voted = self.0.polls.vote(&voter, &asked.poll_id, i64::from(asked.option_id)).await;
        voted.map_err(|fault| fault.to_status())?;
        Ok(Response::new(VoteResponse {}))
    }

    async fn get_results(&self, request: Request<GetResultsRequest>) -> Result<Response<Results>, Status> {
        let results = self.0.polls.results(&request.into_inner().poll_id).await.map_err(|fault| fault.to_status())?;
        Ok(Response::new(results.into()))
    }

    async fn watch_results(&self, request: Request<WatchResultsRequest>) -> Result<Response<Watched>, Status> {
        let watcher = self.0.watch(&request.into_inner().poll_id).await.map_err(|fault| fault.to_status())?;
        let results = stream::unfold(watcher, |mut watcher| async move {
            loop {
                // HTTP/2 has pings of its own.
                if let Told::Results(results) = watcher.next().await? {
                    return Some((Ok(results.into()), watcher));
                }
            }
        });
        Ok(Response::new(Box::pin(results)))
    }
}

/// The caller, whom the layers have let in.
fn caller<T>(request: &Request<T>) -> Result<Identity, Status> {
    const STRANGER: Fault = Fault::Unauthenticated("A token is needed.");
    request.extensions().get::<Identity>().cloned().ok_or_else(|| STRANGER.to_status())
}

impl From<db::Poll> for Poll {
    fn from(poll: db::Poll) -> Self {
        let option = |(id, text)| PollOption { id: narrow(id), text };
        Self {
            id: poll.id,
            question: poll.question,
            options: poll.options.into_iter().map(option).collect(),
            author: poll.author,
            created_at: clock::show(poll.created_at),
            closes_at: poll.closes_at.map(clock::show),
            closed: poll.closed,
        }
    }
}

impl From<db::Results> for Results {
    fn from(results: db::Results) -> Self {
        let option = |tally: db::Tally| OptionResult {
            id: narrow(tally.id),
            text: tally.text,
            votes: u64::try_from(tally.votes).unwrap_or_default(),
        };
        Self {
            poll_id: results.poll_id,
            total: u64::try_from(results.total).unwrap_or_default(),
            closed: results.closed,
            options: results.options.into_iter().map(option).collect(),
        }
    }
}

/// Option ids are 1 to 20.
fn narrow(id: i64) -> u32 {
    u32::try_from(id).unwrap_or_default()
}
