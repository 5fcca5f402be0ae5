//! Requests to a broker, their answers, and messages (link.md §5, §5.1).
//!
//! The device writes requests piece by piece into the application's send ring: the `*Head` types and [`crate::bytes::prefix`]
//! give each piece and, beforehand, its length. The cloud reads a whole item from contiguous bytes.

use crate::bytes::{Reader, Strings, Writer, str_len};
use crate::limits::{FILTERS, MAX_TOPIC, PUBLISH_SLOTS, TOPIC_NUMBERS};
use crate::violation::{self, Violation};

const QOS: u8 = 0x01;
const RETAIN: u8 = 0x02;

/// How a request ended (M14); the numbers are the public header's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// Done (M15).
    Completed,
    /// A value the broker may not be sent (M16).
    InvalidParameters,
    /// A connect was tried before on this channel (M17).
    AlreadyConnected,
    /// There is no broker connection, or no longer (M18).
    NotConnected,
    /// The broker's name does not resolve (M19).
    NameNotResolved,
    /// The broker's certificate leads to no known authority (M20).
    UnknownCa,
    /// The broker's certificate has expired (M21).
    CertificateExpired,
    /// The connection could not be made (M21).
    SocketError,
    /// Ended for too many messages (M22, D51).
    CircuitBreaker,
}

impl RequestState {
    /// The number on the wire.
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

    /// The state of a number.
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

/// Why a message was lost; the numbers are the public header's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostReason {
    /// It is larger than the receive ring (D49).
    ReceiveBufferTooSmall,
}

impl LostReason {
    /// The number on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::ReceiveBufferTooSmall => 0,
        }
    }

    /// The reason of a number.
    pub const fn from_code(code: u8) -> Result<Self, Violation> {
        match code {
            0 => Ok(Self::ReceiveBufferTooSmall),
            _ => Err(violation::VALUE_OUT_OF_RANGE),
        }
    }
}

/// The slots of a channel's publishes in flight. Each end keeps one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishSlots(u16);

impl PublishSlots {
    /// Takes the lowest free slot, if there is one (D45).
    pub fn take(&mut self) -> Option<u8> {
        let slot = self.0.trailing_ones() as u8;
        (slot < PUBLISH_SLOTS).then(|| {
            self.0 |= 1 << slot;
            slot
        })
    }

    /// Marks the slot of a `PUBLISH` that came.
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
            return Err(violation::UNASKED_ANSWER);
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

/// Gives a topic a number, for the `PUBLISH` frames after it. Here as the cloud reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic<'a> {
    /// 0 to 7.
    pub number: u8,
    /// The topic's name; not yet checked.
    pub name: &'a [u8],
}

impl<'a> Topic<'a> {
    /// Bytes a body has for a name of `length` bytes: the number, then the name.
    pub const fn encoded_len(length: u32) -> u32 {
        1 + length
    }

    /// Reads a body.
    pub fn decode(body: &'a [u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let number = topic_number(reader.u8()?)?;
        Ok(Self { number, name: reader.rest() })
    }
}

fn topic_number(number: u8) -> Result<u8, Violation> {
    if number < TOPIC_NUMBERS { Ok(number) } else { Err(violation::VALUE_OUT_OF_RANGE) }
}

/// The topic of a `PUBLISH` as the device writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicHead {
    /// A number given before by `TOPIC`.
    Number(u8),
    /// A name of so many bytes; they follow the head.
    Name(u32),
}

/// What precedes the topic's name, if any, and the payload of a `PUBLISH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishHead {
    /// The device's number for the publish, 0 to 15.
    pub slot: u8,
    /// QoS 1, else 0.
    pub qos1: bool,
    /// The retain flag.
    pub retain: bool,
    /// A QoS was asked for that is not carried (D46).
    pub qos_out_of_range: bool,
    /// The topic.
    pub topic: TopicHead,
}

impl PublishHead {
    const SLOT: u8 = 0x0f;
    const QOS: u8 = 0x10;
    const RETAIN: u8 = 0x20;
    const NUMBERED: u8 = 0x40;
    const QOS_OUT_OF_RANGE: u8 = 0x80;

    /// Bytes the longest head can have.
    pub const MAX: usize = 1 + 5;

    /// Bytes the whole item has with a payload of `payload` bytes.
    pub const fn item_len(&self, payload: u32) -> u32 {
        let topic = match self.topic {
            TopicHead::Number(_) => 1,
            TopicHead::Name(length) => str_len(length),
        };
        1 + topic + payload
    }

    /// Writes the head and answers its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        let numbered = matches!(self.topic, TopicHead::Number(_));
        writer.u8(self.slot & Self::SLOT
            | bit(self.qos1, Self::QOS)
            | bit(self.retain, Self::RETAIN)
            | bit(numbered, Self::NUMBERED)
            | bit(self.qos_out_of_range, Self::QOS_OUT_OF_RANGE));
        match self.topic {
            TopicHead::Number(number) => writer.u8(number),
            TopicHead::Name(length) => writer.v(length),
        }
        writer.written()
    }
}

/// The topic of a `PUBLISH` as the cloud reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicRef<'a> {
    /// A number; never given is [`violation::UNKNOWN_TOPIC_NUMBER`].
    Number(u8),
    /// A name; not yet checked.
    Name(&'a [u8]),
}

/// A whole `PUBLISH`, as the cloud reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// The device's number for the publish, 0 to 15.
    pub slot: u8,
    /// QoS 1, else 0.
    pub qos1: bool,
    /// The retain flag.
    pub retain: bool,
    /// A QoS was asked for that is not carried; the answer is *invalid parameters* (D46).
    pub qos_out_of_range: bool,
    /// The topic.
    pub topic: TopicRef<'a>,
    /// The payload.
    pub payload: &'a [u8],
}

impl<'a> Publish<'a> {
    /// Reads a whole item.
    pub fn decode(body: &'a [u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let head = reader.u8()?;
        let topic = if head & PublishHead::NUMBERED != 0 {
            TopicRef::Number(topic_number(reader.u8()?)?)
        } else {
            TopicRef::Name(reader.str()?)
        };
        Ok(Self {
            slot: head & PublishHead::SLOT,
            qos1: head & PublishHead::QOS != 0,
            retain: head & PublishHead::RETAIN != 0,
            qos_out_of_range: head & PublishHead::QOS_OUT_OF_RANGE != 0,
            topic,
            payload: reader.rest(),
        })
    }
}

/// The first fields of a `CONNECT`; strings follow as §5.1 says.
#[allow(clippy::struct_excessive_bools, reason = "each is one flag of the frame, independent of the others")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectHead {
    /// MQTT 5, else 3.1.1 (M35).
    pub version5: bool,
    /// Start without an older session (M32).
    pub clean_start: bool,
    /// A user name and a password follow (M44).
    pub credentials: bool,
    /// A will follows (M39).
    pub will: bool,
    /// TLS credentials follow (D42).
    pub tls: bool,
    /// A value was given that may not be sent; the answer is *invalid parameters* (D46).
    pub out_of_range: bool,
    /// The broker's port (M36).
    pub port: u16,
    /// Seconds (M36).
    pub keepalive: u32,
}

impl ConnectHead {
    const VERSION5: u8 = 0x01;
    const CLEAN_START: u8 = 0x02;
    const CREDENTIALS: u8 = 0x04;
    const WILL: u8 = 0x08;
    const TLS: u8 = 0x10;
    const OUT_OF_RANGE: u8 = 0x20;
    const RESERVED: u8 = 0xc0;

    /// Bytes the longest head can have.
    pub const MAX: usize = 1 + 3 + 5;

    /// Writes the head and answers its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.u8(bit(self.version5, Self::VERSION5)
            | bit(self.clean_start, Self::CLEAN_START)
            | bit(self.credentials, Self::CREDENTIALS)
            | bit(self.will, Self::WILL)
            | bit(self.tls, Self::TLS)
            | bit(self.out_of_range, Self::OUT_OF_RANGE));
        writer.v(u32::from(self.port));
        writer.v(self.keepalive);
        writer.written()
    }

    /// Bytes the head has.
    pub fn encoded_len(&self) -> usize {
        self.encode(&mut [0; Self::MAX])
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Violation> {
        let flags = reader.u8()?;
        if flags & Self::RESERVED != 0 {
            return Err(violation::VALUE_OUT_OF_RANGE);
        }
        Ok(Self {
            version5: flags & Self::VERSION5 != 0,
            clean_start: flags & Self::CLEAN_START != 0,
            credentials: flags & Self::CREDENTIALS != 0,
            will: flags & Self::WILL != 0,
            tls: flags & Self::TLS != 0,
            out_of_range: flags & Self::OUT_OF_RANGE != 0,
            port: u16::try_from(reader.v()?).map_err(|_| violation::VALUE_OUT_OF_RANGE)?,
            keepalive: reader.v()?,
        })
    }
}

/// The byte before a will's topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WillOptions {
    /// QoS 1, else 0 (M40).
    pub qos1: bool,
    /// The retain flag (M41).
    pub retain: bool,
    /// A QoS was asked for that is not carried (D46).
    pub qos_out_of_range: bool,
}

impl WillOptions {
    const QOS_OUT_OF_RANGE: u8 = 0x04;

    /// The byte on the wire.
    pub const fn code(self) -> u8 {
        bit(self.qos1, QOS) | bit(self.retain, RETAIN) | bit(self.qos_out_of_range, Self::QOS_OUT_OF_RANGE)
    }

    /// The options of a byte.
    pub const fn from_code(code: u8) -> Result<Self, Violation> {
        if code & !(QOS | RETAIN | Self::QOS_OUT_OF_RANGE) != 0 {
            return Err(violation::VALUE_OUT_OF_RANGE);
        }
        Ok(Self {
            qos1: code & QOS != 0,
            retain: code & RETAIN != 0,
            qos_out_of_range: code & Self::QOS_OUT_OF_RANGE != 0,
        })
    }
}

/// A user name and its password (M45).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// The user name.
    pub username: &'a [u8],
    /// The password.
    pub password: &'a [u8],
}

/// A will (M38).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Will<'a> {
    /// How it is to be published.
    pub options: WillOptions,
    /// Its topic; not yet checked.
    pub topic: &'a [u8],
    /// Its payload.
    pub payload: &'a [u8],
}

/// TLS credentials (M47 to M50).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tls<'a> {
    /// Certificates of authorities, DER; none means the public ones (D42).
    pub authorities: Strings<'a>,
    /// The client's own chain, DER.
    pub chain: Strings<'a>,
    /// The client's key, PKCS#8 DER; empty for none.
    pub key: &'a [u8],
}

/// A whole `CONNECT`, as the cloud reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The first fields.
    pub head: ConnectHead,
    /// The broker's name or address.
    pub host: &'a [u8],
    /// The client id, may be empty (M31).
    pub client_id: &'a [u8],
    /// With `head.credentials`.
    pub credentials: Option<Credentials<'a>>,
    /// With `head.will`.
    pub will: Option<Will<'a>>,
    /// With `head.tls`.
    pub tls: Option<Tls<'a>>,
}

impl<'a> Connect<'a> {
    /// Reads a whole item.
    pub fn decode(body: &'a [u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let head = ConnectHead::decode(&mut reader)?;
        let host = reader.str()?;
        let client_id = reader.str()?;
        let credentials = head.credentials.then(|| Self::credentials(&mut reader)).transpose()?;
        let will = head.will.then(|| Self::will(&mut reader)).transpose()?;
        let tls = head.tls.then(|| Self::tls(&mut reader)).transpose()?;
        reader.end()?;
        Ok(Self { head, host, client_id, credentials, will, tls })
    }

    fn credentials(reader: &mut Reader<'a>) -> Result<Credentials<'a>, Violation> {
        Ok(Credentials { username: reader.str()?, password: reader.str()? })
    }

    fn will(reader: &mut Reader<'a>) -> Result<Will<'a>, Violation> {
        let options = WillOptions::from_code(reader.u8()?)?;
        Ok(Will { options, topic: reader.str()?, payload: reader.str()? })
    }

    fn tls(reader: &mut Reader<'a>) -> Result<Tls<'a>, Violation> {
        let count = reader.u8()?;
        let authorities = Strings::decode(reader, count)?;
        let count = reader.u8()?;
        let chain = Strings::decode(reader, count)?;
        Ok(Tls { authorities, chain, key: reader.str()? })
    }
}

/// The byte before a filter of `SUBSCRIBE` (M70).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// 0 or 1; 3 stands for a value the broker may not be sent (D46). 2 is no value.
    pub qos: u8,
    /// Not the client's own messages.
    pub no_local: bool,
    /// Retained messages keep their flag.
    pub retain_as_published: bool,
    /// 0 to 2; 3 stands for a value the broker may not be sent (D46).
    pub retain_handling: u8,
}

impl SubscribeOptions {
    const NO_LOCAL: u8 = 0x04;
    const RETAIN_AS_PUBLISHED: u8 = 0x08;
    const RESERVED: u8 = 0xc0;

    /// What `qos` and `retain_handling` say for a value the broker may not be sent.
    pub const OUT_OF_RANGE: u8 = 3;

    /// The byte on the wire.
    pub const fn code(self) -> u8 {
        self.qos & 3
            | bit(self.no_local, Self::NO_LOCAL)
            | bit(self.retain_as_published, Self::RETAIN_AS_PUBLISHED)
            | (self.retain_handling & 3) << 4
    }

    /// The options of a byte.
    pub const fn from_code(code: u8) -> Result<Self, Violation> {
        let qos = code & 3;
        if code & Self::RESERVED != 0 || qos == 2 {
            return Err(violation::VALUE_OUT_OF_RANGE);
        }
        Ok(Self {
            qos,
            no_local: code & Self::NO_LOCAL != 0,
            retain_as_published: code & Self::RETAIN_AS_PUBLISHED != 0,
            retain_handling: code >> 4 & 3,
        })
    }
}

/// A whole `SUBSCRIBE`, as the cloud reads it. The device writes, for each filter, the options' byte and a `str`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    encoded: &'a [u8],
}

impl<'a> Subscribe<'a> {
    /// Reads a whole item.
    pub fn decode(body: &'a [u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let mut count = 0;
        while !reader.is_empty() {
            count = one_more(count, FILTERS)?;
            SubscribeOptions::from_code(reader.u8()?)?;
            reader.str()?;
        }
        some(count)?;
        Ok(Self { encoded: body })
    }

    /// The options and filters in order, 1 to 8.
    pub fn iter(&self) -> impl Iterator<Item = (SubscribeOptions, &'a [u8])> + use<'a> {
        let mut reader = Reader::new(self.encoded);
        core::iter::from_fn(move || {
            let options = SubscribeOptions::from_code(reader.u8().ok()?).ok()?;
            Some((options, reader.str().ok()?))
        })
    }
}

/// A whole `UNSUBSCRIBE`, as the cloud reads it. The device writes each filter as a `str`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    encoded: &'a [u8],
}

impl<'a> Unsubscribe<'a> {
    /// Reads a whole item.
    pub fn decode(body: &'a [u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let mut count = 0;
        while !reader.is_empty() {
            count = one_more(count, FILTERS)?;
            reader.str()?;
        }
        some(count)?;
        Ok(Self { encoded: body })
    }

    /// The filters in order, 1 to 8.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut reader = Reader::new(self.encoded);
        core::iter::from_fn(move || if reader.is_empty() { None } else { reader.str().ok() })
    }
}

/// Counts an element of a list, up to `most`.
pub(crate) fn one_more(count: u8, most: u8) -> Result<u8, Violation> {
    if count < most { Ok(count + 1) } else { Err(violation::WRONG_COUNT) }
}

/// Refuses an empty list.
pub(crate) fn some(count: u8) -> Result<(), Violation> {
    if count > 0 { Ok(()) } else { Err(violation::WRONG_COUNT) }
}

/// The application has taken responsibility for a message of QoS 1 (D48).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledge {
    /// The number the cloud gave it.
    pub delivery: u32,
}

impl Acknowledge {
    /// Bytes the longest body can have.
    pub const MAX: usize = 5;

    /// Writes the body and answers its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.v(self.delivery);
        writer.written()
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let acknowledge = Self { delivery: reader.v()? };
        reader.end()?;
        Ok(acknowledge)
    }
}

/// What precedes the topic and the payload of a `MESSAGE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageHead {
    /// The cloud's number for a message of QoS 1; `None` for QoS 0.
    pub delivery: Option<u32>,
    /// The retain flag (M85).
    pub retain: bool,
    /// Bytes of the topic, which follows; the payload is the rest of the item.
    pub topic: u32,
}

impl MessageHead {
    /// Bytes the longest head can have.
    pub const MAX: usize = 1 + 5 + 3;

    /// Writes the head and answers its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.u8(bit(self.delivery.is_some(), QOS) | bit(self.retain, RETAIN));
        if let Some(delivery) = self.delivery {
            writer.v(delivery);
        }
        writer.v(self.topic);
        writer.written()
    }

    /// Reads a head: it and the bytes it took, or `None` when `bytes` ends inside it.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        head(bytes, |reader| {
            let head = reader.u8()?;
            if head & !(QOS | RETAIN) != 0 {
                return Err(violation::VALUE_OUT_OF_RANGE);
            }
            let delivery = if head & QOS != 0 { Some(reader.v()?) } else { None };
            let topic = reader.v()?;
            if topic > MAX_TOPIC {
                return Err(violation::VALUE_OUT_OF_RANGE);
            }
            Ok(Self { delivery, retain: head & RETAIN != 0, topic })
        })
    }
}

/// Reads a head with `read`, telling "not yet whole" from "wrong".
pub(crate) fn head<H>(
    bytes: &[u8],
    read: impl Fn(&mut Reader<'_>) -> Result<H, Violation>,
) -> Result<Option<(H, usize)>, Violation> {
    let mut reader = Reader::new(bytes);
    match read(&mut reader) {
        Ok(head) => Ok(Some((head, bytes.len() - reader.rest().len()))),
        Err(violation::BODY_TOO_SHORT) => Ok(None),
        Err(broken) => Err(broken),
    }
}

/// What precedes the topic of a `LOST`; the topic is the rest of the item, cut to the ring's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostHead {
    /// Why.
    pub reason: LostReason,
    /// Bytes the message's payload has.
    pub message_len: u32,
}

impl LostHead {
    /// Bytes the longest head can have.
    pub const MAX: usize = 1 + 5;

    /// Writes the head and answers its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.u8(self.reason.code());
        writer.v(self.message_len);
        writer.written()
    }

    /// Reads a head: it and the bytes it took, or `None` when `bytes` ends inside it.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        head(bytes, |reader| {
            Ok(Self { reason: LostReason::from_code(reader.u8()?)?, message_len: reader.v()? })
        })
    }
}

/// The answer to `PUBLISH` (M63).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The publish's slot, free again.
    pub slot: u8,
    /// How it ended.
    pub state: RequestState,
    /// The broker's reason code.
    pub reason: u32,
}

impl Published {
    /// Bytes the longest body can have.
    pub const MAX: usize = 1 + 5;

    /// Writes the body and answers its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.u8(self.slot & 0x0f | self.state.code() << 4);
        if self.reason != 0 {
            writer.v(self.reason);
        }
        writer.written()
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let head = reader.u8()?;
        let state = RequestState::from_code(head >> 4)?;
        let reason = if reader.is_empty() { 0 } else { nonzero(reader.v()?)? };
        reader.end()?;
        Ok(Self { slot: head & 0x0f, state, reason })
    }
}

fn nonzero(value: u32) -> Result<u32, Violation> {
    if value == 0 { Err(violation::VALUE_OUT_OF_RANGE) } else { Ok(value) }
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

    /// Writes the body and answers its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.u8(self.state.code());
        writer.v(self.reason);
        writer.written()
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let outcome = Self { state: RequestState::from_code(reader.u8()?)?, reason: reader.v()? };
        reader.end()?;
        Ok(outcome)
    }
}

/// The answer to `SUBSCRIBE` and, with another kind, to `UNSUBSCRIBE`: the broker's code for each filter, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterCodes {
    /// How the request ended.
    pub state: RequestState,
    codes: [u8; FILTERS as usize],
    count: u8,
}

impl FilterCodes {
    /// Bytes the longest body can have.
    pub const MAX: usize = 1 + FILTERS as usize;

    /// The broker's codes, in the request's order; `None` if there are more than 8 or none.
    pub fn completed(codes: &[u8]) -> Option<Self> {
        let mut held = [0; FILTERS as usize];
        held.get_mut(..codes.len())?.copy_from_slice(codes);
        (!codes.is_empty()).then_some(Self {
            state: RequestState::Completed,
            codes: held,
            count: codes.len() as u8,
        })
    }

    /// A request that did not complete.
    pub const fn failed(state: RequestState) -> Self {
        Self { state, codes: [0; FILTERS as usize], count: 0 }
    }

    /// The codes; as many as the request had filters if it completed, else none.
    pub fn codes(&self) -> &[u8] {
        &self.codes[..usize::from(self.count)]
    }

    /// Writes the body and answers its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.u8(self.state.code());
        writer.bytes(self.codes());
        writer.written()
    }

    /// Reads a body. Whether the codes are as many as the filters is the caller's to check.
    pub fn decode(body: &[u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let state = RequestState::from_code(reader.u8()?)?;
        match (state, reader.rest()) {
            (RequestState::Completed, codes) => Self::completed(codes).ok_or(violation::WRONG_COUNT),
            (state, []) => Ok(Self::failed(state)),
            _ => Err(violation::BYTES_LEFT_OVER),
        }
    }
}

const fn bit(set: bool, mask: u8) -> u8 {
    if set { mask } else { 0 }
}
