//! Connections to brokers and HTTPS servers: name, address, TCP, TLS, and for each of these the cause when it fails.
//!
//! - `resolve.rs`: names the operator points elsewhere. `names.rs`: name resolution; `places.rs`: who may use it when not everybody
//!   can. `interfaces.rs`: this machine's own addresses. `trust.rs`: which certificates are believed; `given.rs`: where
//!   the application names the authorities. `failure.rs`: from an error to its cause.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use relay::{ConnectError, Target};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::destinations::Destinations;
use crate::limits::{DIALLED_ADDRESSES, Limits};

mod failure;
mod interfaces;
mod lookup_slots;
mod private_ca;
mod resolve;
mod resolver;
mod trust;

pub(crate) use failure::connection_end;
use interfaces::Interfaces;
pub(crate) use lookup_slots::Owner;
pub use resolve::{Resolve, ResolveError};
use resolver::Resolver;
use trust::Tls;
pub(crate) use trust::provider;
pub use trust::{AuthoritiesError, Trust, read_authorities};

/// A connection to a broker or server: bytes both ways.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// Makes connections for every device.
pub struct Connector {
    destinations: Destinations,
    resolve: Vec<Resolve>,
    trust: Trust,
    resolver: Resolver,
    interfaces: Interfaces,
    connect_timeout: Duration,
}

impl Connector {
    /// A connector that may reach `destinations` and what `resolve` names, and believes servers as `trust` says.
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

    /// The same, but names are looked up at these DNS servers rather than those of the system; none means those of the system.
    pub fn with_name_servers(mut self, name_servers: Vec<SocketAddr>, limits: &Limits) -> Self {
        if !name_servers.is_empty() {
            self.resolver = Resolver::new(name_servers, limits);
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
        tls: Option<Tls>,
        patience: Duration,
    ) -> Result<Box<dyn Transport>, ConnectError> {
        let host = bare_host(host).to_owned();
        let addresses = self.addresses(owner, &host, port).await?;
        open(host, addresses, tls, patience).await
    }

    /// Where the host may be dialled: where the operator says it is, or where its name leads if that is allowed (D62).
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

/// Makes the connection in at most `patience`.
async fn open(
    host: String,
    addresses: Vec<SocketAddr>,
    tls: Option<Tls>,
    patience: Duration,
) -> Result<Box<dyn Transport>, ConnectError> {
    let deadline = Instant::now() + patience;
    let tcp = dial(&addresses, patience).await?;
    let Some(Tls { config, certificate }) = tls else { return Ok(Box::new(tcp)) };
    // What resolved but cannot stand in a certificate cannot be verified.
    let name = ServerName::try_from(host)
        .map_err(|_| ConnectError::Certificate("the host's name cannot stand in one".to_owned()))?;
    let handshake = TlsConnector::from(config).connect(name, tcp);
    match timeout_at(deadline, handshake).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(failure::handshake_failure(&error, &certificate)),
        Err(_) => Err(ConnectError::TlsTimedOut),
    }
}

/// The first address that answers, else why the last one did not. Each has its share of the time, so that one that swallows
/// packets does not hide the next.
async fn dial(addresses: &[SocketAddr], patience: Duration) -> Result<TcpStream, ConnectError> {
    let addresses = &addresses[..addresses.len().min(DIALLED_ADDRESSES)];
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
