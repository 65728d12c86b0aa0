use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::support::{
    answer, client, full, gateway, gateway_in, hello, patiently, tls, toml, upstream, wait_for, write,
};

#[tokio::test]
async fn saving_the_file_reloads_and_a_bad_file_keeps_the_old_configuration() {
    let (address, _) = hello().await;
    let mut gateway = gateway(&toml(address, "admin_listen = \"127.0.0.1:0\"\n[security_headers]\n")).await;
    assert_eq!(gateway.get("/").await.headers["x-frame-options"], "DENY");

    let with = |rest: &str| toml(address, &format!("admin_listen = \"127.0.0.1:0\"\n{rest}"));
    std::fs::write(gateway.file(), with("[security_headers]\npreset = \"grpc\"\n")).unwrap();
    wait_for(&mut gateway.log, "configuration reloaded").await;
    assert_eq!(gateway.get("/").await.headers["x-frame-options"], "ALLOWALL", "`grpc` leaves the upstream's");

    std::fs::write(gateway.file(), with("[security_headers]\npreset = \"strict\"\n")).unwrap();
    let said = wait_for(&mut gateway.log, "not reloaded").await;
    assert!(said.contains("gateway.toml:5: security_headers.preset: `strict`"), "{said}");
    let after = gateway.get("/").await;
    assert_eq!(after.headers["x-content-type-options"], "nosniff", "the old one stays");
    let config = gateway.admin("/-/state").await.json()["config"].clone();
    // A save may be seen in two steps, so the counts are at least these.
    assert!(config["reloads"].as_u64() >= Some(1) && config["failed_reloads"].as_u64() >= Some(1), "{config}");
    assert_eq!(config["last_reload_failed"], true);

    // Editors replace the file.
    let new = gateway.dir.path().join("new.toml");
    std::fs::write(&new, with("")).unwrap();
    std::fs::rename(&new, gateway.file()).unwrap();
    wait_for(&mut gateway.log, "configuration reloaded").await;
    assert!(!gateway.get("/").await.headers.contains_key("x-content-type-options"));
}

/// As a cluster mounts configurations: the file is a link through a link, and the inner one is swapped.
#[tokio::test]
async fn swapping_the_target_of_a_link_reloads() {
    use std::os::unix::fs::symlink;
    let (address, _) = hello().await;
    let dir = tempfile::tempdir().unwrap();
    for (version, tables) in [("v1", "[security_headers]\n"), ("v2", "")] {
        std::fs::create_dir(dir.path().join(version)).unwrap();
        write(&dir.path().join(version), "gateway.toml", &toml(address, tables));
    }
    symlink("v1", dir.path().join("data")).unwrap();
    symlink("data/gateway.toml", dir.path().join("gateway.toml")).unwrap();
    let mut gateway = gateway_in(dir).await;
    assert_eq!(gateway.get("/").await.headers["x-frame-options"], "DENY");
    symlink("v2", gateway.dir.path().join("next")).unwrap();
    std::fs::rename(gateway.dir.path().join("next"), gateway.dir.path().join("data")).unwrap();
    patiently(async {
        loop {
            wait_for(&mut gateway.log, "configuration reloaded").await;
            if gateway.get("/").await.headers["x-frame-options"] == "ALLOWALL" {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn sighup_reloads_what_the_flags_leave_open() {
    let (first, _) = hello().await;
    let (second, seen) = hello().await;
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "gateway.toml", &toml(first, ""));
    let mut gateway = gateway_in(dir).await;
    gateway.get("/").await;
    // Written beside and moved, then announced by the signal as well: one of the two reloads comes first.
    write(gateway.dir.path(), "gateway.toml", &toml(second, ""));
    gateway.signal("-HUP");
    wait_for(&mut gateway.log, "configuration reloaded").await;
    gateway.get("/").await;
    assert_eq!(seen.count(), 1);
}

#[tokio::test]
async fn a_stop_lets_requests_in_flight_finish() {
    let (reached, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (address, _) = {
        let (reached, release) = (Arc::clone(&reached), Arc::clone(&release));
        upstream(move |_| {
            let (reached, release) = (Arc::clone(&reached), Arc::clone(&release));
            async move {
                reached.add_permits(1);
                release.acquire().await.unwrap().forget();
                Response::new(full("late"))
            }
        })
        .await
    };
    let mut gateway = gateway(&toml(address, "admin_listen = \"127.0.0.1:0\"\n")).await;
    let uri = format!("http://{}/", gateway.address).parse().unwrap();
    let request = tokio::spawn(client().get(uri));
    patiently(reached.acquire()).await.unwrap().forget();
    gateway.signal("-TERM");
    patiently(async { while gateway.admin("/-/readyz").await.status != 503 {} }).await;
    assert_eq!(gateway.admin("/-/healthz").await.status, 200);
    release.add_permits(1);
    let response = patiently(request).await.unwrap().unwrap();
    assert_eq!(answer(response).await.body, "late");
    let status = patiently(gateway.child.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
}

/// Whoever sends requests here learns of the stop by `/-/readyz`, and until it has there is still an answer.
#[tokio::test]
async fn at_a_stop_the_gateway_is_unready_before_it_accepts_nobody() {
    let (address, _) = hello().await;
    let tables = "admin_listen = \"127.0.0.1:0\"\n[connections]\nunready_for = \"1h\"\n";
    let gateway = gateway(&toml(address, tables)).await;
    gateway.signal("-TERM");
    patiently(async { while gateway.admin("/-/readyz").await.status != 503 {} }).await;
    let uri = format!("http://{}/", gateway.address).parse().unwrap();
    // A client of its own, and so a connection of its own.
    let response = patiently(client().get(uri)).await.unwrap();
    assert_eq!(answer(response).await.body, "hello");
}

#[tokio::test]
async fn a_client_that_says_nothing_is_waited_for_as_long_as_is_configured() {
    let (address, _) = hello().await;
    let gateway = gateway(&toml(address, "[connections]\nhead = \"50ms\"\n")).await;
    for said in ["", "GET / HTTP/1.1\r\nhost: a.example\r\n", "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n"] {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        // The gateway ends it: before a head, within one, and behind an answer. Whoever is cut off may see a reset.
        let mut read = Vec::new();
        let _ = patiently(stream.read_to_end(&mut read)).await;
    }
}

#[tokio::test]
async fn tls_with_alpn_and_hsts() {
    let (address, seen) = hello().await;
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    write(dir.path(), "cert.pem", &made.cert.pem());
    write(dir.path(), "key.pem", &made.signing_key.serialize_pem());
    let tables = "[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n[security_headers]\n";
    write(dir.path(), "gateway.toml", &toml(address, tables));
    let gateway = gateway_in(dir).await;

    for alpn in ["h2", "http/1.1"] {
        let stream = TcpStream::connect(gateway.address).await.unwrap();
        let stream = tls(stream, made.cert.der(), alpn).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(alpn.as_bytes()));
        let io = TokioIo::new(stream);
        let request =
            Request::get("https://localhost/").header("host", "localhost").body(Empty::<Bytes>::new()).unwrap();
        let response = if alpn == "h2" {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            patiently(sender.send_request(request)).await.unwrap()
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            patiently(sender.send_request(request)).await.unwrap()
        };
        let headers = response.headers();
        assert_eq!(headers["strict-transport-security"], "max-age=63072000; includeSubDomains", "{alpn}");
        assert_eq!(seen.last().headers["x-forwarded-proto"], "https");
    }
}

#[tokio::test]
async fn a_certificate_is_renewed_by_a_signal_and_never_without_its_key() {
    let (address, _) = hello().await;
    let dir = tempfile::tempdir().unwrap();
    let [old, new] = [(); 2].map(|()| rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap());
    write(dir.path(), "cert.pem", &old.cert.pem());
    write(dir.path(), "key.pem", &old.signing_key.serialize_pem());
    write(dir.path(), "gateway.toml", &toml(address, "[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n"));
    let mut gateway = gateway_in(dir).await;
    let listens = gateway.address;
    let shows = async |certificate: &CertificateDer<'static>| {
        let stream = TcpStream::connect(listens).await.unwrap();
        tls(stream, certificate, "h2").await.is_ok()
    };
    assert!(shows(old.cert.der()).await && !shows(new.cert.der()).await);

    write(gateway.dir.path(), "cert.pem", &new.cert.pem());
    gateway.signal("-HUP");
    wait_for(&mut gateway.log, "not reloaded").await;
    assert!(shows(old.cert.der()).await, "half of a pair is none");

    write(gateway.dir.path(), "key.pem", &new.signing_key.serialize_pem());
    gateway.signal("-HUP");
    wait_for(&mut gateway.log, "configuration reloaded").await;
    assert!(shows(new.cert.der()).await && !shows(old.cert.der()).await);
}
