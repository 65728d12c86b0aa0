//~ is no key extractor
//~ `key::from_fn(|request, key| { key.part(..); Ok(()) })`

use std::time::Duration;

use tower_rampart::RequestView;
use tower_rampart::rate_limit::{Policy, Quota};

fn main() {
    let quota = Quota::new(100).per(Duration::from_secs(60));
    let _policy = Policy::new("paths", quota).key(|request: RequestView<'_>| request.uri().path().to_owned());
}
