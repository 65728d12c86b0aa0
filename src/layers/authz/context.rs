//! What a policy sees of a request.

use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use http::Method;

use crate::spine::certificate::ClientCertificate;
use crate::spine::identity::Identity;
use crate::spine::key::ClientIp;
use crate::spine::request::RequestView;
use crate::wiring;

/// What a [`Policy`](super::Policy) sees of a request: method, path and caller, and, behind a layer, all of its head, the
/// client's address and the time.
///
/// ```
/// use http::Method;
/// use tower_rampart::Identity;
/// use tower_rampart::authz::PolicyContext;
///
/// let ann = Identity::new("idp", "ann").with_roles(["author"]);
/// let context = PolicyContext::new(&Method::GET, "/polls").with_caller(Some(&ann));
/// assert_eq!(context.caller().map(Identity::subject), Some("ann"));
/// ```
#[derive(Clone, Copy)]
pub struct PolicyContext<'a> {
    method: &'a Method,
    path: &'a str,
    caller: Option<&'a Identity>,
    certificate: Option<&'a ClientCertificate>,
    client: Client<'a>,
    now: Option<SystemTime>,
    request: Option<RequestView<'a>>,
}

#[derive(Clone, Copy)]
enum Client<'a> {
    Unknown,
    Known(IpAddr),
    /// Found when somebody asks.
    Of(&'a ClientIp, RequestView<'a>),
}

impl<'a> PolicyContext<'a> {
    /// A request by its method and its path as it was received, of a stranger.
    #[must_use]
    pub const fn new(method: &'a Method, path: &'a str) -> Self {
        Self { method, path, caller: None, certificate: None, client: Client::Unknown, now: None, request: None }
    }

    /// A request, with its caller and certificate, whose client this finds.
    pub(super) fn of(request: RequestView<'a>, client_ip: &'a ClientIp) -> Self {
        // A nested router cuts off what led to it; rules speak of what was asked for.
        let path = wiring::original_path(request.extensions()).unwrap_or_else(|| request.uri().path());
        Self {
            caller: Identity::of(request),
            certificate: ClientCertificate::of(request),
            client: Client::Of(client_ip, request),
            request: Some(request),
            ..Self::new(request.method(), path)
        }
    }

    /// Names the caller.
    #[must_use]
    pub const fn with_caller(mut self, caller: Option<&'a Identity>) -> Self {
        self.caller = caller;
        self
    }

    /// Gives the connection's certificate.
    #[must_use]
    pub const fn with_certificate(mut self, certificate: Option<&'a ClientCertificate>) -> Self {
        self.certificate = certificate;
        self
    }

    /// Gives the client's address.
    #[must_use]
    pub const fn with_client(mut self, client: IpAddr) -> Self {
        self.client = Client::Known(client);
        self
    }

    /// Gives the time.
    #[must_use]
    pub const fn with_now(mut self, now: SystemTime) -> Self {
        self.now = Some(now);
        self
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> &'a Method {
        self.method
    }

    /// The path, as it was received.
    #[must_use]
    pub const fn path(&self) -> &'a str {
        self.path
    }

    /// Who asks, if it is known.
    #[must_use]
    pub const fn caller(&self) -> Option<&'a Identity> {
        self.caller
    }

    /// The certificate of the connection.
    #[must_use]
    pub const fn certificate(&self) -> Option<&'a ClientCertificate> {
        self.certificate
    }

    /// The client's address, as far as it can be trusted.
    #[must_use]
    pub fn client(&self) -> Option<IpAddr> {
        match self.client {
            Client::Unknown => None,
            Client::Known(client) => Some(client),
            Client::Of(client_ip, request) => client_ip.resolve(request).ok(),
        }
    }

    /// The time, where a policy [asks](super::Policy::asks_time) for it.
    #[must_use]
    pub const fn now(&self) -> Option<SystemTime> {
        self.now
    }

    /// The whole head, behind a layer.
    #[must_use]
    pub const fn request(&self) -> Option<RequestView<'a>> {
        self.request
    }

    /// The template of the route that the framework's router chose, where one has.
    #[must_use]
    pub fn route(&self) -> Option<&'a str> {
        wiring::framework_route(self.request?.extensions())
    }
}

impl fmt::Debug for PolicyContext<'_> {
    /// Without the path and the caller.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyContext").field("method", self.method).finish_non_exhaustive()
    }
}
