//! Certificate, key and client certificates of a TLS listener, from files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use weft_model::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

/// The files, as the configuration names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The listener's certificate, then those that signed it (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM: PKCS #8, PKCS #1 or SEC 1).
    pub key: PathBuf,
    /// Who signs the certificates of senders (PEM); none asks senders for no certificate.
    pub client_ca: Option<PathBuf>,
}

impl TlsFiles {
    /// What a listener needs, or everything that is wrong with the files at the time `now`.
    ///
    /// # Errors
    /// One line for each fault.
    pub fn load(&self, now: Timestamp) -> Result<Arc<ServerConfig>, Vec<String>> {
        let mut faults = Vec::new();
        let chain = self.chain(now, &mut faults);
        let key = private_key(&self.key, &mut faults);
        let roots = self.client_ca.as_ref().and_then(|file| roots(file, now, &mut faults));
        let (Some(chain), Some(key), true) = (chain, key, faults.is_empty()) else { return Err(faults) };
        self.config(chain, key, roots).map_err(|fault| vec![fault])
    }

    fn config(&self, chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>, roots: Option<RootCertStore>) -> Result<Arc<ServerConfig>, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let pair = CertifiedKey::from_der(chain, key, &provider).map_err(|fault| match fault {
            rustls::Error::InconsistentKeys(_) => {
                format!("`{}` is not the key of the certificate `{}`", self.key.display(), self.certificate.display())
            }
            other => format!("`{}` cannot be used: {other}", self.key.display()),
        })?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().map_err(|fault| fault.to_string())?;
        let builder = match roots {
            None => builder.with_no_client_auth(),
            Some(roots) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(|fault| fault.to_string())?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(pair)));
        // Senders of syslog never read: a ticket that lies unread when they close would make their
        // kernel throw away what it has not sent yet.
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    fn chain(&self, now: Timestamp, faults: &mut Vec<String>) -> Option<Vec<CertificateDer<'static>>> {
        let chain = certificates(&self.certificate, faults)?;
        chain.iter().for_each(|one| faults.extend(validity(&self.certificate, one, now)));
        Some(chain)
    }
}

fn certificates(file: &Path, faults: &mut Vec<String>) -> Option<Vec<CertificateDer<'static>>> {
    let pem = read(file, faults)?;
    match CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>() {
        Ok(found) if !found.is_empty() => Some(found),
        _ => {
            faults.push(format!("`{}` holds no certificate: PEM (`-----BEGIN CERTIFICATE-----`) is expected", file.display()));
            None
        }
    }
}

fn private_key(file: &Path, faults: &mut Vec<String>) -> Option<PrivateKeyDer<'static>> {
    let pem = read(file, faults)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).ok();
    if key.is_none() {
        faults.push(format!("`{}` holds no private key: PEM without a password is expected", file.display()));
    }
    key
}

fn roots(file: &Path, now: Timestamp, faults: &mut Vec<String>) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file, faults)? {
        faults.extend(validity(file, &certificate, now));
        if let Err(fault) = roots.add(certificate) {
            faults.push(format!("`{}` holds a certificate that cannot be a trust anchor: {fault}", file.display()));
        }
    }
    Some(roots)
}

/// Makes one provider of cryptography the process's own: libraries that make connections by
/// themselves cannot choose between two that are built in.
#[cfg(any(feature = "kafka", feature = "nats"))]
pub fn install() {
    let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// What a client needs that trusts the signers in `ca`.
///
/// # Errors
/// One line for a person.
#[cfg(feature = "kafka")]
pub fn client(ca: &Path, now: Timestamp) -> Result<Arc<rustls::ClientConfig>, String> {
    let mut faults = Vec::new();
    let roots = roots(ca, now, &mut faults).filter(|_| faults.is_empty()).ok_or_else(|| faults.join("; "))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|fault| fault.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// The fault of a certificate whose time is over or has not come.
fn validity(file: &Path, certificate: &CertificateDer<'_>, now: Timestamp) -> Option<String> {
    let Ok(parsed) = Certificate::from_der(certificate) else {
        return Some(format!("`{}` holds a certificate that cannot be read", file.display()));
    };
    let (subject, validity, now) = (&parsed.tbs_certificate.subject, &parsed.tbs_certificate.validity, u64::try_from(now.0 / 1000).unwrap_or(0));
    if now > validity.not_after.to_unix_duration().as_secs() {
        return Some(format!("`{}`: the certificate of `{subject}` expired on {}; renew it", file.display(), validity.not_after));
    }
    let early = now < validity.not_before.to_unix_duration().as_secs();
    early.then(|| format!("`{}`: the certificate of `{subject}` is not valid before {}", file.display(), validity.not_before))
}

fn read(file: &Path, faults: &mut Vec<String>) -> Option<Vec<u8>> {
    std::fs::read(file).map_err(|error| faults.push(format!("`{}` cannot be read: {error}", file.display()))).ok()
}
