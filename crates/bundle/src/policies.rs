//! What a bundle says of the device's behaviour. A zero, or nothing, leaves the choice to the device.

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policies {
    /// Debugging.
    pub debug: Debug,
    /// Restarts after a crash.
    pub crash: Crash,
    /// Taking updates.
    pub update: Update,
    /// The network.
    pub connectivity: Connectivity,
}

/// Debugging.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Debug {
    /// Whether the application can be debugged without a key.
    pub debuggable: bool,
    /// The public half of the key that opens a debugging session: empty, or an uncompressed point on P-256.
    pub auth_pubkey: Vec<u8>,
}

/// Restarts after a crash (D73).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Crash {
    /// The first pause, in milliseconds.
    pub minimum_restart_ms: u32,
    /// The longest pause, in milliseconds.
    pub maximum_restart_ms: u32,
    /// For whom crash reports are encrypted: empty, or a public key.
    pub report_pubkey: Vec<u8>,
    /// How many bytes of the stack a crash report may hold.
    pub include_stack_bytes: u32,
}

/// Taking updates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Update {
    /// How long an update waits for an application that does not answer, in seconds.
    pub maximum_politeness_time_sec: u32,
    /// The oldest kernel the application runs on.
    pub minimum_kernel_version: u32,
}

/// The network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Connectivity {
    /// How long the link stays after the application has released it, in seconds (D24).
    pub connection_grace_time_sec: u32,
    /// Longest time without a connection, in seconds (N16).
    pub minimum_check_in_time_sec: u32,
}
