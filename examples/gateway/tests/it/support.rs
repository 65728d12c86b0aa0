use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::process::{Child, ChildStderr, Command};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What answers does so at once; this only turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("an answer")
}

pub(crate) type Body = BoxBody<Bytes, Infallible>;

pub(crate) fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).boxed()
}

/// An upstream that remembers the heads it saw.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<http::request::Parts>>>);

impl Seen {
    pub(crate) fn last(&self) -> http::request::Parts {
        self.0.lock().unwrap().last().expect("a request reached the upstream").clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// An upstream that answers each request with `answer`, over HTTP/1.1 and HTTP/2.
pub(crate) async fn upstream<F>(answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static) -> (SocketAddr, Seen)
where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Seen::default();
    let remembered = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answer, seen) = (answer.clone(), seen.clone());
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let (parts, body) = request.into_parts();
                    seen.0.lock().unwrap().push(parts.clone());
                    let answered = answer(Request::from_parts(parts, body));
                    async move { Ok::<_, Infallible>(answered.await) }
                });
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (address, remembered)
}

/// Says hello, and what a careless server says of itself.
pub(crate) async fn hello() -> (SocketAddr, Seen) {
    upstream(|_| async {
        Response::builder()
            .header("server", "careless/1.0")
            .header("x-powered-by", "luck")
            .header("x-frame-options", "ALLOWALL")
            .header("connection", "x-hop")
            .header("x-hop", "1")
            .body(full("hello"))
            .unwrap()
    })
    .await
}

/// A running gateway. It is killed when the test ends.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) child: Child,
    pub(crate) log: Lines<BufReader<ChildStderr>>,
    pub(crate) dir: TempDir,
}

pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    command.env("RUST_LOG", "info").stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Starts the gateway with this TOML; listen addresses of port 0 are found in the log.
pub(crate) async fn gateway(toml: &str) -> Gateway {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("gateway.toml"), toml).unwrap();
    gateway_in(dir).await
}

pub(crate) async fn gateway_in(dir: TempDir) -> Gateway {
    let file = dir.path().join("gateway.toml");
    let has_admin = std::fs::read_to_string(&file).unwrap().contains("admin_listen");
    let args = [PathBuf::from("--config"), file];
    start(command().args(args), dir, has_admin).await
}

pub(crate) async fn start(command: &mut Command, dir: TempDir, has_admin: bool) -> Gateway {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = bound(&mut log, " listening addr=").await;
    let admin = if has_admin { Some(bound(&mut log, "admin listening addr=").await) } else { None };
    Gateway { address, admin, child, log, dir }
}

async fn bound(log: &mut Lines<BufReader<ChildStderr>>, mark: &str) -> SocketAddr {
    let line = wait_for(log, mark).await;
    line.split("addr=").nth(1).unwrap().trim().parse().unwrap()
}

/// Reads the log until a line holds `mark`.
pub(crate) async fn wait_for(log: &mut Lines<BufReader<ChildStderr>>, mark: &str) -> String {
    patiently(async {
        let mut read = String::new();
        while let Some(line) = log.next_line().await.unwrap() {
            if line.contains(mark) {
                return line;
            }
            read.push_str(&line);
            read.push('\n');
        }
        panic!("the gateway ended without `{mark}`; it said:\n{read}");
    })
    .await
}

/// Asks again until it is so.
pub(crate) async fn eventually(is_so: impl AsyncFn() -> bool) {
    patiently(async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

impl Gateway {
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let status = std::process::Command::new("kill").args([name, &id]).status().unwrap();
        assert!(status.success());
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("gateway.toml")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let request = Request::get(format!("http://{}{path}", self.address)).body(Empty::new()).unwrap();
        self.send(request).await
    }

    pub(crate) async fn send(&self, request: Request<Empty<Bytes>>) -> Answer {
        answer(patiently(client().request(request)).await.unwrap()).await
    }

    pub(crate) async fn admin(&self, path: &str) -> Answer {
        let uri = format!("http://{}{path}", self.admin.unwrap()).parse().unwrap();
        answer(patiently(client().get(uri)).await.unwrap()).await
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub(crate) async fn answer(response: Response<Incoming>) -> Answer {
    let (parts, body) = response.into_parts();
    let body = patiently(body.collect()).await.unwrap().to_bytes();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

pub(crate) fn client() -> Client<HttpConnector, Empty<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

pub(crate) fn client_http2<B>() -> Client<HttpConnector, B>
where
    B: http_body::Body<Data = Bytes> + Send + 'static + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    Client::builder(TokioExecutor::new()).http2_only(true).build_http()
}

/// Writes bytes as they are and reads until the gateway closes.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    patiently(async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut read = Vec::new();
        let _ = stream.read_to_end(&mut read).await;
        String::from_utf8_lossy(&read).into_owned()
    })
    .await
}

/// The program, where it is installed; some systems do not show theirs to everybody.
pub(crate) fn installed(name: &str) -> Option<String> {
    let places = [name.to_owned(), format!("/usr/sbin/{name}")];
    let answers = |place: &String| {
        let mut command = std::process::Command::new(place);
        command.arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    let found = places.into_iter().find(answers);
    if found.is_none() {
        eprintln!("skipped: {name} is not installed");
    }
    found
}

/// TLS as this certificate's owner speaks it, and nobody else.
pub(crate) async fn tls(
    stream: TcpStream,
    certificate: &CertificateDer<'static>,
    alpn: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    patiently(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

/// An address that nobody listens on.
pub(crate) async fn nobody() -> SocketAddr {
    // Bound and not listened at, so that no other test gets it while this one runs.
    static HELD: Mutex<Vec<TcpSocket>> = Mutex::new(Vec::new());
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = socket.local_addr().unwrap();
    HELD.lock().unwrap().push(socket);
    address
}

pub(crate) fn toml(upstream: SocketAddr, rest: &str) -> String {
    format!("listen = \"127.0.0.1:0\"\nupstream = \"http://{upstream}\"\n{rest}")
}

pub(crate) fn write(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join(name), text).unwrap();
}
