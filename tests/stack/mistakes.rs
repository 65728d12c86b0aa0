//! What newcomers build that cannot be: each error names the setting, the value where there is one, and the mend.

use std::time::Duration;

use tower_rampart::ConfigError;
use tower_rampart::auth::{Algorithm, ApiKey, Auth, KeySet};
use tower_rampart::authz::{PolicyTable, Rule};
use tower_rampart::bulkhead::Bulkhead;
use tower_rampart::cache::Cache;
use tower_rampart::circuit_breaker::CircuitBreaker;
use tower_rampart::deadline::Deadlines;
use tower_rampart::key::{GlobalKey, Ipv6Prefix, TrustedProxies};
use tower_rampart::load_shed::LoadShed;
use tower_rampart::rate_limit::{Policy, Quota, RateLimit};
use tower_rampart::retry::Retries;
use tower_rampart::security_headers::{ContentSecurityPolicy, SecurityHeaders};
use tower_rampart::stack::Stack;
use tower_rampart::validate::{UnknownPaths, Validate};

use crate::support::{limit, per_hour};

/// The error of what cannot be built, whatever it would have been.
fn told<T>(built: Result<T, ConfigError>) -> String {
    built.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn what_cannot_be_built_says_what_to_write_instead() {
    let policy = |name: &'static str| Policy::new(name, per_hour(5));
    let limits = |policy: Policy| told(RateLimit::new().add_policy(policy).build());
    let table = |rules: [Rule; 2]| {
        told(rules.into_iter().fold(PolicyTable::builder(), |table, rule| table.add_rule(rule)).build())
    };
    for (error, breach, mend) in [
        (told(RateLimit::new().build()), "rate limit: `0` is no number", "`.add_policy(Policy::new(..))`"),
        (limits(policy("p")), "rate limit \"p\".key: is missing", "`.key(ClientIp::new())`"),
        (limits(Policy::new("p", Quota::new(5)).key(GlobalKey)), "window: is missing", "`.per(duration)`"),
        (limits(Policy::new("p", per_hour(0)).key(GlobalKey)), "quota: `0` lets nothing through", "write 1 or more"),
        (limits(policy("a b").key(GlobalKey)), "name: `a b` is no name", "`A-Z a-z 0-9 - _ . : /`"),
        (limits(policy("p").key(GlobalKey).paths(["login"])), "`login` does not begin with `/`", "such as `/login`"),
        (limits(policy("p").key(GlobalKey).max_wait(Duration::from_secs(1))), "max_wait: `1s` ", "`.build_throttle()`"),
        (
            told(
                RateLimit::new().add_policy(policy("p").key(GlobalKey)).add_policy(policy("p").key(GlobalKey)).build(),
            ),
            "name: `p` is the name of two policies",
            "a name of its own",
        ),
        (told(TrustedProxies::parse(["10.0.0.1/8"])), "`10.0.0.1/8` has bits set", "such as `10.0.0.0/8`"),
        (told(Ipv6Prefix::new(0)), "ipv6_prefix: `0`", "write 64"),
        (told(Auth::new().build()), "auth: knows no credential", "`.jwt(verifier)`"),
        (told(ApiKey::new("batch", "secret")), "sha256: is no SHA-256", "`printf %s SECRET | sha256sum`"),
        (told("none".parse::<Algorithm>()), "`none` is no signature algorithm", "use `RS256`"),
        (told(KeySet::from_jwks(b"{}")), "jwks: ", "give a JWK Set"),
        (table([Rule::allow("a", "polls"), Rule::deny("b", "/b")]), "`polls` ", "such as `/polls`"),
        (table([Rule::allow("a", "/a"), Rule::deny("a", "/b")]), "id: `a` is the id of two rules", "one of its own"),
        (told(Validate::new().unknown_paths(UnknownPaths::Refuse).build()), "refuses everything", "`add_route`"),
        (told(Cache::builder().bytes(0).build()), "bytes: `0` has no room for one entry", "`entry_bytes`"),
        (told(CircuitBreaker::new("x").failure_rate(50.0).build()), "\"x\".failure_rate: `50`", "up to 1"),
        (told(Bulkhead::new(0).build()), "max_concurrent: `0` lets nothing through", "write 1 to"),
        (told(LoadShed::gradient2().never_shed(["healthz"]).build()), "`healthz` does not begin with `/`", "write one"),
        (told(Deadlines::new().max_time(Duration::ZERO).build()), "max_time: `0s` refuses everything", "write "),
        (told(Retries::new().max_attempts(0).build()), "attempts: `0`", "write 1 to 16"),
        (told("scirpt-src self".parse::<ContentSecurityPolicy>()), "`scirpt-src`", "write `script-src`"),
        (told(SecurityHeaders::api().reporting_endpoint("a b", "https://x.example").build()), "`a b`", "use "),
        (
            told(
                Stack::new()
                    .authenticated_outside()
                    .rate_limit_by_address(limit("p", 1))
                    .rate_limit_by_identity(limit("p", 1))
                    .build(),
            ),
            "rate limit by identity: `p` ",
            "a name of its own",
        ),
    ] {
        let (what, mended) = error.split_once("; ").unwrap_or_else(|| panic!("no mend: {error}"));
        assert!(what.contains(breach) && mended.contains(mend), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
