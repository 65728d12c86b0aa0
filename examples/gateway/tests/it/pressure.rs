//! `[bulkhead]` and `[load_shed]`: more than the upstream can take.

use std::sync::Arc;

use http::{Request, Response};
use http_body_util::Empty;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::support::*;

const ADMIN: &str = "admin_listen = \"127.0.0.1:0\"\n";

/// An upstream that answers `/healthz` at once and everything else when the gate opens.
async fn halting() -> (std::net::SocketAddr, Seen, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let (address, seen) = upstream(move |request| {
        let gate = Arc::clone(&opened);
        async move {
            if request.uri().path() != "/healthz" {
                gate.acquire().await.unwrap().forget();
            }
            Response::new(full("done"))
        }
    })
    .await;
    (address, seen, gate)
}

fn call(gateway: &Gateway, path: &str) -> JoinHandle<u16> {
    let uri: http::Uri = format!("http://{}{path}", gateway.address).parse().unwrap();
    tokio::spawn(async move { patiently(client().get(uri)).await.unwrap().status().as_u16() })
}

async fn number(gateway: &Gateway, pointer: &str) -> u64 {
    let state = gateway.admin("/-/state").await.json();
    state.pointer(pointer).and_then(serde_json::Value::as_u64).unwrap_or_else(|| panic!("{pointer} in {state}"))
}

async fn metrics(gateway: &Gateway) -> String {
    String::from_utf8(gateway.admin("/-/metrics").await.body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_bulkhead_spares_the_upstream_and_its_queue_takes_up_a_burst() {
    let (address, seen, gate) = halting().await;
    let table = format!("{ADMIN}[bulkhead]\nmax_concurrent = 2\nmax_queued = 1\nmax_wait = \"30s\"\n");
    let gateway = gateway(&toml(address, &table)).await;
    let pointer = |name: &str| format!("/bulkhead/{address}/{name}");
    let running = [call(&gateway, "/a"), call(&gateway, "/b")];
    eventually(async || number(&gateway, &pointer("in_flight")).await == 2).await;
    let waiting = call(&gateway, "/c");
    eventually(async || number(&gateway, &pointer("queued")).await == 1).await;
    let refused = gateway.get("/d").await;
    assert_eq!((refused.status, &refused.headers["retry-after"]), (503, &"1".parse().unwrap()));
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    assert!(refused.headers.contains_key("x-request-id"));
    eventually(async || seen.count() == 2).await;
    let said = metrics(&gateway).await;
    for line in [
        "rampart_bulkhead_refused_total{status=\"503\"} 1",
        "rampart_bulkhead_waited_total{bulkhead=\"upstream\"} 1",
        "rampart_bulkhead_in_flight{bulkhead=\"upstream\"} 2",
        "rampart_bulkhead_queued{bulkhead=\"upstream\"} 1",
    ] {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
    gate.add_permits(3);
    for call in running.into_iter().chain([waiting]) {
        assert_eq!(call.await.unwrap(), 200);
    }
    eventually(async || number(&gateway, &pointer("in_flight")).await == 0).await;
    assert_eq!(number(&gateway, &pointer("refused")).await, 1);
}

#[tokio::test]
async fn a_wait_has_an_end_and_grpc_clients_are_told_14() {
    let (address, _, _gate) = halting().await;
    let table = format!("{ADMIN}[bulkhead]\nmax_concurrent = 1\nmax_wait = \"50ms\"\n");
    let gateway = gateway(&toml(address, &table)).await;
    let running = call(&gateway, "/a");
    eventually(async || number(&gateway, &format!("/bulkhead/{address}/in_flight")).await == 1).await;
    assert_eq!(gateway.get("/b").await.status, 503);
    let request = Request::post(format!("http://{}/p.S/M", gateway.address)).header("content-type", "application/grpc");
    let refused = gateway.send(request.body(Empty::new()).unwrap()).await;
    assert_eq!((refused.status, &refused.headers["grpc-status"]), (200, &"14".parse().unwrap()));
    assert_eq!(refused.headers["grpc-retry-pushback-ms"], "1000");
    assert!(metrics(&gateway).await.contains("rampart_bulkhead_waited_in_vain_total{bulkhead=\"upstream\"} 2"));
    // A client that leaves gives its place back.
    running.abort();
    eventually(async || number(&gateway, &format!("/bulkhead/{address}/in_flight")).await == 0).await;
}

#[tokio::test]
async fn a_reload_keeps_the_places_and_moves_the_bounds() {
    let (address, _, gate) = halting().await;
    let table = |bound: u32| {
        toml(
            address,
            &format!("{ADMIN}[bulkhead]\nmax_concurrent = {bound}\nmax_queued = 0\n[load_shed]\nmax_limit = 50\n"),
        )
    };
    let mut gateway = gateway(&table(1)).await;
    let running = call(&gateway, "/a");
    eventually(async || number(&gateway, &format!("/bulkhead/{address}/in_flight")).await == 1).await;
    std::fs::write(gateway.file(), table(2)).unwrap();
    wait_for(&mut gateway.log, "configuration reloaded").await;
    assert_eq!(number(&gateway, &format!("/bulkhead/{address}/in_flight")).await, 1);
    assert_eq!(number(&gateway, "/load_shed/in_flight").await, 1);
    let second = call(&gateway, "/b");
    eventually(async || number(&gateway, &format!("/bulkhead/{address}/in_flight")).await == 2).await;
    assert_eq!(gateway.get("/c").await.status, 503);
    gate.add_permits(2);
    assert_eq!((running.await.unwrap(), second.await.unwrap()), (200, 200));
}

#[tokio::test]
async fn what_does_not_fit_in_is_shed_and_health_checks_never_are() {
    let (address, seen, gate) = halting().await;
    let table = format!("{ADMIN}[load_shed]\nmin_limit = 2\ninitial_limit = 2\nmax_limit = 2\n[security_headers]\n");
    let gateway = gateway(&toml(address, &table)).await;
    let running = [call(&gateway, "/a"), call(&gateway, "/b")];
    eventually(async || number(&gateway, "/load_shed/in_flight").await == 2).await;
    let shed = gateway.get("/c").await;
    assert_eq!((shed.status, &shed.headers["retry-after"]), (503, &"1".parse().unwrap()));
    // The headers stand around it.
    assert_eq!(shed.headers["x-content-type-options"], "nosniff");
    assert_eq!(gateway.get("/healthz").await.status, 200);
    assert_eq!(gateway.get("/healthz/../c").await.status, 503);
    eventually(async || seen.count() == 3).await;
    assert_eq!((number(&gateway, "/load_shed/limit").await, number(&gateway, "/load_shed/shed").await), (2, 2));
    let said = metrics(&gateway).await;
    for line in [
        "rampart_load_shed_refused_total{status=\"503\"} 2",
        "rampart_load_shed_shed_total{criticality=\"critical-plus\"} 2",
        "rampart_load_shed_limit 2",
        "rampart_load_shed_in_flight 2",
    ] {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
    gate.add_permits(2);
    for call in running {
        assert_eq!(call.await.unwrap(), 200);
    }
}

#[tokio::test]
async fn without_the_tables_nothing_is_bounded() {
    let (address, seen, gate) = halting().await;
    let gateway = gateway(&toml(address, ADMIN)).await;
    let running: Vec<_> = (0..50).map(|n| call(&gateway, &format!("/{n}"))).collect();
    eventually(async || seen.count() == 50).await;
    let state = gateway.admin("/-/state").await.json();
    assert!(state["bulkhead"].is_null() && state["load_shed"].is_null());
    gate.add_permits(50);
    for call in running {
        assert_eq!(call.await.unwrap(), 200);
    }
}
