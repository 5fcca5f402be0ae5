//! Connections to brokers and HTTPS servers: name, address, TCP, TLS, and for each of these the cause of a failure.
//!
//! - `resolve.rs`: names the operator maps to other addresses. `resolver.rs`: name resolution; `lookup_slots.rs`: its
//!   fairness. `interfaces.rs`: this machine's own addresses.
//! - `trust.rs`: which servers are trusted; `private_ca.rs`: where the application names the authorities;
//!   `server_policy.rs`: rustls's interface to both. `failure.rs`: the causes of failures.
//!   `rehearsal.rs`: handshakes in memory, for tests of applications.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use relay::{ConnectError, Target};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::destinations::Destinations;
use crate::limits::{Limits, MAX_DIALLED_ADDRESSES};

mod failure;
mod interfaces;
mod lookup_slots;
mod private_ca;
mod rehearsal;
mod resolve;
mod resolver;
mod server_policy;
mod trust;

pub(crate) use failure::connection_end;
use interfaces::Interfaces;
pub(crate) use lookup_slots::Owner;
pub use rehearsal::{RehearsalServer, Rehearsed};
pub use resolve::{Resolve, ResolveError};
use resolver::Resolver;
use trust::Tls;
pub(crate) use trust::provider;
pub use trust::{AuthoritiesError, Trust, read_authorities};

/// An open connection to a broker or server.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// Opens connections for every device.
pub struct Connector {
    destinations: Destinations,
    resolve: Vec<Resolve>,
    trust: Trust,
    resolver: Resolver,
    interfaces: Interfaces,
    connect_timeout: Duration,
}

impl Connector {
    /// A connector that may reach `destinations` and the addresses in `resolve`, and trusts servers as `trust` says.
    pub fn new(destinations: Destinations, resolve: Vec<Resolve>, trust: Trust, limits: &Limits) -> Self {
        Self {
            destinations,
            resolve,
            trust,
            resolver: Resolver::new(Vec::new(), limits),
            interfaces: Interfaces::system(),
            connect_timeout: limits.connect_timeout,
        }
    }

    /// Uses these DNS servers, if there are any, instead of the system's.
    pub fn with_name_servers(mut self, name_servers: Vec<SocketAddr>, limits: &Limits) -> Self {
        if !name_servers.is_empty() {
            self.resolver = Resolver::new(name_servers, limits);
        }
        self
    }

    /// Connects to `target` for the cloud itself.
    #[cfg(test)]
    pub(crate) async fn connect(&self, target: Target) -> Result<Box<dyn Transport>, ConnectError> {
        self.connect_for(Owner::default(), target).await
    }

    /// Connects to `target`, by TLS if it says so. The name look-up counts for `owner`.
    pub(crate) async fn connect_for(
        &self,
        owner: Owner,
        target: Target,
    ) -> Result<Box<dyn Transport>, ConnectError> {
        // Checked first, so that credentials that can never work do not reach the network.
        let tls = target.tls.as_ref().map(|tls| self.trust.config(tls)).transpose()?;
        self.open(owner, &target.host, target.port, tls, self.connect_timeout).await
    }

    /// Connects to an HTTPS server in at most `patience`, in the same way as to a broker.
    pub(crate) async fn connect_https(
        &self,
        owner: Owner,
        host: &str,
        port: u16,
        patience: Duration,
    ) -> Result<Box<dyn Transport>, ConnectError> {
        self.open(owner, host, port, Some(self.trust.https()), patience.min(self.connect_timeout)).await
    }

    async fn open(
        &self,
        owner: Owner,
        host: &str,
        port: u16,
        tls: Option<Tls>,
        patience: Duration,
    ) -> Result<Box<dyn Transport>, ConnectError> {
        let host = bare_host(host).to_owned();
        let addresses = self.addresses(owner, &host, port).await?;
        open_stream(host, addresses, tls, patience).await
    }

    /// The addresses to dial: those the operator has configured, or those the name resolves to, as far as they are
    /// open: private networks are not, because the cloud could reach what the application cannot (D62).
    async fn addresses(&self, owner: Owner, host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        if let Some(resolve) = self.resolve.iter().find(|resolve| resolve.is_for(host, port)) {
            return Ok(vec![resolve.to]);
        }
        let found = match host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => self.resolver.look_up(owner, host).await?,
        };
        self.allowed(&found, port).await
    }

    /// The addresses that may be connected to. These very addresses are dialled: resolving the name again could give
    /// others.
    async fn allowed(&self, addresses: &[IpAddr], port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        let own = self.interfaces.own().await.map_err(|_| ConnectError::NotAllowed)?;
        let open = addresses.iter().filter(|address| self.destinations.is_open(**address, &own));
        let open: Vec<_> = open.map(|address| SocketAddr::new(*address, port)).collect();
        if open.is_empty() { Err(ConnectError::NotAllowed) } else { Ok(open) }
    }
}

/// The host without the brackets of an IPv6 address in a URL.
fn bare_host(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Opens the connection in at most `patience`.
async fn open_stream(
    host: String,
    addresses: Vec<SocketAddr>,
    tls: Option<Tls>,
    patience: Duration,
) -> Result<Box<dyn Transport>, ConnectError> {
    let deadline = Instant::now() + patience;
    let tcp = dial(&addresses, patience).await?;
    let Some(Tls { config, certificate }) = tls else { return Ok(Box::new(tcp)) };
    // A name that no certificate can contain cannot be verified, even if it resolves.
    let name = ServerName::try_from(host)
        .map_err(|_| ConnectError::Certificate("the host's name cannot stand in one".to_owned()))?;
    let handshake = TlsConnector::from(config).connect(name, tcp);
    match timeout_at(deadline, handshake).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(failure::handshake_failure(&error, &certificate)),
        Err(_) => Err(ConnectError::TlsTimedOut),
    }
}

/// Connects to the first address that answers; otherwise the error of the last one. Each has its share of the time, so
/// that one that drops packets does not prevent an attempt at the next.
async fn dial(addresses: &[SocketAddr], patience: Duration) -> Result<TcpStream, ConnectError> {
    let addresses = &addresses[..addresses.len().min(MAX_DIALLED_ADDRESSES)];
    let share = patience / addresses.len().max(1) as u32;
    let mut cause = ConnectError::NameNotResolved;
    for address in addresses {
        cause = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(|_| ConnectError::Socket)?;
                return Ok(stream);
            }
            Ok(Err(error)) => failure::connect_failure(&error),
            Err(_) => ConnectError::TimedOut,
        };
    }
    Err(cause)
}

#[cfg(test)]
mod tests;
