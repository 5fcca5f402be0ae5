//! Which certificates are believed, and what the cloud shows of its own: the TLS of outbound connections.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use relay::{ConnectError, TlsOptions};
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme, WantsVerifier,
};

use super::private_ca::PrivateCaVerifier;
use super::private_ca::client_key::{ClientCertificate, certified};

type Certificate = CertificateDer<'static>;

/// What HTTPS is spoken (RFC 7301).
const HTTP_1_1: &[u8] = b"http/1.1";

/// Why a list of authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// The file cannot be read, or is no PEM.
    #[error("{0} cannot be read: {1}")]
    Unreadable(String, String),
    /// There is none in it.
    #[error("{0} holds no certificate")]
    None(String),
    /// One of them cannot be used.
    #[error("an added authority's certificate cannot be used: {0}")]
    Unusable(String),
}

/// The certificates of a PEM file, for [`crate::Config::extra_authorities`].
///
/// # Errors
/// The file cannot be read, is no PEM, or holds no certificate.
pub fn read_authorities(path: &Path) -> Result<Vec<Certificate>, AuthoritiesError> {
    let name = || path.display().to_string();
    let unreadable = |error: tokio_rustls::rustls::pki_types::pem::Error| {
        AuthoritiesError::Unreadable(name(), error.to_string())
    };
    let found = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(unreadable)?;
    if found.is_empty() { Err(AuthoritiesError::None(name())) } else { Ok(found) }
}

/// What is believed where the application names no authorities of its own.
pub struct Trust {
    /// Believes the Mozilla roots and the operator's (D42).
    brokers: Arc<ClientConfig>,
    https: Arc<ClientConfig>,
}

/// Authorities, and the certificates of those that a server may also show as its own.
struct Roots {
    store: Arc<RootCertStore>,
    own: Vec<Certificate>,
}

impl Trust {
    /// Believes the Mozilla roots and `extra`; for HTTPS those of the machine's system too.
    ///
    /// # Errors
    /// One of `extra` is no certificate.
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

    /// The TLS an HTTPS server is spoken to with.
    pub(super) fn https(&self) -> Tls {
        let mut config = (*self.https).clone();
        let certificate = Arc::new(ClientCertificate::default());
        config.client_auth_cert_resolver = certificate.clone();
        Tls { config: Arc::new(config), certificate }
    }

    /// The TLS an application asks for. Its own authorities are held to the rules of OpenSSL (D191), the public ones to the
    /// stricter ones of the web.
    pub(super) fn config(&self, tls: &TlsOptions) -> Result<Tls, ConnectError> {
        let mut config = if tls.authorities.is_empty() {
            (*self.brokers).clone()
        } else {
            let given =
                tls.authorities.iter().map(|authority| Certificate::from(authority.clone())).collect();
            let verifier = PrivateCaVerifier::new(given).ok_or(ConnectError::InvalidCredentials)?;
            unresumed(verified_by(Arc::new(verifier)).with_no_client_auth())
        };
        let own = if tls.chain.is_empty() {
            None
        } else {
            Some(certified(&tls.chain, &tls.key).ok_or(ConnectError::InvalidCredentials)?)
        };
        let certificate = Arc::new(ClientCertificate::new(own));
        config.client_auth_cert_resolver = certificate.clone();
        Ok(Tls { config: Arc::new(config), certificate })
    }
}

/// The TLS of one connection.
pub(super) struct Tls {
    pub(super) config: Arc<ClientConfig>,
    /// What the server is shown of the application.
    pub(super) certificate: Arc<ClientCertificate>,
}

/// The authorities the machine's system trusts, read once. Without any the others still stand.
fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in found.errors {
            tracing::warn!(%error, "an authority of this machine cannot be read");
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        roots
    })
}

fn without_certificate(roots: &Roots) -> ClientConfig {
    unresumed(believing(roots).with_no_client_auth())
}

/// A session of one device must not be taken up by another.
fn unresumed(mut config: ClientConfig) -> ClientConfig {
    config.resumption = Resumption::disabled();
    config
}

type Believing = ConfigBuilder<ClientConfig, tokio_rustls::rustls::client::WantsClientCert>;

fn believing(roots: &Roots) -> Believing {
    let usual = WebPkiServerVerifier::builder_with_provider(roots.store.clone(), provider())
        .build()
        .expect("there is an authority, and there are no revocation lists");
    if roots.own.is_empty() {
        return verified_by(usual);
    }
    verified_by(Arc::new(OwnAuthority { usual, own: roots.own.clone() }))
}

fn verified_by(verifier: Arc<dyn ServerCertVerifier>) -> Believing {
    let builder: ConfigBuilder<ClientConfig, WantsVerifier> = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3");
    builder.dangerous().with_custom_certificate_verifier(verifier)
}

/// The cryptography behind every TLS connection of the cloud.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(ring::default_provider())).clone()
}

/// The usual checks, and one thing more: a server may show the very certificate that was named as its authority, though that is
/// marked as an authority's. `openssl req -x509` makes such certificates, so many a private broker has one.
#[derive(Debug)]
struct OwnAuthority {
    usual: Arc<WebPkiServerVerifier>,
    own: Vec<Certificate>,
}

impl ServerCertVerifier for OwnAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let judged =
            self.usual.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match judged {
            // Its time has been judged before; what is left is its name. That the server has its key the handshake shows.
            Err(error) if is_marked_as_authority(&error) && self.own.contains(end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.usual.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.usual.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

fn is_marked_as_authority(error: &TlsError) -> bool {
    let TlsError::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
    matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}
