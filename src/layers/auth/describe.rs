//! The layer on one line.

use super::layer::{Auth, AuthLayer};
use crate::spine::describe::{Describe, list};

impl Auth {
    fn describe(&self) -> String {
        let mut known = Vec::new();
        if let Some(verifier) = &self.jwt {
            known.push(format!("tokens of {}", list(verifier.issuers())));
        }
        #[cfg(feature = "auth-introspection")]
        if self.introspection.is_some() {
            known.push(String::from("opaque tokens"));
        }
        if let Some(keys) = &self.api_keys {
            known.push(format!("API keys of {}", keys.0.len()));
        }
        if self.basic.is_some() {
            known.push(String::from("passwords"));
        }
        if self.certificates.is_some() {
            known.push(String::from("client certificates"));
        }
        let strangers = if self.optional { "strangers pass" } else { "strangers are refused" };
        format!("{}; {strangers}", known.join(", "))
    }
}

impl Describe for AuthLayer {
    fn refuses_strangers(&self) -> bool {
        // Preflights come through as strangers, and need a rule of their own.
        !self.auth.is_empty() && !self.auth.optional && !self.auth.passes_preflights
    }

    fn describe(&self) -> Option<String> {
        (!self.auth.is_empty()).then(|| self.auth.describe())
    }
}
