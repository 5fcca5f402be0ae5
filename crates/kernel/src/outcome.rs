//! What a system call makes the port do.

use abi::Status;
use abi::power::{DeepSleepMode, PowerSavingMode};
use sansio::Instant;

/// What the port does with the processor after a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Return to the caller with this status in r0.
    Status(Status),
    /// Save power until an interrupt that the application has enabled is pending, driving the kernel as usual
    /// meanwhile; then return to the caller with `OKAY`.
    Sleep {
        /// How deeply.
        mode: PowerSavingMode,
    },
    /// Save as much power as possible: RAM is lost, and the device starts again at the next reason to wake. That is a
    /// cold boot after a shutdown, and one of the `DEEPSLEEP` reasons after standby.
    DeepSleep {
        /// How deeply.
        mode: DeepSleepMode,
        /// When to wake at the latest, as
        /// [`WakeReason::DeepSleepCheckIn`](abi::power::WakeReason::DeepSleepCheckIn) (N16).
        check_in_at: Instant,
    },
    /// Apply the update that has been downloaded, if there is one, and restart the application or the device.
    Restart,
    /// The factory test is complete: never return to it. With 0 the final application is installed if there is
    /// one; with any other status nothing runs until the next reset, which repeats the test.
    TestingComplete {
        /// 0 for passed.
        status: u32,
    },
    /// The application branched to an address without a call, which is an application fault (D07).
    Fault,
}
