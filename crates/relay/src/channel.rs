//! One channel: its protocol, what arrives in fragments, what waits to be sent.

use alloc::boxed::Box;
use alloc::vec::Vec;

use link::channel::{ChannelType, Open};
use link::{CloudLink, Fragment, Violation};

use crate::config::ConfigChannel;
use crate::context::{Context, Shared};
use crate::handler::Handler;
use crate::http::HttpChannel;
use crate::limits::MAX_UNSENT_BYTES;
use crate::mqtt::MqttChannel;
use crate::outbox::Outbox;
use crate::protocol::{ConnectionId, ExchangeId, LookupId};
use crate::reassembly::Reassembly;

/// A channel the device opened.
pub(crate) struct Channel {
    /// Its number on the link.
    pub number: u8,
    /// Bytes of the application's receive buffer, a ring.
    ring: u32,
    reassembly: Reassembly,
    outbox: Outbox,
    protocol: Protocol,
}

/// What a channel speaks.
pub(crate) enum Protocol {
    /// MQTT, with one broker.
    Mqtt(Box<MqttChannel>),
    /// HTTP, one exchange.
    Http(HttpChannel),
    /// Configuration, one fetch.
    Config(ConfigChannel),
}

impl Channel {
    /// A new channel; `None` for a type this cloud does not support.
    pub(crate) fn new(number: u8, open: Open, shared: &Shared) -> Option<Self> {
        let protocol = Protocol::new(open.channel_type, shared)?;
        let (reassembly, outbox) = (Reassembly::default(), Outbox::default());
        Some(Self { number, ring: open.ring, reassembly, outbox, protocol })
    }

    /// The channel's handler.
    pub(crate) fn handler(&self) -> &dyn Handler {
        self.protocol.handler()
    }

    /// What the channel speaks, and what that works with.
    pub(crate) fn with_context<'a>(&'a mut self, shared: &'a mut Shared) -> (&'a mut Protocol, Context<'a>) {
        let (channel, ring) = (self.number, self.ring);
        (&mut self.protocol, Context { channel, ring, outbox: &mut self.outbox, shared })
    }

    /// Processes a fragment of an item; says whether the item is complete.
    pub(crate) fn on_fragment(
        &mut self,
        fragment: &Fragment<'_>,
        shared: &mut Shared,
    ) -> Result<bool, Violation> {
        let Some(body) = self.reassembly.push(fragment) else { return Ok(false) };
        let (protocol, mut cx) = self.with_context(shared);
        protocol.handler_mut().on_item(fragment.kind, &body, &mut cx)?;
        Ok(true)
    }

    /// Appends the channel's next frame to `out`, if one can be sent now.
    pub(crate) fn write_frame(&mut self, link: &mut CloudLink, out: &mut Vec<u8>) {
        self.outbox.write_frame(link, self.number, out);
    }

    /// Whether the device may continue to send on it. Normally as long as the broker keeps up; while memory is short,
    /// only what is needed to finish what is there: nothing waits for the broker, and no item is incomplete.
    pub(crate) fn accepts_more(&self, is_throttled: bool) -> bool {
        let limit = if is_throttled { 1 } else { MAX_UNSENT_BYTES };
        let is_between_items = !is_throttled || self.reassembly.buffered_bytes() == 0;
        is_between_items && self.handler().unsent_bytes() < limit
    }

    /// Bytes of items, messages and requests in memory.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.reassembly.buffered_bytes() + self.outbox.buffered_bytes() + self.handler().buffered_bytes()
    }
}

impl Protocol {
    /// `None` for a type of channel this cloud does not support.
    fn new(channel_type: ChannelType, shared: &Shared) -> Option<Self> {
        Some(match channel_type {
            ChannelType::Mqtt => Self::Mqtt(Box::new(MqttChannel::new(shared))),
            ChannelType::Http => Self::Http(HttpChannel::default()),
            ChannelType::ConfigFetch => Self::Config(ConfigChannel::default()),
            ChannelType::OpaqueBytes => return None,
        })
    }

    fn handler(&self) -> &dyn Handler {
        match self {
            Self::Mqtt(mqtt) => mqtt.as_ref(),
            Self::Http(http) => http,
            Self::Config(config) => config,
        }
    }

    /// The handler, to be called.
    pub(crate) fn handler_mut(&mut self) -> &mut dyn Handler {
        match self {
            Self::Mqtt(mqtt) => mqtt.as_mut(),
            Self::Http(http) => http,
            Self::Config(config) => config,
        }
    }

    /// The MQTT channel, if this connection is its own.
    pub(crate) fn mqtt(&mut self, connection: ConnectionId) -> Option<&mut MqttChannel> {
        match self {
            Self::Mqtt(mqtt) if mqtt.connection() == Some(connection) => Some(mqtt),
            _ => None,
        }
    }

    /// The HTTP channel, if this exchange is its own.
    pub(crate) fn http(&mut self, exchange: ExchangeId) -> Option<&mut HttpChannel> {
        match self {
            Self::Http(http) if http.exchange() == Some(exchange) => Some(http),
            _ => None,
        }
    }

    /// The configuration channel, if this lookup is its own.
    pub(crate) fn config(&mut self, lookup: LookupId) -> Option<&mut ConfigChannel> {
        match self {
            Self::Config(config) if config.lookup() == Some(lookup) => Some(config),
            _ => None,
        }
    }
}
