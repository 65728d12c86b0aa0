use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use proptest::prelude::*;
use tower_rampart::problem::{MAX_DETAIL_BYTES, Member, Problem, ProblemKind};
use tower_rampart::{Origin, Refuser, Rejection, RequestFacts, RequestView, ResponseBody};

type Refusal = Response<ResponseBody<http_body_util::Empty<Bytes>>>;

fn rejection(problem: Problem) -> Rejection {
    Rejection::new(Origin::Custom("test"), problem)
}

fn refuse(rejection: Rejection, request: &Request<()>) -> Refusal {
    Refuser::new().refuse(rejection, &RequestFacts::of(RequestView::of(request)))
}

fn body(response: Refusal) -> Bytes {
    response.into_body().collect().now_or_never().unwrap().unwrap().to_bytes()
}

fn json(response: Refusal) -> serde_json::Value {
    serde_json::from_slice(&body(response)).unwrap()
}

fn get() -> Request<()> {
    Request::get("/secret?token=s3cret").header("x-request-id", "req-1").body(()).unwrap()
}

fn grpc(content_type: &str) -> Request<()> {
    Request::post("/pkg.Service/Method").header("content-type", content_type).body(()).unwrap()
}

/// RFC 9457 section 3.1: `status` repeats the HTTP status; section 4.2.1: under `about:blank` the title is its phrase.
#[test]
fn every_kind_renders_as_a_problem() {
    for kind in ProblemKind::ALL {
        let response = refuse(rejection(Problem::new(*kind)), &get());
        assert_eq!(response.status(), kind.status());
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let document = json(response);
        assert_eq!(document["status"], kind.status().as_u16());
        assert_eq!(document["type"], kind.type_uri());
        assert_eq!(document["title"], kind.title());
        assert_eq!(document["request_id"], "req-1");
        if kind.type_uri() == "about:blank" {
            let phrase = kind.status().canonical_reason().unwrap();
            // RFC 9110 renamed these two; `http` still has the old names.
            let phrase = match phrase {
                "Payload Too Large" => "Content Too Large",
                "Unprocessable Entity" => "Unprocessable Content",
                phrase => phrase,
            };
            assert_eq!(kind.title(), phrase);
        }
    }
}

#[test]
fn members_detail_and_headers_are_there_and_input_is_not() {
    let problem = Problem::new(ProblemKind::QuotaExceeded)
        .with_detail("The quota is used up.")
        .add_member("violated-policies", ["default", "burst"])
        .add_member("errors", vec![Member::object([("pointer", "#/a"), ("rule", "type")])])
        .add_member("count", 3)
        .add_member("final", false)
        .add_member("count", 4)
        .add_member("status", 200);
    let rejection = rejection(problem)
        .with_retry_after(Duration::from_millis(1001))
        .add_header(HeaderName::from_static("www-authenticate"), HeaderValue::from_static("Bearer"));
    let response = refuse(rejection, &get());
    assert_eq!(response.headers()["retry-after"], "2");
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    assert_eq!(response.extensions().get::<Rejection>().unwrap().problem().kind(), ProblemKind::QuotaExceeded);
    let text = body(response);
    assert!(!String::from_utf8_lossy(&text).contains("s3cret"));
    let document: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(
        document,
        serde_json::json!({
            "type": "https://iana.org/assignments/http-problem-types#quota-exceeded", "title": "Quota Exceeded",
            "status": 429, "detail": "The quota is used up.", "violated-policies": ["default", "burst"],
            "errors": [{"pointer": "#/a", "rule": "type"}], "count": 4, "final": false, "request_id": "req-1",
        }),
    );
}

/// RFC 9110 section 10.2.3: whole seconds. Never 0, never early.
#[test]
fn retry_after_is_rounded_up() {
    for (wait, expected) in [(0, "1"), (1, "1"), (999, "1"), (1000, "1"), (1001, "2"), (60_000, "60")] {
        let refusal = rejection(Problem::new(ProblemKind::Unavailable)).with_retry_after(Duration::from_millis(wait));
        assert_eq!(refuse(refusal, &get()).headers()["retry-after"], expected, "{wait}");
    }
    let forever = rejection(Problem::new(ProblemKind::Unavailable)).with_retry_after(Duration::MAX);
    assert_eq!(refuse(forever, &get()).headers()["retry-after"], u64::MAX.to_string().as_str());
}

/// RFC 9110 section 9.3.2: no content; section 8.6: the length a GET would have had.
#[test]
fn a_head_has_no_body_and_a_gets_length() {
    let head = Request::head("/").body(()).unwrap();
    let response = refuse(rejection(Problem::new(ProblemKind::NotFound)), &head);
    let length: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
    assert!(response.body().is_end_stream());
    let get = Request::get("/").body(()).unwrap();
    assert_eq!(body(refuse(rejection(Problem::new(ProblemKind::NotFound)), &get)).len(), length);
}

#[test]
fn a_malformed_or_repeated_request_id_is_not_repeated() {
    for ids in [&["a b"] as &[_], &["<script>"], &["a", "b"], &["é"], &[""]] {
        let mut request = Request::get("/").body(()).unwrap();
        for id in ids {
            request.headers_mut().append("x-request-id", HeaderValue::from_bytes(id.as_bytes()).unwrap());
        }
        assert!(json(refuse(rejection(Problem::new(ProblemKind::NotFound)), &request)).get("request_id").is_none());
    }
    let long = Request::get("/").header("x-request-id", "a".repeat(129)).body(()).unwrap();
    assert!(json(refuse(rejection(Problem::new(ProblemKind::NotFound)), &long)).get("request_id").is_none());
}

/// gRPC over HTTP/2, "Responses": trailers-only is HTTP 200 with the status in the one HEADERS frame.
#[test]
fn every_kind_is_a_grpc_status_too() {
    for kind in ProblemKind::ALL {
        let response = refuse(rejection(Problem::new(*kind)), &grpc("application/grpc+proto"));
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "application/grpc+proto");
        assert_eq!(response.headers()["grpc-status"], kind.grpc_code().to_string().as_str());
        assert_eq!(response.headers()["grpc-message"], kind.title());
        assert!(response.body().is_end_stream());
    }
    let code = |kind: ProblemKind| kind.grpc_code().get();
    assert_eq!(
        [
            ProblemKind::QuotaExceeded,
            ProblemKind::Unauthenticated,
            ProblemKind::Forbidden,
            ProblemKind::BadRequest,
            ProblemKind::Unavailable,
            ProblemKind::BadGateway,
            ProblemKind::DeadlineExceeded,
            ProblemKind::NotFound,
        ]
        .map(code),
        [8, 16, 7, 3, 14, 14, 4, 12],
    );
}

#[test]
fn only_grpc_content_types_are_grpc() {
    for (content_type, is_grpc) in [
        ("application/grpc", true),
        ("Application/GRPC", true),
        ("application/grpc-web+proto", true),
        ("application/grpc;x=y", true),
        ("application/grpcurl", false),
        ("application/json", false),
        ("", false),
    ] {
        let response = refuse(rejection(Problem::new(ProblemKind::Forbidden)), &grpc(content_type));
        assert_eq!(response.headers().contains_key("grpc-status"), is_grpc, "{content_type}");
    }
    let odd = refuse(rejection(Problem::new(ProblemKind::Forbidden)), &grpc("application/grpc;<script>"));
    assert_eq!(odd.headers()["content-type"], "application/grpc", "nothing odd is repeated");
}

fn grpc_message(detail: String) -> (String, String) {
    let response =
        refuse(rejection(Problem::new(ProblemKind::Internal).with_detail(detail)), &grpc("application/grpc"));
    let sent = response.headers()["grpc-message"].to_str().unwrap().to_owned();
    let decoded = percent_encoding::percent_decode_str(&sent).decode_utf8().expect("whole characters").into_owned();
    (sent, decoded)
}

#[test]
fn a_hundred_kibibytes_of_detail_are_cut() {
    for piece in ["a", "%", "ä", "\u{1f980}", "a\u{1f980}"] {
        let detail = piece.repeat(100 * 1024 / piece.len());
        let (sent, decoded) = grpc_message(detail.clone());
        assert!(sent.len() <= 1024 && sent.len() > 900, "{}", sent.len());
        assert!(detail.starts_with(&decoded));
        let response = refuse(rejection(Problem::new(ProblemKind::Internal).with_detail(detail.clone())), &get());
        let document = json(response);
        let told = document["detail"].as_str().unwrap();
        assert!(told.len() <= MAX_DETAIL_BYTES && detail.starts_with(told));
    }
}

#[test]
fn a_renderer_of_ones_own_cannot_forget_what_belongs_to_every_refusal() {
    let refuser = Refuser::new().with_renderer(|rejection: &Rejection, _: &RequestFacts| {
        let mut response = Response::new(Bytes::from_static(b"<no/>"));
        *response.status_mut() = rejection.problem().kind().status();
        response
    });
    let refusal = rejection(Problem::new(ProblemKind::QuotaExceeded)).with_retry_after(Duration::from_secs(3));
    let head = Request::head("/").body(()).unwrap();
    let response: Refusal = refuser.refuse(refusal, &RequestFacts::of(RequestView::of(&head)));
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "3");
    assert!(response.extensions().get::<Rejection>().is_some());
    assert!(response.body().is_end_stream());
}

fn any_member() -> impl Strategy<Value = (Member, serde_json::Value)> {
    let leaf = prop_oneof![
        any::<String>().prop_map(|text| (Member::from(text.clone()), serde_json::Value::from(text))),
        any::<u64>().prop_map(|number| (Member::from(number), serde_json::Value::from(number))),
        any::<bool>().prop_map(|flag| (Member::from(flag), serde_json::Value::from(flag))),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| {
                let (members, values): (Vec<_>, Vec<_>) = items.into_iter().unzip();
                (Member::List(members), serde_json::Value::from(values))
            }),
            prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(|items| {
                let members = items.iter().map(|(name, (member, _))| (name.clone().into(), member.clone())).collect();
                let values =
                    items.into_iter().map(|(name, (_, value))| (name, value)).collect::<serde_json::Map<_, _>>();
                (Member::Object(members), values.into())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn what_we_write_a_json_parser_reads(detail in any::<String>(), (member, value) in any_member()) {
        let problem = Problem::new(ProblemKind::BadRequest).with_detail(detail.clone()).add_member("extra", member);
        let document = json(refuse(rejection(problem), &get()));
        prop_assert_eq!(&document["detail"], &serde_json::Value::from(detail));
        prop_assert_eq!(&document["extra"], &value);
    }

    #[test]
    fn any_message_decodes_to_a_prefix(detail in "(?s).{0,600}") {
        let (sent, decoded) = grpc_message(detail.clone());
        prop_assert!(sent.len() <= 1024);
        prop_assert!(detail.starts_with(&decoded));
        prop_assert!(sent.len() > 1000 || decoded == detail);
    }
}
