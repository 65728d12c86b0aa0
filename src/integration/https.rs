//! The HTTPS client that is at hand: hyper over rustls.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::layers::auth::HttpClient;
use crate::spine::config::ConfigError;

/// A connection that is not made by then is not made.
const CONNECT: Duration = Duration::from_secs(5);
/// Keys are fetched once an hour: idle connections are not worth much.
const IDLE: Duration = Duration::from_secs(30);

#[cfg_attr(docsrs, doc(cfg(feature = "auth-https-client")))]
impl HttpClient {
    /// A client that trusts the certificates that this machine trusts.
    ///
    /// # Errors
    ///
    /// The machine has no certificates.
    pub fn https() -> Result<Self, ConfigError> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            const MEND: &str = "install them (on Debian: ca-certificates), or use `HttpClient::https_trusting`";
            return Err(ConfigError::new("certificates", "", "of this machine cannot be found", MEND));
        }
        Self::with_roots(roots)
    }

    /// A client that trusts these certificates, in PEM, and no others: for an issuer of your own.
    ///
    /// # Errors
    ///
    /// A text without a certificate, or with one that cannot be read.
    pub fn https_trusting(pem: &[u8]) -> Result<Self, ConfigError> {
        const MEND: &str = "give one or more of `-----BEGIN CERTIFICATE-----`";
        let refuse = |breach: &'static str| ConfigError::new("certificates", "PEM", breach, MEND);
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| refuse("cannot be read"))?;
            roots.add(certificate).map_err(|_| refuse("cannot be trusted: it is no authority's"))?;
        }
        if roots.is_empty() { Err(refuse("holds no certificate")) } else { Self::with_roots(roots) }
    }

    /// A client that trusts no certificate, and so reaches nothing but http addresses of this machine: for an issuer, or
    /// a proxy to one, beside this program.
    ///
    /// # Errors
    ///
    /// Those of TLS, which is set up all the same.
    pub fn loopback() -> Result<Self, ConfigError> {
        Self::with_roots(RootCertStore::empty())
    }

    fn with_roots(roots: RootCertStore) -> Result<Self, ConfigError> {
        // Named outright: rustls' own choice panics where two providers are compiled in.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| {
            ConfigError::new("TLS", "", format!("cannot be set up ({error})"), "report this as a bug")
        })?;
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.enforce_http(false);
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(config.with_root_certificates(roots).with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build::<_, Full<Bytes>>(https);
        Ok(Self::new(client))
    }
}
