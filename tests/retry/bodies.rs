//! Bodies that are sent again.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use tower::{Layer, ServiceExt as _, service_fn};
use tower_rampart::retry::{ReplayBody, Retries, RetryLayer};

use crate::support::{Error, millis};

/// How an upstream treats a call: it reads so many frames, or all, and answers.
#[derive(Debug, Clone, Copy)]
struct Treat {
    frames: usize,
    status: u16,
}

const fn treat(frames: usize, status: u16) -> Treat {
    Treat { frames, status }
}

const ALL: usize = usize::MAX;

/// What the upstream read of each try, and what the client got in the end.
async fn send<B>(retries: Retries, treats: &[Treat], body: B) -> (Vec<usize>, u16, Vec<u8>)
where
    B: Body<Data = Bytes, Error = Infallible> + Unpin + Send + 'static,
{
    let read = Arc::new(Mutex::new(Vec::new()));
    let last = Arc::new(Mutex::new(Vec::new()));
    let treats = Arc::new(Mutex::new(treats.iter().copied().collect::<VecDeque<_>>()));
    let upstream = {
        let (read, last) = (Arc::clone(&read), Arc::clone(&last));
        service_fn(move |request: Request<ReplayBody<B>>| {
            let treat = treats.lock().unwrap().pop_front().expect("no further try");
            let (read, last) = (Arc::clone(&read), Arc::clone(&last));
            async move {
                let mut body = request.into_body();
                let mut bytes = Vec::new();
                let mut frames = 0;
                while frames < treat.frames
                    && let Some(frame) = body.frame().await
                {
                    frames += 1;
                    bytes.extend_from_slice(frame.unwrap().data_ref().unwrap_or(&Bytes::new()));
                }
                read.lock().unwrap().push(bytes.len());
                *last.lock().unwrap() = bytes;
                let answer = Response::builder().status(treat.status).body(Empty::<Bytes>::new()).unwrap();
                Ok::<_, Error>(answer)
            }
        })
    };
    let policy = retries.backoff(millis(1), millis(1)).build().unwrap();
    let request = Request::put("http://x/").body(body).unwrap();
    let response = RetryLayer::new(policy).layer(upstream).oneshot(request).await.unwrap();
    let (read, last) = (read.lock().unwrap().clone(), last.lock().unwrap().clone());
    (read, response.status().as_u16(), last)
}

/// Of unknown length.
fn streamed(
    pieces: impl IntoIterator<Item = Vec<u8>, IntoIter: Send + 'static>,
) -> impl Body<Data = Bytes, Error = Infallible> + Unpin + Send + 'static {
    let frames = pieces.into_iter().map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from(piece))));
    StreamBody::new(futures_util::stream::iter(frames))
}

const CAP: usize = 64 << 10;

#[tokio::test(start_paused = true)]
async fn each_try_gets_the_whole() {
    let whole: Vec<u8> = (0..=255).cycle().take(30_000).collect();
    let pieces = whole.chunks(10_000).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let treats = [treat(1, 503), treat(ALL, 502), treat(ALL, 200)];
    let (read, status, last) = send(Retries::new(), &treats, streamed(pieces)).await;
    assert_eq!((read, status), (vec![10_000, 30_000, 30_000], 200));
    assert_eq!(last, whole);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_says_it_is_too_long_is_sent_once() {
    let (read, status, _) = send(Retries::new(), &[treat(ALL, 503)], Full::new(Bytes::from(vec![0; CAP + 1]))).await;
    assert_eq!((read, status), (vec![CAP + 1], 503));
    let treats = [treat(ALL, 503), treat(ALL, 200)];
    let (read, status, _) = send(Retries::new(), &treats, Full::new(Bytes::from(vec![0; CAP]))).await;
    assert_eq!((read, status), (vec![CAP, CAP], 200));
}

#[tokio::test(start_paused = true)]
async fn one_that_turns_out_to_be_streams_through() {
    let pieces = || [vec![1; CAP], vec![2; 1]];
    let (read, status, _) = send(Retries::new(), &[treat(ALL, 503)], streamed(pieces())).await;
    assert_eq!((read, status), (vec![CAP + 1], 503));
    // It was not read so far when the first try failed: the second one gets all of it, and is the last.
    let (read, status, last) = send(Retries::new(), &[treat(1, 503), treat(ALL, 503)], streamed(pieces())).await;
    assert_eq!((read, status), (vec![CAP, CAP + 1], 503));
    assert_eq!(last, pieces().concat());
}

#[tokio::test(start_paused = true)]
async fn there_is_room_for_so_many_bytes_together() {
    let retries = || Retries::new().buffer_bytes(1000);
    let (read, status, _) = send(retries(), &[treat(ALL, 503)], Full::new(Bytes::from(vec![0; 1001]))).await;
    assert_eq!((read, status), (vec![1001], 503));
    let (read, _, _) =
        send(retries(), &[treat(ALL, 503), treat(ALL, 200)], Full::new(Bytes::from(vec![0; 1000]))).await;
    assert_eq!(read, [1000, 1000]);
    let (read, _, _) = send(retries().body_bytes(0), &[treat(ALL, 503)], Full::new(Bytes::from_static(b"x"))).await;
    assert_eq!(read, [1]);
}

/// What may not be made twice is not kept either.
#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_kept_is_the_very_one() {
    let policy = Retries::new().build().unwrap();
    let request = Request::post("/").body(Full::new(Bytes::from_static(b"hello"))).unwrap();
    let kept = policy.keep(request);
    assert_eq!(format!("{:?}", kept.body()), "ReplayBody { can_replay: false, .. }");
    let data = kept.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(data, "hello");
}
