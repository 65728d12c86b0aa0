//! The authenticated caller, as every later layer sees it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use crate::spine::request::RequestView;
use crate::spine::texts::Texts;

/// Whether anything in this process finds out who callers are.
static SOUGHT: AtomicBool = AtomicBool::new(false);

/// Says that callers are sought: a layer was built that does, or somebody was found.
pub(crate) fn seek() {
    // Read on every request, and written once: no line of memory goes from one processor to the other.
    if !SOUGHT.load(Ordering::Relaxed) {
        SOUGHT.store(true, Ordering::Relaxed);
    }
}

/// Whether callers are sought. What asks for them says so where they are not.
#[cfg(feature = "axum")]
pub(crate) fn are_sought() -> bool {
    SOUGHT.load(Ordering::Relaxed)
}

/// Who a request comes from, established by an authentication layer and read by those further in.
///
/// It travels in the request's extensions and costs one reference count to clone. A caller is the pair of issuer and
/// subject: the same subject of two issuers is two callers.
///
/// ```
/// use tower_rampart::Identity;
///
/// let identity = Identity::new("https://idp.example/", "alice").with_roles(["author"]).with_scopes(["polls:write"]);
/// assert!(identity.has_role("author") && identity.has_scope("polls:write"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Identity(Arc<Caller>);

#[derive(Clone, PartialEq, Eq)]
struct Caller {
    issuer: Box<str>,
    subject: Box<str>,
    tenant: Option<Box<str>>,
    roles: Texts,
    scopes: Texts,
    permissions: Texts,
    /// Names and values by turns.
    claims: Texts,
    expires: Option<SystemTime>,
}

impl Identity {
    /// A caller without roles, scopes or tenant.
    #[must_use]
    pub fn new(issuer: impl Into<Box<str>>, subject: impl Into<Box<str>>) -> Self {
        seek();
        Self(Arc::new(Caller {
            issuer: issuer.into(),
            subject: subject.into(),
            tenant: None,
            roles: Texts::default(),
            scopes: Texts::default(),
            permissions: Texts::default(),
            claims: Texts::default(),
            expires: None,
        }))
    }

    /// The caller an outer layer established.
    #[must_use]
    pub fn of(request: RequestView<'_>) -> Option<&Self> {
        request.extensions().get()
    }

    /// Replaces the roles.
    #[must_use]
    pub fn with_roles<T: AsRef<str>>(mut self, roles: impl IntoIterator<Item = T>) -> Self {
        Arc::make_mut(&mut self.0).roles = roles.into_iter().collect();
        self
    }

    /// Replaces the scopes.
    #[must_use]
    pub fn with_scopes<T: AsRef<str>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        Arc::make_mut(&mut self.0).scopes = scopes.into_iter().collect();
        self
    }

    /// Replaces the permissions.
    #[must_use]
    pub fn with_permissions<T: AsRef<str>>(mut self, permissions: impl IntoIterator<Item = T>) -> Self {
        Arc::make_mut(&mut self.0).permissions = permissions.into_iter().collect();
        self
    }

    /// Names the tenant.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Box<str>>) -> Self {
        Arc::make_mut(&mut self.0).tenant = Some(tenant.into());
        self
    }

    /// Replaces the other claims that are known of the caller, by name. A name that stands several times is a list.
    #[must_use]
    pub fn with_claims<N, V>(mut self, claims: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        /// A name or a value.
        enum Half<N, V> {
            Name(N),
            Value(V),
        }
        impl<N: AsRef<str>, V: AsRef<str>> AsRef<str> for Half<N, V> {
            fn as_ref(&self) -> &str {
                match self {
                    Self::Name(name) => name.as_ref(),
                    Self::Value(value) => value.as_ref(),
                }
            }
        }
        let halves = claims.into_iter().flat_map(|(name, value)| [Half::Name(name), Half::Value(value)]);
        Arc::make_mut(&mut self.0).claims = halves.collect();
        self
    }

    /// Says until when the credential is good.
    #[must_use]
    pub fn with_expiry(mut self, at: SystemTime) -> Self {
        Arc::make_mut(&mut self.0).expires = Some(at);
        self
    }

    /// Until when the credential is good, if it ends: for whoever keeps a stream or a WebSocket open for longer than a
    /// request.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.0.expires
    }

    /// A claim, if it is known and one text. A list is none: who takes its first entry for all of it is mistaken.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&str> {
        let mut values = self.claims(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// The texts of a claim: of a list, all of them.
    pub fn claims(&self, name: &str) -> impl Iterator<Item = &str> {
        let mut halves = self.0.claims.iter();
        let pairs = std::iter::from_fn(move || Some((halves.next()?, halves.next()?)));
        pairs.filter(move |(held, _)| *held == name).map(|(_, value)| value)
    }

    /// Who vouches for the caller.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The caller's name within its issuer.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// The tenant, when one is known.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.0.tenant.as_deref()
    }

    /// The roles, inherited ones included.
    #[must_use]
    pub fn roles(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.roles.iter()
    }

    /// The scopes.
    #[must_use]
    pub fn scopes(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.scopes.iter()
    }

    /// What the caller may do, as its credential says; roles may permit more.
    #[must_use]
    pub fn permissions(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.permissions.iter()
    }

    /// Whether the caller has this permission.
    #[must_use]
    pub fn has_permission(&self, permission: &str) -> bool {
        self.permissions().any(|held| held == permission)
    }

    /// Whether the caller has this role.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles().any(|held| held == role)
    }

    /// Whether the caller has this scope.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|held| held == scope)
    }
}

impl fmt::Debug for Identity {
    /// Without the subject, which is personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("issuer", &self.0.issuer).finish_non_exhaustive()
    }
}
