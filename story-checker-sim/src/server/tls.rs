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

/// The name of whoever is not the platform.
const STRANGER: &str = "wrong.sim.test";

/// An authority and those who use it.
pub(super) struct Authority {
    /// Its certificate.
    pub(super) pem: String,
    /// Shows a certificate of the name asked for.
    pub(super) acceptor: TlsAcceptor,
    /// Shows a certificate of another name.
    pub(super) stranger: TlsAcceptor,
}

/// Makes an authority.
pub(super) fn authority(ip: IpAddr) -> Result<Authority, BoxError> {
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
    let wrong = Leaf(leaves.sign(vec![STRANGER.into()])?);
    let acceptor = |resolver: Arc<dyn ResolvesServerCert>| -> Result<TlsAcceptor, BoxError> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    };
    let stranger = acceptor(Arc::new(wrong))?;
    Ok(Authority { pem, acceptor: acceptor(Arc::new(leaves))?, stranger })
}

/// Always the same certificate.
#[derive(Debug)]
struct Leaf(Arc<CertifiedKey>);

impl ResolvesServerCert for Leaf {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
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
    fn sign(&self, names: Vec<String>) -> Result<Arc<CertifiedKey>, BoxError> {
        let name = names.first().cloned().unwrap_or_default();
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
        // Clients that dial the address itself send no name, but check the address.
        let names = vec![name.to_owned(), "localhost".into(), self.ip.to_string()];
        // Without a certificate the handshake fails, and the client says so.
        let leaf = self.sign(names).ok()?;
        if signed.len() >= MAX_LEAVES {
            signed.clear();
        }
        signed.insert(name.to_owned(), Arc::clone(&leaf));
        Some(leaf)
    }
}
