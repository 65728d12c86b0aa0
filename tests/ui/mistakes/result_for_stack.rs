//~ `Result<RateLimitLayer, ConfigError>` is no rate limiter of this crate
//~ with the `?`

use std::time::Duration;

use tower_rampart::rate_limit::{Quota, RateLimit};
use tower_rampart::stack::Stack;

fn main() {
    let limit = RateLimit::per_client_ip(Quota::new(100).per(Duration::from_secs(60))).build();
    let _layer = Stack::new().rate_limit_by_address(limit).build();
}
