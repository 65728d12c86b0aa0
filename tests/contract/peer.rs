//! The client's address, under every framework.

use std::net::SocketAddr;

use tower_rampart::key::{PeerAddr, PeerAddrLayer};

pub(crate) fn some_peer() -> PeerAddrLayer {
    PeerAddrLayer::new(PeerAddr::new(SocketAddr::from(([192, 0, 2, 1], 4711))))
}

#[cfg(all(feature = "axum", feature = "tonic"))]
mod found {
    use std::task::{Context, Poll};

    use axum::Router;
    use axum::extract::connect_info::MockConnectInfo;
    use http::{HeaderValue, Request, Response};
    use http_body_util::Empty;
    use tonic::transport::Server;
    use tower::{Layer, Service, ServiceExt};
    use tower_rampart::RequestView;
    use tower_rampart::key::ClientIp;

    use super::{SocketAddr, some_peer};
    use crate::frameworks::{self, patiently};

    /// Lets the client know who it is taken for.
    #[derive(Debug, Clone)]
    struct TellClient;

    impl<S> Layer<S> for TellClient {
        type Service = Teller<S>;

        fn layer(&self, inner: S) -> Teller<S> {
            Teller(inner)
        }
    }

    #[derive(Debug, Clone)]
    struct Teller<S>(S);

    impl<S, A, B> Service<Request<A>> for Teller<S>
    where
        S: Service<Request<A>, Response = Response<B>>,
        S::Future: Send + 'static,
        S::Error: 'static,
        B: 'static,
    {
        type Response = S::Response;
        type Error = S::Error;
        type Future = futures_util::future::Map<S::Future, Tell<S::Response, S::Error>>;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
            self.0.poll_ready(cx)
        }

        fn call(&mut self, request: Request<A>) -> Self::Future {
            let told = match ClientIp::new().resolve(RequestView::of(&request)) {
                Ok(client) => client.to_string(),
                Err(error) => error.to_string(),
            };
            let told = HeaderValue::try_from(told).unwrap();
            let tell: Tell<S::Response, S::Error> = Box::new(move |result| {
                result.map(|mut response: Response<B>| {
                    response.headers_mut().insert("x-client", told);
                    response
                })
            });
            futures_util::FutureExt::map(self.0.call(request), tell)
        }
    }

    type Tell<T, E> = Box<dyn FnOnce(Result<T, E>) -> Result<T, E> + Send>;

    async fn told_over_http(address: SocketAddr) -> String {
        let uri = format!("http://{address}/").parse().unwrap();
        let response = patiently(frameworks::hyper_client().get(uri)).await.unwrap();
        response.headers()["x-client"].to_str().unwrap().to_owned()
    }

    async fn told_over_grpc(address: SocketAddr) -> String {
        let channel = frameworks::channel(address).await;
        let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
        let reply = patiently(client.check(frameworks::polls())).await.unwrap();
        reply.metadata().get("x-client").unwrap().to_str().unwrap().to_owned()
    }

    fn app() -> Router {
        frameworks::routes("/").layer(TellClient)
    }

    #[tokio::test]
    async fn by_axums_connect_info() {
        assert_eq!(told_over_http(frameworks::serve_axum(app()).await).await, "127.0.0.1");
    }

    #[tokio::test]
    async fn by_axums_mock_in_a_test() {
        let mocked = app().layer(MockConnectInfo(SocketAddr::from(([203, 0, 113, 7], 1))));
        let response = mocked.oneshot(Request::get("/").body(axum::body::Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.headers()["x-client"], "203.0.113.7");
    }

    #[tokio::test]
    async fn by_tonics_connection_info() {
        let (listener, address) = frameworks::listen().await;
        let server = Server::builder().layer(TellClient).add_service(frameworks::health().await);
        tokio::spawn(server.serve_with_incoming(frameworks::incoming(listener)));
        assert_eq!(told_over_grpc(address).await, "127.0.0.1");
    }

    /// Over TLS the address stands in another type, which also says that the request was secure.
    #[tokio::test]
    async fn by_tonics_connection_info_over_tls() {
        use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, ServerTlsConfig};
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem());
        let (listener, address) = frameworks::listen().await;
        let server = Server::builder().tls_config(ServerTlsConfig::new().identity(identity)).unwrap();
        #[cfg(feature = "security-headers")]
        let server = server.layer(tower_rampart::security_headers::SecurityHeadersLayer::grpc());
        let server = server.layer(TellClient).add_service(frameworks::health().await);
        tokio::spawn(server.serve_with_incoming(frameworks::incoming(listener)));

        let trust =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(made.cert.pem())).domain_name("localhost");
        let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap().tls_config(trust).unwrap();
        let channel = patiently(endpoint.connect()).await.unwrap();
        let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
        let reply = patiently(client.check(frameworks::polls())).await.unwrap();
        assert_eq!(reply.metadata().get("x-client").unwrap(), "127.0.0.1");
        #[cfg(feature = "security-headers")]
        assert!(reply.metadata().contains_key("strict-transport-security"));
    }

    /// Here tonic itself loses the address; axum's connect info still has it.
    #[tokio::test]
    async fn by_connect_info_for_tonic_inside_axum() {
        let routes = tonic::service::Routes::new(frameworks::health().await);
        let address = frameworks::serve_axum(routes.into_axum_router().layer(TellClient)).await;
        assert_eq!(told_over_grpc(address).await, "127.0.0.1");
    }

    #[tokio::test]
    async fn by_our_own_layer_on_hyper() {
        let address = frameworks::serve_hyper(|handler| some_peer().layer(TellClient.layer(handler))).await;
        assert_eq!(told_over_http(address).await, "192.0.2.1");
    }

    #[tokio::test]
    async fn and_without_any_the_line_to_add_is_named() {
        let address = frameworks::serve_hyper(|handler| TellClient.layer(handler)).await;
        assert!(told_over_http(address).await.contains("PeerAddrLayer"));
        let request = Request::get("/").body(Empty::<bytes::Bytes>::new()).unwrap();
        let response =
            frameworks::routes("/").layer(TellClient).oneshot(request.map(axum::body::Body::new)).await.unwrap();
        assert!(response.headers()["x-client"].to_str().unwrap().contains("into_make_service_with_connect_info"));
    }
}
