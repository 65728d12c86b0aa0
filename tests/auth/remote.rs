//! Keys that are fetched: rotation, outages, attacks on the fetch, over real sockets where sockets matter.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response as AxumResponse};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::sync::Semaphore;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_rampart::auth::testing::Authority;
use tower_rampart::auth::{
    Algorithm, Auth, AuthLayer, HttpClient, Issuer, JwtVerifier, KeySet, Keys, RemoteKeys, VerifyError,
};
use tower_rampart::{Clock, ClockHand};

const ISSUER: &str = "https://idp.test/";

struct Setting {
    clock: Clock,
    hand: ClockHand,
    idp: Authority,
    verifier: JwtVerifier,
    layer: AuthLayer,
}

fn remote(idp: &Authority, clock: &Clock) -> RemoteKeys {
    RemoteKeys::at("https://idp.test/jwks.json", idp.client()).unwrap().with_clock(clock.clone())
}

fn issuer(keys: impl Into<Keys>) -> Issuer {
    Issuer::new(ISSUER).audience("api").algorithms([Algorithm::EdDsa]).keys(keys)
}

fn setting_of(make: impl FnOnce(&Authority, &Clock) -> RemoteKeys) -> Setting {
    let (clock, hand) = Clock::manual();
    let idp = Authority::new(ISSUER, "api").with_clock(clock.clone());
    let verifier = JwtVerifier::new([issuer(make(&idp, &clock))]).unwrap();
    let layer = Auth::new().jwt(verifier.clone()).with_clock(clock.clone()).build().unwrap();
    Setting { clock, hand, idp, verifier, layer }
}

fn setting() -> Setting {
    setting_of(remote)
}

impl Setting {
    /// What a request with this token is answered.
    async fn send(&self, token: &str) -> u16 {
        let handler =
            service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
        let request = Request::get("/").header("authorization", format!("Bearer {token}")).body(()).unwrap();
        self.layer.layer(handler).oneshot(request).await.unwrap().status().as_u16()
    }

    fn token(&self) -> String {
        self.idp.token("alice").sign()
    }

    /// Lets tasks run until the keys are there, or were asked for so often.
    async fn until(&self, done: impl Fn(&Self) -> bool) {
        for _ in 0..10_000 {
            if done(self) {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("it never came about");
    }
}

#[tokio::test]
async fn keys_are_fetched_at_the_start() {
    let setting = setting();
    setting.until(|setting| setting.layer.is_ready()).await;
    assert_eq!(setting.idp.fetches(), 1);
    assert_eq!(setting.send(&setting.token()).await, 200);
    assert_eq!(setting.idp.fetches(), 1);
}

/// A first request does not have to find the keys there.
#[tokio::test]
async fn a_token_waits_for_the_first_keys() {
    let setting = setting();
    assert!(!setting.layer.is_ready());
    assert_eq!(setting.send(&setting.token()).await, 200);
    assert_eq!(setting.idp.fetches(), 1);
}

#[tokio::test]
async fn a_rotation_is_one_fetch_however_many_ask() {
    let setting = Arc::new(setting());
    assert_eq!(setting.send(&setting.token()).await, 200);
    setting.hand.advance(Duration::from_secs(31));
    setting.idp.rotate();
    let tasks: Vec<_> = (0..1000)
        .map(|at| {
            let setting = Arc::clone(&setting);
            let token = setting.idp.token(&format!("user-{at}")).sign();
            tokio::spawn(async move { setting.send(&token).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), 200);
    }
    assert_eq!(setting.idp.fetches(), 2);
}

#[tokio::test]
async fn made_up_key_ids_ask_once_per_cooldown() {
    let setting = setting();
    assert_eq!(setting.send(&setting.token()).await, 200);
    let stranger = Authority::new(ISSUER, "api").with_clock(setting.clock.clone());
    // Its second key has a name that the set does not know.
    stranger.rotate();
    let forged = stranger.token("alice").sign();
    for _ in 0..100 {
        assert_eq!(setting.send(&forged).await, 401);
    }
    assert_eq!(setting.idp.fetches(), 1, "the keys are younger than the cooldown");
    for round in 1..=3 {
        setting.hand.advance(Duration::from_secs(30));
        for _ in 0..100 {
            assert_eq!(setting.send(&forged).await, 401);
        }
        assert_eq!(setting.idp.fetches(), 1 + round);
    }
}

/// RFC 9110 section 15.6.4: an outage is the server's, and no reason to log everybody out.
#[tokio::test]
async fn while_the_issuer_is_down_its_keys_serve_on_for_a_day() {
    let setting = setting();
    assert_eq!(setting.send(&setting.token()).await, 200);
    setting.idp.set_down(true);
    for _ in 0..23 {
        setting.hand.advance(Duration::from_secs(3600));
        assert_eq!(setting.send(&setting.token()).await, 200);
    }
    assert!(setting.layer.is_ready());
    setting.hand.advance(Duration::from_secs(3600));
    assert!(!setting.layer.is_ready());
    assert_eq!(setting.send(&setting.token()).await, 503);
    setting.idp.set_down(false);
    setting.hand.advance(Duration::from_secs(30));
    assert_eq!(setting.send(&setting.token()).await, 200);
}

#[tokio::test]
async fn without_any_keys_it_is_unavailable_and_tried_again_soon() {
    let setting = setting();
    setting.idp.set_down(true);
    assert_eq!(setting.send(&setting.token()).await, 503);
    assert_eq!(setting.send(&setting.token()).await, 503);
    setting.idp.set_down(false);
    setting.hand.advance(Duration::from_secs(1));
    // Nobody asks: the keys come by themselves.
    setting.until(|setting| setting.layer.is_ready()).await;
    assert_eq!(setting.send(&setting.token()).await, 200);
}

/// A key that is unknown may be one that could not be fetched.
#[tokio::test]
async fn an_unknown_key_during_an_outage_is_not_the_clients_fault() {
    let setting = setting();
    assert_eq!(setting.send(&setting.token()).await, 200);
    let known = setting.token();
    setting.idp.set_down(true);
    setting.idp.rotate();
    setting.hand.advance(Duration::from_secs(31));
    assert_eq!(setting.send(&setting.token()).await, 503);
    assert_eq!(setting.send(&known).await, 200);
    setting.idp.set_down(false);
    setting.hand.advance(Duration::from_secs(30));
    assert_eq!(setting.send(&setting.token()).await, 200);
}

#[tokio::test]
async fn keys_are_fetched_ahead_of_their_age() {
    let setting = setting();
    setting.until(|setting| setting.layer.is_ready()).await;
    for hour in 2..5 {
        setting.hand.advance(Duration::from_secs(3600));
        setting.until(|setting| setting.idp.fetches() == hour).await;
    }
    // The same keys again are no news: what was verified stays known.
    assert_eq!(setting.send(&setting.token()).await, 200);
}

#[tokio::test]
async fn a_key_that_is_withdrawn_opens_nothing_from_then_on() {
    let setting = setting();
    let old = setting.idp.token("alice").expires_in(Duration::from_secs(86_400)).sign();
    assert_eq!(setting.send(&old).await, 200);
    setting.idp.rotate();
    setting.idp.retire();
    assert_eq!(setting.send(&old).await, 200, "nobody has been told yet");
    setting.hand.advance(Duration::from_secs(3600));
    setting.until(|setting| setting.idp.fetches() == 2).await;
    assert_eq!(setting.send(&old).await, 401);
    assert_eq!(setting.send(&setting.token()).await, 200);
}

/// The fetch goes on when everybody who asked for it has gone, and stops when nobody has the keys.
#[tokio::test]
async fn who_leaves_takes_nothing_along() {
    let gate = Arc::new(Semaphore::new(0));
    let (open, (clock, _hand)) = (Arc::clone(&gate), Clock::manual());
    let idp = Authority::new(ISSUER, "api").with_clock(clock.clone());
    let (document, calls) = (idp.jwks(), Arc::new(AtomicU64::new(0)));
    let count = Arc::clone(&calls);
    let slow = HttpClient::new(service_fn(move |_: Request<Full<Bytes>>| {
        count.fetch_add(1, Ordering::Relaxed);
        let (open, document) = (Arc::clone(&open), document.clone());
        async move {
            open.acquire().await.unwrap().forget();
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(document)))
        }
    }));
    let keys = RemoteKeys::at("https://idp.test/jwks.json", slow).unwrap().with_clock(clock.clone());
    let verifier = JwtVerifier::new([issuer(keys)]).unwrap();
    let layer = Auth::new().jwt(verifier.clone()).with_clock(clock.clone()).build().unwrap();
    let setting = Setting { clock, hand: _hand, idp, verifier, layer };
    for _ in 0..50 {
        let token = setting.token();
        let mut request = Box::pin(setting.send(&token));
        assert!((&mut request).now_or_never().is_none());
    }
    tokio::task::yield_now().await;
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    gate.add_permits(1);
    setting.until(|setting| setting.layer.is_ready()).await;
    assert_eq!(setting.send(&setting.token()).await, 200);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

/// A verifier that is asked without a runtime, or without waiting, says that there are no keys.
#[test]
fn outside_of_a_runtime_nothing_is_fetched_and_nothing_hangs() {
    let setting = setting();
    let now = setting.clock.wall();
    assert_eq!(setting.verifier.verify(setting.token().as_bytes(), now), Err(VerifyError::NoKeys));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        assert_eq!(setting.send(&setting.token()).await, 200);
    });
    drop(runtime);
    // A fetch that died with its runtime has failed, and another runtime tries again.
    setting.idp.rotate();
    setting.hand.advance(Duration::from_secs(31));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        assert_eq!(setting.send(&setting.token()).await, 200);
    });
}

/// What a server at the issuer's address can do to us.
async fn fetch_from(answer: impl Fn() -> AxumResponse + Clone + Send + Sync + 'static) -> (bool, u64) {
    let hits = Arc::new(AtomicU64::new(0));
    let handler = |State(hits): State<Arc<AtomicU64>>| async move {
        hits.fetch_add(1, Ordering::Relaxed);
        answer()
    };
    let app = Router::new().fallback(handler).with_state(Arc::clone(&hits));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let client = HttpClient::https().unwrap();
    let keys = RemoteKeys::at(&format!("http://{address}/jwks.json"), client).unwrap();
    let idp = Authority::new(ISSUER, "api");
    let layer = Auth::new().jwt(JwtVerifier::new([issuer(keys)]).unwrap()).build().unwrap();
    let (clock, hand) = Clock::manual();
    let verifier = JwtVerifier::new([idp.issuer()]).unwrap();
    let setting = Setting { clock, hand, idp, verifier, layer };
    let status = setting.send(&setting.token()).await;
    server.abort();
    assert!(matches!(status, 401 | 503), "{status}");
    (setting.layer.is_ready(), hits.load(Ordering::Relaxed))
}

#[tokio::test]
async fn a_hostile_key_server_gives_no_keys_and_is_not_followed_for_ever() {
    let good = Authority::new(ISSUER, "api").jwks();
    assert_eq!(fetch_from(move || good.clone().into_response()).await, (true, 1));
    assert_eq!(fetch_from(|| StatusCode::INTERNAL_SERVER_ERROR.into_response()).await, (false, 1));
    assert_eq!(fetch_from(|| "{\"keys\":[]}".into_response()).await, (false, 1));
    assert_eq!(fetch_from(|| "not json".into_response()).await, (false, 1));
    assert_eq!(fetch_from(|| " ".repeat(300 << 10).into_response()).await, (false, 1));
    let redirect = |to: &'static str| move || (StatusCode::FOUND, [("location", to)]).into_response();
    assert_eq!(fetch_from(redirect("/again")).await, (false, 4));
    assert_eq!(fetch_from(redirect("http://192.0.2.1/")).await, (false, 1));
    assert_eq!(fetch_from(redirect("file:///etc/passwd")).await, (false, 1));
    // A body without end.
    let endless = || {
        let chunks = futures_util::stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[b' '; 4096])));
        axum::body::Body::from_stream(chunks).into_response()
    };
    assert_eq!(fetch_from(endless).await, (false, 1));
}

/// A server that accepts and says nothing is given up; time is moved by hand.
#[tokio::test]
async fn a_stalled_key_server_is_given_up() {
    let stalled = HttpClient::new(service_fn(|_: Request<Full<Bytes>>| async {
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>().await
    }));
    let setting =
        setting_of(|_, clock| RemoteKeys::at("https://idp.test/jwks.json", stalled).unwrap().with_clock(clock.clone()));
    let token = setting.token();
    let mut request = Box::pin(setting.send(&token));
    assert!((&mut request).now_or_never().is_none());
    tokio::task::yield_now().await;
    setting.hand.advance(Duration::from_secs(10));
    assert_eq!(request.await, 503);
}

#[tokio::test]
async fn an_issuer_says_where_its_keys_are() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer_name = format!("http://{}/tenant", listener.local_addr().unwrap());
    let idp = Authority::new(&issuer_name, "api");
    let served = idp.clone();
    let app = Router::new().fallback(move |uri: http::Uri| {
        let served = served.clone();
        async move { served.document(uri.path()).map_err(IntoResponse::into_response) }
    });
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let keys = RemoteKeys::discover(&issuer_name, HttpClient::https().unwrap()).unwrap();
    let issuer = Issuer::new(&*issuer_name).audience("api").algorithms([Algorithm::EdDsa]).keys(keys);
    let layer = Auth::new().jwt(JwtVerifier::new([issuer]).unwrap()).build().unwrap();
    let (clock, hand) = Clock::manual();
    let verifier = JwtVerifier::new([idp.issuer()]).unwrap();
    let setting = Setting { clock, hand, idp, verifier, layer };
    assert_eq!(setting.send(&setting.token()).await, 200);
    assert_eq!(setting.idp.fetches(), 1);
    server.abort();
}

/// RFC 8414 section 3.3: metadata that name another issuer, by as much as a slash, are not believed.
#[tokio::test]
async fn metadata_of_another_issuer_are_not_believed() {
    for (named, keys_at, ready) in [
        ("https://idp.test/", "https://idp.test/keys", true),
        ("https://idp.test", "https://idp.test/keys", false),
        ("https://evil.test/", "https://idp.test/keys", false),
        ("https://idp.test/", "http://idp.test/keys", false),
        ("https://idp.test/", "https://u:p@idp.test/keys", false),
    ] {
        let set = Authority::new(ISSUER, "api").jwks();
        let client = HttpClient::new(service_fn(move |request: Request<Full<Bytes>>| {
            let body = match request.uri().path() {
                // The first document is missing, so that RFC 8414's is asked for.
                "/.well-known/oauth-authorization-server" => {
                    format!("{{\"issuer\":\"{named}\",\"jwks_uri\":\"{keys_at}\"}}")
                }
                "/keys" => set.clone(),
                _ => String::new(),
            };
            let status = if body.is_empty() { StatusCode::NOT_FOUND } else { StatusCode::OK };
            let answer = Response::builder().status(status).body(Full::<Bytes>::from(body)).unwrap();
            async move { Ok::<_, Infallible>(answer) }
        }));
        let keys = Keys::from(RemoteKeys::discover(ISSUER, client).unwrap());
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(keys.is_ready(), ready, "{named} {keys_at}");
    }
}

/// A token that one verifier knows is nothing that another one knows, whose keys are others.
#[tokio::test]
async fn adopted_keys_are_asked_anew() {
    let (ours, others) = (Authority::new(ISSUER, "api"), Authority::new(ISSUER, "api"));
    let of = |idp: &Authority| {
        let keys = RemoteKeys::at("https://idp.test/jwks.json", idp.client()).unwrap();
        JwtVerifier::new([issuer(keys)]).unwrap()
    };
    let (one, other) = (of(&ours), of(&others));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let (token, now) = (ours.token("alice").sign(), SystemTime::now());
    assert!(one.verify(token.as_bytes(), now).is_ok());
    let adopted = one.clone().adopt_keys(&other);
    assert!(adopted.verify(token.as_bytes(), now).is_err());
    assert!(one.verify(token.as_bytes(), now).is_ok());
    assert!(adopted.verify(others.token("alice").sign().as_bytes(), now).is_ok());
}

#[test]
fn addresses_that_cannot_be_trusted_are_errors() {
    let client = || Authority::new(ISSUER, "api").client();
    for bad in ["http://idp.example/keys", "idp.example", "", "https://u:p@idp.example/", "ftp://idp.example/"] {
        assert!(RemoteKeys::at(bad, client()).is_err(), "{bad}");
    }
    assert!(RemoteKeys::discover("http://idp.example/", client()).is_err());
    assert!(RemoteKeys::at("http://localhost:1/keys", client()).is_ok());
}

/// A set by hand and one from afar, each for its issuer.
#[tokio::test]
async fn issuers_do_not_share_keys() {
    let (one, two) = (Authority::new("https://one.test/", "api"), Authority::new("https://two.test/", "api"));
    let far = RemoteKeys::at("https://two.test/jwks.json", two.client()).unwrap();
    let near = KeySet::from_jwks(one.jwks().as_bytes()).unwrap();
    let issuer = |name: &str, keys: Keys| Issuer::new(name).audience("api").algorithms([Algorithm::EdDsa]).keys(keys);
    let verifier =
        JwtVerifier::new([issuer("https://one.test/", near.into()), issuer("https://two.test/", far.into())]).unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let now = SystemTime::now();
    assert!(verifier.verify(one.token("a").sign().as_bytes(), now).is_ok());
    assert!(verifier.verify(two.token("a").sign().as_bytes(), now).is_ok());
    let crossed = one.token("a").claim("iss", "https://two.test/").sign();
    assert!(matches!(verifier.verify(crossed.as_bytes(), now), Err(VerifyError::Refused(_))));
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

async fn let_tasks_run() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// A fetch is one, however many documents it takes.
#[tokio::test]
async fn a_server_that_drips_documents_is_given_up_in_time() {
    let gate = Arc::new(Semaphore::new(0));
    let open = Arc::clone(&gate);
    let slow = HttpClient::new(service_fn(move |_: Request<Full<Bytes>>| {
        let open = Arc::clone(&open);
        async move {
            open.acquire().await.unwrap().forget();
            let answer = Response::builder().status(StatusCode::NOT_FOUND).body(Full::<Bytes>::default()).unwrap();
            Ok::<_, Infallible>(answer)
        }
    }));
    let setting = setting_of(|_, clock| RemoteKeys::discover(ISSUER, slow).unwrap().with_clock(clock.clone()));
    let token = setting.token();
    let mut request = Box::pin(setting.send(&token));
    assert!((&mut request).now_or_never().is_none());
    let_tasks_run().await;
    setting.hand.advance(secs(6));
    gate.add_permits(1);
    let_tasks_run().await;
    setting.hand.advance(secs(4));
    let_tasks_run().await;
    assert_eq!((&mut request).now_or_never(), Some(503));
}

/// Keys that went stale before they may be fetched anew would lock everybody out.
#[tokio::test]
async fn keys_do_not_go_stale_before_they_may_be_fetched_anew() {
    for max_stale in [0, 10, 45, 1800] {
        let setting = setting_of(|idp, clock| remote(idp, clock).max_stale(secs(max_stale)));
        for _ in 0..300 {
            assert_eq!(setting.send(&setting.token()).await, 200, "{max_stale}");
            setting.hand.advance(secs(10));
            let_tasks_run().await;
            assert!(setting.layer.is_ready(), "{max_stale}: fetched ahead");
        }
    }
}

/// An issuer's metadata lead no further than a redirect would.
#[tokio::test]
async fn metadata_from_afar_do_not_lead_to_this_machine() {
    for keys_at in ["http://127.0.0.1:1/keys", "https://localhost/keys", "https://[::ffff:127.0.0.1]/keys"] {
        let set = Authority::new(ISSUER, "api").jwks();
        let asked = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&asked);
        let client = HttpClient::new(service_fn(move |request: Request<Full<Bytes>>| {
            let body = if request.uri().path() == "/keys" {
                count.fetch_add(1, Ordering::Relaxed);
                set.clone()
            } else {
                format!("{{\"issuer\":\"{ISSUER}\",\"jwks_uri\":\"{keys_at}\"}}")
            };
            async move { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(body))) }
        }));
        let keys = Keys::from(RemoteKeys::discover(ISSUER, client).unwrap());
        let_tasks_run().await;
        assert_eq!((keys.is_ready(), asked.load(Ordering::Relaxed)), (false, 0), "{keys_at}");
    }
}

/// A configuration that fetches more seldom is no reason to lock everybody out while the issuer is down.
#[tokio::test]
async fn other_rules_go_on_with_the_keys_there_are() {
    let setting = setting();
    assert_eq!(setting.send(&setting.token()).await, 200);
    setting.idp.set_down(true);
    let changed = remote(&setting.idp, &setting.clock).cooldown(secs(60));
    let layer = Auth::new().jwt(JwtVerifier::new([issuer(changed)]).unwrap()).with_clock(setting.clock.clone());
    let mut setting = Setting { layer: layer.build().unwrap().adopt_keys(&setting.layer), ..setting };
    assert!(setting.layer.is_ready());
    let_tasks_run().await;
    assert_eq!(setting.send(&setting.token()).await, 200);
    // Its own clock of fetches goes on: they are no younger than they were.
    setting.hand.advance(secs(86_400));
    assert!(!setting.layer.is_ready());
    setting.idp.set_down(false);
    setting.hand.advance(secs(60));
    assert_eq!(setting.send(&setting.token()).await, 200);
    // Keys from elsewhere are others.
    let elsewhere = RemoteKeys::at("https://idp.test/other.json", setting.idp.client()).unwrap();
    let verifier = JwtVerifier::new([issuer(elsewhere.with_clock(setting.clock.clone()))]).unwrap();
    setting.idp.set_down(true);
    setting.layer = Auth::new().jwt(verifier).build().unwrap().adopt_keys(&setting.layer);
    assert!(!setting.layer.is_ready());
}

/// What an address holds may be a secret.
#[tokio::test]
async fn addresses_are_not_printed_whole() {
    let client = || Authority::new(ISSUER, "api").client();
    let keys = RemoteKeys::at("https://idp.test/keys?key=s3cret", client()).unwrap();
    assert!(!format!("{keys:?}").contains("s3cret"));
    for bad in ["https://user:s3cret@idp.test/", "http://user:s3cret@idp.test/keys"] {
        let error = RemoteKeys::at(bad, client()).unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
        let error = RemoteKeys::discover(bad, client()).unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }
}
