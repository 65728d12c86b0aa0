//! Claims in a type of the user's.

use std::collections::BTreeMap;
use std::convert::Infallible;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde::Deserialize;
use serde_json::json;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_rampart::auth::{Auth, Claims, TokenFault, VerifyError};

use crate::layer::clock;
use crate::support::{now, token_with, verifier, verify};

#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Tier {
    Free,
    Paid { seats: u32 },
}

#[derive(Debug, Deserialize, PartialEq)]
struct Mine {
    sub: String,
    tier: Tier,
    age: Option<u8>,
    weight: f64,
    tags: Vec<String>,
    #[serde(default)]
    limits: BTreeMap<String, i64>,
}

fn token(tier: serde_json::Value) -> String {
    token_with(json!({
        "tier": tier, "age": 42, "weight": 1.5, "tags": ["a", "b"], "limits": { "x": -1, "y": 2 },
    }))
}

#[test]
fn claims_are_read_into_any_type() {
    let layer = Auth::new().jwt(verifier().with_claims::<Mine>()).with_clock(clock().0).build().unwrap();
    for (tier, read) in [(json!("free"), Tier::Free), (json!({ "paid": { "seats": 3 } }), Tier::Paid { seats: 3 })] {
        let handler = service_fn(move |request: Request<()>| {
            let claims = request.extensions().get::<Claims<Mine>>().unwrap();
            assert_eq!((claims.age, claims.weight, claims.tags.len(), claims.limits["x"]), (Some(42), 1.5, 2, -1));
            assert_eq!((claims.sub.as_str(), &claims.tier), ("alice", &read));
            assert_eq!(format!("{claims:?}"), "Claims { .. }");
            async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }
        });
        let request = Request::get("/").header("authorization", format!("Bearer {}", token(tier))).body(()).unwrap();
        let answer = layer.layer(handler).oneshot(request).now_or_never().unwrap().unwrap();
        assert_eq!(answer.status(), 200);
    }
}

#[test]
fn claims_that_do_not_fit_are_refused() {
    let verifier = verifier().with_claims::<Mine>();
    for bad in
        [json!("gold"), json!({ "paid": {} }), json!({ "paid": { "seats": -1 } }), json!(7), json!({}), json!([])]
    {
        let refused = verifier.verify(token(bad.clone()).as_bytes(), now());
        assert_eq!(refused, Err(VerifyError::Refused(TokenFault::ClaimsForm)), "{bad}");
    }
    assert!(verifier.verify(token_with(json!({})).as_bytes(), now()).is_err());
}

#[tokio::test]
async fn axum_hands_claims_to_handlers() {
    let layer = Auth::new().jwt(verifier().with_claims::<Mine>()).optional(true).with_clock(clock().0).build().unwrap();
    let app = Router::new()
        .route("/must", get(|claims: Claims<Mine>| async move { claims.sub.clone() }))
        .route(
            "/may",
            get(|claims: Option<Claims<Mine>>| async move { claims.map_or_else(|| "-".to_owned(), |c| c.sub.clone()) }),
        )
        .layer(layer);
    let ask = |path: &'static str, token: Option<String>| {
        let app = app.clone();
        async move {
            let mut request = Request::get(path).body(axum::body::Body::empty()).unwrap();
            if let Some(token) = token {
                request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
            }
            let answer = app.oneshot(request).await.unwrap();
            let status = answer.status().as_u16();
            (status, answer.into_body().collect().await.unwrap().to_bytes())
        }
    };
    assert_eq!(ask("/must", Some(token(json!("free")))).await, (200, Bytes::from("alice")));
    assert_eq!(ask("/must", None).await.0, 401);
    assert_eq!(ask("/may", None).await, (200, Bytes::from("-")));
}

/// A rule that denies by a claim must not be escaped by having many, nor one that allows be missed.
#[test]
fn a_caller_with_many_groups_is_in_all_of_them() {
    let groups: Vec<_> = (0..300).map(|at| format!("g{at}")).collect();
    let mut claims = json!({ "groups": groups });
    for at in 0..200 {
        claims[format!("c{at:03}")] = json!("x");
    }
    let caller = verify(&token_with(claims)).unwrap();
    assert_eq!(caller.claims("groups").count(), 300);
    assert_eq!(caller.claim("c199"), Some("x"));
}
