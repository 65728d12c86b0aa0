//! What claims say of the caller.

use super::fault::TokenFault;
use crate::spine::identity::Identity;
use crate::spine::json::Json;

/// The most roles, and the most scopes, of a caller.
const MAX_NAMES: usize = 256;

/// The caller that claims describe.
pub(in crate::layers::auth) fn caller(
    issuer: &str,
    roles_claim: &str,
    tenant_claim: Option<&str>,
    claims: &Json<'_>,
) -> Result<Identity, TokenFault> {
    let text = |name: &str| claims.get(name).and_then(Json::text);
    // A token of a client for itself may name no other subject.
    let subject = text("sub").or_else(|| text("client_id")).ok_or(TokenFault::ClaimMissing("sub"))?;
    let roles = path(claims, roles_claim).map(names).unwrap_or_default();
    // `scope` is a list in one string (RFC 8693 section 4.2); `scp` is what others call it.
    let scopes = claims.get("scope").or_else(|| claims.get("scp")).map(names).unwrap_or_default();
    let permissions = claims.get("permissions").map(names).unwrap_or_default();
    if roles.len() > MAX_NAMES || scopes.len() > MAX_NAMES || permissions.len() > MAX_NAMES {
        return Err(TokenFault::ClaimInvalid("roles"));
    }
    let identity = Identity::new(issuer, subject)
        .with_roles(roles)
        .with_scopes(scopes)
        .with_permissions(permissions)
        .with_claims(texts(claims));
    let tenant = tenant_claim.and_then(|claim| path(claims, claim)).and_then(Json::text);
    Ok(match tenant {
        Some(tenant) => identity.with_tenant(tenant),
        None => identity,
    })
}

/// The claims that are texts, and those that are lists of nothing but texts. All of them: a rule that denies by one that
/// was left out would deny nothing. What was read is bounded already, in bytes and in values.
fn texts<'a>(claims: &'a Json<'_>) -> Vec<(&'a str, &'a str)> {
    let members = claims.members().unwrap_or_default();
    let mut texts: Vec<_> = members.iter().filter_map(|(name, value)| Some((&**name, value.text()?))).collect();
    for (name, items) in members.iter().filter_map(|(name, value)| Some((&**name, value.list()?))) {
        let items: Option<Vec<_>> = items.iter().map(Json::text).collect();
        texts.extend(items.unwrap_or_default().into_iter().map(|item| (name, item)));
    }
    texts
}

/// Whether one of an `aud` is one of ours: a string, or a list of nothing but strings (RFC 7519 section 4.1.3).
pub(in crate::layers::auth) fn audience_is_among(audience: &Json<'_>, ours: &[Box<str>]) -> bool {
    let is_ours = |audience: &str| ours.iter().any(|ours| **ours == *audience);
    match audience {
        Json::Text(audience) => is_ours(audience),
        Json::List(audiences) => {
            audiences.iter().all(|audience| audience.text().is_some())
                && audiences.iter().filter_map(Json::text).any(is_ours)
        }
        _ => false,
    }
}

/// A claim, through objects where its name has dots and no claim has the whole name.
fn path<'a, 'b>(claims: &'a Json<'b>, name: &str) -> Option<&'a Json<'b>> {
    claims.get(name).or_else(|| name.split('.').try_fold(claims, |value, name| value.get(name)))
}

/// The names in a list, or in a string with spaces between them.
fn names<'a>(claim: &'a Json<'_>) -> Vec<&'a str> {
    match claim {
        Json::Text(text) => text.split(' ').filter(|name| !name.is_empty()).collect(),
        Json::List(items) => items.iter().filter_map(Json::text).collect(),
        _ => Vec::new(),
    }
}
