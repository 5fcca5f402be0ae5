//! The two clocks: microseconds since the start, and the time of day as the cloud tells it (D25).

use abi::Status;
use sansio::{Instant, WallTime};

use crate::Kernel;
use crate::limits::CLOCK_SYNC_INTERVAL;
use crate::memory::{Output, Phase as _};
use crate::port::Port;

/// The time of day, as a moment of the device's own clock.
pub(crate) struct WallClock {
    /// What the cloud said last, and when.
    set: Option<(WallTime, Instant)>,
    /// When it is to be asked for again.
    ask_at: Instant,
    /// Only the first time the cloud tells counts.
    free: bool,
}

impl WallClock {
    pub(crate) const fn new() -> Self {
        Self { set: None, ask_at: Instant::ZERO, free: false }
    }

    /// Whether the cloud has ever told the time.
    pub(crate) fn is_set(&self) -> bool {
        self.set.is_some()
    }

    /// Takes the time from the cloud; it may jump either way.
    pub(crate) fn set(&mut self, now: Instant, wall: WallTime) {
        if !self.free || self.set.is_none() {
            self.set = Some((wall, now));
        }
        self.asked(now);
    }

    /// From now on it goes by the device's time alone, once it is set.
    pub(crate) fn run_free(&mut self) {
        self.free = true;
    }

    /// The time of day now.
    fn read(&self, now: Instant) -> Option<WallTime> {
        self.set.map(|(wall, at)| wall + now.duration_since(at))
    }

    /// It has been asked for.
    pub(crate) fn asked(&mut self, now: Instant) {
        self.ask_at = now + CLOCK_SYNC_INTERVAL;
    }

    /// When to ask again, over a link that is open (D25).
    pub(crate) fn ask_at(&self) -> Instant {
        self.ask_at
    }
}

/// `mvGetMicroseconds`.
pub(crate) fn microseconds(port: &mut Port<'_>, to: u32) -> Result<(), Status> {
    let to = Output::<8>::claim(port.memory, to).early()?;
    to.put(port.memory, port.now.as_micros().to_le_bytes()).early()
}

impl Kernel {
    /// `mvGetWallTime`.
    pub(crate) fn wall_time(&self, port: &mut Port<'_>, to: u32) -> Result<(), Status> {
        let wall = self.clock.read(port.now).ok_or(Status::TimeNotSet)?;
        let to = Output::<8>::claim(port.memory, to).early()?;
        to.put(port.memory, wall.as_micros().to_le_bytes()).early()
    }
}
