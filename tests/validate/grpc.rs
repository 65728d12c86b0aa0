//! gRPC messages, in a body and over a socket.

use bytes::Bytes;
use http::Request;
use proptest::prelude::*;
use tower_rampart::validate::{Check, Route, Validate, ValidateLayer};

use crate::support::{pieces, post, send};

fn layer(route: Route) -> ValidateLayer {
    Validate::new().add_route(route).build().unwrap()
}

/// Messages as they are sent: a flag, a length, and so many bytes.
fn body(messages: &[(u8, usize)]) -> Vec<u8> {
    let each = messages
        .iter()
        .flat_map(|(flag, length)| [&[*flag][..], &(*length as u32).to_be_bytes(), &vec![b'm'; *length]].concat());
    each.collect()
}

/// The gRPC status; `ok` where the handler was reached.
fn status(layer: &ValidateLayer, body: impl Into<Bytes>) -> String {
    let mut request = post("application/grpc", body);
    *request.uri_mut() = "/pkg.Service/Method".parse().unwrap();
    let answer = send(layer, request);
    assert_eq!(answer.status, 200);
    answer.headers.get("grpc-status").map_or("ok", |status| status.to_str().unwrap()).to_owned()
}

fn small() -> Route {
    Route::grpc("/pkg.Service/*").message_bytes(100)
}

#[test]
fn each_message_is_bounded_and_their_number_is_not() {
    let layer = layer(small());
    assert_eq!(status(&layer, body(&[(0, 100)])), "ok");
    assert_eq!(status(&layer, body(&[(0, 0), (0, 1)])), "ok");
    assert_eq!(status(&layer, body(&vec![(0, 100); 5000])), "ok", "half a megabyte in small messages");
    assert_eq!(status(&layer, body(&[(0, 101)])), "8");
    assert_eq!(status(&layer, body(&[(0, 100), (0, 101)])), "8");
    // The length is believed before the message is there.
    assert_eq!(status(&layer, vec![0, 0xff, 0xff, 0xff, 0xff]), "8");
}

#[test]
fn compressed_messages_are_taken_where_they_are_let() {
    assert_eq!(status(&layer(small()), body(&[(1, 10)])), "12");
    assert_eq!(status(&layer(small().compressed_messages(true)), body(&[(1, 10)])), "ok");
    assert_eq!(status(&layer(small()), body(&[(7, 10)])), "3");
    let reporting = Validate::new().add_route(small()).report(Check::Grpc).build().unwrap();
    assert_eq!(status(&reporting, body(&[(1, 10), (0, 500)])), "ok");
}

#[test]
fn a_grpc_route_is_for_grpc() {
    let mut request = post("application/json", "{}");
    *request.uri_mut() = "/pkg.Service/Method".parse().unwrap();
    assert_eq!(send(&layer(small()), request).status, 415);
    // Of gRPC-Web the binary form; the other one is base64, whose messages nobody follows here.
    for (content_type, is_taken) in [("application/grpc-web+proto", true), ("application/grpc-web-text", false)] {
        let mut request = post(content_type, body(&[(0, 1)]));
        *request.uri_mut() = "/pkg.Service/Method".parse().unwrap();
        let answer = send(&layer(small()), request);
        assert_eq!(answer.headers.contains_key("grpc-status"), !is_taken, "{content_type}");
        let told = answer.headers.get("grpc-message").map(|told| told.to_str().unwrap().to_owned());
        assert!(is_taken || told.unwrap().contains("content type"), "{content_type}");
    }
}

proptest! {
    /// In whatever pieces messages come, they are counted alike.
    #[test]
    fn chunking_changes_nothing(
        messages in proptest::collection::vec((0_u8..3, 0_usize..140), 0..6),
        cuts in proptest::collection::vec(0_usize..400, 0..8),
    ) {
        let layer = layer(small());
        let whole = Bytes::from(body(&messages));
        let expected = messages.iter().find_map(|(flag, length)| match (flag, length) {
            (1, _) => Some("12"),
            (2, _) => Some("3"),
            (_, 101..) => Some("8"),
            _ => None,
        });
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(whole.len())).chain([0, whole.len()]).collect();
        cuts.sort_unstable();
        let parts: Vec<_> = cuts.windows(2).map(|pair| whole.slice(pair[0]..pair[1])).collect();
        let request = Request::post("/pkg.Service/Method").header("content-type", "application/grpc").body(pieces(parts)).unwrap();
        let answer = send(&layer, request);
        let status = answer.headers.get("grpc-status").map(|status| status.to_str().unwrap());
        prop_assert_eq!(status, expected);
    }
}

/// A real tonic server: what is too long is refused before it decodes it.
#[tokio::test]
async fn tonic_answers_what_is_sound_and_the_layer_what_is_not() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_, health) = tonic_health::server::health_reporter();
    let layer = layer(Route::grpc("/grpc.health.v1.Health/*").message_bytes(64));
    let server = tonic::transport::Server::builder().layer(layer).add_service(health);
    tokio::spawn(server.serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)));
    let channel =
        tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut client = HealthClient::new(channel);
    let ask = |service: String| HealthCheckRequest { service };
    assert!(client.check(ask(String::new())).await.is_ok());
    let refused = client.check(ask("x".repeat(100))).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
}
