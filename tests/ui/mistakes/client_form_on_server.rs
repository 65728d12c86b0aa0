//~ `ClientError<Infallible>` is the error of a client's layer
//~ leave `.client()` away

use axum::Router;
use axum::routing::get;
use tower_rampart::circuit_breaker::CircuitBreaker;

fn main() {
    let breaker = CircuitBreaker::new("payments").build().unwrap().client();
    let _app: Router = Router::new().route("/", get(|| async { "hello" })).layer(breaker);
}
