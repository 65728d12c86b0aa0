//! The gateway behind nginx and HAProxy, as docs/deploy has them. Where one is not installed, its test says so and ends.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, Command};

use crate::support::{Gateway, Seen, gateway, hello, installed, nobody, patiently, tls, write};

/// A proxy of docs/deploy before a gateway. It is killed when the test ends.
struct Proxied {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    seen: Seen,
    _proxy: Child,
    _gateway: Gateway,
    _dir: TempDir,
}

/// Where nginx keeps what is too long for memory, whoever runs it.
const NGINX_TEMPORARY: &str = "http {
    client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;
";

fn deployed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/deploy").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// A free port of an address that no other test listens at: between this and the proxy's start nobody takes it.
fn for_the_proxy() -> SocketAddr {
    std::net::TcpListener::bind((Ipv4Addr::new(127, 0, 0, 9), 0)).unwrap().local_addr().unwrap()
}

/// Starts gateway and proxy by their files, but for the addresses, and a quota that is soon used up.
async fn proxied(file: &str, proxy: impl FnOnce(&Path) -> Command) -> Proxied {
    let (upstream, seen) = hello().await;
    let config = deployed("gateway.toml")
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("127.0.0.1:8081", "127.0.0.1:0")
        .replace("127.0.0.1:9000", &upstream.to_string())
        .replace("quota = 100", "quota = 3");
    let gateway = gateway(&config).await;

    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let address = for_the_proxy();
    let config = deployed(file)
        .replace("127.0.0.1:8443", &address.to_string())
        .replace("127.0.0.1:8080", &gateway.address.to_string())
        .replace("port 8081", &format!("port {}", gateway.admin.unwrap().port()))
        // The second gateway is down.
        .replace("127.0.0.1:8082", &nobody().await.to_string())
        .replace("http {", NGINX_TEMPORARY);
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [("cert.pem", &cert), ("key.pem", &key), ("both.pem", &format!("{cert}{key}")), (file, &config)]
    {
        write(dir.path(), name, text);
    }
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    let mut command = proxy(dir.path());
    command.current_dir(dir.path()).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    patiently(async {
        while TcpStream::connect(address).await.is_err() {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "{}", std::fs::read_to_string(dir.path().join("log")).unwrap());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let certificate = made.cert.der().clone();
    Proxied { address, certificate, seen, _proxy: child, _gateway: gateway, _dir: dir }
}

impl Proxied {
    /// Asks over HTTP/2 from an address of this machine.
    async fn ask(&self, from: u8, request: http::request::Builder) -> (StatusCode, HeaderMap) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::new(127, 0, 0, from), 0).into()).unwrap();
        let stream = patiently(socket.connect(self.address)).await.unwrap();
        let stream = tls(stream, &self.certificate, "h2").await.unwrap();
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (mut sender, connection) = patiently(handshake).await.unwrap();
        tokio::spawn(connection);
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let (parts, body) = patiently(sender.send_request(request)).await.unwrap().into_parts();
        let _ = patiently(body.collect()).await.unwrap();
        (parts.status, parts.headers)
    }
}

fn get(path: &str) -> http::request::Builder {
    Request::get(format!("https://localhost{path}"))
}

/// What docs/operations.md says of either proxy.
async fn check(proxied: &Proxied) {
    let forged = ["x-real-ip", "cf-connecting-ip", "forwarded", "x-forwarded-host", "x-forwarded-prefix"];
    let lying = |request: http::request::Builder| {
        let request = request.header("x-forwarded-for", "6.6.6.6").header("x-forwarded-proto", "http");
        forged.iter().fold(request, |request, name| request.header(*name, "6.6.6.6"))
    };

    // What the client claims ends at the proxy; what it asks for arrives as it was written.
    let path = "/a//b/%2e%2e/c%2Fd%41?q=1";
    let (status, headers) = proxied.ask(2, lying(get(path))).await;
    assert_eq!(status, 200);
    let seen = proxied.seen.last();
    assert_eq!(seen.uri, path);
    assert_eq!(seen.headers["x-forwarded-for"], "127.0.0.2, 127.0.0.1");
    assert_eq!(seen.headers["x-forwarded-proto"], "https");
    assert_eq!(seen.headers["host"], "localhost");
    for name in forged {
        assert!(!seen.headers.contains_key(name), "{name}");
    }
    assert_eq!(headers["strict-transport-security"], "max-age=63072000; includeSubDomains");
    assert_eq!(headers["x-request-id"], seen.headers["x-request-id"]);

    // Each client has its own quota, and no other by another claim.
    for _ in 0..2 {
        assert_eq!(proxied.ask(2, lying(get("/"))).await.0, 200);
    }
    let (status, headers) = proxied.ask(2, get("/").header("x-forwarded-for", "7.7.7.7")).await;
    assert_eq!(status, 429);
    assert!(headers.contains_key("strict-transport-security") && headers.contains_key("retry-after"));
    assert_eq!(proxied.ask(3, get("/")).await.0, 200);

    // gRPC hears it in its own words, on both kinds of connections in turn.
    for _ in 0..2 {
        let call = Request::post("https://localhost/grpc.health.v1.Health/Check");
        let call = call.header("content-type", "application/grpc").header("te", "trailers");
        let (status, headers) = proxied.ask(2, call).await;
        assert_eq!((status, headers["grpc-status"].to_str().unwrap()), (StatusCode::OK, "8"));
        assert_eq!(proxied.ask(2, get("/")).await.0, 429);
    }
}

#[tokio::test]
async fn behind_nginx() {
    let Some(nginx) = installed("nginx") else { return };
    let proxied = proxied("nginx.conf", |dir| {
        let mut command = Command::new(nginx);
        command.arg("-p").arg(dir).args(["-c", "nginx.conf", "-e", "stderr"]);
        command.args(["-g", "daemon off; master_process off;"]);
        command
    })
    .await;
    check(&proxied).await;
}

#[tokio::test]
async fn behind_haproxy() {
    let Some(haproxy) = installed("haproxy") else { return };
    let proxied = proxied("haproxy.cfg", |_| {
        let mut command = Command::new(haproxy);
        command.args(["-f", "haproxy.cfg", "-db"]);
        command
    })
    .await;
    check(&proxied).await;
}
