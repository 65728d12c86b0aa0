//~ RateLimit` makes a layer, and is none yet
//~ builders end with `.build()?`

use std::time::Duration;

use axum::Router;
use tower_rampart::rate_limit::{Quota, RateLimit};

fn main() {
    let _app: Router = Router::new().layer(RateLimit::per_client_ip(Quota::new(100).per(Duration::from_secs(60))));
}
