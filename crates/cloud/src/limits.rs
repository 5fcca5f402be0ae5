//! Every limit of the cloud, with its default.

use std::time::Duration;

pub(crate) mod descriptors;
mod table;

pub use descriptors::{LoweredLimit, RESERVED_DESCRIPTORS};
pub use table::{LIMITS, LimitError, LimitSpec};

/// Longest key of a configuration item or secret, in characters, all printable ASCII: what the public API documents, so
/// that a key valid there is valid here (D63).
pub const MAX_KEY: usize = 100;

/// Longest value of a configuration item or secret, in bytes of UTF-8.
pub const MAX_VALUE: usize = 4096;

/// Longest unique name of a device, in bytes.
pub const MAX_NAME: usize = 64;

/// API keys of one account that are not revoked.
pub const MAX_API_KEYS: u32 = 1000;

/// Applications of one account.
pub const MAX_APPS: u32 = 10_000;

/// Longest name or value of a label, in bytes.
pub const MAX_LABEL: usize = 63;

/// Labels of one device.
pub const MAX_LABELS: usize = 32;

/// How long the record of a change is kept.
pub const AUDIT_AGE: Duration = Duration::from_hours(24 * 400);

/// Bytes read from a socket at a time. The buffer is on the stack of the worker, so that an idle connection owns none.
pub const READ_CHUNK: usize = 8 * 1024;

/// Bytes queued for a device above which nothing more is read from it.
pub const DEVICE_BACKLOG: usize = 128 * 1024;

/// Unstored log lines of a device above which nothing more is read from it.
pub const LOG_BACKLOG: usize = 256;

/// The same in bytes of text: the most that a kernel buffers until they are acknowledged, 128 lines of full length. So
/// a device whose lines the store refuses is not held back, and its PINGs with it, unless it exceeds the kernel's own
/// limits.
pub const LOG_BACKLOG_BYTES: usize = 128 * link::limits::MAX_LOG_TEXT;

/// Rounds of polling after which a device's task lets others run.
pub const SESSION_ROUNDS: usize = 16;

/// Unstored log lines of all devices above which those of a connection that ends are discarded. The device sends them
/// again.
pub const MAX_ORPHANED_LOG_LINES: usize = 16 * 1024;

/// Log lines removed in one transaction: few, because other writers wait for its end (D120).
pub const LOG_PRUNE_CHUNK: u32 = 2000;

/// Pause between two such transactions, in which others write.
pub const LOG_PRUNE_PAUSE: Duration = Duration::from_millis(5);

/// Devices waiting to be recorded as connected above which more are not recorded.
pub const SEEN_BACKLOG: usize = 1024;

/// Most log lines written in one transaction, which costs one wait for the disk.
pub const LOG_BATCH: usize = 1024;

/// Events a slow subscriber may be behind before it misses some.
pub const EVENT_QUEUE: usize = 1024;

/// Name look-ups of one device at a time: as many as a kernel has channels.
pub const LOOKUPS_PER_DEVICE: usize = 4;

/// Waiting name look-ups above which more are refused.
pub const WAITING_LOOKUPS: usize = 4096;

/// Cached answers of name servers.
pub const CACHED_ANSWERS: u64 = 1024;

/// Longest time an answer is cached, whatever its time to live.
pub const MAX_CACHE_TIME: Duration = Duration::from_mins(5);

/// Cached names that could not be resolved.
pub const CACHED_FAILURES: u64 = 1024;

/// Longest time it is cached that a name could not be resolved.
pub const MAX_FAILURE_CACHE_TIME: Duration = Duration::from_secs(5);

/// How long addresses of the other kind are waited for once a name has one of IPv4 or IPv6.
pub const OTHER_FAMILY_TIMEOUT: Duration = Duration::from_millis(250);

/// How often the resolver's configuration is checked for changes.
pub const RESOLVER_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Maximal age of the cached addresses of this machine.
pub const INTERFACES_INTERVAL: Duration = Duration::from_secs(1);

/// Seconds of [`Limits::channels_a_second`] that may come at once.
pub const CHANNEL_BURST_SECONDS: u32 = 2;

/// Estimated memory of a connection to a broker or server, TLS state and buffers, beside its queue.
pub const CONNECTION_BYTES: usize = 32 * 1024;

/// Memory a device may always use, however short memory is, so that small requests still work.
pub const MIN_DEVICE_MEMORY: usize = 32 * 1024;

/// How long a large device may be throttled before it is disconnected.
pub const MAX_THROTTLE_TIME: Duration = Duration::from_secs(30);

/// Largest buffer of an HTTP connection, unless the device accepts a larger response; hyper allows no less.
pub const HTTP_BUFFER: usize = 8 * 1024;

/// Bytes of a response's head that do not count for the device: status line, line ends, blanks.
pub const HTTP_HEAD: usize = 1024;

/// Interim (1xx) responses a server may send before the response.
pub const INTERIM_RESPONSES: usize = 8;

/// Bytes a response may have on the wire for each byte the device accepts: small chunks are legal, but HTTP bounds
/// neither their number nor the zeros before a length (D182).
pub const HTTP_OVERHEAD: usize = 8;

/// Most addresses of one name that are tried.
pub const MAX_DIALLED_ADDRESSES: usize = 4;

/// Connections to the database for authorisations.
pub const DATABASE_AUTHORIZATION_CONNECTIONS: u32 = 2;

/// Connections to the database for other reads.
pub const DATABASE_READ_CONNECTIONS: u32 = 3;

/// Connections to the database for writes: the log writer's, and those of other writers.
pub const DATABASE_WRITE_CONNECTIONS: u32 = 4;

/// Rows read and written in one statement when a store is copied; a row has at most about 4 KiB.
pub const COPY_ROWS: usize = 256;

/// Timeout of connecting to a database on another machine.
pub const DATABASE_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Timeout of every operation of the database, so that one that hangs delays its callers and does not stop them (D117).
pub const DATABASE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a running cloud records which devices are connected, for other processes.
pub const PRESENCE_INTERVAL: Duration = Duration::from_secs(1);

/// How often a running cloud checks for devices that other processes have revoked, and for changed logging settings.
pub const REVOCATION_INTERVAL: Duration = Duration::from_secs(1);

/// Timeout of such a check.
pub const REVOCATION_TIMEOUT: Duration = Duration::from_secs(5);

/// Shortest time between two log lines about the same background error; others are omitted.
pub const TROUBLE_REPORT_INTERVAL: Duration = Duration::from_mins(1);

/// Pause before a background task that panicked is restarted.
pub const TASK_RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Panics of one background task within [`TASK_PANIC_PERIOD`] after which it is not restarted, and the cloud stops.
pub const TASK_PANICS: usize = 5;

/// The period.
pub const TASK_PANIC_PERIOD: Duration = Duration::from_mins(1);

/// How often a device is given the wall clock, because its own clock drifts (D25).
pub const WALL_CLOCK_INTERVAL: Duration = Duration::from_hours(1);

/// Time a connection has for its first byte. A TLS client sends first, and at once.
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(2);

/// Time a load balancer's connection has for its PROXY header, which is sent at once.
pub const PROXY_HEADER_TIMEOUT: Duration = Duration::from_secs(2);

/// Most bytes of a PROXY header. Addresses need at most 232; the rest is for extensions, such as a certificate.
pub const PROXY_HEADER: usize = 4096;

/// Most bytes of an incomplete record or handshake message of TLS. A record of greatest length fits, and so does
/// everything a device sends in its handshake.
pub const UNFINISHED_TLS: usize = 20 * 1024;

/// Age from which an unfinished handshake may be evicted for another one of the same source.
pub const HANDSHAKE_GRACE: Duration = Duration::from_millis(500);

/// How long a refusal of a device is cached. A change that admits the device is delayed by no more.
pub const REFUSED_DURATION: Duration = Duration::from_secs(1);

/// Most cached refusals.
pub const REFUSED_DEVICES: usize = 4096;

/// Shortest time between two log lines about refused connections; others are counted.
pub const REFUSAL_REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Pause after an error of `accept`, such as too few file descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Seconds of a rate that may come at once.
pub const BURST_SECONDS: u32 = 10;

/// The same for new connections: fewer, because each costs the computations of a handshake.
pub const HANDSHAKE_BURST_SECONDS: u32 = 2;

/// Sources of connections, and devices, whose rate is measured at a time.
pub const RATED_SOURCES: usize = 10_000;

/// Time after which dropped log lines are reported, if no other line comes before.
pub const DROPPED_LINES_REPORT_DELAY: Duration = Duration::from_secs(1);

/// Connections to the monitoring port at a time.
pub const MONITOR_CONNECTIONS: usize = 32;

/// Of these, from one address. The oldest is evicted for the next.
pub const MONITOR_CONNECTIONS_PER_SOURCE: usize = 16;

/// Timeout of a request to the monitoring port.
pub const MONITOR_REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest time of a connection to the monitoring port.
pub const MONITOR_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout of the readiness check of the store.
pub const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// Shortest time between two writes of the readiness check.
pub const READY_INTERVAL: Duration = Duration::from_secs(1);

/// The limits an operator may set.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Device connections at a time.
    pub connections: usize,
    /// Device connections at a time from one address (IPv6: one /64).
    pub connections_per_source: usize,
    /// Devices of one account connected at a time.
    pub connections_per_account: usize,
    /// Connections at a time that have not finished the TLS handshake.
    pub handshakes: usize,
    /// Of these, from one address (IPv6: one /64).
    pub handshakes_per_source: usize,
    /// New connections a second from one address (IPv6: one /64); 0 is no limit.
    pub handshakes_a_second_per_source: u32,
    /// Connections a second of one device, [`BURST_SECONDS`] of them at once; 0 is no limit. A kernel reconnects less
    /// often.
    pub connections_a_second_per_device: u32,
    /// Timeout of the TLS handshake.
    pub handshake_timeout: Duration,
    /// Keepalive interval of the link, in seconds.
    pub keepalive: u32,
    /// Connections to brokers and HTTPS servers at a time.
    pub outbound_connections: usize,
    /// Of these, for the devices of one account.
    pub outbound_connections_per_account: usize,
    /// Bytes a second from one device, and as many to it; 0 is no limit.
    pub link_bytes_a_second: u32,
    /// The same for all devices of one account together.
    pub link_bytes_a_second_per_account: u32,
    /// Publishes and newly opened channels a second of one device; 0 is no limit.
    pub requests_a_second: u32,
    /// The same for all devices of one account together.
    pub requests_a_second_per_account: u32,
    /// Channels a second one device may open, and connects to brokers, HTTP requests and configuration fetches it may
    /// start: no more than a kernel allows its application, since only a forged device can exceed it (D30, D122),
    /// [`CHANNEL_BURST_SECONDS`] of them at once; 0 is no limit.
    pub channels_a_second: u32,
    /// The same for all devices of one account together, [`BURST_SECONDS`] at once.
    pub channels_a_second_per_account: u32,
    /// Name look-ups at a time, all devices together; each takes two sockets.
    pub name_lookups: usize,
    /// Packets a second read from one broker that contain neither messages nor responses; 0 is no limit. They would
    /// cost computation without end, and no window limits them (D180).
    pub broker_packets_a_second: u32,
    /// The same in bytes.
    pub broker_bytes_a_second: u32,
    /// MiB of memory in use for all devices together: messages and requests in transit, and connections. Peers decide
    /// how much that is, so without a bound they could use all of the process's (D183).
    pub memory: usize,
    /// The same for all devices of one account.
    pub memory_per_account: usize,
    /// Log lines a second of one device; lines in excess are dropped, and a log line reports their number. 0 is no
    /// limit.
    pub log_lines_a_second: u32,
    /// Messages a second one channel may receive; the cloud ends a channel with more, because its application would
    /// never catch up (D51).
    pub messages_a_second: u32,
    /// How long devices stay connected while the cloud cannot read their authorisations: long enough to restart a
    /// database, not so long that a revocation is missed (D162).
    pub authorization_timeout: Duration,
    /// How long requests in flight may be answered when the cloud stops.
    pub drain_timeout: Duration,
    /// Timeout of closing a connection in order, also when the cloud stops.
    pub farewell_timeout: Duration,
    /// Timeout of a name look-up.
    pub resolve_timeout: Duration,
    /// Timeout of connecting to a broker or server, name look-up not included.
    pub connect_timeout: Duration,
    /// Longest delay of a connect after earlier ones to the same broker failed; 0 is none. An application in a loop
    /// must not flood its broker (D197).
    pub reconnect_delay: Duration,
    /// Log lines kept for one device.
    pub log_lines: u32,
    /// How long a log line is kept.
    pub log_age: Duration,
    /// How often log lines in excess of these two are removed.
    pub log_prune_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_source: 5000,
            connections_per_account: 10_000,
            handshakes: 2048,
            handshakes_per_source: 64,
            handshakes_a_second_per_source: 200,
            connections_a_second_per_device: 1,
            handshake_timeout: Duration::from_secs(10),
            keepalive: relay::limits::KEEPALIVE.as_secs() as u32,
            outbound_connections: 40_000,
            outbound_connections_per_account: 20_000,
            link_bytes_a_second: 16 * 1024 * 1024,
            link_bytes_a_second_per_account: 256 * 1024 * 1024,
            requests_a_second: 20_000,
            requests_a_second_per_account: 200_000,
            channels_a_second: 8,
            channels_a_second_per_account: 2000,
            name_lookups: 256,
            broker_packets_a_second: relay::limits::BROKER_PACKETS_PER_SECOND,
            broker_bytes_a_second: relay::limits::BROKER_BYTES_PER_SECOND,
            memory: 1024,
            memory_per_account: 512,
            log_lines_a_second: 2000,
            messages_a_second: relay::limits::MESSAGES_PER_SECOND,
            authorization_timeout: Duration::from_mins(1),
            drain_timeout: Duration::from_secs(5),
            farewell_timeout: Duration::from_secs(2),
            resolve_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(15),
            reconnect_delay: relay::limits::RECONNECT_DELAY.into(),
            log_lines: 10_000,
            log_age: Duration::from_hours(7 * 24),
            log_prune_interval: Duration::from_mins(1),
        }
    }
}

impl Limits {
    /// Removes the limits for a single source, account and device: for virtual devices, which are all on this machine
    /// and whose time may run faster.
    pub fn allow_single_source(&mut self) {
        self.connections_per_source = self.connections;
        self.connections_per_account = self.connections;
        self.handshakes_per_source = self.handshakes;
        self.handshakes_a_second_per_source = 0;
        self.connections_a_second_per_device = 0;
        self.outbound_connections_per_account = self.outbound_connections;
    }
}
