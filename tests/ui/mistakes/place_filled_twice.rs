//~ this place of the stack is filled already
//~ take one of the two calls away

use tower_rampart::security_headers::SecurityHeadersLayer;
use tower_rampart::stack::Stack;

fn main() {
    let web = SecurityHeadersLayer::web();
    let _layer = Stack::new().security_headers(SecurityHeadersLayer::api()).security_headers(web).build();
}
