//~ a layer of this stack asks who the caller is, and nothing before it finds out
//~ `.auth(layer)`

use tower_rampart::authz::AuthzLayer;
use tower_rampart::stack::Stack;

fn main() {
    let _layer = Stack::new().authz(AuthzLayer::empty()).build();
}
