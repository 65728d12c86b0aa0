//! `[tls]`: certificate and key, read when the configuration is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use serde::Deserialize;
use tower_rampart::ConfigError;

use crate::pem;

/// PEM files, relative to the configuration's own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    cert: PathBuf,
    key: PathBuf,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self { cert: PathBuf::from("cert.pem"), key: PathBuf::from("key.pem") }
    }
}

impl TlsConfig {
    /// What the files hold.
    pub fn load(&self, base: &Path) -> Result<Arc<ServerConfig>, ConfigError> {
        pem::load(("tls.cert", &base.join(&self.cert)), ("tls.key", &base.join(&self.key)))
    }
}
