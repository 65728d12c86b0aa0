//~ makes a layer, and is none yet
//~ builders end with `.build()?`

use axum::Router;
use tower_rampart::security_headers::SecurityHeadersLayer;
use tower_rampart::stack::Stack;

fn main() {
    let _app: Router = Router::new().layer(Stack::new().security_headers(SecurityHeadersLayer::api()));
}
