//! Names to addresses: by the hosts file and the domain name system, asynchronously, with a cache, and fairly between devices
//! (D181; docs/decisions/0017-name-resolution.md).

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
    CACHED_ANSWERS, CACHED_FAILURES, LONGEST_CACHED, LONGEST_CACHED_FAILURE, LOOKUPS_PER_DEVICE, Limits,
    OTHER_FAMILY_TIMEOUT, RESOLVER_CHECK_INTERVAL,
};

/// The files whose change makes a new resolver.
const CONFIGURATION: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// Looks up names for every device.
pub(super) struct Resolver {
    /// The name servers; none means those of the system.
    servers: Vec<SocketAddr>,
    current: Mutex<Current>,
    /// Names that could not be looked up a moment ago, whatever the reason; the resolver itself keeps only that a name does
    /// not exist.
    failed: Cache<String, ConnectError>,
    places: LookupSlots,
    patience: Duration,
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
                .time_to_live(LONGEST_CACHED_FAILURE)
                .build(),
            places: LookupSlots::new(limits.name_lookups, LOOKUPS_PER_DEVICE),
            patience: limits.resolve_timeout,
        }
    }

    /// The addresses of a host, at least one; IPv4 and IPv6 in turns, so that a few of them are some of each.
    pub(super) async fn look_up(&self, owner: Owner, host: &str) -> Result<Vec<IpAddr>, ConnectError> {
        let key = host.to_ascii_lowercase();
        if let Some(cause) = self.failed.get(&key) {
            return Err(cause);
        }
        let entering = timeout(self.patience, self.places.enter(owner));
        let mut place = entering.await.ok().and_then(Result::ok).ok_or(ConnectError::TooManyLookups)?;
        let resolver = self.resolver();
        // What the resolver logs of names and answers is of devices and of strangers, and of any amount.
        let finding = addresses(&resolver, host).with_subscriber(NoSubscriber::default());
        let found = tokio::select! {
            found = timeout(self.patience, finding) => found,
            () = place.evicted() => return Err(ConnectError::TooManyLookups),
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

    /// The resolver, recreated when the system's configuration has changed.
    fn resolver(&self) -> Arc<TokioResolver> {
        let mut current = self.current.lock().expect("nothing panics while it is held");
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
    CONFIGURATION.map(|path| fs::metadata(path).and_then(|file| file.modified()).ok())
}

fn build_resolver(servers: &[SocketAddr]) -> TokioResolver {
    let (config, mut options) = if servers.is_empty() { system_configuration() } else { configured(servers) };
    options.cache_size = CACHED_ANSWERS;
    options.positive_max_ttl = Some(LONGEST_CACHED);
    options.negative_max_ttl = Some(LONGEST_CACHED_FAILURE);
    let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let builder = builder.with_options(options);
    builder.build().expect("without DNSSEC and TLS there is nothing that could fail")
}

/// The system's name servers and search domains. Without any the name server is this machine, as resolv.conf(5) has it.
fn system_configuration() -> (ResolverConfig, ResolverOpts) {
    read_system_conf().unwrap_or_else(|error| {
        tracing::warn!(%error, "no name servers in /etc/resolv.conf; asking this machine");
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

/// Asks for IPv4 and IPv6 addresses at once. Once there is an answer the other one has little time left: name servers that do
/// not answer questions for IPv6 addresses are common.
async fn addresses(resolver: &TokioResolver, host: &str) -> Vec<IpAddr> {
    let (v4, v6) = (resolver.ipv4_lookup(host), resolver.ipv6_lookup(host));
    tokio::pin!(v4, v6);
    let (v4, v6) = tokio::select! {
        v4 = &mut v4 => {
            let v4 = of(v4);
            let patience = patience(&v4);
            (v4, of_other(timeout(patience, v6).await))
        }
        v6 = &mut v6 => {
            let v6 = of(v6);
            let patience = patience(&v6);
            (of_other(timeout(patience, v4).await), v6)
        }
    };
    in_turns(v4, v6)
}

fn patience(found: &[IpAddr]) -> Duration {
    // All of it is bounded by the caller's.
    if found.is_empty() { Duration::MAX } else { OTHER_FAMILY_TIMEOUT }
}

fn of_other<E>(answered: Result<Result<Lookup, NetError>, E>) -> Vec<IpAddr> {
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

/// One of each as long as there are, IPv4 first: where there is no IPv6, nothing is lost.
fn in_turns(v4: Vec<IpAddr>, v6: Vec<IpAddr>) -> Vec<IpAddr> {
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
