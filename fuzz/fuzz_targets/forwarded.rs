//! Any forwarded header resolves to some client, and an untrusted peer always to itself.
#![no_main]

use std::net::SocketAddr;

use http::{HeaderValue, Request};
use libfuzzer_sys::fuzz_target;
use tower_rampart::RequestView;
use tower_rampart::key::{ClientIp, ForwardedHeader, PeerAddr, TrustedProxies};

fuzz_target!(|input: (bool, Vec<Vec<u8>>)| {
    let (in_forwarded, lines) = input;
    let header = if in_forwarded { ForwardedHeader::Forwarded } else { ForwardedHeader::XForwardedFor };
    let proxies = TrustedProxies::parse(["10.0.0.0/8"]).expect("a valid block");
    let client_ip = ClientIp::new().trusted_proxies(proxies).header(header);
    for peer in ["10.0.0.1:1", "192.0.2.1:1"] {
        let peer: SocketAddr = peer.parse().expect("an address");
        let mut request = Request::get("/").extension(PeerAddr::new(peer)).body(()).expect("a request");
        for line in &lines {
            if let Ok(value) = HeaderValue::from_bytes(line) {
                request.headers_mut().append(header.name(), value);
            }
        }
        let client = client_ip.resolve(RequestView::of(&request)).expect("a peer is there");
        let secure = client_ip.is_secure(RequestView::of(&request));
        if peer.ip().to_string() == "192.0.2.1" {
            assert!(client == peer.ip() && !secure);
        }
    }
});
