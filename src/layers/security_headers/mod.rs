//! Security headers: presets, a typed and checked Content-Security-Policy with nonces, HSTS, fingerprint removal.
//!
//! Use it on every service that a browser or a stranger can reach. It adds nothing to a service behind another one that
//! does the same; a CDN or proxy in front may remove what it sends.
//!
//! # As it is
//!
//! ```
//! # use http::{Request, Response};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_rampart::security_headers::SecurityHeadersLayer;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let app = service_fn(|_: Request<String>| async { Ok::<_, ()>(Response::new(String::from("{}"))) });
//! let response = SecurityHeadersLayer::api().layer(app).oneshot(Request::default()).await.unwrap();
//! assert_eq!(response.headers()["x-content-type-options"], "nosniff");
//! # });
//! ```
//!
//! # Adapted
//!
//! ```
//! use http::header;
//! use tower_rampart::key::{ClientIp, TrustedProxies};
//! use tower_rampart::security_headers::{Csp, Feature, Hsts, PermissionsPolicy, SecurityHeaders, Source};
//!
//! let behind_proxy = ClientIp::new().trusted_proxies(TrustedProxies::parse(["10.0.0.0/8"])?);
//! let layer = SecurityHeaders::web()
//!     .content_security_policy(
//!         Csp::new()
//!             .default_src([Source::NONE])
//!             .script_src([Source::NONCE, Source::STRICT_DYNAMIC])
//!             .style_src([Source::SELF])
//!             .base_uri([Source::NONE])
//!             .report_to("csp"),
//!     )
//!     .reporting_endpoint("csp", "https://reports.example/csp")
//!     .hsts(Hsts::years(1).include_subdomains().preload())
//!     .client_ip(behind_proxy)
//!     .permissions_policy(PermissionsPolicy::deny_all().allow_self(Feature::Fullscreen))
//!     .keep(header::REFERRER_POLICY)
//!     .build()?;
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! # What the client sees
//!
//! | response | fields |
//! |---|---|
//! | any, a refusal or an error too | all of the policy; the handler's own fields of these names are replaced |
//! | to a secure request | HSTS as well: by the URI's scheme, [`SecureTransport`], or a trusted proxy's word |
//! | the handler drew the [`CspNonce`] | the policy with this nonce, and `Cache-Control: no-store` |
//! | 304 | no Content-Security-Policy: the stored one belongs to the stored page |
//! | gRPC (`content-type: application/grpc*`) | HSTS, nosniff and fields of your own; nothing meant for documents |
//! | to credentials, or with `Set-Cookie` | `Cache-Control: no-store`, where the handler said nothing |
//! | 1xx | untouched |
//!
//! A handler relaxes one header of its response by putting [`HeaderOverrides`] into the response's extensions.
//!
//! # Presets
//!
//! | preset | for | sends |
//! |---|---|---|
//! | [`api`](SecurityHeaders::api) | JSON APIs | CSP that allows nothing, HSTS, nosniff, no framing, no referrer, same-origin opener and resource policy, all browser features denied |
//! | [`web`](SecurityHeaders::web) | pages | the same with a CSP by nonce |
//! | [`grpc`](SecurityHeaders::grpc) | gRPC services | HSTS, nosniff |
//! | [`owasp`](SecurityHeaders::owasp) | compliance lists | the 12 of OWASP's list that fit every response |
//! | [`empty`](SecurityHeaders::empty) | building up | nothing |
//!
//! All but `empty` remove OWASP's list of fields that tell what a server is made of.
//!
//! # Order in the stack
//!
//! Outermost but for request ids, traces and catch-panic, so that refusals of every other layer carry the headers. An
//! inner service's `Err` is no response and carries none: turn errors into responses further in.
//!
//! # Clones, readiness and cancellation
//!
//! Clones share the compiled policy. The layer has no state, waits for nothing and holds nothing.
//!
//! # Cost
//!
//! One clone of a prepared header map, into which the handler's fields are moved: two allocations, and a third when the
//! handler has fields beside its content-type. A policy
//! with a nonce adds one shared cell to each request, and the rendered policy when the handler asks.
//!
//! # Panics
//!
//! None.
//!
//! [`SecureTransport`]: crate::key::SecureTransport

mod csp;
mod describe;
mod fingerprint;
mod future;
mod hsts;
mod layer;
mod names;
mod overrides;
mod permissions;
mod plan;
mod policy;
mod preset;
mod reporting;
mod rules;
mod service;
mod values;

pub use self::csp::{ContentSecurityPolicy, Csp, Source};
pub use self::future::ResponseFuture;
pub use self::hsts::{Hsts, HstsWhen};
pub use self::layer::SecurityHeadersLayer;
pub use self::overrides::HeaderOverrides;
pub use self::permissions::{Feature, PermissionsPolicy};
pub use self::policy::SecurityHeaders;
pub use self::reporting::IntegrityPolicy;
pub use self::service::SecurityHeadersService;
pub use self::values::{
    ClearSiteData, CrossOriginEmbedderPolicy, CrossOriginOpenerPolicy, CrossOriginResourcePolicy, FrameOptions,
    IntegrityDestination, ReferrerPolicy,
};
pub use crate::spine::nonce::CspNonce;
