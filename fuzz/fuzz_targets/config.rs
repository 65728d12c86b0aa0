//! Any file is read or refused with a line, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_rampart::config::{self, ClientIpConfig, RateLimitConfig, SecurityHeadersConfig};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    client_ip: Option<ClientIpConfig>,
    security_headers: Option<SecurityHeadersConfig>,
    #[serde(default)]
    rate_limit: RateLimitConfig,
}

fuzz_target!(|text: &str| match config::parse::<Config>(text, "fuzz.toml") {
    Ok(config) => {
        let client_ip = config.client_ip.unwrap_or_default().to_client_ip();
        if let Some(headers) = config.security_headers {
            headers.to_layer(&client_ip).expect("what was read builds");
        }
        config.rate_limit.to_layer(&client_ip).expect("what was read builds");
    }
    Err(error) => assert!(error.line().is_some()),
});
