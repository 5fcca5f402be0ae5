//! The table of channels, whatever they carry.

pub(crate) mod calls;

use abi::Status;
use abi::channel::{ChannelType, ClosureReason};
use abi::notifications::EventType;
use link::DeviceLink;
use sansio::Instant;

use crate::channel_core::ChannelCore;
use crate::config::Config;
use crate::http::Http;
use crate::limits::{MAX_CHANNELS, MAX_OPENS_PER_WINDOW};
use crate::memory::Span;
use crate::mqtt::Mqtt;
use crate::notifications::Notifications;
use crate::opaque::Opaque;
use crate::port::Port;
use crate::queue::Queue;

/// All channels.
pub(crate) struct Channels {
    slots: [Option<Channel>; MAX_CHANNELS],
    /// When the last few channels were opened.
    recent_opens: Queue<Instant, MAX_OPENS_PER_WINDOW>,
}

/// One channel.
pub(crate) struct Channel {
    pub core: ChannelCore,
    pub protocol: Protocol,
}

/// What a channel carries. The discriminants begin at 1 so that an empty slot is all zero bytes, which takes no flash
/// (D111).
#[allow(
    clippy::large_enum_variant,
    reason = "there is no heap: every slot must have room for the largest anyway"
)]
#[repr(u32)]
pub(crate) enum Protocol {
    Opaque(Opaque) = 1,
    Mqtt(Mqtt) = 2,
    Http(Http) = 3,
    Config(Config) = 4,
}

impl Channels {
    pub(crate) const fn new() -> Self {
        Self { slots: [const { None }; MAX_CHANNELS], recent_opens: Queue::new(Instant::ZERO) }
    }

    /// The device starts: there are no channels.
    pub(crate) fn start(&mut self) {
        self.slots.iter_mut().for_each(|slot| *slot = None);
        self.recent_opens.clear();
    }

    /// Whether the span overlaps a buffer of a channel that the application has not closed.
    pub(crate) fn overlaps_buffer(&self, span: Span) -> bool {
        self.slots.iter().flatten().any(|channel| channel.core.overlaps_buffer(span))
    }

    /// The channel in this slot, if it is connected.
    pub(crate) fn connected_in_slot(&mut self, slot: usize) -> Option<&mut Channel> {
        self.slots[slot].as_mut().filter(|channel| channel.core.is_connected())
    }

    /// The connected channel with this number on the link.
    pub(crate) fn by_number(&mut self, number: u8) -> Option<&mut Channel> {
        let is_it = |core: &ChannelCore| core.number == number && core.is_connected();
        self.slots.iter_mut().flatten().find(|channel| is_it(&channel.core))
    }

    /// The MQTT channel with this handle. A channel of another type is `INVALIDHANDLE`: no status says "wrong type",
    /// and the variable is the wrong one either way (D81).
    pub(crate) fn mqtt(&mut self, handle: u32) -> Result<(&mut ChannelCore, &mut Mqtt), Status> {
        match self.by_handle(handle)? {
            Channel { core, protocol: Protocol::Mqtt(mqtt) } => Ok((core, mqtt)),
            Channel { .. } => Err(Status::InvalidHandle),
        }
    }

    /// The HTTP channel with this handle.
    pub(crate) fn http(&mut self, handle: u32) -> Result<(&mut ChannelCore, &mut Http), Status> {
        match self.by_handle(handle)? {
            Channel { core, protocol: Protocol::Http(http) } => Ok((core, http)),
            Channel { .. } => Err(Status::InvalidHandle),
        }
    }

    /// The configuration channel with this handle.
    pub(crate) fn config(&mut self, handle: u32) -> Result<(&mut ChannelCore, &mut Config), Status> {
        match self.by_handle(handle)? {
            Channel { core, protocol: Protocol::Config(config) } => Ok((core, config)),
            Channel { .. } => Err(Status::InvalidHandle),
        }
    }

    /// The channel of opaque bytes with this handle.
    pub(crate) fn opaque(&mut self, handle: u32) -> Result<(&mut ChannelCore, &mut Opaque), Status> {
        match self.by_handle(handle)? {
            Channel { core, protocol: Protocol::Opaque(opaque) } => Ok((core, opaque)),
            Channel { .. } => Err(Status::InvalidHandle),
        }
    }

    fn by_handle(&mut self, handle: u32) -> Result<&mut Channel, Status> {
        let mut channels = self.slots.iter_mut().flatten();
        channels.find(|channel| channel.core.handle == handle).ok_or(Status::InvalidHandle)
    }

    /// Disconnects every channel: the connection to the cloud is gone (N66 to N69).
    pub(crate) fn disconnect_all(
        &mut self,
        notifications: &mut Notifications,
        port: &mut Port<'_>,
        reason: ClosureReason,
    ) {
        for channel in self.slots.iter_mut().flatten() {
            channel.disconnect(notifications, port, reason);
        }
    }

    /// Disconnects the channels that were opened over this network handle, which the application has released (N77).
    pub(crate) fn disconnect_network(
        &mut self,
        link: &mut DeviceLink,
        notifications: &mut Notifications,
        port: &mut Port<'_>,
        network: u32,
    ) {
        let of_network = |core: &ChannelCore| core.network == network && core.is_connected();
        for channel in self.slots.iter_mut().flatten().filter(|channel| of_network(&channel.core)) {
            link.close_channel(channel.core.number);
            channel.disconnect(notifications, port, ClosureReason::NetworkDisconnected);
        }
    }

    /// Disconnects the channel that the cloud has closed.
    pub(crate) fn disconnect_number(
        &mut self,
        notifications: &mut Notifications,
        port: &mut Port<'_>,
        number: u8,
        reason: ClosureReason,
    ) {
        if let Some(channel) = self.by_number(number) {
            channel.disconnect(notifications, port, reason);
        }
    }

    /// Closes every channel: the application restarts, so that there is nothing to notify.
    pub(crate) fn close_all(&mut self, link: &mut DeviceLink) {
        for Channel { core, .. } in self.slots.iter_mut().filter_map(Option::take) {
            if core.is_connected() {
                link.close_channel(core.number);
            }
        }
    }
}

impl Channel {
    /// The channel has lost its connection. What was received stays readable, because it was announced (D31); requests
    /// in flight get a response, because each was promised one (D53); and the application is notified once, because
    /// vendor applications tear down at each such event (D50).
    fn disconnect(&mut self, notifications: &mut Notifications, port: &mut Port<'_>, reason: ClosureReason) {
        let Self { core, protocol } = self;
        if !core.is_connected() {
            return;
        }
        core.closure = Some(reason);
        core.inbox.abandon();
        core.outbox.clear();
        let responses = protocol.fail_in_flight();
        for _ in 0..responses {
            notifications.post(port, core.target, EventType::ChannelDataReadable);
        }
        // The loss of the network is reported even for a finished exchange, because every channel must learn of it
        // (N66).
        // Last of all events, because applications tear down at it and would miss responses announced later (D87).
        if reason == ClosureReason::NetworkDisconnected || !protocol.is_finished() {
            notifications.post(port, core.target, EventType::ChannelNotConnected);
        }
    }
}

impl Protocol {
    /// The initial state of a channel of this type.
    fn new(channel_type: ChannelType) -> Self {
        match channel_type {
            ChannelType::OpaqueBytes => Self::Opaque(Opaque::new()),
            ChannelType::Mqtt => Self::Mqtt(Mqtt::new()),
            ChannelType::Http => Self::Http(Http::new()),
            ChannelType::ConfigFetch => Self::Config(Config::new()),
        }
    }

    /// Answers the requests in flight, because the cloud cannot any more; returns how many responses became readable,
    /// since each has an event of its own (D53, D87).
    fn fail_in_flight(&mut self) -> u32 {
        match self {
            Self::Mqtt(mqtt) => mqtt.fail_in_flight(),
            Self::Opaque(opaque) => {
                opaque.disconnect();
                0
            }
            Self::Http(_) | Self::Config(_) => 0,
        }
    }

    /// Whether the exchange ended as the application wanted, so that the end of the channel needs no event, at which
    /// vendor applications would tear down a second time (D14, D50).
    fn is_finished(&self) -> bool {
        match self {
            Self::Opaque(_) => false,
            Self::Mqtt(mqtt) => mqtt.has_disconnected(),
            Self::Http(http) => http.is_complete(),
            Self::Config(config) => config.is_complete(),
        }
    }
}
