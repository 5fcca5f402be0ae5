//! Frames that every type of channel has: opening, closing and credit (link.md §5, §6).

use crate::bytes::{Reader, Writer};
use crate::violation::{self, Violation};

/// What a channel carries; the codes are the public header's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelType {
    /// Bytes that neither end interprets.
    OpaqueBytes,
    /// One broker connection, so that the channel ends with it (M05, M17).
    Mqtt,
    /// One HTTP exchange.
    Http,
    /// One fetch of configuration items.
    ConfigFetch,
}

impl ChannelType {
    /// The code on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::OpaqueBytes => 0,
            Self::Mqtt => 1,
            Self::Http => 2,
            Self::ConfigFetch => 3,
        }
    }

    /// The type with this code.
    pub const fn from_code(code: u8) -> Result<Self, Violation> {
        match code {
            0 => Ok(Self::OpaqueBytes),
            1 => Ok(Self::Mqtt),
            2 => Ok(Self::Http),
            3 => Ok(Self::ConfigFetch),
            _ => Err(violation::VALUE_OUT_OF_RANGE),
        }
    }
}

/// Why a channel ended; the codes are the public header's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosureReason {
    /// No reason to give.
    None,
    /// The server closed the connection properly.
    ClosedByServer,
    /// The server reset the connection.
    ResetByServer,
    /// The device's network was lost. Never sent: the kernel gives it to the application itself.
    NetworkDisconnected,
    /// The cloud ended the connection.
    ConnectionTerminated,
    /// The channel is not open yet. Never sent.
    NotYetOpen,
    /// The application closed the channel: the answer to `CLOSE`.
    ClosedByApplication,
    /// The connection ended without the closing handshake of its protocol.
    UnexpectedlyTerminated,
}

impl ClosureReason {
    /// The code on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::ClosedByServer => 1,
            Self::ResetByServer => 2,
            Self::NetworkDisconnected => 3,
            Self::ConnectionTerminated => 4,
            Self::NotYetOpen => 5,
            Self::ClosedByApplication => 6,
            Self::UnexpectedlyTerminated => 7,
        }
    }

    /// The reason with this code.
    pub const fn from_code(code: u8) -> Result<Self, Violation> {
        match code {
            0 => Ok(Self::None),
            1 => Ok(Self::ClosedByServer),
            2 => Ok(Self::ResetByServer),
            3 => Ok(Self::NetworkDisconnected),
            4 => Ok(Self::ConnectionTerminated),
            5 => Ok(Self::NotYetOpen),
            6 => Ok(Self::ClosedByApplication),
            7 => Ok(Self::UnexpectedlyTerminated),
            _ => Err(violation::VALUE_OUT_OF_RANGE),
        }
    }
}

/// The device opens a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// What it will carry.
    pub channel_type: ChannelType,
    /// Bytes of the application's receive ring.
    pub ring: u32,
}

impl Open {
    /// Bytes the longest body can have.
    pub const MAX: usize = 1 + 5;

    /// Writes the body and returns its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.u8(self.channel_type.code());
        writer.varint32(self.ring);
        writer.written()
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let open = Self { channel_type: ChannelType::from_code(reader.u8()?)?, ring: reader.varint32()? };
        reader.end()?;
        Ok(open)
    }
}

/// Reads the body of `CLOSED`.
pub fn decode_closed(body: &[u8]) -> Result<ClosureReason, Violation> {
    let mut reader = Reader::new(body);
    let reason = ClosureReason::from_code(reader.u8()?)?;
    reader.end()?;
    Ok(reason)
}

/// The device has freed room in a receive ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingCredit {
    /// Bytes of the ring.
    pub bytes: u32,
    /// `MESSAGE` and `LOST` items.
    pub items: u32,
}

impl RingCredit {
    /// No credit.
    pub const NONE: Self = Self { bytes: 0, items: 0 };
    /// Bytes the longest body can have.
    pub const MAX: usize = 5 + 5;

    /// Writes the body and returns its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.varint32(self.bytes);
        writer.varint32(self.items);
        writer.written()
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let credit = Self { bytes: reader.varint32()?, items: reader.varint32()? };
        reader.end()?;
        Ok(credit)
    }
}

/// The cloud widens the window again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowCredit {
    /// By this many bytes.
    pub bytes: u32,
}

impl WindowCredit {
    /// Bytes the longest body can have.
    pub const MAX: usize = 5;

    /// Writes the body and returns its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.varint32(self.bytes);
        writer.written()
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let credit = Self { bytes: reader.varint32()? };
        reader.end()?;
        Ok(credit)
    }
}
