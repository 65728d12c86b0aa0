//! Limiters by client address.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use peers::limits::{bare, client, request, respond};
use tower::{Layer, Service};
use tower_governor::GovernorLayer;
use tower_governor::governor::GovernorConfigBuilder;
use tower_governor::key_extractor::{PeerIpKeyExtractor, SmartIpKeyExtractor};
use tower_rampart::rate_limit::{Quota, RateLimit};

const HOUR: Duration = Duration::from_secs(3600);

/// Ours: one request each hour.
fn rampart() -> impl Service<Request<()>, Response = Response<tower_rampart::ResponseBody<Body>>> {
    RateLimit::per_client_ip(Quota::new(1).per(HOUR)).build().unwrap().layer(bare())
}

fn admitted<S, B>(mut service: S, requests: impl IntoIterator<Item = Request<()>>) -> usize
where
    S: Service<Request<()>, Response = Response<B>>,
{
    let answers = requests.into_iter().filter_map(|request| respond(&mut service, request));
    answers.filter(|response| response.status().is_success()).count()
}

/// One peer that writes another address into the field with each request.
fn spoofing() -> Vec<Request<()>> {
    let claim = |n: u32| {
        let mut request = request(client(1));
        let field = format!("10.9.{}.{}", n / 256, n % 256).parse().unwrap();
        request.headers_mut().insert("x-forwarded-for", field);
        request
    };
    (0..100).map(claim).collect()
}

#[test]
fn a_client_that_claims_addresses_is_many_to_tower_governors_smart_key() {
    let config = GovernorConfigBuilder::default()
        .key_extractor(SmartIpKeyExtractor)
        .period(HOUR)
        .burst_size(1)
        .finish()
        .unwrap();
    assert_eq!(admitted(GovernorLayer::new(config).layer(bare()), spoofing()), 100);
    assert_eq!(admitted(rampart(), spoofing()), 1);
}

#[test]
fn a_network_is_many_clients_to_tower_governor() {
    let network = || {
        let address = |n: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, n));
        (0..100).map(move |n| request(address(n))).collect::<Vec<_>>()
    };
    let config =
        GovernorConfigBuilder::default().key_extractor(PeerIpKeyExtractor).period(HOUR).burst_size(1).finish().unwrap();
    assert_eq!(admitted(GovernorLayer::new(config).layer(bare()), network()), 100);
    assert_eq!(admitted(rampart(), network()), 1);
}

#[test]
fn a_wait_of_less_than_a_second_is_none_to_tower_governor() {
    fn retry_after<S, B>(mut service: S) -> String
    where
        S: Service<Request<()>, Response = Response<B>>,
    {
        respond(&mut service, request(client(1)));
        let refused = respond(&mut service, request(client(1))).unwrap();
        assert_eq!(refused.status(), 429);
        refused.headers()["retry-after"].to_str().unwrap().to_owned()
    }
    let wait = Duration::from_millis(900);
    let config =
        GovernorConfigBuilder::default().key_extractor(PeerIpKeyExtractor).period(wait).burst_size(1).finish().unwrap();
    assert_eq!(retry_after(GovernorLayer::new(config).layer(bare())), "0");
    assert_eq!(retry_after(RateLimit::per_client_ip(Quota::new(1).per(wait)).build().unwrap().layer(bare())), "1");
}
