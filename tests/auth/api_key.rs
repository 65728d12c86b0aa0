//! API keys.

use std::time::{Duration, UNIX_EPOCH};

use tower_rampart::auth::{ApiKey, ApiKeys};

use crate::support::NOW;

pub(crate) fn sha256(secret: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, secret.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Two keys of one client, one of another that has expired.
pub(crate) fn keys() -> ApiKeys {
    let key = |id: &str, secret: &str| ApiKey::new(id, &sha256(secret)).unwrap();
    ApiKeys::new([
        key("batch", "old").roles(["reader"]),
        key("batch", "new.with.dots").roles(["reader"]).scopes(["polls:read"]),
        key("gone", "secret").expires(UNIX_EPOCH + Duration::from_secs(NOW)),
    ])
    .unwrap()
}

#[test]
fn keys_that_cannot_be_are_named() {
    for id in ["", "a.b", "a b", "ä", &"a".repeat(65)] {
        assert!(ApiKey::new(id, &sha256("x")).unwrap_err().to_string().contains("is no id for a key"), "{id}");
    }
    for hash in ["", "abc", &"g".repeat(64), &"a".repeat(63), &"a".repeat(65), "my-secret"] {
        let error = ApiKey::new("a", hash).unwrap_err().to_string();
        assert!(error.contains("is no SHA-256") && !error.contains("my-secret"), "{error}");
    }
    let same = || ApiKey::new("a", &sha256("x")).unwrap();
    assert!(ApiKeys::new([same(), same()]).is_err());
    assert!(ApiKeys::new((0..9).map(|n| ApiKey::new("a", &sha256(&n.to_string())).unwrap())).is_err());
    assert!(!format!("{:?} {:?}", same(), keys()).contains(&sha256("x")[..8]));
}
