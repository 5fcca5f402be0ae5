//! Requests to a broker, their answers, and messages (link.md §5, §5.1).
//!
//! The device writes a request part by part into the application's send ring: the `*Head` types and
//! [`crate::bytes::prefix`] give each part and, beforehand, its length. The cloud reads a whole item from contiguous
//! bytes.

use crate::bytes::{Reader, Writer};
use crate::limits::PUBLISH_SLOTS;
use crate::violation::{self, Violation};

mod connect;
mod message;
mod publish;
mod subscribe;

pub use connect::{Connect, ConnectHead, Credentials, Tls, Will, WillOptions};
pub use message::{Acknowledge, LostHead, MessageHead};
pub use publish::{Publish, PublishHead, Published, Topic, TopicHead, TopicRef};
pub use subscribe::{FilterCodes, Subscribe, SubscribeOptions, Unsubscribe};

const QOS: u8 = 0x01;
const RETAIN: u8 = 0x02;

/// How a request ended, which every response says (M14); the codes are the public header's, so that the kernel passes
/// them on as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// Done, as far as the broker confirms it: connected, or the message accepted (M15, M56, M64).
    Completed,
    /// A value that is not relayed to a broker (M16).
    InvalidParameters,
    /// A channel is for one connection, and there has been a connect on it (M17).
    AlreadyConnected,
    /// There is no broker connection, or no longer (M18).
    NotConnected,
    /// The broker's name does not resolve: no connection was tried (M19).
    NameNotResolved,
    /// The broker's certificate leads to no known authority (M20).
    UnknownCa,
    /// The broker's certificate has expired: the guide has no such state, but the header does, and its numbers count
    /// (M21).
    CertificateExpired,
    /// The connection could not be made, for any cause without a state of its own (M21, D190).
    SocketError,
    /// The broker sent more messages than the account may receive, so the cloud ended the connection (M22, D51).
    CircuitBreaker,
}

impl RequestState {
    /// The code on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Completed => 0,
            Self::InvalidParameters => 1,
            Self::AlreadyConnected => 2,
            Self::NotConnected => 3,
            Self::NameNotResolved => 4,
            Self::UnknownCa => 5,
            Self::CertificateExpired => 6,
            Self::SocketError => 7,
            Self::CircuitBreaker => 8,
        }
    }

    /// The state with this code.
    pub const fn from_code(code: u8) -> Result<Self, Violation> {
        match code {
            0 => Ok(Self::Completed),
            1 => Ok(Self::InvalidParameters),
            2 => Ok(Self::AlreadyConnected),
            3 => Ok(Self::NotConnected),
            4 => Ok(Self::NameNotResolved),
            5 => Ok(Self::UnknownCa),
            6 => Ok(Self::CertificateExpired),
            7 => Ok(Self::SocketError),
            8 => Ok(Self::CircuitBreaker),
            _ => Err(violation::VALUE_OUT_OF_RANGE),
        }
    }
}

/// Why a message was lost; the codes are the public header's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostReason {
    /// It is larger than the receive ring, so waiting would not help; any other message waits for room (D49).
    ReceiveBufferTooSmall,
}

impl LostReason {
    /// The code on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::ReceiveBufferTooSmall => 0,
        }
    }

    /// The reason with this code.
    pub const fn from_code(code: u8) -> Result<Self, Violation> {
        match code {
            0 => Ok(Self::ReceiveBufferTooSmall),
            _ => Err(violation::VALUE_OUT_OF_RANGE),
        }
    }
}

/// The slots of a channel's publishes in flight, as bits. Each end has one set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishSlots(u16);

impl PublishSlots {
    /// Takes the lowest free slot. `None` with 16 in flight, the limit that bounds what both ends store (D45).
    pub fn take(&mut self) -> Option<u8> {
        let slot = self.0.trailing_ones() as u8;
        (slot < PUBLISH_SLOTS).then(|| {
            self.0 |= 1 << slot;
            slot
        })
    }

    /// Marks the slot of a received `PUBLISH`.
    pub fn occupy(&mut self, slot: u8) -> Result<(), Violation> {
        let bit = Self::bit(slot)?;
        if self.0 & bit != 0 {
            return Err(violation::SLOT_IN_USE);
        }
        self.0 |= bit;
        Ok(())
    }

    /// Frees the slot of a `PUBLISHED`.
    pub fn release(&mut self, slot: u8) -> Result<(), Violation> {
        let bit = Self::bit(slot)?;
        if self.0 & bit == 0 {
            return Err(violation::UNEXPECTED_ANSWER);
        }
        self.0 &= !bit;
        Ok(())
    }

    /// The slots in flight, lowest first.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..PUBLISH_SLOTS).filter(move |slot| self.0 & 1 << slot != 0)
    }

    /// Whether none is in flight.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn bit(slot: u8) -> Result<u16, Violation> {
        if slot < PUBLISH_SLOTS { Ok(1 << slot) } else { Err(violation::VALUE_OUT_OF_RANGE) }
    }
}

/// The answer to `CONNECT` and, with another kind, to `DISCONNECT` or a broker's own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How the request ended.
    pub state: RequestState,
    /// The broker's reason code.
    pub reason: u32,
}

impl Outcome {
    /// Bytes the longest body can have.
    pub const MAX: usize = 1 + 5;

    /// Writes the body and returns its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.u8(self.state.code());
        writer.varint32(self.reason);
        writer.written()
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let outcome = Self { state: RequestState::from_code(reader.u8()?)?, reason: reader.varint32()? };
        reader.end()?;
        Ok(outcome)
    }
}

const fn bit(set: bool, mask: u8) -> u8 {
    if set { mask } else { 0 }
}
