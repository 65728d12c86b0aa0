//! Waiting for another's response.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use super::super::core::Shared;
use super::super::flight::{Follow, Outcome};
use crate::spine::clock::Sleep;

/// How a wait ended.
pub(super) enum Waited {
    Shared(Shared),
    Declined,
    Failed,
    TooLong,
}

/// Waits until there is an outcome, or patience ends. Outside of a runtime there is no timer, and patience has no end.
pub(super) async fn wait(follow: Follow<Shared>, mut patience: Option<Sleep>) -> Waited {
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = follow.poll(cx.waker()) {
            return Poll::Ready(match outcome {
                Outcome::Shared(shared) => Waited::Shared(shared),
                Outcome::Declined => Waited::Declined,
                Outcome::Failed => Waited::Failed,
            });
        }
        match &mut patience {
            Some(patience) => Pin::new(patience).poll(cx).map(|()| Waited::TooLong),
            None => Poll::Pending,
        }
    })
    .await
}
