//! A table of rules that decides about a caller who is known.
//!
//! It has no rival here: casbin and Cedar are languages for policies, and jwt-authorizer asks a closure about claims.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::{Method, Request, Response};
use tower::{Layer, Service};
use tower_rampart::authz::{AuthzLayer, PolicyTable, Rule};
use tower_rampart::{ConfigError, Identity};

use crate::{Body, Job, Jobs, Run};

/// How many rules there are, two for each path.
const RULES: usize = 200;

/// A handler that has nothing to say.
#[derive(Debug, Clone, Copy)]
struct Handler;

impl Service<Request<()>> for Handler {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::default()))
    }
}

struct Prepared<S, B> {
    service: S,
    request: Request<()>,
    response: Option<Response<B>>,
}

impl<S, B> Run for Prepared<S, B>
where
    S: Service<Request<()>, Response = Response<B>>,
{
    fn run(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let request = std::mem::take(&mut self.request);
        if let Poll::Ready(Ok(response)) = pin!(self.service.call(request)).poll(&mut cx) {
            self.response = Some(response);
        }
    }

    fn fields(&self) -> usize {
        usize::from(self.response.as_ref().is_some_and(|response| response.status().is_success()))
    }
}

fn jobs<S, B: 'static>(service: S, method: Method) -> Jobs
where
    S: Service<Request<()>, Response = Response<B>> + Clone + 'static,
{
    let request = move || {
        let who = Identity::new("https://idp.example/", "alice").with_roles(["author"]);
        let request = Request::builder().method(&method).uri("/v1/things50/7").extension(who);
        request.body(()).unwrap_or_default()
    };
    let job = move || Prepared { service: service.clone(), request: request(), response: None };
    job().run();
    Box::new(move || -> Job { Box::new(job()) })
}

fn layer() -> Result<AuthzLayer, ConfigError> {
    let table = (0..RULES / 2).fold(PolicyTable::builder(), |table, n| {
        let path = format!("/v1/things{n}/{{id}}");
        let read = Rule::allow(format!("read{n}"), path.as_str()).methods([Method::GET]).roles(["author"]);
        let remove = Rule::allow(format!("remove{n}"), path.as_str()).methods([Method::DELETE]).roles(["admin"]);
        table.add_rule(read).add_rule(remove)
    });
    Ok(AuthzLayer::new(table.build()?))
}

/// The handler alone.
pub fn bare() -> Jobs {
    jobs(Handler, Method::GET)
}

/// Ours, about what the caller may do.
pub fn rampart_allowed() -> Jobs {
    jobs(layer().unwrap_or_else(|error| panic!("no table: {error}")).layer(Handler), Method::GET)
}

/// About what the caller may not.
pub fn rampart_denied() -> Jobs {
    jobs(layer().unwrap_or_else(|error| panic!("no table: {error}")).layer(Handler), Method::DELETE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_may_and_one_may_not() {
        let lets_in = |mut jobs: Jobs| {
            let mut job = jobs();
            job.run();
            job.fields()
        };
        assert_eq!([bare(), rampart_allowed(), rampart_denied()].map(lets_in), [1, 1, 0]);
    }
}
