use crate::support::{gateway, hello, raw, toml};

/// Whatever comes, the gateway lives and none of its answers is a 500.
#[tokio::test]
async fn hostile_requests_are_bounded_work() {
    let (address, _) = hello().await;
    let gateway =
        gateway(&toml(address, "[client_ip]\ntrusted_proxies = [\"127.0.0.0/8\"]\n[security_headers]\n")).await;
    let head = "GET / HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n";
    let entries = vec!["127.0.0.1"; 10_000].join(", ");
    let mut requests: Vec<Vec<u8>> = [
        format!("{head}x-forwarded-for: {entries}\r\n\r\n"),
        format!("{head}forwarded: {}\r\n\r\n", "for=\"[::1]\";by=\"\\\",".repeat(5_000)),
        format!("{head}{}\r\n", "x-forwarded-for: 127.0.0.1\r\n".repeat(50)),
        format!("{head}{}\r\n", "a: b\r\n".repeat(5_000)),
        format!("{head}connection: {}\r\n\r\n", "x,".repeat(50_000)),
        format!("{head}x-request-id: {}\r\n\r\n", "a".repeat(100_000)),
        format!("{head}content-length: 99999999999999999999\r\n\r\n"),
        format!("{head}content-length: 3\r\ncontent-length: 4\r\n\r\nabc"),
        format!("{head}transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n"),
        format!("GET /{} HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n", "a".repeat(300_000)),
        "\0\0\0\0\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
    ]
    .map(String::into_bytes)
    .into();
    requests.push([head.as_bytes(), b"x-forwarded-for: \xff\xfe, 127.0.0.1\r\nx-mine: \xe4\r\n\r\n"].concat());
    requests.push([head.as_bytes(), b"host: \xff\r\n\r\n"].concat());
    for request in &requests {
        let answer = raw(gateway.address, request).await;
        let shown = String::from_utf8_lossy(&request[..request.len().min(120)]).into_owned();
        assert!(!answer.contains("HTTP/1.1 500"), "{shown}\n{answer}");
        assert_eq!(gateway.get("/").await.status, 200, "it lives on after {shown}");
    }
    assert!(raw(gateway.address, &requests[0]).await.contains(" 200 "));
    assert!(raw(gateway.address, &requests[12]).await.contains(" 200 "));
}
