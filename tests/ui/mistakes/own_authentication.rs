//~ `SessionLayer` does not say that it puts an `Identity` into requests
//~ implement `tower_rampart::stack::Authenticates`

use tower_rampart::stack::Stack;

#[derive(Clone)]
struct SessionLayer;

fn main() {
    let _layer = Stack::new().authenticated_by(SessionLayer).build();
}
