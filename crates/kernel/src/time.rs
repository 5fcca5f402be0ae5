//! The two clocks: microseconds since the start, and the time of day from the cloud.

use abi::Status;
use sansio::{Instant, WallTime};

use crate::limits::CLOCK_SYNC_INTERVAL;
use crate::memory::{OutParam, Phase as _};
use crate::port::Port;

/// The time of day, derived from the device's own clock and the last time the cloud sent.
pub(crate) struct WallClock {
    /// What the cloud sent last, and when it arrived.
    set: Option<(WallTime, Instant)>,
    /// When to request the time again, so that drift stays small (D25).
    next_sync: Instant,
    /// Whether only the first time from the cloud counts.
    is_free_running: bool,
}

impl WallClock {
    pub(crate) const fn new() -> Self {
        Self { set: None, next_sync: Instant::ZERO, is_free_running: false }
    }

    /// Whether the cloud has ever sent the time.
    pub(crate) fn is_set(&self) -> bool {
        self.set.is_some()
    }

    /// Sets the time of day, which may jump either way.
    pub(crate) fn set(&mut self, now: Instant, wall: WallTime) {
        if !self.is_free_running || self.set.is_none() {
            self.set = Some((wall, now));
        }
        self.on_requested(now);
    }

    /// From now on the clock follows the device's time alone, once it is set: on a device with accelerated time,
    /// setting it again each hour would set it back by most of that hour (D141).
    pub(crate) fn run_free(&mut self) {
        self.is_free_running = true;
    }

    /// The time has been requested, or has arrived without a request.
    pub(crate) fn on_requested(&mut self, now: Instant) {
        self.next_sync = now + CLOCK_SYNC_INTERVAL;
    }

    /// When to request the time again, over a link that is open.
    pub(crate) fn next_sync(&self) -> Instant {
        self.next_sync
    }

    fn now(&self, now: Instant) -> Option<WallTime> {
        self.set.map(|(wall, at)| wall + now.duration_since(at))
    }
}

/// `mvGetMicroseconds`.
pub(crate) fn microseconds(port: &mut Port<'_>, to: u32) -> Result<(), Status> {
    let to = OutParam::<8>::check(port.memory, to).early()?;
    to.write(port.memory, port.now.as_micros().to_le_bytes()).early()
}

/// `mvGetWallTime`.
pub(crate) fn wall_time(clock: &WallClock, port: &mut Port<'_>, to: u32) -> Result<(), Status> {
    let wall = clock.now(port.now).ok_or(Status::TimeNotSet)?;
    let to = OutParam::<8>::check(port.memory, to).early()?;
    to.write(port.memory, wall.as_micros().to_le_bytes()).early()
}
