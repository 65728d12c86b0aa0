//! Whatever fields and target a request has, the layers judge it without a panic, and let in nobody whom nobody knows.
#![no_main]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::{HeaderValue, Method, Request, Response, Uri};
use libfuzzer_sys::fuzz_target;
use tower_layer::Layer;
use tower_rampart::Challenge;
use tower_rampart::auth::{ApiKeys, Auth, Basic, Login, Resource};
use tower_rampart::authz::{AuthzLayer, PolicyTable, Rule};
use tower_service::Service;

#[derive(Clone)]
struct Handler;

impl Service<Request<()>> for Handler {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(())))
    }
}

fuzz_target!(|input: (&str, &str, Vec<(u8, Vec<u8>)>)| {
    let (method, target, fields) = input;
    let _ = Challenge::new(target).map(|challenge| challenge.resource_metadata(method));
    let _ = Resource::described_at(target).or_else(|_| Resource::new(target)).map(|resource| resource.document());
    let (Ok(method), Ok(uri)) = (Method::from_bytes(method.as_bytes()), target.parse::<Uri>()) else { return };
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    const NAMES: [&str; 7] =
        ["authorization", "x-api-key", "cookie", "sec-websocket-protocol", "sec-fetch-site", "upgrade", "x-http-method"];
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            request.headers_mut().append(NAMES[usize::from(name) % NAMES.len()], value);
        }
    }
    let table = PolicyTable::builder().add_rule(Rule::allow("x", "/{a}/**").claim_equals_path("b", "a")).build();
    let auth = Auth::new()
        .basic(Basic::new(|_: Login| ready(Ok(None))))
        .api_keys(ApiKeys::default())
        .cookie("session")
        .websocket_protocol("bearer.")
        .dangerous_query_parameter("token")
        .strip_credentials(true)
        .optional(true)
        .build();
    let layers = (auth.expect("sound"), AuthzLayer::new(table.expect("sound")));
    let mut service = layers.0.layer(layers.1.layer(Handler));
    let Poll::Ready(Ok(())) = Service::<Request<()>>::poll_ready(&mut service, &mut Context::from_waker(Waker::noop()))
    else {
        return;
    };
    let answer = pin!(service.call(request)).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Ok(answer)) = answer else { panic!("the layers wait for nothing here") };
    assert!(answer.status().is_client_error());
});
