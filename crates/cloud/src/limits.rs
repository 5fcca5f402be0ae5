//! Every bound of the cloud, with the value it has unless the operator says otherwise.

use std::time::Duration;

pub(crate) mod descriptors;
mod table;

pub use descriptors::{LoweredLimit, RESERVED_DESCRIPTORS};
pub use table::{LIMITS, LimitError, LimitSpec};

/// Longest key of a configuration item or secret, in characters, all printable ASCII (D63).
pub const MAX_KEY: usize = 100;

/// Longest value of a configuration item or secret, in bytes of UTF-8.
pub const MAX_VALUE: usize = 4096;

/// Longest unique name of a device, in bytes.
pub const MAX_NAME: usize = 64;

/// Bytes taken from a socket at a time. The buffer is on the stack of the worker, so that an idle connection owns none.
pub const READ_CHUNK: usize = 8 * 1024;

/// Bytes waiting to go to a device above which nothing more is read from it.
pub const DEVICE_BACKLOG: usize = 128 * 1024;

/// Log lines of a device that are not safe in the store above which nothing more is read from it, and bytes of their texts.
pub const LOG_BACKLOG: usize = 256;

/// The bytes: as many as a device's kernel keeps at most until they are acknowledged, 128 lines of full length. So no device whose
/// lines the store does not take is held back, and its PINGs with them, unless it breaks the kernel's own bounds.
pub const LOG_BACKLOG_BYTES: usize = 128 * link::limits::MAX_LOG_TEXT;

/// Rounds one device's task may take before it lets others run.
pub const SESSION_ROUNDS: usize = 16;

/// Log lines waiting, all devices together, above which a connection that ends takes its waiting lines along.
pub const MAX_ORPHANED_LOG_LINES: usize = 16 * 1024;

/// Log lines removed in one transaction, and the pause behind it, in which others write.
pub const LOG_PRUNE_CHUNK: u32 = 2000;

/// The pause.
pub const LOG_PRUNE_PAUSE: Duration = Duration::from_millis(5);

/// Devices waiting to be noted as connected above which more are not noted.
pub const SEEN_BACKLOG: usize = 1024;

/// Log lines written in one transaction, which is one wait for the disk.
pub const LOG_BATCH: usize = 1024;

/// Events a slow listener may be behind before it misses some.
pub const EVENT_QUEUE: usize = 1024;

/// Host names one device may have looked up at a time: as many as a kernel has channels.
pub const LOOKUPS_PER_DEVICE: usize = 4;

/// Look-ups of host names that wait for others to end, above which more are refused.
pub const WAITING_LOOKUPS: usize = 4096;

/// Answers of name servers that are kept.
pub const CACHED_ANSWERS: u64 = 1024;

/// How long an answer is kept at most, whatever time to live it has.
pub const LONGEST_CACHED: Duration = Duration::from_mins(5);

/// Names that could not be looked up and are remembered.
pub const CACHED_FAILURES: u64 = 1024;

/// How long it is remembered at most that a name could not be looked up.
pub const LONGEST_CACHED_FAILURE: Duration = Duration::from_secs(5);

/// Once a name has an address of IPv4 or IPv6, how long the other kind is waited for.
pub const OTHER_FAMILY_TIMEOUT: Duration = Duration::from_millis(250);

/// How often the resolver's configuration is looked at for changes.
pub const RESOLVER_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// How old what is known of this machine's own addresses may be when a connection is judged.
pub const INTERFACES_INTERVAL: Duration = Duration::from_secs(1);

/// Seconds of [`Limits::channels_a_second`] that may come at once.
pub const CHANNEL_BURST_SECONDS: u32 = 2;

/// Bytes a connection to a broker or server is reckoned to take beside what waits on it: TLS state and buffers.
pub const CONNECTION_BYTES: usize = 32 * 1024;

/// Bytes a device may always hold, however short memory is, so that it can go on with what is small.
pub const MIN_DEVICE_MEMORY: usize = 32 * 1024;

/// How long a device that holds more than its part may be throttled before it is disconnected.
pub const MAX_THROTTLE_TIME: Duration = Duration::from_secs(30);

/// Bytes of an HTTP connection's buffer at most, unless the device's own room is larger; hyper takes no less.
pub const HTTP_BUFFER: usize = 8 * 1024;

/// Bytes the head of an HTTP response may have beyond the room the device has for headers: the status line, line ends, blanks.
pub const HTTP_HEAD: usize = 1024;

/// Interim (1xx) responses a server may send before the response.
pub const INTERIM_RESPONSES: usize = 8;

/// Bytes a response may take on the wire for each byte the device has room for: chunks may be small.
pub const HTTP_OVERHEAD: usize = 8;

/// Addresses of one name that are tried.
pub const DIALLED_ADDRESSES: usize = 4;

/// Connections to the database that only read whether devices may be connected.
pub const DATABASE_AUTHORIZATION_CONNECTIONS: u32 = 2;

/// Connections to the database for all else that reads.
pub const DATABASE_READ_CONNECTIONS: u32 = 3;

/// Connections to the database that write: the log writer's, and those of what is noted beside it.
pub const DATABASE_WRITE_CONNECTIONS: u32 = 4;

/// Time for a connection to the database, where it is another machine's.
pub const DATABASE_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long anything waits for the database before it fails.
pub const DATABASE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a running cloud notes who is connected, for other processes on its data folder.
pub const PRESENCE_INTERVAL: Duration = Duration::from_secs(1);

/// How often a running cloud looks whom other processes have revoked, and whose log lines they want.
pub const REVOCATION_INTERVAL: Duration = Duration::from_secs(1);

/// Time such a look may take before it has failed.
pub const REVOCATION_TIMEOUT: Duration = Duration::from_secs(5);

/// Shortest time between two log lines about the same background trouble; those between are left out.
pub const TROUBLE_REPORT_INTERVAL: Duration = Duration::from_mins(1);

/// Pause before a background task that has panicked is started again.
pub const TASK_RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Panics of one background task within [`TASK_PANIC_PERIOD`] after which it is given up, and the cloud with it.
pub const TASK_PANICS: usize = 5;

/// The period.
pub const TASK_PANIC_PERIOD: Duration = Duration::from_mins(1);

/// How long the wall clock given to a device stays good before it is told again (D25).
pub const WALL_CLOCK_INTERVAL: Duration = Duration::from_hours(1);

/// Time a connection has for its first byte. A device speaks first, and at once.
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes of a TLS connection that make no whole record or handshake message yet. A record of greatest length fits; so does the whole
/// of what a device sends in its handshake.
pub const UNFINISHED_TLS: usize = 20 * 1024;

/// Age from which an unfinished handshake makes room for another one of the same source.
pub const HANDSHAKE_GRACE: Duration = Duration::from_millis(500);

/// How long a refusal of a device is remembered and repeated without asking the store. What lets a device in again is delayed by no
/// more.
pub const REFUSED_DURATION: Duration = Duration::from_secs(1);

/// Refused devices that are remembered.
pub const REFUSED_DEVICES: usize = 4096;

/// Shortest time between two log lines about refused connections; those between are counted.
pub const REFUSAL_REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Pause after the operating system refused to give out a connection (no file descriptors left, for one).
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Seconds of a rate that may come at once before it is held to.
pub const BURST_SECONDS: u32 = 10;

/// The same for new connections, each of which costs a handshake's computations.
pub const HANDSHAKE_BURST_SECONDS: u32 = 2;

/// Sources of connections, and devices, whose rate is remembered at a time.
pub const RATED_SOURCES: usize = 10_000;

/// Time after which lines that were dropped are said to have been, if no other line comes before.
pub const DROPPED_LINES_REPORT_DELAY: Duration = Duration::from_secs(1);

/// Connections at a time to the port for health and metrics.
pub const MONITOR_CONNECTIONS: usize = 32;

/// Of these, from one address. The oldest makes room for the next.
pub const MONITOR_CONNECTIONS_PER_SOURCE: usize = 16;

/// Time one of them has for its request.
pub const MONITOR_REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// Time one of them has for all it wants.
pub const MONITOR_TIMEOUT: Duration = Duration::from_secs(10);

/// Time the store has to show that it can be written.
pub const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// Shortest time between two attempts to write that only serve to know whether the store can be written.
pub const READY_INTERVAL: Duration = Duration::from_secs(1);

/// Bounds an operator may set.
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
    /// Connections a second of one device, [`BURST_SECONDS`] at once; 0 is no limit. A kernel waits longer between two attempts.
    pub connections_a_second_per_device: u32,
    /// Time a connection has for the TLS handshake.
    pub handshake_timeout: Duration,
    /// Seconds a device may be silent before it must say that it is there.
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
    /// Channels a second one device opens, and with them connects to brokers, HTTP requests and configuration fetches that begin:
    /// what a kernel allows its application (D30), [`CHANNEL_BURST_SECONDS`] of them at once; 0 is no limit.
    pub channels_a_second: u32,
    /// The same for all devices of one account together, [`BURST_SECONDS`] at once.
    pub channels_a_second_per_account: u32,
    /// Host names being looked up at a time, all devices together; each takes two sockets.
    pub name_lookups: usize,
    /// Packets a second read from one broker though no message and no answer comes of them; 0 is no limit (D180).
    pub broker_packets_a_second: u32,
    /// The same in bytes.
    pub broker_bytes_a_second: u32,
    /// MiB held for all devices together: messages and requests on their way, and connections (D183).
    pub memory: usize,
    /// The same for all devices of one account.
    pub memory_per_account: usize,
    /// Log lines a second of one device; beyond, lines are dropped and their number is told in the log. 0 is no limit.
    pub log_lines_a_second: u32,
    /// Messages a second one channel may receive (D51).
    pub messages_a_second: u32,
    /// How long devices stay connected while the cloud cannot read whether they may be (D162).
    pub authorization_timeout: Duration,
    /// Time what is in flight has to be answered when the cloud stops.
    pub drain_timeout: Duration,
    /// Time a session has for its last words before the connection is dropped, also when the cloud stops.
    pub farewell_timeout: Duration,
    /// Time a name look-up may take.
    pub resolve_timeout: Duration,
    /// Time a broker has for TCP and TLS, name look-up not counted.
    pub connect_timeout: Duration,
    /// Longest time a connect waits after earlier ones to the same broker failed; 0 is no waiting (D197).
    pub reconnect_delay: Duration,
    /// Log lines kept for one device; older ones go.
    pub log_lines: u32,
    /// How long a log line is kept.
    pub log_age: Duration,
    /// How often log lines beyond these two are removed.
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
    /// Lets one source and one account have all there is, at any rate, and a device come as often as it likes: for virtual devices that
    /// come from this machine and whose time may go faster.
    pub fn allow_single_source(&mut self) {
        self.connections_per_source = self.connections;
        self.connections_per_account = self.connections;
        self.handshakes_per_source = self.handshakes;
        self.handshakes_a_second_per_source = 0;
        self.connections_a_second_per_device = 0;
        self.outbound_connections_per_account = self.outbound_connections;
    }
}
