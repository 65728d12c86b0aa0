//~ CheckedBody<hyper::body::Incoming>

use std::convert::Infallible;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::{rt::TokioExecutor, rt::TokioIo, server::conn::auto, service::TowerToHyperService};
use tower::{Layer, service_fn};
use tower_rampart::validate::Validate;

async fn page(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello".to_owned()))
}

fn main() {
    let service = Validate::new().build().unwrap().layer(service_fn(page));
    let (_, stream) = tokio::io::duplex(1024);
    let server = auto::Builder::new(TokioExecutor::new());
    drop(server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
}
