//! Health, metrics, documents, the page, TLS.

use http::Method;
use rcgen::generate_simple_self_signed;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::support::{Service, command};

#[tokio::test]
async fn probes_and_metrics_answer() {
    let service = Service::start().await;
    assert_eq!(service.get("/healthz").await.is(200).json()["status"], "pass");
    assert_eq!(service.get("/readyz").await.is(200).json()["status"], "ready");
    service.get("/v1/polls").await.is(200);
    service.get("/v1/admin/state").await.is(401);
    let metrics = service.get("/metrics").await.is(200);
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    for line in [
        "poll_api_requests_total{method=\"GET\",route=\"/v1/polls\",status=\"2xx\"} 1",
        "poll_api_requests_total{method=\"GET\",route=\"/v1/admin/state\",status=\"4xx\"} 1",
        "poll_api_request_seconds_bucket{route=\"/v1/polls\",le=\"0.0005\"}",
        "rampart_authz_denied_total",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn the_banner_says_where_everything_is() {
    let service = Service::start().await;
    let banner = service.banner.join("\n");
    const ORDER: &str = "catch panic > security headers > load shed > deadline > rate limit by address > auth >";
    for part in ["page", "/docs/", "/metrics", ORDER] {
        assert!(banner.contains(part), "{part}\n{banner}");
    }
    assert!(!banner.contains("password"), "a password that was given is not told");
}

/// RFC 9112 section 3.2.
#[tokio::test]
async fn a_request_without_its_host_is_refused() {
    let service = Service::start().await;
    let asked = async |head: &str| {
        let mut connection = TcpStream::connect(service.address).await.unwrap();
        connection
            .write_all(format!("GET /healthz HTTP/1.1\r\n{head}connection: close\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        answer
    };
    assert!(asked("host: polls.example\r\n").await.starts_with("HTTP/1.1 200 "));
    for head in ["", "host: a.example\r\nhost: a.example\r\n", "host: a b\r\n"] {
        let answer = asked(head).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("application/problem+json"), "{answer}");
        assert!(answer.contains("x-content-type-options: nosniff"), "{answer}");
    }
}

/// What the page of the description may load is not what other answers may, however often it is asked for.
#[tokio::test]
async fn the_description_is_shown_again_and_again() {
    let service = Service::start().await;
    for path in ["/docs/", "/docs/swagger-ui.css"] {
        for _ in 0..2 {
            let policy = service.get(path).await.is(200).header("content-security-policy").map(str::to_owned);
            assert!(policy.as_deref().is_some_and(|policy| policy.contains("script-src 'self'")), "{path} {policy:?}");
        }
    }
}

/// Caches and circuits are among the metrics from the start.
#[tokio::test]
async fn what_the_cache_does_is_counted() {
    let service = Service::start().await;
    for _ in 0..2 {
        service.get("/v1/polls").await.is(200);
    }
    let text = String::from_utf8(service.get("/metrics").await.is(200).body.to_vec()).unwrap();
    for line in ["rampart_cache_hits_total 1", "rampart_cache_entries 1", "rampart_rate_limit_keys{policy="] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

/// A client need not say in its head that there is nothing behind it; who sends something is refused.
#[tokio::test]
async fn a_body_that_turns_out_to_be_empty_is_none() {
    let service = Service::start().await;
    let (_, token) = service.user().await;
    let asked = async |chunks: &str| {
        let mut connection = TcpStream::connect(service.address).await.unwrap();
        let head = format!(
            "POST /v1/auth/logout HTTP/1.1\r\nhost: polls.example\r\nauthorization: Bearer {token}\r\n\
             transfer-encoding: chunked\r\nconnection: close\r\n\r\n{chunks}"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let refused = asked("2\r\n{}\r\n0\r\n\r\n").await;
    assert!(
        refused.starts_with("HTTP/1.1 400 ") && refused.contains("There is a body where none may be."),
        "{refused}"
    );
    let done = asked("0\r\n\r\n").await;
    assert!(done.starts_with("HTTP/1.1 204 "), "{done}");
}

#[tokio::test]
async fn request_ids_are_kept_or_made() {
    let service = Service::start().await;
    let request = service.request(Method::GET, "/healthz").header("x-request-id", "from-me.1");
    let answer = service.send(request.body(Default::default()).unwrap()).await;
    assert_eq!(answer.header("x-request-id"), Some("from-me.1"));
    let request = service.request(Method::GET, "/v1/none").header("x-request-id", "bad id");
    let answer = service.send(request.body(Default::default()).unwrap()).await;
    assert_eq!(answer.header("x-request-id").unwrap().len(), 32);
    answer.is_problem(401);
}

#[tokio::test]
async fn the_description_is_served_and_its_page_fetches_nothing_from_elsewhere() {
    let service = Service::start().await;
    let document = service.get("/openapi.json").await.is(200).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let page = service.get("/docs/").await.is(200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'self';"), "{policy}");
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    let files: Vec<_> =
        html.split(['"', '\'']).filter(|part| part.ends_with(".js") || part.ends_with(".css")).collect();
    assert!(files.len() >= 3, "{html}");
    for file in files {
        assert!(!file.contains("//"), "{file}");
        service.get(&format!("/docs/{}", file.trim_start_matches("./"))).await.is(200);
    }
    assert_eq!(service.get("/docs").await.is(308).header("location"), Some("/docs/"));
    service.get("/docs/none.js").await.is_problem(404);
}

#[tokio::test]
async fn the_page_has_a_nonce_of_its_own_each_time() {
    let service = Service::start().await;
    let nonce_of = async || {
        let page = service.get("/").await.is(200);
        assert_eq!(page.header("cache-control"), Some("no-store"));
        let policy = page.header("content-security-policy").unwrap().to_owned();
        let html = String::from_utf8(page.body.to_vec()).unwrap();
        let nonce = html.split_once("nonce=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
        assert!(policy.contains(&format!("script-src 'nonce-{nonce}' 'strict-dynamic'")), "{policy}");
        assert!(policy.contains("default-src 'none'") && policy.contains("connect-src 'self'"), "{policy}");
        assert!(!html.contains("{nonce}"));
        // No handler and no style within the text, and nothing from elsewhere.
        for odd in [" onclick", " onload", " style=", "<style", "http://", "https://"] {
            assert!(!html.contains(odd), "{odd}");
        }
        nonce
    };
    assert_ne!(nonce_of().await, nonce_of().await);
    for file in ["style.css", "app.js", "api.js", "session.js", "poll.js", "dom.js", "icon.svg"] {
        let answer = service.get(&format!("/assets/{file}")).await.is(200);
        assert!(!answer.body.is_empty(), "{file}");
        assert!(answer.header("content-security-policy").unwrap().starts_with("default-src 'none'"), "{file}");
    }
    service.get("/assets/none.js").await.is_problem(404);
}

#[tokio::test]
async fn tls_is_spoken_with_a_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(directory.path().join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(directory.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let service = crate::support::Setup::new()
        .in_directory(directory)
        .argument("--tls-cert=cert.pem")
        .argument("--tls-key=key.pem")
        .start()
        .await;
    assert!(service.banner[0].contains("https://"));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector =
        hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1().build();
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build(connector);
    let url = format!("https://localhost:{}/healthz", service.address.port());
    let request = http::Request::get(url).body(http_body_util::Full::<bytes::Bytes>::default()).unwrap();
    let answer = client.request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().contains_key("strict-transport-security"));
}

#[tokio::test]
async fn what_cannot_be_used_ends_the_start_with_a_clear_word() {
    let directory = tempfile::tempdir().unwrap();
    // What only the layer itself finds.
    std::fs::write(directory.path().join("layer.toml"), "[cache]\nbytes = \"1KiB\"\nentry_bytes = \"2KiB\"\n").unwrap();
    let run = async |arguments: &[&str]| {
        let mut command: Command = command(directory.path());
        let output = command.args(arguments).output().await.unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (arguments, code, word) in [
        (&["--config", "none.toml"][..], 2, "none.toml"),
        (&["--tls-cert", "none.pem", "--tls-key", "none.pem"][..], 2, "none.pem"),
        (&["--upstream-url", "ftp://x"][..], 2, "--upstream-url"),
        (&["--config", "layer.toml"][..], 2, "cache.bytes"),
        (&["--database-url", "mysql://ann:secret@x"][..], 2, "--database-url: `mysql`"),
        (&["--database-url", "sqlite::memory:"][..], 2, "name a file"),
        (&["--database-read-url", "polls.db"][..], 2, "--database-read-url: is no URL"),
        (&["--admin-password", "short"][..], 1, "12 to 128"),
        (&["--redis-url", "http://ann:secret@x"][..], 2, "--redis-url: is no URL of a Redis server; write one such as"),
        (&["--database-url", "sqlite:none/polls.db"][..], 1, "a folder that this user can write"),
        (&["--otlp-endpoint", "x"][..], 2, "`http://127.0.0.1:4317`"),
        (&["--tls-cert", "cert.pem"][..], 2, "--tls-key"),
    ] {
        let (status, error) = run(arguments).await;
        assert_eq!(status, Some(code), "{arguments:?} {error}");
        assert!(error.contains(word) && !error.contains("secret"), "{arguments:?} {error}");
    }
}

#[tokio::test]
async fn log_lines_are_json_with_ids_and_without_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let mut command: Command = command(directory.path());
    command.env("RUST_LOG", "info").args(["--log-format", "json"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(child.stdout.take().unwrap()));
    let first = lines.next_line().await.unwrap().unwrap();
    let address = first.rsplit_once("//").unwrap().1.to_owned();
    let body = r#"{"username":"nobody","password":"a secret of somebody"}"#;
    let request = http::Request::post(format!("http://{address}/v1/auth/login"))
        .header("cookie", "session=secret")
        .header("content-type", "application/json")
        .header("x-request-id", "mine-1")
        .body(http_body_util::Full::<bytes::Bytes>::from(body))
        .unwrap();
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    assert_eq!(client.request(request).await.unwrap().status(), 401);
    let request = http::Request::get(format!("http://{address}/v1/polls?token=secret")).body(Default::default());
    assert_eq!(client.request(request.unwrap()).await.unwrap().status(), 400);
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success());
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(!log.contains("secret"), "{log}");
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answered = lines.iter().find(|line| line["target"] == "poll_api::access").unwrap();
    assert_eq!((&answered["request_id"], &answered["status"]), (&"mine-1".into(), &401.into()));
    assert_eq!(answered["route"], "/v1/auth/login");
}
