//~ `Counts` is no store of counts
//~ implement `take` and `settle` for it

use std::collections::HashMap;
use std::sync::Mutex;

use tower_rampart::rate_limit::SharedCounts;

#[derive(Default)]
struct Counts(#[allow(dead_code)] Mutex<HashMap<String, u64>>);

fn main() {
    let _counts = SharedCounts::new(Counts::default());
}
