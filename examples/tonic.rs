//! Layers around every service of a tonic server.
//!
//! `cargo run --example tonic --features security-headers`, then for instance
//! `grpcurl -plaintext 127.0.0.1:50051 grpc.health.v1.Health/Check` with the health proto at hand.

use tonic::transport::Server;
use tower_rampart::security_headers::SecurityHeadersLayer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("poll.v1.Polls", tonic_health::ServingStatus::Serving).await;

    let address = "127.0.0.1:50051".parse()?;
    println!("grpc://{address}");
    Server::builder().layer(SecurityHeadersLayer::grpc()).add_service(health).serve(address).await?;
    Ok(())
}
