//! Six layers of ours beside six of others: in what both answer alike, and in what not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use peers::headers::TWELVE;
use peers::tokens::{JUNK, SIGNED};
use peers::whole::{BODY_BYTES, Setup, ours, request, theirs};
use tower::ServiceExt as _;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Ours and theirs, and how often each has called its handler.
fn both(setup: Setup) -> [(Router, Arc<AtomicUsize>); 2] {
    [ours, theirs].map(|make| {
        let calls = Arc::default();
        (make(setup, &calls).unwrap(), calls)
    })
}

/// What both answer to the same request, ours first.
async fn answers(setup: Setup, make: impl Fn() -> Request<Body>) -> [(StatusCode, HeaderMap, Bytes); 2] {
    let [(ours, _), (theirs, _)] = both(setup);
    [ask(&ours, make()).await, ask(&theirs, make()).await]
}

async fn ask(router: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, Bytes) {
    let response: Response<Body> = router.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    (head.status, head.headers, body.collect().await.unwrap().to_bytes())
}

fn has_the_twelve(fields: &HeaderMap) -> bool {
    TWELVE.iter().all(|(name, value)| fields.get(*name).is_some_and(|field| field == value))
}

fn good() -> Request<Body> {
    request(Some(&SIGNED.rs256))
}

#[test]
fn both_hand_out_what_the_handler_says_with_the_same_kinds_of_fields() {
    block_on(async {
        let [ours, theirs] = answers(Setup::USUAL, good).await;
        for (status, fields, body) in [&ours, &theirs] {
            assert_eq!((*status, body.len()), (StatusCode::OK, 1024));
            assert_eq!(fields["content-type"], "application/json");
            assert!(has_the_twelve(fields), "{fields:?}");
        }
        assert!(ours.1.contains_key("ratelimit") && ours.1.contains_key("ratelimit-policy"));
        assert!(theirs.1.contains_key("x-ratelimit-limit") && theirs.1.contains_key("x-ratelimit-remaining"));
        assert_eq!(ours.1.len(), theirs.1.len());
    });
}

#[test]
fn both_refuse_strangers_bad_tokens_those_over_their_quota_and_long_bodies() {
    block_on(async {
        let long = || {
            let mut request = good();
            *request.method_mut() = http::Method::POST;
            request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
            request.headers_mut().insert("content-length", HeaderValue::from(BODY_BYTES + 1));
            *request.body_mut() = Body::from(vec![b' '; BODY_BYTES + 1]);
            request
        };
        let forged = || {
            // Another signature: that of the token in another issuer's name.
            let (signed, _) = SIGNED.rs256.rsplit_once('.').unwrap();
            let (_, signature) = SIGNED.of_another_issuer.rsplit_once('.').unwrap();
            request(Some(&format!("{signed}.{signature}")))
        };
        let refusals = [
            (answers(Setup::USUAL, || request(None)).await, StatusCode::UNAUTHORIZED),
            (answers(Setup::USUAL, || request(Some(JUNK))).await, StatusCode::UNAUTHORIZED),
            (answers(Setup::USUAL, forged).await, StatusCode::UNAUTHORIZED),
            (answers(Setup::USUAL, long).await, StatusCode::PAYLOAD_TOO_LARGE),
        ];
        for (answers, expected) in refusals {
            for (status, fields, _) in answers {
                assert_eq!(status, expected);
                assert!(has_the_twelve(&fields), "{fields:?}");
            }
        }
        for (router, calls) in both(Setup { quota: 1, ..Setup::USUAL }) {
            assert_eq!(ask(&router, good()).await.0, StatusCode::OK);
            let (status, fields, _) = ask(&router, good()).await;
            assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
            assert!(fields.contains_key("retry-after") && has_the_twelve(&fields), "{fields:?}");
            assert_eq!(calls.load(Ordering::Relaxed), 1);
        }
    });
}

#[test]
fn both_answer_out_of_their_cache_and_call_the_handler_once() {
    block_on(async {
        for (router, calls) in both(Setup { cache: true, ..Setup::USUAL }) {
            for _ in 0..3 {
                let (status, fields, body) = ask(&router, good()).await;
                assert_eq!((status, body.len()), (StatusCode::OK, 1024));
                assert!(has_the_twelve(&fields), "{fields:?}");
            }
            assert_eq!(calls.load(Ordering::Relaxed), 1);
            // And nobody has it without a token.
            assert_eq!(ask(&router, request(None)).await.0, StatusCode::UNAUTHORIZED);
        }
    });
}

#[test]
fn the_others_do_not_say_what_a_refusal_is_nor_challenge_bad_tokens() {
    block_on(async {
        let [ours, theirs] = answers(Setup::USUAL, || request(Some(JUNK))).await;
        assert_eq!(ours.1["content-type"], "application/problem+json");
        assert!(ours.1.contains_key("www-authenticate"));
        assert!(theirs.2.is_empty() && !theirs.1.contains_key("www-authenticate"));
        let [ours, theirs] = answers(Setup::USUAL, || request(None)).await;
        assert!(ours.1.contains_key("www-authenticate") && theirs.1.contains_key("www-authenticate"));
    });
}

/// With keys at hand, tower-oauth2-resource-server asks for the issuer only when it is told to look at claims one by one.
#[test]
fn a_token_in_another_issuers_name_passes_the_others_as_they_come() {
    block_on(async {
        let [ours, theirs] = answers(Setup::USUAL, || request(Some(&SIGNED.of_another_issuer))).await;
        assert_eq!((ours.0, theirs.0), (StatusCode::UNAUTHORIZED, StatusCode::OK));
    });
}

#[test]
fn what_two_servers_may_read_differently_reaches_the_others_handler() {
    block_on(async {
        let odd = || {
            let mut request = good();
            *request.uri_mut() = "/v1/polls?limit=%00".parse().unwrap();
            request
        };
        let [ours, theirs] = answers(Setup::USUAL, odd).await;
        assert_eq!((ours.0, theirs.0), (StatusCode::BAD_REQUEST, StatusCode::OK));
    });
}
