//~ `Vec<u8>` is no body that this layer can read
//~ others become one by the `Body::new` of axum or tonic

use std::convert::Infallible;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::{rt::TokioExecutor, rt::TokioIo, server::conn::auto, service::TowerToHyperService};
use tower::{Layer, service_fn};
use tower_rampart::cache::Cache;

async fn page(_: Request<Incoming>) -> Result<Response<Vec<u8>>, Infallible> {
    Ok(Response::new(b"hello".to_vec()))
}

fn main() {
    let service = Cache::builder().build().unwrap().layer().layer(service_fn(page));
    let (_, stream) = tokio::io::duplex(1024);
    let server = auto::Builder::new(TokioExecutor::new());
    drop(server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
}
