//! Any text is refused, or renders to a policy that parses to itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_rampart::security_headers::ContentSecurityPolicy;

fuzz_target!(|text: &str| {
    if let Ok(policy) = text.parse::<ContentSecurityPolicy>() {
        let rendered = policy.without_nonce().to_str().expect("ASCII").to_owned();
        let again: ContentSecurityPolicy = rendered.parse().expect("what was rendered parses");
        assert_eq!(again.without_nonce(), policy.without_nonce());
    }
});
