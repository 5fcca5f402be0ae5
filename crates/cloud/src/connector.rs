//! Connections to brokers: name, address, TCP, TLS, and for each of these the cause when it fails.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error as TlsError, RootCertStore};

use crate::destinations::Destinations;
use crate::limits::{DIALLED_ADDRESSES, Limits, RESOLVER_THREADS};

/// Where to connect and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// A host name or an address, as the application gave it.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// TLS, or plain TCP (D42).
    pub tls: Option<TlsTarget>,
}

/// What the application wants of TLS. All DER.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TlsTarget {
    /// Authorities to trust; none means the Mozilla roots (D42).
    pub authorities: Vec<Vec<u8>>,
    /// The client's own certificate and those above it; none means no client certificate.
    pub chain: Vec<Vec<u8>>,
    /// Its private key, PKCS#8.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for TlsTarget {
    /// Tells how much there is; the key stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (authorities, chain) = (self.authorities.len(), self.chain.len());
        f.debug_struct("TlsTarget")
            .field("authorities", &authorities)
            .field("chain", &chain)
            .finish_non_exhaustive()
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The host's name has no address, or is no name (M19).
    #[error("the host name could not be resolved")]
    NameNotResolved,
    /// The broker's certificate is of an authority not trusted (M20).
    #[error("the certificate is of an unknown authority")]
    UnknownCa,
    /// The broker's certificate, or one above it, has run out.
    #[error("the certificate has expired")]
    CertificateExpired,
    /// TCP or TLS failed otherwise (M21).
    #[error("the connection failed")]
    Socket,
    /// The address is not open to devices (D62).
    #[error("the destination is not allowed")]
    NotAllowed,
    /// The application's certificates or key cannot be used.
    #[error("the client's certificate or key is not usable")]
    InvalidCredentials,
}

/// A connection to a broker: bytes both ways.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// Makes connections for every device.
pub struct Connector {
    destinations: Destinations,
    resolvers: Arc<Semaphore>,
    resolve_timeout: Duration,
    connect_timeout: Duration,
}

impl Connector {
    /// A connector that may reach `destinations`.
    pub fn new(destinations: Destinations, limits: &Limits) -> Connector {
        Connector {
            destinations,
            resolvers: Arc::new(Semaphore::new(RESOLVER_THREADS)),
            resolve_timeout: limits.resolve_timeout,
            connect_timeout: limits.connect_timeout,
        }
    }

    /// Connects to `target`, with TLS if it says so.
    pub async fn connect(&self, target: Target) -> Result<Box<dyn Transport>, ConnectError> {
        let host = bare_host(&target.host).to_owned();
        // Judged first: a request that can never succeed should not reach the network.
        let tls = target.tls.as_ref().map(tls_config).transpose()?;
        let addresses = timeout(self.resolve_timeout, self.resolve(host.clone(), target.port)).await;
        let addresses = self.allowed(addresses.map_err(|_| ConnectError::NameNotResolved)??)?;
        let patience = self.connect_timeout;
        timeout(patience, open(host, addresses, tls, patience)).await.map_err(|_| ConnectError::Socket)?
    }

    /// Every address of the host. The look-up blocks, so it has a thread of which there are only so many.
    async fn resolve(&self, host: String, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let permit =
            self.resolvers.clone().acquire_owned().await.map_err(|_| ConnectError::NameNotResolved)?;
        let found = tokio::task::spawn_blocking(move || {
            let found = (host.as_str(), port).to_socket_addrs();
            drop(permit);
            found
        });
        match found.await {
            Ok(Ok(addresses)) => Ok(addresses.collect()),
            // No such name, no answer, no network: for the application it is the same.
            Ok(Err(_)) | Err(_) => Err(ConnectError::NameNotResolved),
        }
    }

    fn allowed(&self, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, ConnectError> {
        if addresses.is_empty() {
            return Err(ConnectError::NameNotResolved);
        }
        let open: Vec<_> =
            addresses.into_iter().filter(|address| self.destinations.is_open(address.ip())).collect();
        if open.is_empty() { Err(ConnectError::NotAllowed) } else { Ok(open) }
    }
}

/// The host without the brackets an IPv6 address wears in a URL.
fn bare_host(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

async fn open(
    host: String,
    addresses: Vec<SocketAddr>,
    tls: Option<Arc<ClientConfig>>,
    patience: Duration,
) -> Result<Box<dyn Transport>, ConnectError> {
    let tcp = dial(&addresses, patience).await?;
    let Some(tls) = tls else { return Ok(Box::new(tcp)) };
    // What resolved but cannot stand in a certificate (an underscore, say) cannot be verified.
    let name = ServerName::try_from(host).map_err(|_| ConnectError::Socket)?;
    match TlsConnector::from(tls).connect(name, tcp).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(tls_cause(&error)),
    }
}

/// The first address that answers. Each has its share of the time, so that one that swallows packets does not hide the next.
async fn dial(addresses: &[SocketAddr], patience: Duration) -> Result<TcpStream, ConnectError> {
    let addresses = &addresses[..addresses.len().min(DIALLED_ADDRESSES)];
    let share = patience / addresses.len().max(1) as u32;
    for address in addresses {
        if let Ok(Ok(stream)) = timeout(share, TcpStream::connect(address)).await {
            stream.set_nodelay(true).map_err(|_| ConnectError::Socket)?;
            return Ok(stream);
        }
    }
    Err(ConnectError::Socket)
}

fn tls_config(tls: &TlsTarget) -> Result<Arc<ClientConfig>, ConnectError> {
    if tls.authorities.is_empty() && tls.chain.is_empty() {
        return Ok(default_config());
    }
    let builder = builder().with_root_certificates(roots(&tls.authorities)?);
    let mut config = if tls.chain.is_empty() {
        builder.with_no_client_auth()
    } else {
        let chain = tls.chain.iter().map(|certificate| CertificateDer::from(certificate.clone())).collect();
        let key = PrivatePkcs8KeyDer::from(tls.key.clone());
        builder.with_client_auth_cert(chain, key.into()).map_err(|_| ConnectError::InvalidCredentials)?
    };
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// One configuration for every connection that trusts the Mozilla roots and shows no certificate.
fn default_config() -> Arc<ClientConfig> {
    static DEFAULT: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let make = || {
        let mut config = builder().with_root_certificates(mozilla_roots()).with_no_client_auth();
        // A session of one device must not be taken up by another.
        config.resumption = Resumption::disabled();
        Arc::new(config)
    };
    DEFAULT.get_or_init(make).clone()
}

type Builder = tokio_rustls::rustls::ConfigBuilder<ClientConfig, tokio_rustls::rustls::WantsVerifier>;

fn builder() -> Builder {
    let builder = ClientConfig::builder_with_provider(provider());
    builder.with_safe_default_protocol_versions().expect("the provider knows TLS 1.2 and 1.3")
}

/// The cryptography behind every TLS connection of the cloud.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(ring::default_provider())).clone()
}

fn roots(authorities: &[Vec<u8>]) -> Result<Arc<RootCertStore>, ConnectError> {
    if authorities.is_empty() {
        return Ok(mozilla_roots());
    }
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        let authority = CertificateDer::from(authority.as_slice());
        roots.add(authority).map_err(|_| ConnectError::InvalidCredentials)?;
    }
    Ok(Arc::new(roots))
}

fn mozilla_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let make = || Arc::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
    ROOTS.get_or_init(make).clone()
}

/// The cause in a failed handshake.
fn tls_cause(error: &io::Error) -> ConnectError {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<TlsError>());
    let Some(TlsError::InvalidCertificate(cause)) = cause else { return ConnectError::Socket };
    match cause {
        // A bad signature is an authority that bears a trusted one's name and is not it.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => ConnectError::UnknownCa,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ConnectError::CertificateExpired
        }
        _ => ConnectError::Socket,
    }
}

#[cfg(test)]
mod tests;
