//! The parts that a key is made of, by their names in the file.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use http::HeaderName;

use crate::spine::config::ConfigError;
use crate::spine::event::{self, Origin};
use crate::spine::key::{
    self, ClientIp, CookieKey, GlobalKey, GrpcMethodKey, HeaderKey, IdentityKey, KeyExtractor, MethodKey, RouteKey,
    TenantKey,
};
use crate::spine::path::PathPattern;

/// One part of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    ClientIp,
    Subject,
    Tenant,
    ApiKey,
    Route,
    Method,
    GrpcMethod,
    Header(HeaderName),
    Cookie(CookieKey),
    Global,
}

impl Part {
    /// What extracts it. `paths` stand for the route where none was matched.
    pub(super) fn extractor(&self, client_ip: &ClientIp, paths: &[PathPattern]) -> Arc<dyn KeyExtractor> {
        match self {
            Self::ClientIp => Arc::new(client_ip.clone()),
            Self::Subject => Arc::new(IdentityKey),
            Self::Tenant => Arc::new(TenantKey),
            Self::ApiKey => Arc::new(HeaderKey::api_key()),
            Self::Route => Arc::new(RouteKey::new().or_patterns(match paths {
                [] => EVERYWHERE.parse().into_iter().collect(),
                paths => paths.to_vec(),
            })),
            Self::Method => Arc::new(MethodKey),
            Self::GrpcMethod => Arc::new(GrpcMethodKey),
            Self::Header(name) => Arc::new(HeaderKey::new(name.clone())),
            Self::Cookie(cookie) => Arc::new(cookie.clone()),
            Self::Global => Arc::new(GlobalKey),
        }
    }
}

const EVERYWHERE: &str = "/**";

impl Part {
    /// Whether it asks who the caller is.
    pub(super) const fn asks_for_identity(&self) -> bool {
        matches!(self, Self::Subject | Self::Tenant | Self::ApiKey)
    }
}

/// All parts of a policy's key, one after the other. What is missing is replaced by the client's address, if that is given.
pub(super) fn all_of(
    parts: Vec<Arc<dyn KeyExtractor>>,
    in_its_stead: Option<ClientIp>,
    policy: String,
) -> impl KeyExtractor + use<> {
    let said = AtomicBool::new(false);
    key::from_fn(move |request, key| {
        parts.iter().try_for_each(|part| match (part.extract(request, key), &in_its_stead) {
            (Err(missing), Some(client_ip)) => {
                event::fault_once_with(&said, Origin::RateLimit, "key_missing", || {
                    let part = missing.part();
                    format!(
                        "policy `{policy}`: a request has no {part}, and is counted by its address instead; see that \
                         requests have one, or write another `key` or `on_missing_key`"
                    )
                });
                // So that an address in the stead of a subject is no subject of that name.
                key.part(b"\0client-ip");
                client_ip.extract(request, key)
            }
            (extracted, _) => extracted,
        })
    })
}

impl FromStr for Part {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let refuse = |breach: &'static str, mend: &'static str| ConfigError::new("key", text, breach, mend);
        Ok(match text {
            "client-ip" => Self::ClientIp,
            "subject" => Self::Subject,
            "tenant" => Self::Tenant,
            "api-key" => Self::ApiKey,
            "route" => Self::Route,
            "method" => Self::Method,
            "grpc-method" => Self::GrpcMethod,
            "global" => Self::Global,
            other => match other.split_once(':') {
                Some(("header", name)) => Self::Header(
                    name.parse().map_err(|_| refuse("names no header field", "write one such as `header:x-tenant`"))?,
                ),
                Some(("cookie", name)) => Self::Cookie(
                    CookieKey::new(name)
                        .map_err(|_| refuse("names no cookie", "write one such as `cookie:session`"))?,
                ),
                _ => {
                    const MEND: &str = "use `client-ip`, `subject`, `tenant`, `api-key`, `route`, `method`, \
                     `grpc-method`, `header:<name>`, `cookie:<name>` or `global`";
                    return Err(refuse("is none of the choices", MEND));
                }
            },
        })
    }
}
