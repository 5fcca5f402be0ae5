//! The kinds of frames, per direction, and how long each may be (link.md §4, §5).

use crate::channel::ChannelType;
use crate::limits::{MAX_BYE_TEXT, MAX_FRAME_BODY, MAX_ITEM, MAX_LOG_TEXT, MAX_TOPIC};

/// Which way a frame goes. Kinds are read separately for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the cloud to the device.
    ToDevice,
    /// From the device to the cloud.
    ToCloud,
}

/// Kinds the device sends.
#[allow(
    missing_docs,
    reason = "the names are link.md's own, and their frames are documented where they are defined"
)]
pub mod to_cloud {
    pub const HELLO: u8 = 0;
    pub const PING: u8 = 1;
    pub const LOG: u8 = 2;
    pub const TIME_QUERY: u8 = 3;
    pub const BYE: u8 = 4;

    // Kinds are numbered separately on channel 0 and on all others.
    pub const OPEN: u8 = 0;
    pub const CLOSE: u8 = 1;
    pub const CREDIT: u8 = 2;
    pub const TOPIC: u8 = 3;
    pub const PUBLISH: u8 = 4;
    pub const CONNECT: u8 = 5;
    pub const SUBSCRIBE: u8 = 6;
    pub const UNSUBSCRIBE: u8 = 7;
    pub const DISCONNECT: u8 = 8;
    pub const ACKNOWLEDGE: u8 = 9;
    pub const HTTP_REQUEST: u8 = 10;
    pub const CONFIG_FETCH: u8 = 11;
    pub const DATA: u8 = 12;
}

/// Kinds the cloud sends.
#[allow(
    missing_docs,
    reason = "the names are link.md's own, and their frames are documented where they are defined"
)]
pub mod to_device {
    pub const WELCOME: u8 = 0;
    pub const PONG: u8 = 1;
    pub const LOG_TAKEN: u8 = 2;
    pub const TIME: u8 = 3;
    pub const BYE: u8 = 4;
    pub const LOGGING: u8 = 5;

    pub const CLOSED: u8 = 1;
    pub const CREDIT: u8 = 2;
    pub const BLOCKED: u8 = 3;
    pub const MESSAGE: u8 = 4;
    pub const LOST: u8 = 5;
    pub const PUBLISHED: u8 = 6;
    pub const CONNECTED: u8 = 7;
    pub const SUBSCRIBED: u8 = 8;
    pub const UNSUBSCRIBED: u8 = 9;
    pub const DISCONNECTED: u8 = 10;
    pub const HTTP_RESPONSE: u8 = 11;
    pub const CONFIG_RESPONSE: u8 = 12;
    pub const DATA: u8 = 13;
}

/// What the parser checks of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Bytes an item of this kind may have.
    pub max: u32,
    /// Whether the item may be cut into fragments.
    pub may_fragment: bool,
    /// Whether the frame may come between the fragments of another item of its channel.
    pub may_interleave: bool,
}

const BYE_MAX: u32 = 5 + MAX_BYE_TEXT as u32;
const LOG_MAX: u32 = 5 + 10 + MAX_LOG_TEXT as u32;

/// The shape of a kind, or `None` if the direction does not have it.
pub const fn shape(direction: Direction, channel: u8, kind: u8) -> Option<Shape> {
    match (direction, channel) {
        (Direction::ToCloud, 0) => connection_to_cloud(kind),
        (Direction::ToDevice, 0) => connection_to_device(kind),
        (Direction::ToCloud, _) => channel_to_cloud(kind),
        (Direction::ToDevice, _) => channel_to_device(kind),
    }
}

/// Whether a channel of this type has this kind of frame. All types have opening, closing and credit.
pub const fn belongs(direction: Direction, channel_type: ChannelType, kind: u8) -> bool {
    let owner = match direction {
        Direction::ToCloud => type_to_cloud(kind),
        Direction::ToDevice => type_to_device(kind),
    };
    match owner {
        Some(owner) => owner.code() == channel_type.code(),
        None => true,
    }
}

const fn type_to_cloud(kind: u8) -> Option<ChannelType> {
    match kind {
        to_cloud::TOPIC..=to_cloud::ACKNOWLEDGE => Some(ChannelType::Mqtt),
        to_cloud::HTTP_REQUEST => Some(ChannelType::Http),
        to_cloud::CONFIG_FETCH => Some(ChannelType::ConfigFetch),
        to_cloud::DATA => Some(ChannelType::OpaqueBytes),
        _ => None,
    }
}

const fn type_to_device(kind: u8) -> Option<ChannelType> {
    match kind {
        to_device::MESSAGE..=to_device::DISCONNECTED => Some(ChannelType::Mqtt),
        to_device::HTTP_RESPONSE => Some(ChannelType::Http),
        to_device::CONFIG_RESPONSE => Some(ChannelType::ConfigFetch),
        to_device::DATA => Some(ChannelType::OpaqueBytes),
        _ => None,
    }
}

const fn connection_to_cloud(kind: u8) -> Option<Shape> {
    Some(match kind {
        to_cloud::HELLO => single(MAX_FRAME_BODY as u32),
        to_cloud::PING => single(5),
        to_cloud::LOG => single(LOG_MAX),
        to_cloud::TIME_QUERY => single(0),
        to_cloud::BYE => single(BYE_MAX),
        _ => return None,
    })
}

const fn connection_to_device(kind: u8) -> Option<Shape> {
    Some(match kind {
        to_device::WELCOME => single(MAX_FRAME_BODY as u32),
        to_device::PONG => single(5),
        to_device::LOG_TAKEN => single(5),
        to_device::TIME => single(10),
        to_device::BYE => single(BYE_MAX),
        to_device::LOGGING => single(1),
        _ => return None,
    })
}

const fn channel_to_cloud(kind: u8) -> Option<Shape> {
    Some(match kind {
        to_cloud::OPEN => single(6),
        // These may come between fragments, so that an unfinished item delays neither credit nor the end.
        to_cloud::CLOSE => interleaved(0),
        to_cloud::CREDIT => interleaved(10),
        // Items longer than a frame are cut; everything else fits into one.
        to_cloud::TOPIC => fragmented(1 + MAX_TOPIC),
        to_cloud::DISCONNECT => single(0),
        to_cloud::ACKNOWLEDGE => single(5),
        to_cloud::PUBLISH..=to_cloud::UNSUBSCRIBE => fragmented(MAX_ITEM),
        to_cloud::HTTP_REQUEST..=to_cloud::DATA => fragmented(MAX_ITEM),
        _ => return None,
    })
}

const fn channel_to_device(kind: u8) -> Option<Shape> {
    Some(match kind {
        to_device::CLOSED => interleaved(1),
        to_device::CREDIT => interleaved(5),
        to_device::BLOCKED => interleaved(0),
        to_device::MESSAGE => fragmented(MAX_ITEM),
        to_device::LOST => fragmented(1 + 5 + MAX_TOPIC),
        to_device::PUBLISHED => single(1 + 5),
        to_device::CONNECTED => single(1 + 5),
        to_device::SUBSCRIBED => single(1 + 8),
        to_device::UNSUBSCRIBED => single(1 + 8),
        to_device::DISCONNECTED => single(1 + 5),
        to_device::HTTP_RESPONSE..=to_device::DATA => fragmented(MAX_ITEM),
        _ => return None,
    })
}

const fn single(max: u32) -> Shape {
    Shape { max, may_fragment: false, may_interleave: false }
}

const fn interleaved(max: u32) -> Shape {
    Shape { max, may_fragment: false, may_interleave: true }
}

const fn fragmented(max: u32) -> Shape {
    Shape { max, may_fragment: true, may_interleave: false }
}
