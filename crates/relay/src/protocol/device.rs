//! What a device says of itself, and what it logs.

use alloc::vec::Vec;
use core::fmt;

use link::connection::Hello;
use sansio::Instant;

/// One log message.
#[derive(Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The device's number for it, from 1 at each start.
    pub sequence: u32,
    /// On the device's own clock, which starts with it.
    pub clock: Instant,
    /// The text as the application posted it, at most 1024 bytes.
    pub text: Vec<u8>,
}

impl fmt::Debug for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, clock, text } = self;
        f.debug_struct("LogLine")
            .field("sequence", sequence)
            .field("clock", clock)
            .field("text", &super::Omitted(text.len()))
            .finish()
    }
}

/// What a device said of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelloInfo {
    /// Random, new at each start of the device.
    pub boot: u32,
    /// Why it started; the public header's number.
    pub wake_reason: u8,
    /// Its own clock, which started with it.
    pub clock: Instant,
    /// SHA-256 of its application image.
    pub image: [u8; 32],
}

impl From<Hello> for HelloInfo {
    fn from(hello: Hello) -> Self {
        let Hello { boot, wake_reason, clock, image, .. } = hello;
        Self { boot, wake_reason, clock, image }
    }
}
