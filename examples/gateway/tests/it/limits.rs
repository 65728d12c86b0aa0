use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::body::Frame;
use tokio::sync::Semaphore;

use crate::support::{
    Gateway, answer, client, client_http2, full, gateway, hello, patiently, toml, upstream, wait_for,
};

fn with(table: &str) -> String {
    format!("admin_listen = \"127.0.0.1:0\"\n[[rate_limit]]\n{table}\n")
}

async fn statuses(gateway: &Gateway, paths: &[&str]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for path in paths {
        statuses.push(gateway.get(path).await.status);
    }
    statuses
}

#[tokio::test]
async fn a_table_limits_and_the_upstream_is_spared() {
    let (address, seen) = hello().await;
    let gateway = gateway(&toml(address, &with("name = \"default\"\nquota = 3\nwindow = \"1h\""))).await;
    let first = gateway.get("/").await;
    assert_eq!(first.headers["ratelimit-policy"], "\"default\";q=3;w=3600");
    assert_eq!(first.headers["ratelimit"], "\"default\";r=2;t=1200");
    assert_eq!(statuses(&gateway, &["/a", "/b", "/c", "/d"]).await, [200, 200, 429, 429]);
    let refused = gateway.get("/").await;
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    let retry_after: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1100..=1200).contains(&retry_after), "{retry_after}");
    assert_eq!(refused.json()["violated-policies"], serde_json::json!(["default"]));
    assert!(refused.json()["request_id"].is_string());
    assert_eq!(seen.count(), 3);
    assert_eq!(gateway.admin("/-/state").await.json()["rate_limit"]["default"]["keys"], 1);
    let metrics = String::from_utf8(gateway.admin("/-/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("rampart_rate_limit_refused_total{status=\"429\"} 3"), "{metrics}");
    // A preflight is asked by the browser, not by the page's user.
    let preflight = Request::options(format!("http://{}/", gateway.address))
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST");
    assert_eq!(gateway.send(preflight.body(Empty::new()).unwrap()).await.status, 200);
}

#[tokio::test]
async fn a_reload_keeps_the_counts() {
    let (address, _) = hello().await;
    let table = |quota: u32, max_keys: u32| {
        toml(address, &with(&format!("name = \"kept\"\nquota = {quota}\nwindow = \"1h\"\nmax_keys = {max_keys}")))
    };
    let mut gateway = gateway(&table(3, 1000)).await;
    assert_eq!(statuses(&gateway, &["/", "/", "/", "/"]).await, [200, 200, 200, 429]);
    for (quota, max_keys) in [(5, 1000), (500, 10), (2, 100_000)] {
        std::fs::write(gateway.file(), table(quota, max_keys)).unwrap();
        wait_for(&mut gateway.log, "configuration reloaded").await;
        let refused = gateway.get("/").await;
        // No new credit, and no old lock-out beyond one new window.
        assert_eq!(refused.status, 429, "{quota}");
        assert_eq!(refused.headers["ratelimit-policy"], format!("\"kept\";q={quota};w=3600"));
    }
    assert_eq!(gateway.admin("/-/state").await.json()["rate_limit"]["kept"]["keys"], 1);
}

#[tokio::test]
async fn only_failed_logins_stay_charged() {
    let (address, _) = upstream(|request| async move {
        let status = if request.uri().query() == Some("wrong") { 401 } else { 200 };
        Response::builder().status(status).body(full("")).unwrap()
    })
    .await;
    let table = "name = \"logins\"\nkind = \"fixed-window\"\nquota = 2\nwindow = \"1h\"\npaths = [\"/login\"]\ncount_status = [401]";
    let gateway = gateway(&toml(address, &with(table))).await;
    let tries =
        ["/login", "/login", "/login?wrong", "/login", "/%6cogin?wrong", "/login", "//login", "/other?wrong", "/"];
    assert_eq!(statuses(&gateway, &tries).await, [200, 200, 401, 200, 401, 429, 429, 401, 200]);
}

#[tokio::test]
async fn a_shadow_counts_and_lets_through() {
    let (address, _) = hello().await;
    let gateway = gateway(&toml(address, &with("name = \"s\"\nquota = 1\nwindow = \"1h\"\nmode = \"shadow\""))).await;
    assert_eq!(statuses(&gateway, &["/", "/", "/"]).await, [200, 200, 200]);
    assert!(!gateway.get("/").await.headers.contains_key("ratelimit"));
    assert_eq!(gateway.admin("/-/state").await.json()["rate_limit"]["s"]["shadowed"], 3);
    let metrics = String::from_utf8(gateway.admin("/-/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("rampart_rate_limit_shadowed_total{policy=\"s\"} 3"), "{metrics}");
}

#[tokio::test]
async fn requests_in_flight_count_until_their_bodies_have_ended() {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let (address, _) = upstream(move |_| {
        let gate = Arc::clone(&opened);
        async move {
            let frames = futures_util::stream::unfold(0, move |step| {
                let gate = Arc::clone(&gate);
                async move {
                    match step {
                        0 => Some((Ok(Frame::data(Bytes::from_static(b"one"))), 1)),
                        1 => {
                            gate.acquire().await.unwrap().forget();
                            Some((Ok(Frame::data(Bytes::from_static(b"two"))), 2))
                        }
                        _ => None,
                    }
                }
            });
            Response::new(StreamBody::new(frames).boxed())
        }
    })
    .await;
    let gateway = gateway(&toml(address, &with("name = \"flight\"\nkind = \"concurrent\"\nquota = 1"))).await;
    let uri: http::Uri = format!("http://{}/", gateway.address).parse().unwrap();
    let streaming = patiently(client().get(uri)).await.unwrap();
    assert_eq!(streaming.status(), 200);
    let refused = gateway.get("/").await;
    assert_eq!((refused.status, refused.headers.contains_key("retry-after")), (429, false));
    assert_eq!(refused.headers["ratelimit-policy"], "\"flight\";q=1;qu=\"concurrent-requests\"");
    gate.add_permits(1);
    assert_eq!(answer(streaming).await.body, "onetwo");
    gate.add_permits(100);
    patiently(async {
        while gateway.get("/").await.status != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_table_with_max_wait_paces() {
    let (address, seen) = hello().await;
    let table = "name = \"paced\"\nquota = 20\nwindow = \"1s\"\nburst = 1\nmax_wait = \"10s\"";
    let gateway = gateway(&toml(address, &with(table))).await;
    let requests = (0..10).map(|_| gateway.get("/"));
    let answers = futures_util::future::join_all(requests).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(seen.count(), 10);
}

#[tokio::test]
async fn grpc_clients_get_a_status_and_a_pushback() {
    let (address, _) = hello().await;
    let gateway = gateway(&toml(address, &with("quota = 1\nwindow = \"1h\"\nheaders = \"none\""))).await;
    let call = || {
        let request =
            Request::post(format!("http://{}/p.S/M", gateway.address)).header("content-type", "application/grpc");
        patiently(client_http2().request(request.body(Empty::<Bytes>::new()).unwrap()))
    };
    call().await.unwrap();
    let refused = call().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["grpc-status"].as_bytes()), (200, &b"8"[..]));
    let pushback: u64 = refused.headers()["grpc-retry-pushback-ms"].to_str().unwrap().parse().unwrap();
    assert!((3_500_000..=3_600_000).contains(&pushback), "{pushback}");
    assert!(refused.headers().contains_key("retry-after") && !refused.headers().contains_key("ratelimit"));
}

#[tokio::test]
async fn spoofed_addresses_gain_nothing_and_lock_nobody_out() {
    let (address, _) = hello().await;
    let table = "name = \"p\"\nquota = 2\nwindow = \"1h\"";
    let client_ip = "[client_ip]\ntrusted_proxies = [\"127.0.0.0/8\"]\n";
    let untrusting = gateway(&toml(address, &with(table))).await;
    let trusting = gateway(&toml(address, &format!("{}{client_ip}", with(table)))).await;
    let claim = async |gateway: &Gateway, chain: &str| {
        let request = Request::get(format!("http://{}/", gateway.address)).header("x-forwarded-for", chain);
        gateway.send(request.body(Empty::new()).unwrap()).await.status
    };
    let mut admitted = 0;
    for n in 0..20 {
        admitted += usize::from(claim(&untrusting, &format!("203.0.113.{n}")).await == 200);
    }
    assert_eq!(admitted, 2);
    // Behind a proxy of ours an attacker writes its victim's address on the left, and is taken for itself.
    for _ in 0..20 {
        admitted += usize::from(claim(&trusting, "198.51.100.7, 203.0.113.66").await == 200);
    }
    assert_eq!(admitted, 4);
    assert_eq!(claim(&trusting, "198.51.100.7").await, 200);
}
