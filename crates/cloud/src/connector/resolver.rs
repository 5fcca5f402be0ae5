//! Name resolution by the hosts file and DNS: asynchronous, with a cache, and fair between devices, so that look-ups
//! that are never answered do not delay those of other devices (D181; docs/decisions/0017-name-resolution.md).

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::system_conf::read_system_conf;
use moka::sync::Cache;
use relay::ConnectError;
use tokio::time::{Instant, timeout};
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use super::lookup_slots::{LookupSlots, Owner};
use crate::limits::{
    CACHED_ANSWERS, CACHED_FAILURES, LOOKUPS_PER_DEVICE, Limits, MAX_CACHE_TIME, MAX_FAILURE_CACHE_TIME,
    OTHER_FAMILY_TIMEOUT, RESOLVER_CHECK_INTERVAL,
};

/// Files whose change requires a new resolver.
const CONFIGURATION_FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// Resolves names for every device.
pub(super) struct Resolver {
    /// The name servers; empty: those of the system.
    servers: Vec<SocketAddr>,
    current: Mutex<Current>,
    /// Names that could not be resolved a moment ago, for any reason; the library only caches that a name does not
    /// exist.
    failed: Cache<String, ConnectError>,
    slots: LookupSlots,
    timeout: Duration,
}

struct Current {
    resolver: Arc<TokioResolver>,
    state: [Option<SystemTime>; 2],
    checked: Instant,
}

impl Resolver {
    /// Names as the system has them, or as these name servers say.
    pub(super) fn new(servers: Vec<SocketAddr>, limits: &Limits) -> Self {
        let current = Current {
            resolver: Arc::new(build_resolver(&servers)),
            state: configuration(),
            checked: Instant::now(),
        };
        Self {
            servers,
            current: Mutex::new(current),
            failed: Cache::builder()
                .max_capacity(CACHED_FAILURES)
                .time_to_live(MAX_FAILURE_CACHE_TIME)
                .build(),
            slots: LookupSlots::new(limits.name_lookups, LOOKUPS_PER_DEVICE),
            timeout: limits.resolve_timeout,
        }
    }

    /// The addresses of a host, at least one. IPv4 and IPv6 alternate, so that the first few are of both kinds.
    pub(super) async fn look_up(&self, owner: Owner, host: &str) -> Result<Vec<IpAddr>, ConnectError> {
        let key = host.to_ascii_lowercase();
        if let Some(cause) = self.failed.get(&key) {
            return Err(cause);
        }
        let acquiring = timeout(self.timeout, self.slots.acquire(owner));
        let mut permit = acquiring.await.ok().and_then(Result::ok).ok_or(ConnectError::TooManyLookups)?;
        let resolver = self.resolver();
        // The library's log lines are suppressed: they contain names and answers of devices and strangers, in any
        // number.
        let finding = addresses(&resolver, host).with_subscriber(NoSubscriber::default());
        let found = tokio::select! {
            found = timeout(self.timeout, finding) => found,
            () = permit.evicted() => return Err(ConnectError::TooManyLookups),
        };
        match found {
            Ok(found) if !found.is_empty() => Ok(found),
            failed => {
                let cause = if failed.is_ok() {
                    ConnectError::NameNotResolved
                } else {
                    ConnectError::ResolveTimedOut
                };
                self.failed.insert(key, cause.clone());
                Err(cause)
            }
        }
    }

    /// The library's resolver, recreated when the system's configuration has changed.
    fn resolver(&self) -> Arc<TokioResolver> {
        let mut current = self.current.lock().expect("no holder of this lock panics");
        if self.servers.is_empty() && current.checked.elapsed() >= RESOLVER_CHECK_INTERVAL {
            current.checked = Instant::now();
            let state = configuration();
            if state != current.state {
                current.state = state;
                current.resolver = Arc::new(build_resolver(&[]));
                self.failed.invalidate_all();
            }
        }
        current.resolver.clone()
    }
}

/// When the system's configuration was last changed.
fn configuration() -> [Option<SystemTime>; 2] {
    CONFIGURATION_FILES.map(|path| fs::metadata(path).and_then(|file| file.modified()).ok())
}

fn build_resolver(servers: &[SocketAddr]) -> TokioResolver {
    let (config, mut options) = if servers.is_empty() { system_configuration() } else { configured(servers) };
    options.cache_size = CACHED_ANSWERS;
    options.positive_max_ttl = Some(MAX_CACHE_TIME);
    options.negative_max_ttl = Some(MAX_FAILURE_CACHE_TIME);
    let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let builder = builder.with_options(options);
    builder.build().expect("nothing can fail without DNSSEC and TLS")
}

/// The system's name servers and search domains. Without any, the name server is this machine, as resolv.conf(5)
/// specifies.
fn system_configuration() -> (ResolverConfig, ResolverOpts) {
    read_system_conf().unwrap_or_else(|error| {
        tracing::warn!(name: "no_name_servers", %error, "no name servers in /etc/resolv.conf; using this machine");
        configured(&[SocketAddr::from((Ipv4Addr::LOCALHOST, 53))])
    })
}

fn configured(servers: &[SocketAddr]) -> (ResolverConfig, ResolverOpts) {
    let server = |address: &SocketAddr| {
        let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
        for connection in &mut connections {
            connection.port = address.port();
        }
        NameServerConfig::new(address.ip(), true, connections)
    };
    let config = ResolverConfig::from_parts(None, Vec::new(), servers.iter().map(server).collect());
    (config, ResolverOpts::default())
}

/// Queries IPv4 and IPv6 addresses at once. After one answer the other has little time left, because name servers that
/// never answer queries for IPv6 addresses are common.
async fn addresses(resolver: &TokioResolver, host: &str) -> Vec<IpAddr> {
    let (v4, v6) = (resolver.ipv4_lookup(host), resolver.ipv6_lookup(host));
    tokio::pin!(v4, v6);
    let (v4, v6) = tokio::select! {
        v4 = &mut v4 => {
            let v4 = of(v4);
            let limit = other_timeout(&v4);
            (v4, addresses_in_time(timeout(limit, v6).await))
        }
        v6 = &mut v6 => {
            let v6 = of(v6);
            let limit = other_timeout(&v6);
            (addresses_in_time(timeout(limit, v4).await), v6)
        }
    };
    interleave(v4, v6)
}

fn other_timeout(found: &[IpAddr]) -> Duration {
    // The caller bounds the whole look-up.
    if found.is_empty() { Duration::MAX } else { OTHER_FAMILY_TIMEOUT }
}

fn addresses_in_time<E>(answered: Result<Result<Lookup, NetError>, E>) -> Vec<IpAddr> {
    answered.map(of).unwrap_or_default()
}

fn of(answered: Result<Lookup, NetError>) -> Vec<IpAddr> {
    let Ok(lookup) = answered else { return Vec::new() };
    let address = |data: &RData| match data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    };
    lookup.answers().iter().filter_map(|record| address(&record.data)).collect()
}

/// Alternates between both, IPv4 first, because many machines have no IPv6.
fn interleave(v4: Vec<IpAddr>, v6: Vec<IpAddr>) -> Vec<IpAddr> {
    let (mut v4, mut v6) = (v4.into_iter(), v6.into_iter());
    let mut all = Vec::new();
    loop {
        let pair = [v4.next(), v6.next()];
        if pair == [None, None] {
            return all;
        }
        all.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests;
