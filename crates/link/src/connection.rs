//! Frames of the connection itself, channel 0 (link.md §4).

use sansio::{Duration, Instant, WallTime};

use crate::bytes::{Reader, Writer};
use crate::limits::{MAX_BYE_TEXT, MAX_KEEPALIVE, MAX_LOG_TEXT, MIN_KEEPALIVE, MIN_WINDOW};
use crate::violation::{self, Violation};

/// Bytes of a SHA-256 hash.
pub const IMAGE_HASH: usize = 32;

/// The device's first frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Version of the link the device speaks.
    pub version: u32,
    /// Random, new at each start of the device.
    pub boot: u32,
    /// The public header's wake reason.
    pub wake_reason: u8,
    /// The device's clock, which starts with it.
    pub clock: Instant,
    /// SHA-256 of the application image, zero if there is none.
    pub image: [u8; IMAGE_HASH],
}

impl Hello {
    /// Bytes the longest body this version writes can have.
    pub const MAX: usize = 5 + 4 + 1 + 10 + IMAGE_HASH;

    /// Writes the body and returns its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.varint32(self.version);
        writer.bytes(&self.boot.to_le_bytes());
        writer.u8(self.wake_reason);
        writer.varint64(self.clock.as_micros());
        writer.bytes(&self.image);
        writer.written()
    }

    /// Reads a body; bytes after the fields of this version are ignored.
    pub fn decode(body: &[u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let version = reader.varint32()?;
        let boot = u32::from_le_bytes(array(reader.bytes(4)?));
        let wake_reason = reader.u8()?;
        let clock = Instant::from_micros(reader.varint64()?);
        let image = array(reader.bytes(IMAGE_HASH)?);
        Ok(Self { version, boot, wake_reason, clock, image })
    }
}

/// The cloud's answer to [`Hello`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Version of the link the connection speaks.
    pub version: u32,
    /// The keepalive interval, [`MIN_KEEPALIVE`] to [`MAX_KEEPALIVE`], in whole seconds.
    pub keepalive: Duration,
    /// Each channel's window towards the cloud, bytes, at least [`MIN_WINDOW`].
    pub window: u32,
    /// The cloud's time of day.
    pub wall: WallTime,
    /// Whether the device's log messages are wanted.
    pub logging: bool,
}

impl Welcome {
    /// Bytes the longest body this version writes can have.
    pub const MAX: usize = 5 + 5 + 5 + 10 + 1;

    /// Writes the body and returns its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.varint32(self.version);
        writer.varint32(self.keepalive.as_secs() as u32);
        writer.varint32(self.window);
        writer.varint64(self.wall.as_micros());
        writer.u8(u8::from(self.logging));
        writer.written()
    }

    /// Reads a body; bytes after the fields of this version are ignored.
    pub fn decode(body: &[u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let version = reader.varint32()?;
        let keepalive = Duration::from_secs(u64::from(reader.varint32()?));
        let window = reader.varint32()?;
        let wall = WallTime::from_micros(reader.varint64()?);
        let logging = flag(reader.u8()?)?;
        if keepalive < MIN_KEEPALIVE || keepalive > MAX_KEEPALIVE || window < MIN_WINDOW {
            return Err(violation::VALUE_OUT_OF_RANGE);
        }
        Ok(Self { version, keepalive, window, wall, logging })
    }
}

/// What precedes the text of a log message. Number and time are the device's, so that the cloud can show gaps and
/// when a message that had to wait was posted (D70).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// The message's number since the device started, from 1.
    pub sequence: u32,
    /// The device's clock when it was posted.
    pub clock: Instant,
}

impl LogHead {
    /// Bytes the longest head can have.
    pub const MAX: usize = 5 + 10;

    /// Writes what precedes the text and returns its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.varint32(self.sequence);
        writer.varint64(self.clock.as_micros());
        writer.written()
    }

    /// Reads a whole body: the head and the text.
    pub fn decode(body: &[u8]) -> Result<(Self, &[u8]), Violation> {
        let mut reader = Reader::new(body);
        let head = Self { sequence: reader.varint32()?, clock: Instant::from_micros(reader.varint64()?) };
        let text = reader.rest();
        if head.sequence == 0 {
            return Err(violation::VALUE_OUT_OF_RANGE);
        }
        if text.len() > MAX_LOG_TEXT {
            return Err(violation::BODY_TOO_LONG);
        }
        Ok((head, text))
    }
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByeReason {
    /// The connection is no longer needed.
    Done,
    /// The version of `HELLO` is not spoken.
    Version,
    /// The peer broke a rule; the text names it.
    Violation,
    /// The same device has a newer connection.
    Replaced,
    /// The sender shuts down.
    ShuttingDown,
    /// The device is no longer allowed to connect.
    Revoked,
    /// Nothing was received for too long.
    Keepalive,
    /// The cloud has no room for the device now.
    Overloaded,
    /// An error of the sender's own.
    Internal,
    /// A reason of a later version.
    Other(u32),
}

impl ByeReason {
    /// The word for it in logs, metrics and events.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Version => "version",
            Self::Violation => "violation",
            Self::Replaced => "replaced",
            Self::ShuttingDown => "shutting_down",
            Self::Revoked => "revoked",
            Self::Keepalive => "keepalive",
            Self::Overloaded => "overloaded",
            Self::Internal => "internal",
            Self::Other(_) => "other",
        }
    }

    /// The code on the wire.
    pub const fn code(self) -> u32 {
        match self {
            Self::Done => 0,
            Self::Version => 1,
            Self::Violation => 2,
            Self::Replaced => 3,
            Self::ShuttingDown => 4,
            Self::Revoked => 5,
            Self::Keepalive => 6,
            Self::Overloaded => 7,
            Self::Internal => 8,
            Self::Other(code) => code,
        }
    }

    /// The reason with this code. An unknown one is no violation, because the connection ends anyway.
    pub const fn from_code(code: u32) -> Self {
        match code {
            0 => Self::Done,
            1 => Self::Version,
            2 => Self::Violation,
            3 => Self::Replaced,
            4 => Self::ShuttingDown,
            5 => Self::Revoked,
            6 => Self::Keepalive,
            7 => Self::Overloaded,
            8 => Self::Internal,
            code => Self::Other(code),
        }
    }
}

/// Bytes the longest body of a `BYE` can have.
const MAX_BYE: usize = 5 + MAX_BYE_TEXT;

/// The last frame of either end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bye<'a> {
    /// Why.
    pub reason: ByeReason,
    /// The same in words, for logs; at most [`MAX_BYE_TEXT`] bytes.
    pub text: &'a [u8],
}

impl<'a> Bye<'a> {
    /// Bytes the longest body can have.
    pub const MAX: usize = MAX_BYE;

    /// Writes the body, the text cut to what is allowed, and returns its length.
    pub fn encode(&self, out: &mut [u8; MAX_BYE]) -> usize {
        let mut writer = Writer::new(out);
        writer.varint32(self.reason.code());
        writer.bytes(&self.text[..self.text.len().min(MAX_BYE_TEXT)]);
        writer.written()
    }

    /// Reads a body.
    pub fn decode(body: &'a [u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let reason = ByeReason::from_code(reader.varint32()?);
        let text = reader.rest();
        if text.len() > MAX_BYE_TEXT {
            return Err(violation::BODY_TOO_LONG);
        }
        Ok(Self { reason, text })
    }
}

/// Reads a body of one 32-bit number: the token of `PING` and `PONG`, the sequence of `LOG_TAKEN`.
pub fn decode_number(body: &[u8]) -> Result<u32, Violation> {
    let mut reader = Reader::new(body);
    let number = reader.varint32()?;
    reader.end()?;
    Ok(number)
}

/// Reads the body of `TIME`: the cloud's time of day.
pub fn decode_time(body: &[u8]) -> Result<WallTime, Violation> {
    let mut reader = Reader::new(body);
    let wall = WallTime::from_micros(reader.varint64()?);
    reader.end()?;
    Ok(wall)
}

/// Reads the body of `LOGGING`: whether log messages are wanted from now on.
pub fn decode_logging(body: &[u8]) -> Result<bool, Violation> {
    let mut reader = Reader::new(body);
    let enabled = flag(reader.u8()?)?;
    reader.end()?;
    Ok(enabled)
}

fn flag(byte: u8) -> Result<bool, Violation> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(violation::VALUE_OUT_OF_RANGE),
    }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}
