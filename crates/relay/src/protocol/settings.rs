//! How a relay works.

use sansio::{Duration, WallTime};

use super::TlsPorts;
use crate::limits;

/// How a relay works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Wall time at the moment of [`crate::DeviceRelay::new`]: the device has no clock of its own and gets it from
    /// here (D25).
    pub wall_time: WallTime,
    /// After which a device that sent nothing sends a PING (link.md §3); whole seconds.
    pub keepalive: Duration,
    /// Whether log messages are wanted.
    pub logging: bool,
    /// Whether brokers may only be reached over TLS (D42).
    pub require_tls: bool,
    /// Ports with TLS where the application gives no TLS credentials (D196).
    pub tls_ports: TlsPorts,
    /// The longest pause before a connect after earlier ones to the same broker failed, so that a broker that has just
    /// restarted is not overrun (D197); 0 is none.
    pub reconnect_delay: Duration,
    /// Messages a second one channel may receive; more end it, since an application that cannot keep up would never
    /// catch up (D51).
    pub messages_per_second: u32,
    /// Packets a second read from a broker that produce neither message nor response, and so count against no other
    /// limit (D180); 0 is no limit.
    pub broker_packets_per_second: u32,
    /// The same in bytes, since packets differ in length (D180); 0 is no limit.
    pub broker_bytes_per_second: u32,
    /// Whether [`Output::Notice`](crate::Output::Notice)s are wanted; they cost an allocation a message.
    pub notices: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            wall_time: WallTime::UNIX_EPOCH,
            keepalive: limits::KEEPALIVE,
            logging: true,
            require_tls: false,
            tls_ports: TlsPorts::default(),
            reconnect_delay: limits::RECONNECT_DELAY,
            messages_per_second: limits::MESSAGES_PER_SECOND,
            broker_packets_per_second: limits::BROKER_PACKETS_PER_SECOND,
            broker_bytes_per_second: limits::BROKER_BYTES_PER_SECOND,
            notices: false,
        }
    }
}
