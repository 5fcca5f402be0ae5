//! The TLS of outbound connections: which servers are trusted, and which certificate they are shown.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use relay::{ConnectError, TlsOptions};
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, ConfigBuilder, Error as TlsError, RootCertStore, SignatureScheme,
    WantsVerifier,
};

use super::private_ca::PrivateCa;
use super::private_ca::client_key::{ClientCertificate, certified};
use super::server_policy::{HandshakeSignature, Presented, ServerPolicy, Verifier};

type Certificate = CertificateDer<'static>;

/// The ALPN protocol of HTTPS connections (RFC 7301).
const HTTP_1_1: &[u8] = b"http/1.1";

/// Why authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// The file cannot be read, or is not PEM.
    #[error("{0} cannot be read: {1}")]
    Unreadable(String, String),
    /// The file contains no certificate.
    #[error("{0} contains no certificate")]
    None(String),
    /// A certificate cannot be used as an authority.
    #[error("an added authority's certificate cannot be used: {0}")]
    Unusable(String),
}

/// The certificates of a PEM file, for [`crate::Config::extra_authorities`].
///
/// # Errors
/// The file cannot be read, is not PEM, or contains no certificate.
pub fn read_authorities(path: &Path) -> Result<Vec<Certificate>, AuthoritiesError> {
    let name = || path.display().to_string();
    let unreadable = |error: tokio_rustls::rustls::pki_types::pem::Error| {
        AuthoritiesError::Unreadable(name(), error.to_string())
    };
    let found = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(unreadable)?;
    if found.is_empty() { Err(AuthoritiesError::None(name())) } else { Ok(found) }
}

/// The authorities trusted where the application names none.
pub struct Trust {
    /// Trusts the Mozilla roots, because an empty list of the application stands for them (D42), and the operator's
    /// authorities for brokers that no public one has certified.
    brokers: Arc<ClientConfig>,
    /// The same and the roots of the operating system, as every other HTTPS client on the machine has.
    https: Arc<ClientConfig>,
}

/// Authorities, and the certificates among them that a server may present as its own.
struct Roots {
    store: Arc<RootCertStore>,
    own: Vec<Certificate>,
}

impl Trust {
    /// Trusts the Mozilla roots and `extra`, and for HTTPS those of the operating system too.
    ///
    /// # Errors
    /// One of `extra` cannot be used.
    pub fn new(extra: &[Certificate]) -> Result<Self, AuthoritiesError> {
        let mut store = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for certificate in extra {
            store.add(certificate.clone()).map_err(|error| AuthoritiesError::Unusable(error.to_string()))?;
        }
        let mut all = store.clone();
        all.roots.extend(system_roots().roots.iter().filter(|root| !store.roots.contains(root)).cloned());
        let with = |store| Roots { store: Arc::new(store), own: extra.to_vec() };
        let (roots, https_roots) = (with(store), with(all));
        let brokers = without_certificate(&roots);
        let mut https = without_certificate(&https_roots);
        https.alpn_protocols = vec![HTTP_1_1.to_vec()];
        Ok(Self { brokers: Arc::new(brokers), https: Arc::new(https) })
    }

    /// The TLS of a connection to an HTTPS server.
    pub(super) fn https(&self) -> Tls {
        let mut config = (*self.https).clone();
        let certificate = Arc::new(ClientCertificate::default());
        config.client_auth_cert_resolver = certificate.clone();
        Tls { config: Arc::new(config), certificate }
    }

    /// Whether what the application gives for TLS can be used.
    ///
    /// # Errors
    /// It cannot, for this reason.
    pub fn check(&self, tls: &TlsOptions) -> Result<(), ConnectError> {
        self.config(tls).map(|_| ())
    }

    /// The TLS of a connection to a broker. Where the application names authorities, the rules of OpenSSL apply, as for
    /// its own clients (D191); elsewhere the stricter ones of the public web.
    pub(super) fn config(&self, tls: &TlsOptions) -> Result<Tls, ConnectError> {
        let mut config = if tls.authorities.is_empty() {
            (*self.brokers).clone()
        } else {
            let authorities =
                tls.authorities.iter().map(|authority| Certificate::from(authority.clone())).collect();
            let policy = PrivateCa::new(authorities).map_err(ConnectError::InvalidCredentials)?;
            without_resumption(verified_by(Arc::new(Verifier(policy))).with_no_client_auth())
        };
        let own = if tls.chain.is_empty() {
            None
        } else {
            Some(certified(&tls.chain, &tls.key).map_err(ConnectError::InvalidCredentials)?)
        };
        let certificate = Arc::new(ClientCertificate::new(own));
        config.client_auth_cert_resolver = certificate.clone();
        Ok(Tls { config: Arc::new(config), certificate })
    }
}

/// The TLS of one connection.
pub(super) struct Tls {
    pub(super) config: Arc<ClientConfig>,
    /// The application's certificate, if it has one.
    pub(super) certificate: Arc<ClientCertificate>,
}

/// The authorities the operating system trusts, read once. Any that cannot be read are skipped.
fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in found.errors {
            tracing::warn!(name: "authority_unreadable", %error, "cannot read an authority of the operating system");
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        roots
    })
}

fn without_certificate(roots: &Roots) -> ClientConfig {
    without_resumption(trusting(roots).with_no_client_auth())
}

/// A TLS session of one device must not be resumed for another one.
fn without_resumption(mut config: ClientConfig) -> ClientConfig {
    config.resumption = Resumption::disabled();
    config
}

type ClientBuilder = ConfigBuilder<ClientConfig, tokio_rustls::rustls::client::WantsClientCert>;

fn trusting(roots: &Roots) -> ClientBuilder {
    let standard = WebPkiServerVerifier::builder_with_provider(roots.store.clone(), provider())
        .build()
        .expect("there is an authority, and there are no revocation lists");
    if roots.own.is_empty() {
        return verified_by(standard);
    }
    verified_by(Arc::new(Verifier(OwnAuthority { standard, own: roots.own.clone() })))
}

fn verified_by(verifier: Arc<dyn ServerCertVerifier>) -> ClientBuilder {
    let builder: ConfigBuilder<ClientConfig, WantsVerifier> = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider supports TLS 1.2 and 1.3");
    builder.dangerous().with_custom_certificate_verifier(verifier)
}

/// The cryptography behind every TLS connection of the cloud.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(ring::default_provider())).clone()
}

/// The standard rules, except that a server may present the very certificate that was configured as its authority,
/// although that is marked as an authority's: `openssl req -x509` creates such certificates, which is why private
/// brokers often have one.
#[derive(Debug)]
struct OwnAuthority {
    standard: Arc<WebPkiServerVerifier>,
    own: Vec<Certificate>,
}

impl ServerPolicy for OwnAuthority {
    fn verify_server(&self, presented: &Presented<'_>) -> Result<(), TlsError> {
        let Presented { certificate, intermediates, name, ocsp_response, now } = presented;
        let verified =
            self.standard.verify_server_cert(certificate, intermediates, name, ocsp_response, *now);
        match verified {
            // Validity has been checked before this error, so only the name is left. The handshake proves that the
            // server has the key.
            Err(error) if is_marked_as_authority(&error) && self.own.contains(certificate) => {
                verify_server_name(&ParsedCertificate::try_from(*certificate)?, name)
            }
            verified => verified.map(|_| ()),
        }
    }

    fn verify_handshake(&self, signature: &HandshakeSignature<'_>) -> Result<(), TlsError> {
        let HandshakeSignature { message, certificate, signed, is_tls13 } = signature;
        let verified = if *is_tls13 {
            self.standard.verify_tls13_signature(message, certificate, signed)
        } else {
            self.standard.verify_tls12_signature(message, certificate, signed)
        };
        verified.map(|_| ())
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.standard.supported_verify_schemes()
    }
}

fn is_marked_as_authority(error: &TlsError) -> bool {
    let TlsError::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
    matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use relay::Target;

    use super::*;
    use crate::debug_output_tests::assert_hidden;

    #[test]
    fn the_private_key_of_an_application_is_not_in_debug_output() {
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::default().self_signed(&key).expect("signed").der().to_vec();
        let key = key.serialize_der();
        let tls = TlsOptions { authorities: Vec::new(), chain: vec![certificate], key: key.clone() };
        let client = Trust::new(&[]).expect("no authorities").config(&tls).expect("valid credentials");
        let target = Target { host: "broker.example".to_owned(), port: 8883, tls: Some(tls) };
        // Bytes of the private key itself, behind the PKCS#8 header that all such keys have.
        let private = &key[36..60];
        assert_hidden(&format!("{target:?}"), private);
        assert_hidden(&format!("{:?} {:?}", client.certificate, client.config), private);
    }
}
