//! The door: who may come in, and what it costs to be turned away.
//!
//! TLS 1.3 only, certificates of the cloud's own authority on both sides, ALPN `openvisor/1`. A connection that is not a device's
//! costs one task and one TLS state until it says something wrong or its time is over, and there are only so many of these.

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
use crate::connector::provider;
use crate::device_id::DeviceId;
use crate::limits::{
    ACCEPT_PAUSE, FIRST_BYTE_TIMEOUT, HANDSHAKE_BURST_SECONDS, HANDSHAKE_GRACE, Limits,
    REFUSAL_REPORT_INTERVAL,
};
use crate::metrics::Metrics;
use crate::rate::Rates;
use crate::slots::{Slot, Slots};
use crate::sources::{Full, SourcePermit, SourceQuota, source};
use crate::throttle::Throttle;

mod stream;

pub(crate) use stream::DeviceStream;

/// The name of the link's protocol in the handshake.
pub const ALPN: &[u8] = b"openvisor/1";

/// Why a connection was turned away.
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
    #[error("the handshake was not finished when others needed its slot")]
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
        }
    }
}

/// A connection whose other end has shown a certificate of the authority.
pub(crate) struct Admitted {
    /// The device the certificate names. Whether the cloud still knows it is for the session to ask.
    pub(crate) device: DeviceId,
    /// Which certificate it was.
    pub(crate) fingerprint: Fingerprint,
    pub(crate) address: SocketAddr,
    pub(crate) stream: DeviceStream,
    /// Kept as long as the connection.
    pub(crate) place: SourcePermit,
}

/// The door and its bounds.
pub(crate) struct Gateway {
    tls: Arc<ServerConfig>,
    connections: SourceQuota,
    handshakes: Slots,
    rates: Rates<IpAddr>,
    handshake_timeout: Duration,
    /// Time the sessions have to end by themselves.
    stop_timeout: Duration,
    refusals: Throttle,
    failures: Throttle,
    metrics: Arc<Metrics>,
}

impl Gateway {
    pub(crate) fn new(
        authority: &Authority,
        hosts: &[String],
        limits: &Limits,
        metrics: Arc<Metrics>,
    ) -> Result<Self, AuthorityError> {
        Ok(Self {
            tls: Arc::new(tls_config(authority, hosts)?),
            connections: SourceQuota::new(limits.connections, limits.connections_per_source),
            handshakes: Slots::new(limits.handshakes, limits.handshakes_per_source, HANDSHAKE_GRACE),
            rates: Rates::new(limits.handshakes_a_second_per_source, HANDSHAKE_BURST_SECONDS),
            handshake_timeout: limits.handshake_timeout,
            // Half a second more than a session gives itself, so that its own bounds are the ones that count.
            stop_timeout: limits.drain_timeout + limits.farewell_timeout + Duration::from_millis(500),
            refusals: Throttle::new(REFUSAL_REPORT_INTERVAL),
            failures: Throttle::new(REFUSAL_REPORT_INTERVAL),
            metrics,
        })
    }

    /// The bounds on connections and on handshakes, to be watched.
    pub(crate) fn quotas(&self) -> (SourceQuota, Slots) {
        (self.connections.clone(), self.handshakes.clone())
    }

    /// Lets connections in until told to stop, then waits a bounded time for those inside to end. `serve` is run for every
    /// connection admitted and is to end by itself soon after the stop.
    pub(crate) async fn run<S, F>(self, listener: TcpListener, mut stop: oneshot::Receiver<()>, serve: S)
    where
        S: Fn(Box<Admitted>) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let gateway = Arc::new(self);
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, address)) => gateway.clone().receive(stream, address, &serve, &mut tasks),
                    Err(error) => gateway.pause(&error).await,
                },
                Some(_) = tasks.join_next() => {}
                _ = &mut stop => break,
            }
        }
        drop(listener);
        let all = async { while tasks.join_next().await.is_some() {} };
        let _ = timeout(gateway.stop_timeout, all).await;
        tasks.shutdown().await;
    }

    /// Gives a new connection its places and its task, or drops it.
    fn receive<S, F>(
        self: Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        serve: &S,
        tasks: &mut JoinSet<()>,
    ) where
        S: Fn(Box<Admitted>) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let (place, slot) = match self.places(address) {
            Ok(places) => places,
            Err(refusal) => return self.refuse(address, &refusal),
        };
        let serve = serve.clone();
        tasks.spawn(async move {
            // Boxed, so that a connection at rest does not keep the room the handshake took.
            let admission = Box::pin(async { self.admit(stream, address, place, slot).await.map(serve) });
            match admission.await {
                Ok(session) => session.await,
                Err(refusal) => self.refuse(address, &refusal),
            }
        });
    }

    fn refuse(&self, address: SocketAddr, refusal: &AdmissionError) {
        self.metrics.refused.with_label_values(&[refusal.label()]).inc();
        if let Some(others) = self.refusals.due(Instant::now()) {
            tracing::warn!(from = %address, reason = %refusal, others, "connection refused");
        }
    }

    /// What the operating system refuses, for want of descriptors for instance, it refuses again at once.
    async fn pause(&self, error: &io::Error) {
        if let Some(others) = self.failures.due(Instant::now()) {
            tracing::error!(%error, others, "no connection can be accepted");
        }
        sleep(ACCEPT_PAUSE).await;
    }

    /// The rate is asked first: a source beyond it costs nobody a slot.
    fn places(&self, address: SocketAddr) -> Result<(SourcePermit, Slot), AdmissionError> {
        let now = Instant::now();
        if !self.rates.admits(source(address.ip()), now) {
            return Err(AdmissionError::SourceRate);
        }
        let place = self.connections.take(address.ip()).map_err(|full| match full {
            Full::Total => AdmissionError::Connections,
            Full::Source => AdmissionError::SourceConnections,
        })?;
        let slot = self.handshakes.take(address.ip(), now).ok_or(AdmissionError::SourceHandshakes)?;
        Ok((place, slot))
    }

    async fn admit(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        place: SourcePermit,
        mut slot: Slot,
    ) -> Result<Box<Admitted>, AdmissionError> {
        stream.set_nodelay(true).map_err(AdmissionError::Handshake)?;
        let stream = tokio::select! {
            shaken = timeout(self.handshake_timeout, self.handshake(stream)) => {
                shaken.map_err(|_| AdmissionError::Timeout)??
            }
            () = slot.evicted() => return Err(AdmissionError::Evicted),
        };
        let (device, fingerprint) = identify(&stream)?;
        Ok(Box::new(Admitted { device, fingerprint, address, stream, place }))
    }

    async fn handshake(&self, stream: TcpStream) -> Result<DeviceStream, AdmissionError> {
        // A client speaks first in TLS, so one that is silent wants nothing.
        let first = timeout(FIRST_BYTE_TIMEOUT, stream.peek(&mut [0])).await;
        first.map_err(|_| AdmissionError::Silent)?.map_err(AdmissionError::Handshake)?;
        let stream =
            DeviceStream::accept(stream, self.tls.clone()).await.map_err(AdmissionError::Handshake)?;
        // The library turns away whoever offers other names, and lets in whoever offers none.
        if stream.protocol().is_none() { Err(AdmissionError::Protocol) } else { Ok(stream) }
    }
}

/// The device that the certificate at the other end names.
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
        .expect("the provider knows TLS 1.3")
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificate.chain, certificate.key)
        .map_err(|_| AuthorityError::Key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    set_resumption(&mut config);
    Ok(config)
}

/// One ticket a connection and nothing kept here: what resumption needs travels with the device, sealed.
fn set_resumption(config: &mut ServerConfig) {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 1;
    if let Ok(ticketer) = Ticketer::new() {
        config.ticketer = ticketer;
    }
}

#[cfg(test)]
mod tests;
