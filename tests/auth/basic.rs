//! User names and passwords (RFC 7617), and client certificates.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt as _;
use http::Response;
use tokio::sync::Semaphore;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_rampart::auth::{Auth, AuthLayer, Basic, CannotVerify, Login};
use tower_rampart::{ClientCertificate, Identity};

use crate::layer::{clock, field, outcome, send, with};
use crate::support::verifier;

fn login(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

/// Knows one user, and counts how often it is asked.
fn staff() -> (Basic, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let basic = Basic::new(move |login: Login| {
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            match (login.user(), login.password()) {
                ("down", _) => Err(CannotVerify),
                ("ann", "s:cret") | ("zoë", "pässwörd") => Ok(Some(Identity::new("staff", login.user()))),
                _ => Ok(None),
            }
        }
    });
    (basic, asked)
}

fn who(layer: &AuthLayer, authorization: &str) -> (u16, String) {
    let answer = send(layer, with(&[("authorization", authorization)]));
    (
        answer.status().as_u16(),
        String::from_utf8_lossy(answer.headers().get("who").map_or(&b""[..], |who| who.as_bytes())).into_owned(),
    )
}

#[test]
fn passwords_make_identities() {
    let (basic, _) = staff();
    let layer = Auth::new().basic(basic).build().unwrap();
    // RFC 7617 section 2: the first colon ends the name; section 2.1: UTF-8.
    assert_eq!(who(&layer, &login("ann:s:cret")), (200, "staff|ann".to_owned()));
    assert_eq!(who(&layer, &login("zoë:pässwörd")), (200, "staff|zoë".to_owned()));
    assert_eq!(who(&layer, &login("ann:s:cret").replacen("Basic", "bAsIc", 1)).0, 200);
}

#[test]
fn wrong_and_malformed_passwords_are_refused_alike() {
    let (basic, asked) = staff();
    let layer = Auth::new().basic(basic).build().unwrap();
    assert_eq!(who(&layer, &login("ann:wrong")).0, 401);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let long = login(&format!("ann:{}", "x".repeat(4096)));
    for malformed in
        ["Basic", "Basic ", "Basic ???", "Basic YW5uOnM6Y3JldA", &login("ann"), &login(":s"), &login("ann:\0"), &long]
    {
        assert_eq!(who(&layer, malformed).0, 401, "{malformed}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1, "nobody is asked about what is no login");
}

/// A verifier that cannot tell is the server's fault.
#[test]
fn an_outage_is_not_a_wrong_password() {
    let (basic, _) = staff();
    let layer = Auth::new().basic(basic).build().unwrap();
    let answer = send(&layer, with(&[("authorization", &login("down:x"))]));
    assert_eq!((answer.status().as_u16(), field(answer.headers(), "retry-after")), (503, "5"));
}

#[test]
fn a_password_is_remembered_for_a_while_and_a_wrong_one_never() {
    let (basic, asked) = staff();
    let (clock, hand) = clock();
    let layer = Auth::new().basic(basic).with_clock(clock).build().unwrap();
    for _ in 0..3 {
        assert_eq!(who(&layer, &login("ann:s:cret")).0, 200);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    hand.advance(Duration::from_secs(30));
    assert_eq!(who(&layer, &login("ann:s:cret")).0, 200);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    for _ in 0..3 {
        assert_eq!(who(&layer, &login("ann:wrong")).0, 401);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 5);
}

/// RFC 7617 section 2: the challenge, with the one charset there is; beside RFC 6750's where tokens are taken too.
#[test]
fn challenges_name_what_is_taken() {
    let challenges = |layer: &AuthLayer, fields: &[(&str, &str)]| {
        let answer = send(layer, with(fields));
        let all = answer.headers().get_all("www-authenticate").iter();
        all.map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    const BASIC: &str = "Basic realm=\"api\", charset=\"UTF-8\"";
    let alone = Auth::new().basic(staff().0).build().unwrap();
    assert_eq!(challenges(&alone, &[]), [BASIC]);
    let both = Auth::new().basic(staff().0).jwt(verifier()).build().unwrap();
    assert_eq!(challenges(&both, &[]), ["Bearer realm=\"api\"", BASIC]);
    assert_eq!(challenges(&both, &[("authorization", &login("ann:x"))]), ["Bearer realm=\"api\"", BASIC]);
    let bad_token = challenges(&both, &[("authorization", "Bearer x")]);
    assert_eq!(bad_token, ["Bearer realm=\"api\", error=\"invalid_token\"", BASIC]);
}

fn certified(layer: &AuthLayer, names: &[&str]) -> (u16, String) {
    let mut request = with(&[]);
    request.extensions_mut().insert(ClientCertificate::new(names.iter().copied()));
    let answer = send(layer, request);
    (answer.status().as_u16(), field(answer.headers(), "who").to_owned())
}

#[test]
fn certificates_make_identities() {
    let layer = Auth::new().client_certificates().build().unwrap();
    assert_eq!(outcome(&send(&layer, with(&[]))).0, 401);
    let name = "spiffe://prod.example/batch";
    assert_eq!(certified(&layer, &[name, "batch.example"]), (200, format!("client-certificate|{name}")));
    assert_eq!(certified(&layer, &[]).0, 401);
}

#[test]
fn a_certificate_that_nobody_knows_is_refused_where_strangers_are_welcome() {
    let know = |certificate: &ClientCertificate| certificate.has_name("batch").then(|| Identity::new("mesh", "batch"));
    let layer = Auth::new().client_certificates_by(know).optional(true).build().unwrap();
    assert_eq!(certified(&layer, &["batch"]), (200, "mesh|batch".to_owned()));
    assert_eq!(certified(&layer, &["other"]).0, 401);
    assert_eq!(send(&layer, with(&[])).status(), 200);
}

/// Slow hashes are work that strangers can ask for.
#[test]
fn logins_that_are_looked_at_are_bounded() {
    let gate = Arc::new(Semaphore::new(0));
    let open = Arc::clone(&gate);
    let basic = Basic::new(move |login: Login| {
        let open = Arc::clone(&open);
        async move {
            open.acquire().await.map_err(|_| CannotVerify)?.forget();
            Ok(Some(Identity::new("staff", login.user())))
        }
    });
    let layer = Auth::new().basic(basic).build().unwrap();
    let call = |n: usize| {
        let handler = service_fn(|_: http::Request<()>| async { Ok::<_, Infallible>(Response::new(())) });
        let request = with(&[("authorization", &login(&format!("user-{n}:x")))]);
        Box::pin(layer.layer(handler).oneshot(request))
    };
    let mut waiting: Vec<_> = (0..256).map(call).collect();
    assert!(waiting.iter_mut().all(|request| request.now_or_never().is_none()));
    let refused = call(256).now_or_never().unwrap().unwrap();
    assert_eq!((refused.status().as_u16(), field(refused.headers(), "retry-after")), (503, "5"));
    // Who leaves gives its place back.
    waiting.pop();
    waiting.push(call(257));
    assert!(waiting.iter_mut().all(|request| request.now_or_never().is_none()));
    gate.add_permits(256);
    for request in waiting {
        assert_eq!(request.now_or_never().unwrap().unwrap().status(), 200);
    }
}
