//! What the kernel is given at its start.

use abi::power::WakeReason;

/// What the kernel is given once, when the device starts.
#[derive(Clone, Debug)]
pub struct Boot {
    /// The device's identifier: `UV` and 32 hexadecimal digits.
    pub device_id: [u8; 34],
    /// Random bytes from outside, different at every start: handles, back-off and the boot id are derived from them.
    pub seed: [u8; 16],
    /// Why the device, or the application, was started.
    pub wake_reason: WakeReason,
    /// SHA-256 of the application image; zero if there is none.
    pub image: [u8; 32],
    /// What the application's bundle says about the network.
    pub policy: Policy,
    /// Whether the application is a factory test. A production application must not be able to end a test or fill its
    /// log, so the calls of tests work only there (D107).
    pub application_test: bool,
}

/// The bundle's connectivity policy. All zero, as in a bundle without one, it grants no grace time and leaves the
/// check-in interval to the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Longest time without a connection in seconds: then the kernel connects by itself, because a device that is
    /// offline would never get an update (N15, N16). 0 is
    /// [`DEFAULT_CHECK_IN_INTERVAL`](crate::limits::DEFAULT_CHECK_IN_INTERVAL), because a link that is always up would
    /// leave the application no control (D104).
    pub minimum_check_in_time_sec: u32,
    /// How long the link is kept after the application has released it, in seconds; 0 takes it down at once, which is
    /// what the guide describes (D24, N76).
    pub connection_grace_time_sec: u32,
}
