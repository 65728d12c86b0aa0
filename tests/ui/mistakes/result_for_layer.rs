//~ Result<RateLimitLayer, ConfigError>

use std::time::Duration;

use axum::Router;
use tower_rampart::rate_limit::{Quota, RateLimit};

fn main() {
    let limit = RateLimit::per_client_ip(Quota::new(100).per(Duration::from_secs(60))).build();
    let _app: Router = Router::new().layer(limit);
}
