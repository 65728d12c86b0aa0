//! Layers on plain hyper: HTTP/1.1 and HTTP/2, no framework.
//!
//! `cargo run --example hyper --features security-headers`, then `curl -i http://127.0.0.1:3000/`.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, service_fn};
use tower_rampart::RequestView;
use tower_rampart::key::{ClientIp, PeerAddr, PeerAddrLayer};
use tower_rampart::security_headers::SecurityHeadersLayer;

async fn whoami(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    match ClientIp::new().resolve(RequestView::of(&request)) {
        Ok(client) => *response.body_mut() = format!("{client}\n").into(),
        Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    Ok(response)
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}/", listener.local_addr()?);
    let headers = SecurityHeadersLayer::api();
    loop {
        let (stream, peer) = listener.accept().await?;
        let service = ServiceBuilder::new()
            .layer(PeerAddrLayer::new(PeerAddr::new(peer)))
            .layer(headers.clone())
            .service(service_fn(whoami));
        tokio::spawn(async move {
            let connection = auto::Builder::new(TokioExecutor::new());
            if let Err(error) =
                connection.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).await
            {
                eprintln!("connection ended: {error}");
            }
        });
    }
}
