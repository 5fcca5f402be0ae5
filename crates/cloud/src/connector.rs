//! Connections to brokers and HTTPS servers: name, address, TCP, TLS, and for each of these the cause when it fails.
//!
//! - `resolve.rs`: names the operator points elsewhere. `names.rs`: name resolution; `places.rs`: who may use it when not everybody
//!   can. `interfaces.rs`: this machine's own addresses. `trust.rs`: which certificates are believed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use relay::ConnectFailure;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error as TlsError};

use crate::destinations::Destinations;
use crate::limits::{DIALLED_ADDRESSES, Limits};

mod interfaces;
mod names;
mod places;
mod resolve;
mod trust;

use interfaces::Interfaces;
use names::{LookUpError, Names};
pub(crate) use places::Owner;
pub use resolve::{Resolve, ResolveError};
pub(crate) use trust::provider;
pub use trust::{AuthoritiesError, Trust, read_authorities};

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
    /// The broker's certificate names another host, is not valid yet, or cannot be used otherwise (M21).
    #[error("the certificate is not one for this host and time")]
    Certificate,
    /// TCP failed (M21).
    #[error("the connection failed")]
    Socket,
    /// TLS failed otherwise (M21).
    #[error("TLS failed")]
    Tls,
    /// Nothing came in time (M21).
    #[error("the connection was not made in time")]
    TimedOut,
    /// The address is not open to devices (D62).
    #[error("the destination is not allowed")]
    NotAllowed,
    /// The account has as many connections as it may.
    #[error("the account has as many connections as it may")]
    TooMany,
    /// The device, or everybody together, looks up as many names as may be (D181).
    #[error("too many host names are being looked up")]
    TooManyLookups,
    /// The application's certificates or key cannot be used.
    #[error("the client's certificate or key is not usable")]
    InvalidCredentials,
}

impl ConnectError {
    /// The cause as a label of a metric.
    pub(crate) fn label(self) -> &'static str {
        match self {
            ConnectError::NameNotResolved => "name_not_resolved",
            ConnectError::UnknownCa => "unknown_ca",
            ConnectError::CertificateExpired => "certificate_expired",
            ConnectError::Certificate => "certificate",
            ConnectError::Socket => "socket",
            ConnectError::Tls => "tls",
            ConnectError::TimedOut => "timed_out",
            ConnectError::NotAllowed => "not_allowed",
            ConnectError::TooMany => "too_many",
            ConnectError::TooManyLookups => "too_many_lookups",
            ConnectError::InvalidCredentials => "invalid_credentials",
        }
    }
}

impl From<ConnectError> for ConnectFailure {
    fn from(error: ConnectError) -> ConnectFailure {
        match error {
            ConnectError::NameNotResolved | ConnectError::TooManyLookups => ConnectFailure::NameNotResolved,
            ConnectError::UnknownCa => ConnectFailure::UnknownCa,
            ConnectError::CertificateExpired => ConnectFailure::CertificateExpired,
            ConnectError::Certificate => ConnectFailure::Certificate,
            ConnectError::Socket => ConnectFailure::Socket,
            ConnectError::Tls => ConnectFailure::Tls,
            ConnectError::TimedOut => ConnectFailure::TimedOut,
            ConnectError::NotAllowed | ConnectError::TooMany => ConnectFailure::NotAllowed,
            ConnectError::InvalidCredentials => ConnectFailure::InvalidCredentials,
        }
    }
}

/// A connection to a broker or server: bytes both ways.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// Makes connections for every device.
pub struct Connector {
    destinations: Destinations,
    resolve: Vec<Resolve>,
    trust: Trust,
    names: Names,
    interfaces: Interfaces,
    connect_timeout: Duration,
}

impl Connector {
    /// A connector that may reach `destinations` and what `resolve` names, and believes servers as `trust` says.
    pub fn new(
        destinations: Destinations,
        resolve: Vec<Resolve>,
        trust: Trust,
        limits: &Limits,
    ) -> Connector {
        Connector {
            destinations,
            resolve,
            trust,
            names: Names::new(Vec::new(), limits),
            interfaces: Interfaces::system(),
            connect_timeout: limits.connect_timeout,
        }
    }

    /// The same, but names are looked up at these DNS servers rather than those of the system; none means those of the system.
    pub fn asking(mut self, name_servers: Vec<SocketAddr>, limits: &Limits) -> Connector {
        if !name_servers.is_empty() {
            self.names = Names::new(name_servers, limits);
        }
        self
    }

    /// Connects to `target`, with TLS if it says so, on nobody's behalf.
    #[cfg(test)]
    pub(crate) async fn connect(&self, target: Target) -> Result<Box<dyn Transport>, ConnectError> {
        self.connect_for(Owner::default(), target).await
    }

    /// Connects to `target`, with TLS if it says so. Looking up its name is charged to `owner`.
    pub(crate) async fn connect_for(
        &self,
        owner: Owner,
        target: Target,
    ) -> Result<Box<dyn Transport>, ConnectError> {
        // Judged first: a request that can never succeed should not reach the network.
        let tls = target.tls.as_ref().map(|tls| self.trust.config(tls)).transpose()?;
        self.reach(owner, &target.host, target.port, tls, self.connect_timeout).await
    }

    /// Connects to an HTTPS server in at most `patience`, on the same way as to a broker.
    pub(crate) async fn connect_https(
        &self,
        owner: Owner,
        host: &str,
        port: u16,
        patience: Duration,
    ) -> Result<Box<dyn Transport>, ConnectError> {
        self.reach(owner, host, port, Some(self.trust.https()), patience.min(self.connect_timeout)).await
    }

    async fn reach(
        &self,
        owner: Owner,
        host: &str,
        port: u16,
        tls: Option<Arc<ClientConfig>>,
        patience: Duration,
    ) -> Result<Box<dyn Transport>, ConnectError> {
        let host = bare_host(host).to_owned();
        let addresses = self.addresses(owner, &host, port).await?;
        timeout(patience, open(host, addresses, tls, patience)).await.map_err(|_| ConnectError::TimedOut)?
    }

    /// Where the host may be dialled: where the operator says it is, or where its name leads if that is allowed (D62).
    async fn addresses(&self, owner: Owner, host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        if let Some(resolve) = self.resolve.iter().find(|resolve| resolve.is_for(host, port)) {
            return Ok(vec![resolve.to]);
        }
        let found = match host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => self.names.look_up(owner, host).await.map_err(|error| match error {
                // No such name, no answer, no network: for the application it is the same.
                LookUpError::NotFound => ConnectError::NameNotResolved,
                LookUpError::Busy => ConnectError::TooManyLookups,
            })?,
        };
        self.allowed(&found, port).await
    }

    /// Those of the addresses that may be connected to. These very addresses are dialled, so that a name cannot lead elsewhere
    /// after it was judged.
    async fn allowed(&self, addresses: &[IpAddr], port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        let own = self.interfaces.own().await.map_err(|_| ConnectError::NotAllowed)?;
        let open = addresses.iter().filter(|address| self.destinations.is_open(**address, &own));
        let open: Vec<_> = open.map(|address| SocketAddr::new(*address, port)).collect();
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
    let name = ServerName::try_from(host).map_err(|_| ConnectError::Certificate)?;
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

/// The cause in a failed handshake.
fn tls_cause(error: &io::Error) -> ConnectError {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<TlsError>());
    let Some(cause) = cause else { return ConnectError::Socket };
    let TlsError::InvalidCertificate(cause) = cause else { return ConnectError::Tls };
    match cause {
        // A bad signature is an authority that bears a trusted one's name and is not it.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => ConnectError::UnknownCa,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ConnectError::CertificateExpired
        }
        _ => ConnectError::Certificate,
    }
}

#[cfg(test)]
mod tests;
