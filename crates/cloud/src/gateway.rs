//! Accepts connections of devices and authenticates them.
//!
//! TLS 1.3 only, certificates of the cloud's own authority on both sides, ALPN `openvisor/1`. A connection that is not
//! a device's costs one task and one TLS state until it violates the protocol or times out, and the number of these is
//! limited.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::rustls::crypto::ring::Ticketer;
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::authority::{Authority, AuthorityError, Fingerprint, fingerprint};
use crate::certificate::common_name;
use crate::clock::CertificateTime;
use crate::cloud_config::Config;
use crate::connector::provider;
use crate::destinations::Range;
use crate::id::DeviceId;
use crate::limits::{
    ACCEPT_PAUSE, FIRST_BYTE_TIMEOUT, HANDSHAKE_BURST_SECONDS, HANDSHAKE_GRACE, PROXY_HEADER_TIMEOUT,
    REFUSAL_REPORT_INTERVAL,
};
use crate::metrics::Metrics;
use crate::rate::Rates;
use crate::slots::{Slot, Slots};
use crate::sources::{Full, SourcePermit, SourceQuota, source};
use crate::throttle::Throttle;

mod proxy;
mod stream;

use proxy::HeaderError;
pub(crate) use proxy::{Origin, read_header};
pub(crate) use stream::DeviceStream;

/// The name of the link's protocol in the handshake.
pub const ALPN: &[u8] = b"openvisor/1";

/// Why a connection is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdmissionError {
    #[error("too many connections")]
    Connections,
    #[error("too many connections from this source")]
    SourceConnections,
    #[error("too many connections a second from this source")]
    SourceRate,
    #[error("too many unfinished handshakes from this source")]
    SourceHandshakes,
    #[error("the handshake was not finished when another connection needed its slot")]
    Evicted,
    #[error("nothing was sent")]
    Silent,
    #[error("the handshake took too long")]
    Timeout,
    #[error("the handshake failed: {0}")]
    Handshake(io::Error),
    #[error("the client does not speak openvisor/1")]
    Protocol,
    #[error("the certificate does not name a device")]
    Name,
    #[error("a load balancer's connection must begin with a PROXY header: {0}")]
    ProxyHeader(HeaderError),
    #[error("a load balancer's connection must begin with a PROXY header, and none was received in time")]
    ProxyHeaderTimeout,
    /// Not a refusal: a load balancer checked that the port answers.
    #[error("a health check")]
    HealthCheck,
}

impl AdmissionError {
    /// The reason as a label of a metric.
    fn label(&self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::SourceConnections => "connections_per_source",
            Self::SourceRate => "handshakes_a_second_per_source",
            Self::SourceHandshakes => "handshakes_per_source",
            Self::Evicted => "handshake_evicted",
            Self::Silent => "first_byte_timeout",
            Self::Timeout => "handshake_timeout",
            Self::Handshake(_) => "handshake_failed",
            Self::Protocol => "protocol",
            Self::Name => "certificate_name",
            Self::ProxyHeader(_) => "proxy_header",
            Self::ProxyHeaderTimeout => "proxy_header_timeout",
            Self::HealthCheck => "health_check",
        }
    }
}

/// A refused connection: the client's address, and why.
struct Refusal {
    from: SocketAddr,
    error: AdmissionError,
}

/// What a new connection is given before its first byte is read.
enum Reservation {
    /// A client's own connection.
    Direct(SourcePermit, Slot),
    /// A load balancer's, whose client is not known yet.
    Proxied(SourcePermit),
}

/// A connection whose peer has a certificate of the authority.
pub(crate) struct Admitted {
    /// The device named by the certificate. Whether that device may connect is decided by the session.
    pub(crate) device: DeviceId,
    /// Fingerprint of the certificate.
    pub(crate) fingerprint: Fingerprint,
    /// Address of the device, also behind a load balancer that sends it.
    pub(crate) address: SocketAddr,
    pub(crate) stream: DeviceStream,
    /// Held as long as the connection.
    pub(crate) permit: SourcePermit,
}

/// The listener for devices and its limits.
pub(crate) struct Gateway {
    tls: Arc<ServerConfig>,
    connections: SourceQuota,
    handshakes: Slots,
    rates: Rates<IpAddr>,
    /// Load balancers, whose connections begin with a PROXY header.
    proxies: Vec<Range>,
    handshake_timeout: Duration,
    /// How long sessions may take to end by themselves.
    stop_timeout: Duration,
    refusals: Throttle,
    failures: Throttle,
    metrics: Arc<Metrics>,
}

impl Gateway {
    pub(crate) fn new(
        authority: &Authority,
        config: &Config,
        metrics: Arc<Metrics>,
    ) -> Result<Self, AuthorityError> {
        let limits = &config.limits;
        Ok(Self {
            tls: Arc::new(tls_config(authority, &config.hosts)?),
            connections: SourceQuota::new(limits.connections, limits.connections_per_source),
            handshakes: Slots::new(limits.handshakes, limits.handshakes_per_source, HANDSHAKE_GRACE),
            rates: Rates::new(limits.handshakes_a_second_per_source, HANDSHAKE_BURST_SECONDS),
            proxies: config.proxies.clone(),
            handshake_timeout: limits.handshake_timeout,
            // Half a second more than a session's own timeouts, so that those apply first.
            stop_timeout: limits.drain_timeout + limits.farewell_timeout + Duration::from_millis(500),
            refusals: Throttle::new(REFUSAL_REPORT_INTERVAL),
            failures: Throttle::new(REFUSAL_REPORT_INTERVAL),
            metrics,
        })
    }

    /// The counts of connections and of handshakes, for metrics.
    pub(crate) fn quotas(&self) -> (SourceQuota, Slots) {
        (self.connections.clone(), self.handshakes.clone())
    }

    /// Accepts connections until `stop`, then waits a bounded time for the sessions to end. `serve` runs for every
    /// authenticated connection and must end by itself soon after the stop.
    pub(crate) async fn run<S, F>(self, listener: TcpListener, mut stop: oneshot::Receiver<()>, serve: S)
    where
        S: Fn(Box<Admitted>) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let gateway = Arc::new(self);
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, address)) => gateway.clone().accept(stream, address, &serve, &mut tasks),
                    Err(error) => gateway.back_off(&error).await,
                },
                // The set keeps a finished task until it is joined.
                Some(_) = tasks.join_next() => {}
                _ = &mut stop => break,
            }
        }
        // Devices that come during the drain are refused at once instead of waiting in the backlog (D123).
        drop(listener);
        let all = async { while tasks.join_next().await.is_some() {} };
        let _ = timeout(gateway.stop_timeout, all).await;
        tasks.shutdown().await;
    }

    /// Gives a new connection its permits and its task, or drops it.
    fn accept<S, F>(
        self: Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        serve: &S,
        tasks: &mut JoinSet<()>,
    ) where
        S: Fn(Box<Admitted>) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let reserved = if proxy::contain(&self.proxies, address.ip()) {
            self.reserve_proxied()
        } else {
            self.reserve(address)
        };
        let reservation = match reserved {
            Ok(reservation) => reservation,
            Err(error) => return self.refuse(address, &error),
        };
        tasks.spawn(self.connection(stream, address, reservation, serve.clone()));
    }

    /// What a connection's task does. It exists as long as the connection, and so contains as little as possible.
    fn connection<S, F>(
        self: Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        reservation: Reservation,
        serve: S,
    ) -> impl Future<Output = ()> + Send
    where
        S: FnOnce(Box<Admitted>) -> F + Send,
        F: Future<Output = ()> + Send,
    {
        let gateway = self.clone();
        // Boxed, and made outside of the task's block, so that an idle connection keeps nothing of the handshake.
        let admission = Box::pin(async move { gateway.admit(stream, address, reservation).await });
        async move {
            match admission.await {
                // Made only here: a future that is in a variable first takes its memory in the task twice.
                Ok(admitted) => serve(admitted).await,
                Err(Refusal { from, error }) => self.refuse(from, &error),
            }
        }
    }

    fn refuse(&self, address: SocketAddr, error: &AdmissionError) {
        if let AdmissionError::HealthCheck = error {
            self.metrics.proxy_checks.inc();
            return;
        }
        self.metrics.refused.with_label_values(&[error.label()]).inc();
        if let Some(others) = self.refusals.admit(Instant::now()) {
            tracing::warn!(name: "connection_refused", %address, reason = error.label(), %error, others, "connection refused");
        }
    }

    /// Pauses, because the next `accept` would fail at once with the same error, such as too few file descriptors.
    async fn back_off(&self, error: &io::Error) {
        if let Some(others) = self.failures.admit(Instant::now()) {
            tracing::error!(name: "accept_failed", %error, others, "cannot accept a connection");
        }
        sleep(ACCEPT_PAUSE).await;
    }

    /// Takes the permits of a new connection. The rate is checked first, so that a source that exceeds it evicts no
    /// other connection.
    fn reserve(&self, address: SocketAddr) -> Result<Reservation, AdmissionError> {
        self.check_rate(address)?;
        // Before the slot for the same reason.
        let permit = self.connections.try_acquire(address.ip()).map_err(connections_error)?;
        Ok(Reservation::Direct(permit, self.slot(address)?))
    }

    /// Takes the permit of a load balancer's connection. It counts for no source before the header.
    fn reserve_proxied(&self) -> Result<Reservation, AdmissionError> {
        self.connections.try_acquire_unassigned().map(Reservation::Proxied).map_err(connections_error)
    }

    fn check_rate(&self, address: SocketAddr) -> Result<(), AdmissionError> {
        let is_admitted = self.rates.admits(source(address.ip()), Instant::now());
        if is_admitted { Ok(()) } else { Err(AdmissionError::SourceRate) }
    }

    fn slot(&self, address: SocketAddr) -> Result<Slot, AdmissionError> {
        let slot = self.handshakes.try_acquire(address.ip(), Instant::now());
        slot.ok_or(AdmissionError::SourceHandshakes)
    }

    /// Authenticates a connection, after its PROXY header if it must have one. From then on the client's address
    /// counts, and the load balancer's where there is no other.
    async fn admit(
        &self,
        mut stream: TcpStream,
        address: SocketAddr,
        reservation: Reservation,
    ) -> Result<Box<Admitted>, Refusal> {
        let refused_from = |from| move |error| Refusal { from, error };
        let (address, permit, slot) = match reservation {
            Reservation::Direct(permit, slot) => (address, permit, slot),
            Reservation::Proxied(mut permit) => {
                let client = client_address(&mut stream, address).await.map_err(refused_from(address))?;
                let slot = self.reserve_client(client, &mut permit).map_err(refused_from(client))?;
                (client, permit, slot)
            }
        };
        self.authenticate(stream, address, permit, slot).await.map_err(refused_from(address))
    }

    /// As [`Gateway::reserve`], for a client whose connection has a permit already.
    fn reserve_client(&self, client: SocketAddr, permit: &mut SourcePermit) -> Result<Slot, AdmissionError> {
        self.check_rate(client)?;
        permit.assign(client.ip()).map_err(connections_error)?;
        self.slot(client)
    }

    async fn authenticate(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        permit: SourcePermit,
        mut slot: Slot,
    ) -> Result<Box<Admitted>, AdmissionError> {
        // Frames are small; Nagle's algorithm would hold each back until the one before is acknowledged.
        stream.set_nodelay(true).map_err(AdmissionError::Handshake)?;
        let stream = tokio::select! {
            done = timeout(self.handshake_timeout, self.handshake(stream)) => {
                done.map_err(|_| AdmissionError::Timeout)??
            }
            () = slot.evicted() => return Err(AdmissionError::Evicted),
        };
        let (device, fingerprint) = identify(&stream)?;
        Ok(Box::new(Admitted { device, fingerprint, address, stream, permit }))
    }

    async fn handshake(&self, stream: TcpStream) -> Result<DeviceStream, AdmissionError> {
        // A TLS client sends first, so one that stays silent is no device.
        let first = timeout(FIRST_BYTE_TIMEOUT, stream.peek(&mut [0])).await;
        first.map_err(|_| AdmissionError::Silent)?.map_err(AdmissionError::Handshake)?;
        let stream =
            DeviceStream::accept(stream, self.tls.clone()).await.map_err(AdmissionError::Handshake)?;
        // rustls refuses clients that offer other protocols, but accepts clients that offer none.
        if stream.protocol().is_none() { Err(AdmissionError::Protocol) } else { Ok(stream) }
    }
}

/// Reads the PROXY header of a load balancer's connection and returns the client's address, or the load balancer's
/// where there is no other.
async fn client_address(stream: &mut TcpStream, balancer: SocketAddr) -> Result<SocketAddr, AdmissionError> {
    let read = timeout(PROXY_HEADER_TIMEOUT, read_header(stream)).await;
    let origin = read.map_err(|_| AdmissionError::ProxyHeaderTimeout)?.map_err(|error| match error {
        HeaderError::Closed => AdmissionError::HealthCheck,
        error => AdmissionError::ProxyHeader(error),
    })?;
    match origin {
        Origin::Client(client) => Ok(client),
        Origin::Unknown => Ok(balancer),
        Origin::Local if is_silent(stream).await => Err(AdmissionError::HealthCheck),
        Origin::Local => Ok(balancer),
    }
}

/// Whether nothing follows: the peer closes or resets the connection, or waits for something.
async fn is_silent(stream: &TcpStream) -> bool {
    let peeked = timeout(FIRST_BYTE_TIMEOUT, stream.peek(&mut [0])).await;
    !matches!(peeked, Ok(Ok(1)))
}

fn connections_error(full: Full) -> AdmissionError {
    match full {
        Full::Total => AdmissionError::Connections,
        Full::Source => AdmissionError::SourceConnections,
    }
}

/// The device that the peer's certificate names.
fn identify(stream: &DeviceStream) -> Result<(DeviceId, Fingerprint), AdmissionError> {
    let certificate = stream.certificate().ok_or(AdmissionError::Name)?;
    let name = common_name(certificate).ok_or(AdmissionError::Name)?;
    let device = DeviceId::parse(&name).ok_or(AdmissionError::Name)?;
    Ok((device, fingerprint(certificate)))
}

fn tls_config(authority: &Authority, hosts: &[String]) -> Result<ServerConfig, AuthorityError> {
    let certificate = authority.issue_server(hosts)?;
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone()).map_err(|_| AuthorityError::Certificate)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|_| AuthorityError::Certificate)?;
    let mut config = ServerConfig::builder_with_details(provider(), Arc::new(CertificateTime))
        .with_protocol_versions(&[&TLS13])
        .expect("the provider supports TLS 1.3")
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificate.chain, certificate.key)
        .map_err(|_| AuthorityError::Key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    set_resumption(&mut config);
    Ok(config)
}

/// One ticket for each connection, and no state in the cloud: the encrypted ticket at the device contains what
/// resumption needs.
fn set_resumption(config: &mut ServerConfig) {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 1;
    // Without a ticketer every handshake is a full one, which costs time and nothing else.
    if let Ok(ticketer) = Ticketer::new() {
        config.ticketer = ticketer;
    }
}

#[cfg(test)]
mod tests;
