//! A server's certificate and key, from PEM files.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tower_rampart::ConfigError;

/// A file, and the setting that names it.
pub type Named<'a> = (&'static str, &'a Path);

/// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN.
pub fn load(cert: Named<'_>, key: Named<'_>) -> Result<Arc<ServerConfig>, ConfigError> {
    let refuse_cert = |error: &dyn Display| {
        let breach = format!("is no usable certificate ({error})");
        ConfigError::new(
            cert.0,
            cert.1.display(),
            breach,
            "name a PEM file that this user can read, with the chain, leaf first",
        )
    };
    let refuse_key = |error: &dyn Display| {
        let breach = format!("is no usable private key ({error})");
        ConfigError::new(
            key.0,
            key.1.display(),
            breach,
            "name the PEM file of this certificate's private key, one that this user can read",
        )
    };
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(cert.1).and_then(Iterator::collect).map_err(|error| refuse_cert(&error))?;
    if chain.is_empty() {
        return Err(refuse_cert(&"the file has none"));
    }
    let private = PrivateKeyDer::from_pem_file(key.1).map_err(|error| refuse_key(&error))?;
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
