//~ `&str` is no key extractor
//~ `HeaderKey::new(name)`

use std::time::Duration;

use tower_rampart::rate_limit::{Policy, Quota};

fn main() {
    let quota = Quota::new(100).per(Duration::from_secs(60));
    let _policy = Policy::new("tenants", quota).key("x-tenant");
}
