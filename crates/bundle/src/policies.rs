//! Policies: a bundle's settings for the device's behaviour. Zero or an empty value leaves the choice to the device.

/// All policies of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policies {
    /// Debugging.
    pub debug: DebugPolicy,
    /// Restarts after a crash.
    pub crash: CrashPolicy,
    /// Updates.
    pub update: UpdatePolicy,
    /// The network.
    pub connectivity: ConnectivityPolicy,
}

/// Debugging.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DebugPolicy {
    /// Whether the application can be debugged without a key.
    pub debuggable: bool,
    /// The public half of the key that authorizes debugging: empty, or an uncompressed point on P-256.
    pub auth_pubkey: Vec<u8>,
}

/// Restarts after a crash. The pause doubles from the minimum to the maximum, so that an application that always
/// crashes does not occupy the device (D73).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CrashPolicy {
    /// The first pause, in milliseconds.
    pub minimum_restart_ms: u32,
    /// The longest pause, in milliseconds.
    pub maximum_restart_ms: u32,
    /// The public key that crash reports are encrypted to, or empty.
    pub report_pubkey: Vec<u8>,
    /// Bytes of the stack that a crash report may contain.
    pub include_stack_bytes: u32,
}

/// Updates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpdatePolicy {
    /// How long an update waits for the application's consent, in seconds.
    pub maximum_politeness_time_sec: u32,
    /// The oldest kernel the application runs on.
    pub minimum_kernel_version: u32,
}

/// The network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnectivityPolicy {
    /// How long the link stays connected after the application has released it, in seconds: an application that soon
    /// requests the network again does not wait for a new connection (D24).
    pub connection_grace_time_sec: u32,
    /// Longest time without a connection, in seconds: after it the device connects to check in (N16).
    pub minimum_check_in_time_sec: u32,
}
