//! File descriptors: each device and each connection to a broker or server takes one, and their number is limited for a
//! process.
//!
//! Unauthenticated connections must not take descriptors that admitted devices need (D175). So all limits that cost
//! descriptors are lowered together until they fit, with a reserve for everything else.

use std::fmt;

use super::Limits;

/// Descriptors reserved for everything but devices and brokers: listeners, the database, health and metrics, files.
pub const RESERVED_DESCRIPTORS: usize = 128;

/// Sockets of one name look-up: over UDP to each of two servers, or one over TCP after that.
const SOCKETS_PER_LOOKUP: usize = 2;

/// Name look-ups get at most this fraction of all descriptors.
const LOOKUP_FRACTION: usize = 8;

/// A limit for one account or source that is at most this fraction of the total is not lowered with the total.
const SMALL_FRACTION: usize = 4;

/// A limit that was lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoweredLimit {
    /// Its name.
    pub name: &'static str,
    /// The configured value.
    pub from: usize,
    /// The lowered value.
    pub to: usize,
}

impl fmt::Display for LoweredLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} instead of {}", self.name, self.to, self.from)
    }
}

impl Limits {
    /// Lowers the numbers of connections until they fit into `available` descriptors, and returns the limits that were
    /// lowered. Devices and outbound connections keep their proportion, and so do the shares of accounts and sources.
    pub fn fit_descriptors(&mut self, available: usize) -> Vec<LoweredLimit> {
        let before = self.clone();
        self.name_lookups =
            before.name_lookups.min((available / LOOKUP_FRACTION / SOCKETS_PER_LOOKUP).max(1));
        let kept = RESERVED_DESCRIPTORS + self.name_lookups * SOCKETS_PER_LOOKUP;
        let room = available.saturating_sub(kept).max(2);
        let wanted = self.connections.saturating_add(self.outbound_connections);
        if wanted > room {
            self.connections = scaled(before.connections, room, wanted);
            self.outbound_connections = scaled(before.outbound_connections, room, wanted);
            // A small share takes little from others and stays as configured.
            let share =
                |part: usize, now, total| part.min(scaled(part, now, total).max(now / SMALL_FRACTION).max(1));
            self.connections_per_source =
                share(before.connections_per_source, self.connections, before.connections);
            self.connections_per_account =
                share(before.connections_per_account, self.connections, before.connections);
            self.outbound_connections_per_account = share(
                before.outbound_connections_per_account,
                self.outbound_connections,
                before.outbound_connections,
            );
        }
        // Connections that have not shown a certificate get a quarter at most, and one source a quarter of that.
        if wanted > room {
            self.handshakes = before.handshakes.min((self.connections / 4).max(1));
            self.handshakes_per_source = before.handshakes_per_source.min((self.handshakes / 4).max(1));
        }
        differences(&before, self)
    }
}

/// `part` made smaller as `total` is to become `now`; at least 1.
fn scaled(part: usize, now: usize, total: usize) -> usize {
    let scaled = part as u128 * now as u128 / total.max(1) as u128;
    usize::try_from(scaled).unwrap_or(usize::MAX).max(1)
}

fn differences(before: &Limits, after: &Limits) -> Vec<LoweredLimit> {
    let all = [
        ("connections", before.connections, after.connections),
        ("connections_per_source", before.connections_per_source, after.connections_per_source),
        ("connections_per_account", before.connections_per_account, after.connections_per_account),
        ("handshakes", before.handshakes, after.handshakes),
        ("handshakes_per_source", before.handshakes_per_source, after.handshakes_per_source),
        ("outbound_connections", before.outbound_connections, after.outbound_connections),
        (
            "outbound_connections_per_account",
            before.outbound_connections_per_account,
            after.outbound_connections_per_account,
        ),
        ("name_lookups", before.name_lookups, after.name_lookups),
    ];
    let changed = all.into_iter().filter(|(_, from, to)| from != to);
    changed.map(|(name, from, to)| LoweredLimit { name, from, to }).collect()
}

/// Descriptors the process may open beside those it has; `None` where there is no limit, or none can be read.
#[cfg(unix)]
pub(crate) fn available() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    let open = crate::metrics::open_files().unwrap_or(0);
    Some(usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(open))
}

/// Other systems have no such limit.
#[cfg(not(unix))]
pub(crate) fn available() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D175.
    #[test]
    fn whatever_fits_stays_as_it_was() {
        let mut limits = Limits::default();
        let kept = RESERVED_DESCRIPTORS + limits.name_lookups * SOCKETS_PER_LOOKUP;
        let wanted = limits.connections + limits.outbound_connections + kept;
        assert_eq!(limits.fit_descriptors(wanted), []);
        assert_eq!(format!("{limits:?}"), format!("{:?}", Limits::default()));
        assert!(!limits.fit_descriptors(wanted - 1).is_empty());
    }

    /// Shows D175.
    #[test]
    fn what_is_lowered_fits_and_every_part_keeps_something() {
        for available in [0, 1, 64, 129, 256, 1024, 4096, 20_000] {
            let mut limits = Limits::default();
            let lowered = limits.fit_descriptors(available);
            let kept = RESERVED_DESCRIPTORS + limits.name_lookups * SOCKETS_PER_LOOKUP;
            let sum = limits.connections + limits.outbound_connections;
            assert!(sum <= available.saturating_sub(kept).max(2), "{available}: {limits:?}");
            let parts = [
                (limits.handshakes_per_source, limits.handshakes),
                (limits.handshakes, limits.connections),
                (limits.connections_per_source, limits.connections),
                (limits.connections_per_account, limits.connections),
                (limits.outbound_connections_per_account, limits.outbound_connections),
            ];
            assert!(parts.iter().all(|(part, whole)| (1..=*whole).contains(part)), "{available}: {limits:?}");
            assert!(lowered.iter().all(|lowered| lowered.to < lowered.from), "{lowered:?}");
        }
    }

    /// Shows D175: what 1024 descriptors come to, as documented.
    #[test]
    fn the_usual_1024_descriptors_leave_most_to_brokers() {
        let mut limits = Limits::default();
        let lowered = limits.fit_descriptors(1024 - 24);
        assert_eq!((limits.connections, limits.outbound_connections, limits.name_lookups), (249, 498, 62));
        assert_eq!((limits.handshakes, limits.handshakes_per_source), (62, 15));
        assert_eq!(lowered[0].to_string(), "connections 249 instead of 20000");
    }
}
