//! Keys made of the authenticated caller.

use super::{KeyExtractor, KeyWriter, MissingKey};
use crate::spine::identity::Identity;
use crate::spine::problem::ProblemKind;
use crate::spine::request::RequestView;

const NO_IDENTITY: MissingKey =
    MissingKey::new("identity", "put an authentication layer outside this one").refused_as(ProblemKind::Forbidden);

/// The authenticated caller: issuer and subject together.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::exhaustive_structs, reason = "a unit: there is nothing to add")]
pub struct IdentityKey;

impl KeyExtractor for IdentityKey {
    fn extract(&self, request: RequestView<'_>, key: &mut KeyWriter<'_>) -> Result<(), MissingKey> {
        let identity = Identity::of(request).ok_or(NO_IDENTITY)?;
        key.part(identity.issuer().as_bytes());
        key.part(identity.subject().as_bytes());
        Ok(())
    }
}

/// The tenant of the authenticated caller. A tenant's name belongs to the issuer that gave it.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::exhaustive_structs, reason = "a unit: there is nothing to add")]
pub struct TenantKey;

impl KeyExtractor for TenantKey {
    fn extract(&self, request: RequestView<'_>, key: &mut KeyWriter<'_>) -> Result<(), MissingKey> {
        const NO_TENANT: MissingKey =
            MissingKey::new("tenant", "let the identity provider name it").refused_as(ProblemKind::Forbidden);
        let identity = Identity::of(request).ok_or(NO_IDENTITY)?;
        let tenant = identity.tenant().ok_or(NO_TENANT)?;
        key.part(identity.issuer().as_bytes());
        key.part(tenant.as_bytes());
        Ok(())
    }
}
