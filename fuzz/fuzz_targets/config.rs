//! Any file is read or refused with a line, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_rampart::config::{
    self, AuthzConfig, BulkheadConfig, ClientIpConfig, LoadShedConfig, RateLimitConfig, SecurityHeadersConfig,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    client_ip: Option<ClientIpConfig>,
    security_headers: Option<SecurityHeadersConfig>,
    #[serde(default)]
    rate_limit: RateLimitConfig,
    authz: Option<AuthzConfig>,
    bulkhead: Option<BulkheadConfig>,
    load_shed: Option<LoadShedConfig>,
}

fuzz_target!(|text: &str| match config::parse::<Config>(text, "fuzz.toml") {
    Ok(config) => {
        let client_ip = config.client_ip.unwrap_or_default().to_client_ip();
        if let Some(headers) = config.security_headers {
            let _layer = headers.to_layer(&client_ip).expect("what was read builds");
        }
        let _limits = config.rate_limit.to_layer(&client_ip).expect("what was read builds");
        // Bounds may be larger than they may, or not in order.
        let _bulkhead = config.bulkhead.map(|table| table.to_layer("fuzz"));
        let _load_shed = config.load_shed.map(|table| table.to_layer());
        // Rules may still contradict each other.
        let _rules = config.authz.map(|table| table.to_layer());
    }
    Err(error) => assert!(error.line().is_some()),
});
