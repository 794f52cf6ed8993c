//! The one TLS configuration that all clients of a transport share.
//!
//! A client with a configuration of its own would read the system's root certificates again:
//! 76 ms and about 117 KiB for each proxy.

use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use thiserror::Error;
use tracing::warn;

/// A transport that cannot be made as configured.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InvalidTransport {
    /// The extra root certificates cannot be read.
    #[error("the extra root certificates cannot be read: use PEM with at least one certificate")]
    ExtraRoots {
        /// Why not.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// TLS cannot be set up at all.
    #[error("TLS cannot be set up")]
    Tls {
        /// Why not.
        #[from]
        source: rustls::Error,
    },
}

pub(super) fn config(extra_root_pem: Option<&[u8]>) -> Result<ClientConfig, InvalidTransport> {
    // Named here and not taken from the process: which provider is installed there, if any, is the
    // business of the application.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let mut config = match verifier(extra_roots(extra_root_pem)?, provider) {
        Ok(verifier) => {
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
        }
        // Plain HTTP (a simulator on loopback) must still work on a system without certificates.
        Err(error) => {
            warn!(
                %error,
                "this system has no trusted root certificates: every https request will fail \
                 until they are installed (on Debian: ca-certificates)"
            );
            builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn verifier(
    extra: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
    Ok(Arc::new(Verifier::new_with_extra_roots(extra, provider)?))
}

fn extra_roots(pem: Option<&[u8]>) -> Result<Vec<CertificateDer<'static>>, InvalidTransport> {
    let Some(pem) = pem else { return Ok(Vec::new()) };
    let roots: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| InvalidTransport::ExtraRoots { source: Some(Box::new(error)) })?;
    let mut usable = RootCertStore::empty();
    for root in &roots {
        usable
            .add(root.clone())
            .map_err(|error| InvalidTransport::ExtraRoots { source: Some(Box::new(error)) })?;
    }
    if roots.is_empty() {
        return Err(InvalidTransport::ExtraRoots { source: None });
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_roots_are_read_or_refused() {
        let key = rcgen::generate_simple_self_signed(["sim.test".to_owned()]).unwrap();
        assert!(config(Some(key.cert.pem().as_bytes())).is_ok());
        assert!(config(None).is_ok());
        for pem in [&b""[..], b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n"] {
            assert!(matches!(config(Some(pem)), Err(InvalidTransport::ExtraRoots { .. })));
        }
    }
}
