//! Work that is done to its end, though whoever asked for it may leave: what is stored must then be told, too.

use crate::fault::{Fault, Result};

/// What came of it. Who is dropped on the way leaves the work going on.
pub async fn to_completion<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(Fault::internal("a write was not done to its end", error)))
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_goes_on_when_nobody_waits() {
        let (begin, began) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let mut work = Box::pin(to_completion(async move {
            began.await.unwrap();
            end.send(7).unwrap();
            Ok(())
        }));
        let is_pending = std::future::poll_fn(|context| Poll::Ready(work.as_mut().poll(context).is_pending())).await;
        assert!(is_pending);
        drop(work);
        begin.send(()).unwrap();
        assert_eq!(ended.await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_is_a_fault_of_ours() {
        assert_eq!(to_completion::<()>(async { panic!("at work") }).await, Err(Fault::Internal));
    }
}
