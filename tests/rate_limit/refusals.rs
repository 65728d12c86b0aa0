//! How a refusal looks.

use http::Request;
use tower_rampart::Rejection;
use tower_rampart::key::GlobalKey;
use tower_rampart::problem::ProblemKind;
use tower_rampart::rate_limit::{Policy, RateLimit};

use crate::support::{Fixture, field, get, json, per, secs};

/// RFC 9457, and draft-ietf-httpapi-ratelimit-headers-10, section 6.
#[test]
fn a_problem_document_names_the_policies() {
    let fixture = Fixture::global(per(1, 60));
    fixture.send(get("/"));
    let refused = fixture.send(get("/"));
    assert_eq!(refused.status(), 429);
    assert_eq!(field(&refused, "content-type"), "application/problem+json");
    assert_eq!(field(&refused, "cache-control"), "no-store");
    assert_eq!(field(&refused, "retry-after"), "60");
    assert_eq!(refused.extensions().get::<Rejection>().unwrap().problem().kind(), ProblemKind::QuotaExceeded);
    assert_eq!(
        json(refused),
        serde_json::json!({
            "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
            "title": "Quota Exceeded",
            "status": 429,
            "detail": "The quota of this client is used up.",
            "violated-policies": ["default"],
        })
    );
}

#[test]
fn grpc_clients_hear_it_in_their_own_words() {
    let fixture = Fixture::global(per(1, 60).burst(1));
    let grpc = || Request::post("/p.S/M").header("content-type", "application/grpc").body(()).unwrap();
    fixture.send(grpc());
    let refused = fixture.send(grpc());
    assert_eq!(refused.status(), 200);
    assert_eq!(field(&refused, "grpc-status"), "8");
    assert_eq!(field(&refused, "grpc-retry-pushback-ms"), "60000");
    assert_eq!(field(&refused, "ratelimit"), "\"default\";r=0;t=60");
    let costly = Policy::new("p", per(1, 60)).key(GlobalKey).cost(|_| 2);
    let refused = Fixture::policy(costly).send(grpc());
    // A negative pushback forbids retries (gRPC A6).
    assert_eq!(field(&refused, "grpc-retry-pushback-ms"), "-1");
}

#[test]
fn a_block_shuts_out_for_its_time_and_no_longer() {
    for quota in [per(3, 30), per(3, 30).fixed_window()] {
        let fixture = Fixture::policy(Policy::new("p", quota).key(GlobalKey).block_for(secs(600)));
        assert_eq!(fixture.admitted(3, || get("/")), 3);
        let refused = fixture.send(get("/"));
        assert_eq!(field(&refused, "retry-after"), "600");
        assert_eq!(field(&refused, "ratelimit"), "\"p\";r=0;t=600");
        let problem = json(refused);
        assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#abnormal-usage-detected");
        // Knocking does not make it longer.
        for _ in 0..10 {
            fixture.hand.advance(secs(59));
            assert_eq!(fixture.status(get("/")), 429);
        }
        fixture.hand.advance(secs(11));
        assert!(fixture.admitted(3, || get("/")) >= 1);
    }
}

#[test]
fn a_policy_blocks_though_another_refuses_too() {
    let fixture = Fixture::of(
        RateLimit::new()
            .add_policy(Policy::new("blocks", per(2, 30)).key(GlobalKey).block_for(secs(600)))
            .add_policy(Policy::new("plain", per(2, 30)).key(GlobalKey)),
    );
    assert_eq!(fixture.admitted(2, || get("/")), 2);
    assert_eq!(field(&fixture.send(get("/")), "retry-after"), "600");
    fixture.hand.advance(secs(300));
    assert_eq!(fixture.status(get("/")), 429);
}

#[test]
fn the_answer_can_have_another_format() {
    let limit = RateLimit::new().add_policy(Policy::new("p", per(1, 60)).key(GlobalKey)).with_renderer(
        |rejection: &Rejection, _: &tower_rampart::RequestFacts| {
            let mut response = http::Response::new("slow down".into());
            *response.status_mut() = rejection.problem().kind().status();
            response
        },
    );
    let fixture = Fixture::of(limit);
    fixture.send(get("/"));
    let refused = fixture.send(get("/"));
    assert_eq!(field(&refused, "retry-after"), "60");
    assert_eq!(field(&refused, "ratelimit"), "\"p\";r=0;t=60");
    assert_eq!(refused.into_body().size_hint().exact(), Some(9));
}

use http_body::Body as _;
