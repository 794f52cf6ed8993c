//! A certificate authority for tests: it signs for whatever name is asked for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

/// How many names a certificate is remembered for.
const MAX_LEAVES: usize = 256;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Makes an authority: its certificate as PEM, and the acceptor that uses it.
pub(super) fn authority(ip: IpAddr) -> Result<(String, TlsAcceptor), BoxError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "story-checker-sim test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let pem = params.self_signed(&key)?.pem();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let leaves = Leaves {
        ip,
        issuer: Issuer::new(params, key),
        leaf_key: KeyPair::generate()?,
        provider: Arc::clone(&provider),
        signed: Mutex::default(),
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(leaves));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((pem, TlsAcceptor::from(Arc::new(config))))
}

/// One certificate per name, all with the same key.
#[derive(Debug)]
struct Leaves {
    ip: IpAddr,
    issuer: Issuer<'static, KeyPair>,
    leaf_key: KeyPair,
    provider: Arc<CryptoProvider>,
    signed: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl Leaves {
    fn sign(&self, name: &str) -> Result<Arc<CertifiedKey>, BoxError> {
        // Clients that dial the address itself send no name, but check the address.
        let names = [name.into(), "localhost".into(), self.ip.to_string()];
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&self.leaf_key, &self.issuer)?;
        let key = PrivatePkcs8KeyDer::from(self.leaf_key.serialize_der());
        let chain = vec![leaf.der().clone()];
        Ok(Arc::new(CertifiedKey::from_der(chain, key.into(), &self.provider)?))
    }
}

impl ResolvesServerCert for Leaves {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().unwrap_or("localhost");
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leaf) = signed.get(name) {
            return Some(Arc::clone(leaf));
        }
        // Without a certificate the handshake fails, and the client says so.
        let leaf = self.sign(name).ok()?;
        if signed.len() >= MAX_LEAVES {
            signed.clear();
        }
        signed.insert(name.to_owned(), Arc::clone(&leaf));
        Some(leaf)
    }
}
