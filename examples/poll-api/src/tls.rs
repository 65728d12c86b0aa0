//! `--tls-cert` and `--tls-key`.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tower_rampart::ConfigError;

/// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN.
pub fn load(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, ConfigError> {
    let refuse_cert = |error: &dyn std::fmt::Display| {
        let breach = format!("is no usable certificate ({error})");
        ConfigError::new(
            "--tls-cert",
            cert.display(),
            breach,
            "name a PEM file that this user can read, with the chain, leaf first",
        )
    };
    let refuse_key = |error: &dyn std::fmt::Display| {
        let breach = format!("is no usable private key ({error})");
        ConfigError::new(
            "--tls-key",
            key.display(),
            breach,
            "name the PEM file of this certificate's private key, one that this user can read",
        )
    };
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(cert).and_then(Iterator::collect).map_err(|error| refuse_cert(&error))?;
    if chain.is_empty() {
        return Err(refuse_cert(&"the file has none"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| refuse_key(&error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse_cert(&error))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| refuse_key(&error))?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(server))
}
