//! The attacks on tokens over real sockets, HTTP and gRPC, with everything logged that the layers have to say.

use std::net::SocketAddr;
use std::sync::LazyLock;

use axum::Router;
use axum::routing::get;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::{Algorithm as Backend, EncodingKey};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower_rampart::auth::{Algorithm, Auth, AuthLayer, Issuer, JwtVerifier};
use tower_rampart::authz::{AuthzLayer, PolicyTable, Rule};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, filter};

use crate::layer::clock;
use crate::log::Log;
use crate::support::{AUTHORITY, ISSUER, NOW, SECRET, b64, claims, claims_with, jwks, sign_text};

/// All that the layers logged, at every level. One for the process, since servers run on threads of their own.
static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::default();
    let ours = filter::filter_fn(|metadata| metadata.target().starts_with("tower_rampart"));
    let lines = tracing_subscriber::fmt::layer().with_writer(log.clone()).with_ansi(false);
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(LevelFilter::TRACE).with_filter(ours));
    tracing::subscriber::set_global_default(subscriber).unwrap();
    log
});

fn layer() -> AuthLayer {
    let issuer = Issuer::new(ISSUER)
        .audience("api")
        .algorithms([Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa])
        .keys(jwks());
    Auth::new().jwt(JwtVerifier::new([issuer]).unwrap()).with_clock(clock().0).build().unwrap()
}

fn authz() -> AuthzLayer {
    let table = PolicyTable::builder()
        .add_rule(Rule::allow("check", "/grpc.health.v1.Health/Check").roles(["author"]))
        .add_rule(Rule::allow("root", "/").roles(["author"]))
        .build();
    AuthzLayer::new(table.unwrap())
}

async fn serve_http() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/", get(|| async { "hello" })).layer(authz()).layer(layer());
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn serve_grpc() -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_, health) = tonic_health::server::health_reporter();
    let server = Server::builder().layer(layer()).layer(authz()).add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

fn ed(header: serde_json::Value, claims: &serde_json::Value) -> String {
    sign_text(&header.to_string(), &claims.to_string(), &AUTHORITY.ed, Backend::EdDSA)
}

fn good(changes: serde_json::Value) -> String {
    ed(json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "ed" }), &claims_with(changes))
}

fn with_header(more: serde_json::Value) -> String {
    let mut header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "ed" });
    for (name, value) in more.as_object().unwrap() {
        header[name] = value.clone();
    }
    ed(header, &claims())
}

/// A header and claims with a signature of one's own making.
fn forged(header: &serde_json::Value, signature: &[u8]) -> String {
    format!("{}.{}.{}", b64(header.to_string()), b64(claims().to_string()), b64(signature))
}

fn hmac_by(secret: &[u8]) -> String {
    let header = json!({ "alg": "HS256", "typ": "at+jwt" });
    sign_text(&header.to_string(), &claims().to_string(), &EncodingKey::from_secret(secret), Backend::HS256)
}

/// What jwt_tool and its kind try, by families: no signature, another algorithm, other keys, odd headers, odd bytes, odd
/// claims.
fn attacks() -> Vec<String> {
    let token = good(json!({}));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut attacks: Vec<String> = ["none", "None", "NONE", "nOnE", ""]
        .iter()
        .flat_map(|alg| {
            let header = json!({ "alg": alg, "typ": "at+jwt" });
            [forged(&header, b""), forged(&header, b"x")]
        })
        .collect();
    attacks.extend([
        format!("{signed}."),
        signed.to_owned(),
        format!("{signed}.AAAA"),
        format!("{signed}.{}", "A".repeat(86)),
    ]);
    // RSA's public key as a secret, in every form in which it is published.
    let rsa_jwk = AUTHORITY.jwks["keys"][0].to_string();
    let pem = AUTHORITY.rsa_pem.as_str();
    attacks
        .extend([pem.as_bytes(), pem.trim_end().as_bytes(), rsa_jwk.as_bytes(), b"", b"secret", SECRET].map(hmac_by));
    attacks.push(with_header(json!({ "alg": "RS256" })));
    attacks.push(with_header(json!({ "alg": "ES256", "kid": "ec" })));
    attacks.push(with_header(json!({ "alg": "PS256", "kid": "rsa" })));
    for kid in [
        json!("../../dev/null"),
        json!("' OR 1=1--"),
        json!("x".repeat(10_000)),
        json!("ed\0"),
        json!(["ed"]),
        json!(7),
        json!("rsa"),
    ] {
        attacks.push(with_header(json!({ "kid": kid })));
    }
    let own = AUTHORITY.jwks["keys"][2].clone();
    for extra in [
        json!({ "kid": "mine", "jwk": own }),
        json!({ "kid": "mine", "jku": "http://127.0.0.1:1/keys" }),
        json!({ "kid": "mine", "x5u": "http://127.0.0.1:1/c.pem" }),
        json!({ "crit": ["exp"] }),
        json!({ "crit": [] }),
        json!({ "b64": false, "crit": ["b64"] }),
        json!({ "b64": true }),
        json!({ "zip": "DEF" }),
        json!({ "enc": "A128GCM" }),
        json!({ "typ": "JWT" }),
        json!({ "typ": "id+jwt" }),
        json!({ "typ": 1 }),
    ] {
        attacks.push(with_header(extra));
    }
    for text in [
        "{\"alg\":\"EdDSA\",\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"ed\"}",
        "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"ed\",\"x\":{\"y\":1,\"y\":2}}",
        "\u{feff}{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"ed\"}",
        "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"ed\"} x",
    ] {
        attacks.push(sign_text(text, &claims().to_string(), &AUTHORITY.ed, Backend::EdDSA));
    }
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "ed" }).to_string();
    let twice = claims().to_string().replacen('{', "{\"sub\":\"root\",", 1);
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(2000), "]".repeat(2000));
    for text in [twice.as_str(), &deep, "[]", "\"x\"", "null", "", "{\"sub\":\"a\"}"] {
        attacks.push(sign_text(&header, text, &AUTHORITY.ed, Backend::EdDSA));
    }
    attacks.extend([
        format!("{token}="),
        format!("{token}."),
        format!("{token}.x"),
        format!("{signed}.{signature}A"),
        format!(".{token}"),
        token.replacen('.', "..", 1),
        token.chars().rev().collect(),
        "x".repeat(9000),
        format!("{{\"payload\":\"{}\"}}", b64("x")),
    ]);
    for exp in [
        json!("9999999999"),
        json!(-1),
        json!(1e300),
        json!([NOW + 100]),
        json!(true),
        json!(9_223_372_036_854_775_807_i64),
        json!(u64::MAX),
        json!(NOW - 61),
    ] {
        attacks.push(good(json!({ "exp": exp })));
    }
    for changes in [
        json!({ "exp": null }),
        json!({ "nbf": NOW + 1000 }),
        json!({ "iat": NOW + 1000 }),
        json!({ "iss": null }),
        json!({ "iss": [ISSUER] }),
        json!({ "iss": "https://idp.example" }),
        json!({ "iss": "https://IDP.example/" }),
        json!({ "aud": null }),
        json!({ "aud": [["api"]] }),
        json!({ "aud": ["other"] }),
        json!({ "aud": "API" }),
        json!({ "sub": { "a": 1 } }),
        json!({ "sub": "" }),
        json!({ "cnf": { "jkt": "x" } }),
        json!({ "jti": null }),
        json!({ "client_id": null }),
    ] {
        attacks.push(good(changes));
    }
    // ECDSA's: zeros, DER, too short, too long.
    let ec_header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "ec" });
    for odd in [vec![0; 64], vec![0; 63], vec![1; 65], vec![0x30, 6, 2, 1, 0, 2, 1, 0], vec![0xff; 64]] {
        attacks.push(forged(&ec_header, &odd));
    }
    attacks
}

fn who(call: tonic::Response<tonic_health::pb::HealthCheckResponse>) -> i32 {
    call.into_inner().status
}

async fn check(client: &mut HealthClient<Channel>, token: Option<&str>) -> Result<i32, Status> {
    let mut request = tonic::Request::new(HealthCheckRequest::default());
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", MetadataValue::try_from(format!("Bearer {token}")).unwrap());
    }
    client.check(request).await.map(who)
}

/// RFC 8725, and what its successor adds, from outside: each attack is refused as any bad token is, and nothing else.
#[tokio::test]
async fn attacks_are_refused_over_http_and_grpc_and_nothing_is_logged_of_them() {
    let log = &*LOG;
    let address = serve_http().await;
    let http = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let mut grpc = HealthClient::new(serve_grpc().await);
    let mut bodies = std::collections::BTreeSet::new();
    let attacks = attacks();
    assert!(attacks.len() > 90, "{}", attacks.len());
    for attack in &attacks {
        let request = Request::get(format!("http://{address}/")).header("authorization", format!("Bearer {attack}"));
        let answer = http.request(request.body(Empty::new()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 401, "{attack}");
        assert_eq!(answer.headers()["www-authenticate"], "Bearer realm=\"api\", error=\"invalid_token\"");
        bodies.insert(answer.into_body().collect().await.unwrap().to_bytes());
        let refused = check(&mut grpc, Some(attack)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{attack}");
    }
    assert_eq!(bodies.len(), 1, "all refusals look alike");

    let author = good(json!({}));
    let voter = good(json!({ "roles": ["voter"], "jti": "2" }));
    assert_eq!(check(&mut grpc, Some(&author)).await.unwrap(), 1);
    assert_eq!(check(&mut grpc, Some(&voter)).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(check(&mut grpc, None).await.unwrap_err().code(), Code::Unauthenticated);
    let request = Request::get(format!("http://{address}/")).header("authorization", format!("Bearer {author}"));
    assert_eq!(http.request(request.body(Empty::new()).unwrap()).await.unwrap().status(), 200);

    let logged = log.text();
    assert!(logged.contains("authn_token_refused") && logged.contains("authz_fail"), "{logged}");
    for secret in attacks.iter().filter(|attack| attack.len() > 30).chain([&author, &voter]) {
        assert!(
            !secret.split('.').any(|part| part.len() > 20 && logged.contains(part)),
            "a part of a token was logged"
        );
    }
    for value in ["alice", "polls:read", "dev/null", "OR 1=1", "127.0.0.1:1", std::str::from_utf8(SECRET).unwrap()] {
        assert!(!logged.contains(value), "`{value}` was logged");
    }
}
