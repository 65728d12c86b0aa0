//! The contract of every layer, written once. A layer is put under it by one line here.
//!
//! `checks.rs` holds the rules, `probe.rs` the services that watch a layer, `gate.rs` a reference layer that refuses,
//! `broken.rs` a layer for each rule that breaks it (a suite that cannot fail proves nothing), and the rest the
//! frameworks, over real sockets.

mod broken;
mod checks;
mod frameworks;
mod gate;
#[path = "../support/loopback.rs"]
mod loopback;
mod peer;
mod probe;
mod refusal;

/// A layer that says so may ask for an inner service that can be cloned; one that reads bodies, for one that takes a body
/// of its own kind, too.
macro_rules! asks_for_nothing {
    ($layer:expr) => {
        let owner = std::rc::Rc::default();
        checks::asks_for_nothing(&$layer, &owner).unwrap();
    };
    ($layer:expr, $needs:ident) => {};
}

/// Handlers and clients whose request body is of one type: a layer that changes it stands before others.
macro_rules! keeps_the_body {
    ($layer:expr) => {
        #[tokio::test]
        async fn it_runs_on_hyper() {
            let layer = $layer;
            let address = frameworks::serve_hyper(move |handler| tower::Layer::layer(&layer, handler)).await;
            frameworks::check_http(address, "/").await;
        }

        #[tokio::test]
        async fn it_runs_around_a_hyper_client() {
            let address = frameworks::serve_hyper(|handler| handler).await;
            frameworks::check_client(tower::Layer::layer(&$layer, frameworks::hyper_client()), address).await;
        }

        #[tokio::test]
        async fn it_runs_around_a_tonic_channel() {
            let (listener, address) = frameworks::listen().await;
            let server = ::tonic::transport::Server::builder().add_service(frameworks::health().await);
            tokio::spawn(server.serve_with_incoming(frameworks::incoming(listener)));
            let channel = frameworks::channel(address).await;
            frameworks::check_grpc(tower::Layer::layer(&$layer, channel)).await;
        }
    };
    ($layer:expr, Clone) => {
        keeps_the_body!($layer);
    };
    ($layer:expr, Lazy) => {
        keeps_the_body!($layer);
    };
    ($layer:expr, Body) => {};
}

/// A layer that says so is always ready, and asks the inner service when it is needed.
macro_rules! readiness {
    ($layer:expr, Lazy) => {
        #[test]
        fn readiness_is_asked_for_when_it_is_needed() {
            checks::readiness_is_lazy(&$layer).unwrap();
        }

        #[test]
        fn the_waker_passes_through() {
            checks::the_waker_passes_through_lazily(&$layer).unwrap();
        }
    };
    ($layer:expr $(, $needs:ident)?) => {
        #[test]
        fn readiness_passes_through() {
            checks::readiness_passes_through(&$layer).unwrap();
        }

        #[test]
        fn the_waker_passes_through() {
            checks::the_waker_passes_through(&$layer).unwrap();
        }
    };
}

/// Puts a layer under the contract: `allocations` is the most it may allocate on the way through, beside one
/// field of the handler's and beside three. A layer whose state shows gives `state`, which reads it off the layer; one that cannot do without an
/// inner service of a kind says what it `needs`.
macro_rules! contract {
    ($name:ident: $layer:expr, allocations = $allocations:expr $(, state = $observe:expr)? $(, needs = $needs:ident)?) => {
        mod $name {
            use super::*;

            $(
                #[test]
                fn clones_and_relayering_share_its_state() {
                    checks::state_is_shared(&$layer, $observe).unwrap();
                }
            )?

            #[test]
            fn the_readied_instance_is_called() {
                checks::readied_instance_is_called(&$layer).unwrap();
            }

            readiness!($layer $(, $needs)?);

            #[test]
            fn nothing_is_reserved_when_polled_ready() {
                checks::nothing_is_reserved(&$layer).unwrap();
            }

            #[test]
            fn dropping_the_future_releases_all() {
                checks::dropping_releases_all(&$layer).unwrap();
            }

            #[test]
            fn the_error_comes_out_unchanged() {
                checks::error_is_unchanged(&$layer).unwrap();
            }

            #[test]
            fn the_body_streams_through() {
                checks::body_streams_through(&$layer).unwrap();
            }

            #[test]
            fn clones_and_relayering_work_side_by_side() {
                checks::clones_work_side_by_side(&$layer).unwrap();
            }

            #[test]
            fn it_allocates_no_more_than_it_says() {
                checks::allocations_are_bounded(&$layer, $allocations).unwrap();
            }

            #[test]
            fn it_is_as_free_as_its_inner_service() {
                checks::auto_traits(&$layer);
                asks_for_nothing!($layer $(, $needs)?);
            }

            #[tokio::test]
            async fn it_runs_on_axum() {
                let layer = $layer;
                let app = ::axum::Router::new()
                    .merge(frameworks::routes("/routed").route_layer(layer.clone()))
                    .merge(frameworks::routes("/layered").layer(layer.clone()))
                    .merge(frameworks::routes("/twice").layer(layer.clone()).layer(layer));
                frameworks::check_axum(app, &["/routed", "/layered", "/twice"]).await;
            }

            #[tokio::test]
            async fn it_runs_around_a_tonic_server() {
                let (listener, address) = frameworks::listen().await;
                let server =
                    ::tonic::transport::Server::builder().layer($layer).add_service(frameworks::health().await);
                tokio::spawn(server.serve_with_incoming(frameworks::incoming(listener)));
                frameworks::check_grpc(frameworks::channel(address).await).await;
            }

            #[tokio::test]
            async fn it_runs_around_one_tonic_service() {
                use ::tonic::service::LayerExt as _;
                let (listener, address) = frameworks::listen().await;
                let service = $layer.named_layer(frameworks::health().await);
                let server = ::tonic::transport::Server::builder().add_service(service);
                tokio::spawn(server.serve_with_incoming(frameworks::incoming(listener)));
                frameworks::check_grpc(frameworks::channel(address).await).await;
            }

            #[tokio::test]
            async fn it_runs_around_tonic_inside_axum() {
                let (listener, address) = frameworks::listen().await;
                let routes = ::tonic::service::Routes::new(frameworks::health().await);
                let app = routes.into_axum_router().layer($layer).merge(frameworks::routes("/http"));
                tokio::spawn(async move { ::axum::serve(listener, app).await });
                frameworks::check_grpc(frameworks::channel(address).await).await;
            }

            keeps_the_body!($layer $(, $needs)?);
        }
    };
}

contract!(gate_layer: gate::GateLayer::open(), allocations = [0, 0], state = gate::GateLayer::free_places);
// The request's extensions, which hold the address.
contract!(peer_addr_layer: peer::some_peer(), allocations = [3, 3]);

#[cfg(feature = "auth")]
mod auth {
    use tower_rampart::auth::{ApiKeys, Auth};

    use super::*;

    contract!(no_policy: tower_rampart::authz::AuthzLayer::empty(), allocations = [0, 0]);
    contract!(public: tower_rampart::authz::AuthzLayer::new(
        tower_rampart::authz::PolicyTable::builder()
            .add_rule(tower_rampart::authz::Rule::public("root", "/"))
            .add_rule(tower_rampart::authz::Rule::public("all", "/{*all}"))
            .build()
            .unwrap()
    ), allocations = [0, 0]);
    // Who waits for keys needs a clone of the inner service.
    contract!(empty: tower_rampart::auth::AuthLayer::empty(), allocations = [0, 0], needs = Clone);
    contract!(strangers_welcome: Auth::new().api_keys(ApiKeys::default()).optional(true).build().unwrap(),
        allocations = [0, 0], needs = Clone);
}

#[cfg(feature = "bulkhead")]
mod bulkhead {
    use std::time::Duration;

    use tower_rampart::bulkhead::{Bulkhead, BulkheadLayer};
    use tower_rampart::key::GlobalKey;

    use super::*;

    fn in_flight(layer: &BulkheadLayer) -> usize {
        layer.handle().snapshot().in_flight
    }

    // Who waits for a place needs a clone of the inner service.
    contract!(empty: BulkheadLayer::empty(), allocations = [0, 0], needs = Clone);
    // Few places, so that one that leaks is missed soon.
    contract!(few: Bulkhead::new(4).build().unwrap(), allocations = [0, 0], state = in_flight, needs = Clone);
    contract!(queued_and_keyed: Bulkhead::new(4)
        .queue(4, Duration::from_secs(30))
        .per_key(GlobalKey, 4)
        .build()
        .unwrap(), allocations = [0, 0], state = in_flight, needs = Clone);
}

#[cfg(feature = "cache")]
mod cache {
    use tower_rampart::cache::{Cache, CacheLayer};

    use super::*;

    fn in_flight(layer: &CacheLayer) -> Option<usize> {
        layer.cache().map(|cache| cache.stats().in_flight)
    }

    contract!(empty: CacheLayer::empty(), allocations = [0, 0], needs = Lazy);
    // What goes to the origin is boxed, kept track of, and its body recorded.
    contract!(shared: Cache::builder().build().unwrap().layer(), allocations = [40, 40], state = in_flight, needs = Lazy);
}

#[cfg(feature = "deadline")]
mod deadline {
    use std::time::Duration;

    use tower_rampart::deadline::{DeadlineLayer, Deadlines, PropagateDeadlineLayer, TryTimeoutLayer};

    use super::*;

    contract!(empty: DeadlineLayer::empty(), allocations = [0, 0]);
    contract!(unbounded: Deadlines::new().max_time(None).build().unwrap(), allocations = [0, 0]);
    // The request's extensions, which hold the deadline.
    contract!(head: Deadlines::new().build().unwrap(), allocations = [3, 3]);
    // And what the body needs to end by it.
    contract!(body: Deadlines::new().build_with_body().unwrap(), allocations = [4, 4]);
    contract!(propagate: PropagateDeadlineLayer::grpc(), allocations = [0, 0]);
    contract!(no_try_timeout: TryTimeoutLayer::empty(), allocations = [0, 0]);
    contract!(try_timeout: TryTimeoutLayer::new(Duration::from_secs(30)).unwrap(), allocations = [0, 0]);
}

#[cfg(feature = "retry")]
mod retry {
    use tower_rampart::retry::{Retries, RetryLayer};

    use super::*;

    // Who asks again asks a clone of the inner service, which takes a body that is kept.
    contract!(once: RetryLayer::new(Retries::new().max_attempts(1).build().unwrap()), allocations = [0, 0], needs = Body);
    // An error is worth another try, for which there is no budget here.
    contract!(without_budget: RetryLayer::new(Retries::new().budget_percent(0).budget_floor(0).build().unwrap()),
        allocations = [1, 1], needs = Body);
}

#[cfg(feature = "load-shed")]
mod load_shed {
    use std::time::Duration;

    use tower_rampart::load_shed::{AdaptiveThrottle, LoadShed, LoadShedLayer};

    use super::*;

    fn in_flight(layer: &LoadShedLayer) -> usize {
        layer.handle().snapshot().in_flight
    }

    contract!(empty: LoadShedLayer::empty(), allocations = [0, 0]);
    contract!(gradient2: LoadShed::gradient2().never_shed(["/healthz"]).build().unwrap(), allocations = [0, 0], state = in_flight);
    contract!(aimd: LoadShed::aimd(Duration::from_secs(60)).build().unwrap(), allocations = [0, 0], state = in_flight);
    contract!(throttle: AdaptiveThrottle::new().build().unwrap(), allocations = [0, 0],
        state = |layer| layer.handle().snapshot().requests);
}

#[cfg(feature = "circuit-breaker")]
mod circuit_breaker {
    use std::time::Duration;

    use tower_rampart::circuit_breaker::{CircuitBreaker, CircuitBreakerLayer, Mode, WhenOpen, Window};
    use tower_rampart::key::GlobalKey;

    use super::*;

    /// Stays closed, whatever the suite does to it.
    fn patient() -> CircuitBreaker {
        CircuitBreaker::new("contract").window(Window::calls(1_000_000)).min_calls(1_000_000)
    }

    contract!(empty: CircuitBreakerLayer::empty(), allocations = [0, 0]);
    contract!(by_calls: patient().slow_call(None).build().unwrap(), allocations = [0, 0]);
    contract!(by_time: CircuitBreaker::new("contract")
        .window(Window::time(Duration::from_secs(3600)))
        .min_calls(1_000_000)
        .build()
        .unwrap(), allocations = [0, 0]);
    contract!(by_key: patient().per_key(GlobalKey, 8).build().unwrap(), allocations = [0, 0]);
    contract!(shadow: CircuitBreaker::new("contract").mode(Mode::Shadow).build().unwrap(), allocations = [0, 0]);
    contract!(pending: patient().when_open(WhenOpen::Pend).build().unwrap(), allocations = [0, 0]);
}

#[cfg(feature = "rate-limit")]
mod rate_limit {
    use std::time::Duration;

    use tower_rampart::key::GlobalKey;
    use tower_rampart::rate_limit::{HeaderStyle, MemoryStore, Policy, Quota, RateLimit, RateLimitLayer, SharedCounts};

    use super::*;

    /// Room for all that the suite does.
    fn ample() -> Policy {
        Policy::new("ample", Quota::new(1_000_000).per(Duration::from_secs(3600))).key(GlobalKey)
    }

    /// Few places, so that one that leaks is missed soon.
    fn few() -> Policy {
        Policy::concurrent("few", 4).key(GlobalKey)
    }

    fn in_flight(layer: &RateLimitLayer) -> Option<usize> {
        layer.handle().snapshot("few").map(|policy| policy.keys)
    }

    contract!(silent: RateLimit::new().add_policy(ample()).headers(HeaderStyle::None).build().unwrap(), allocations = [0, 0]);
    contract!(silent_twice: RateLimit::new()
        .add_policy(ample())
        .add_policy(Policy::new("other", Quota::new(1_000_000).per(Duration::from_secs(60)).fixed_window()).key(GlobalKey))
        .headers(HeaderStyle::None)
        .build()
        .unwrap(), allocations = [0, 0]);
    // The value of `RateLimit`, and the header map's growth.
    contract!(ietf: RateLimit::new().add_policy(ample()).build().unwrap(), allocations = [3, 3]);
    contract!(settling: RateLimit::new().add_policy(ample().count_statuses([http::StatusCode::UNAUTHORIZED])).build().unwrap(), allocations = [3, 3]);
    // And what the body holds until it ends.
    contract!(concurrent: RateLimit::new().add_policy(few()).build().unwrap(), allocations = [4, 4], state = in_flight);
    contract!(throttle: RateLimit::new()
        .add_policy(ample().max_wait(Duration::from_secs(1)))
        .build_throttle()
        .unwrap(), allocations = [3, 3], needs = Clone);
    // The question: its key, its future, and the store's answer.
    contract!(shared: RateLimit::new()
        .add_policy(ample())
        .shared_counts(SharedCounts::new(MemoryStore::new()))
        .build_throttle()
        .unwrap(), allocations = [20, 20], needs = Clone);
}

#[cfg(feature = "security-headers")]
mod security_headers {
    use tower_rampart::security_headers::SecurityHeadersLayer;

    use super::*;

    contract!(empty: SecurityHeadersLayer::empty(), allocations = [0, 0]);
    // The header map: its index and its entries, which grow once for what the handler has beside a content-type.
    contract!(api: SecurityHeadersLayer::api(), allocations = [2, 3]);
    contract!(grpc: SecurityHeadersLayer::grpc(), allocations = [2, 3]);
    contract!(owasp: SecurityHeadersLayer::owasp(), allocations = [2, 3]);
    // And for the nonce a cell, and the request's extensions that hold it.
    contract!(web: SecurityHeadersLayer::web(), allocations = [6, 7]);
}

#[cfg(feature = "validate")]
mod validate {
    use http::Method;
    use tower_rampart::validate::{Route, Validate, ValidateLayer};

    use super::*;

    // Who reads a body before it calls the inner service needs a clone of that, which takes what was read.
    contract!(empty: ValidateLayer::empty(), allocations = [0, 0], needs = Body);
    contract!(hardening: Validate::new().build().unwrap(), allocations = [0, 0], needs = Body);
    contract!(reporting: Validate::new().methods([Method::PUT]).report_all().build().unwrap(), allocations = [1, 1], needs = Body);
    contract!(described: Validate::new()
        .add_route(Route::new(Method::GET, "/{*rest}"))
        .add_route(Route::new(Method::GET, "/"))
        .add_route(Route::new(Method::POST, "/**").any_body())
        .add_route(Route::new(Method::PUT, "/**").multipart())
        .read_all_bodies(true)
        .build()
        .unwrap(), allocations = [0, 0], needs = Body);

    #[cfg(feature = "openapi")]
    mod openapi {
        use tower_rampart::validate::{OpenApi, ValidateResponses, ValidateResponsesLayer};

        use super::*;

        /// What the suite asks of handlers, and of gRPC's services.
        fn api() -> OpenApi {
            let any =
                r#"{ "requestBody": { "content": { "*/*": {} } }, "responses": { "200": { "description": "d" } } }"#;
            let paths = format!(r#"{{ "/": {{ "get": {{}}, "post": {any} }} }}"#);
            OpenApi::from_json(format!(r#"{{ "openapi": "3.1.0", "paths": {paths} }}"#)).unwrap()
        }

        // The request's extensions, which hold the template.
        contract!(requests: Validate::new().add_openapi(api()).build().unwrap(), allocations = [3, 3], needs = Body);
        // Who looks into bodies of responses needs to know what they are.
        contract!(responses: ValidateResponses::new(api()).build().unwrap(), allocations = [0, 0], needs = Clone);
        contract!(no_responses: ValidateResponsesLayer::empty(), allocations = [0, 0], needs = Clone);
    }
}

#[cfg(all(
    feature = "auth",
    feature = "bulkhead",
    feature = "circuit-breaker",
    feature = "deadline",
    feature = "load-shed",
    feature = "rate-limit",
    feature = "security-headers"
))]
mod stack {
    use std::time::Duration;

    use tower_rampart::auth::{ApiKeys, Auth};
    use tower_rampart::authz::{AuthzLayer, PolicyTable, Rule};
    use tower_rampart::bulkhead::Bulkhead;
    use tower_rampart::circuit_breaker::{CircuitBreaker, Window};
    use tower_rampart::deadline::{Deadlines, PropagateDeadlineLayer, TryTimeoutLayer};
    use tower_rampart::key::GlobalKey;
    use tower_rampart::load_shed::LoadShed;
    use tower_rampart::rate_limit::{HeaderStyle, Policy, Quota, RateLimit, RateLimitLayer};
    use tower_rampart::security_headers::SecurityHeadersLayer;
    use tower_rampart::stack::{ReloadableLayer, Stack, UpstreamStack};

    use super::*;

    fn ample(name: &'static str) -> RateLimitLayer {
        let quota = Quota::new(1_000_000).per(Duration::from_secs(3600));
        let policy = Policy::new(name, quota).key(GlobalKey);
        RateLimit::new().add_policy(policy).headers(HeaderStyle::None).build().unwrap()
    }

    fn everybody() -> AuthzLayer {
        let table = PolicyTable::builder().add_rule(Rule::public("root", "/")).add_rule(Rule::public("all", "/{*all}"));
        AuthzLayer::new(table.build().unwrap())
    }

    contract!(empty: Stack::new().build().unwrap(), allocations = [0, 0]);
    // What its layers allocate, and nothing of its own. Who waits for keys needs a clone of the inner service.
    contract!(server: Stack::new()
        .authz(everybody())
        .auth(Auth::new().api_keys(ApiKeys::default()).optional(true).build().unwrap())
        .rate_limit_by_address(ample("strangers"))
        .rate_limit_by_identity(ample("callers"))
        .deadline(Deadlines::new().max_time(None).build().unwrap())
        .load_shed(LoadShed::gradient2().build().unwrap())
        .security_headers(SecurityHeadersLayer::api())
        .build()
        .unwrap(), allocations = [2, 3], needs = Clone);
    contract!(client: UpstreamStack::new()
        .propagate_deadline(PropagateDeadlineLayer::grpc())
        .bulkhead(Bulkhead::new(4).build().unwrap())
        .try_timeout(TryTimeoutLayer::new(Duration::from_secs(30)).unwrap())
        .circuit_breaker(
            CircuitBreaker::new("contract").window(Window::calls(1_000_000)).min_calls(1_000_000).build().unwrap()
        )
        .build(), allocations = [0, 0], needs = Clone);
    // Who exchanges its layers needs the inner service for the next ones.
    contract!(reloadable: ReloadableLayer::new(
        Stack::new().load_shed(LoadShed::gradient2().build().unwrap()).build().unwrap()
    ), allocations = [0, 0], needs = Clone);
}
