//! Channels: opening, losing and closing them, whatever they carry.

use abi::Status;
use abi::channel::{ChannelType, ClosureReason, OpenChannelParams};
use abi::notifications::EventType;
use sansio::Instant;

use crate::Kernel;
use crate::config::Config;
use crate::http::Http;
use crate::inbox::Inbox;
use crate::limits::{BUFFER_ALIGNMENT, MAX_CHANNELS, MAX_OPENS_PER_WINDOW, OPEN_RATE_WINDOW};
use crate::memory::{HandleVariable, Output, Phase as _, Span, structure};
use crate::mqtt::Mqtt;
use crate::notifications::Address;
use crate::opaque::Opaque;
use crate::outbox::Outbox;
use crate::port::Port;
use crate::queue::Queue;

/// All channels.
pub(crate) struct Channels {
    pub places: [Option<Channel>; MAX_CHANNELS],
    /// When the last few were opened.
    opened: Queue<Instant, MAX_OPENS_PER_WINDOW>,
}

/// One channel.
pub(crate) struct Channel {
    pub base: Base,
    pub protocol: Protocol,
}

/// What every channel has.
pub(crate) struct Base {
    handle: u32,
    /// The network handle it was opened over (N07).
    network: u32,
    /// Whom its events go to.
    pub to: Address,
    /// Its number on the link, as long as it is connected.
    pub number: u8,
    /// Why it is no longer connected; `None` while it is.
    closure: Option<ClosureReason>,
    pub inbox: Inbox,
    pub outbox: Outbox,
}

/// What a channel carries. There is no heap: every place is as large as the largest. Numbered from 1, so that a place
/// without a channel is all zero bytes.
#[allow(clippy::large_enum_variant, reason = "a place of the table must hold any of them anyway")]
#[repr(u32)]
pub(crate) enum Protocol {
    Opaque(Opaque) = 1,
    Mqtt(Mqtt) = 2,
    Http(Http) = 3,
    Config(Config) = 4,
}

impl Channels {
    pub(crate) const fn new() -> Self {
        Self { places: [const { None }; MAX_CHANNELS], opened: Queue::new(Instant::ZERO) }
    }

    /// The device starts: there are none.
    pub(crate) fn start(&mut self) {
        self.places.iter_mut().for_each(|place| *place = None);
        self.opened.clear();
    }

    /// Whether the span overlaps a buffer of a channel the application has not closed.
    pub(crate) fn lend(&self, span: Span) -> bool {
        let overlaps =
            |base: &Base| base.outbox.span().overlaps(span) || base.inbox.ring().span().overlaps(span);
        self.places.iter().flatten().any(|channel| overlaps(&channel.base))
    }

    /// The connected channel with this number on the link.
    pub(crate) fn numbered(&mut self, number: u8) -> Option<&mut Channel> {
        let is_it = |base: &Base| base.number == number && base.closure.is_none();
        self.places.iter_mut().flatten().find(|channel| is_it(&channel.base))
    }

    /// The MQTT channel of this handle.
    pub(crate) fn mqtt(&mut self, handle: u32) -> Result<(&mut Base, &mut Mqtt), Status> {
        match self.find(handle)? {
            Channel { base, protocol: Protocol::Mqtt(mqtt) } => Ok((base, mqtt)),
            Channel { .. } => Err(Status::InvalidHandle),
        }
    }

    /// The HTTP channel of this handle.
    pub(crate) fn http(&mut self, handle: u32) -> Result<(&mut Base, &mut Http), Status> {
        match self.find(handle)? {
            Channel { base, protocol: Protocol::Http(http) } => Ok((base, http)),
            Channel { .. } => Err(Status::InvalidHandle),
        }
    }

    /// The configuration channel of this handle.
    pub(crate) fn config(&mut self, handle: u32) -> Result<(&mut Base, &mut Config), Status> {
        match self.find(handle)? {
            Channel { base, protocol: Protocol::Config(config) } => Ok((base, config)),
            Channel { .. } => Err(Status::InvalidHandle),
        }
    }

    /// The channel of opaque bytes of this handle.
    pub(crate) fn opaque(&mut self, handle: u32) -> Result<(&mut Base, &mut Opaque), Status> {
        match self.find(handle)? {
            Channel { base, protocol: Protocol::Opaque(opaque) } => Ok((base, opaque)),
            Channel { .. } => Err(Status::InvalidHandle),
        }
    }

    fn find(&mut self, handle: u32) -> Result<&mut Channel, Status> {
        let mut channels = self.places.iter_mut().flatten();
        channels.find(|channel| channel.base.handle == handle).ok_or(Status::InvalidHandle)
    }

    /// Whether another opening now would be one too many in the last second.
    fn is_too_often(&self, now: Instant) -> bool {
        let oldest = if self.opened.has_room(1) { None } else { self.opened.get(0) };
        oldest.is_some_and(|at| now.duration_since(at) < OPEN_RATE_WINDOW)
    }

    fn note_opening(&mut self, now: Instant) {
        if !self.opened.has_room(1) {
            self.opened.pop();
        }
        self.opened.push(now);
    }
}

impl Base {
    /// Requests and writes need a connected channel (N72).
    pub(crate) fn connected(&self) -> Result<(), Status> {
        if self.closure.is_none() { Ok(()) } else { Err(Status::ChannelClosed) }
    }

    /// What a read answers when there is nothing: a connected channel may still receive it (D31).
    pub(crate) fn nothing(&self) -> Status {
        if self.closure.is_none() { Status::ResponseNotPresent } else { Status::ChannelClosed }
    }
}

impl Kernel {
    /// `mvOpenChannel`, checked in the order of D30.
    pub(crate) fn open_channel(
        &mut self,
        port: &mut Port<'_>,
        params: u32,
        handle_out: u32,
    ) -> Result<(), Status> {
        let params: OpenChannelParams = structure(port.memory, params).early()?;
        let handle_out = Output::claim(port.memory, handle_out).early()?;
        let (channel_type, receive, send) = self.checked_params(&params)?;
        self.may_open(port.now)?;
        let place = self.channels.places.iter().position(Option::is_none);
        let place = place.ok_or(Status::TooManyChannels)?;

        let handle = self.handles.issue();
        let number = self.open_on_link(channel_type, receive.length())?;
        if let Err(fault) = handle_out.put_u32(port.memory, handle) {
            self.link.close_channel(number);
            return Err(fault).early();
        }
        self.channels.note_opening(port.now);
        let base = Base {
            handle,
            network: params.network_handle,
            to: Address { centre: params.notification_handle, tag: params.notification_tag },
            number,
            closure: None,
            inbox: Inbox::new(receive),
            outbox: Outbox::new(send),
        };
        self.channels.places[place] = Some(Channel { base, protocol: Protocol::new(channel_type) });
        Ok(())
    }

    /// `mvCloseChannel`. No event follows (D14); the buffers are the application's again at once, so what has not left the
    /// send ring is lost.
    pub(crate) fn close_channel(&mut self, port: &mut Port<'_>, handle: u32) -> Result<(), Status> {
        let handle = HandleVariable::claim(port.memory, handle).early()?;
        let closing = self.channels.find(handle.value)?.base.handle;
        handle.zero(port.memory).early()?;

        let is_it = |place: &&mut Option<Channel>| {
            place.as_ref().is_some_and(|channel| channel.base.handle == closing)
        };
        let place = self.channels.places.iter_mut().find(is_it);
        if let Some(Channel { base, .. }) = place.and_then(Option::take)
            && base.closure.is_none()
        {
            self.link.close_channel(base.number);
        }
        Ok(())
    }

    /// `mvGetChannelClosureReason`.
    pub(crate) fn closure_reason(&mut self, port: &mut Port<'_>, handle: u32, to: u32) -> Result<(), Status> {
        let to = Output::claim(port.memory, to).early()?;
        let closure = self.channels.find(handle)?.base.closure.unwrap_or(ClosureReason::None);
        to.put_u32(port.memory, closure.raw()).early()
    }

    /// Whether a buffer is lent to the kernel already, for whatever.
    pub(crate) fn has_lent(&self, span: Span) -> bool {
        self.notifications.lends(span)
            || self.channels.lend(span)
            || self.logging.lends(span)
            || self.test_logging.lends(span)
    }

    /// The connection is gone, and every channel with it (N66 to N69).
    pub(crate) fn lose_channels(&mut self, port: &mut Port<'_>, reason: ClosureReason) {
        for index in 0..MAX_CHANNELS {
            self.lose_channel(port, index, reason);
        }
    }

    /// The application starts anew, and nobody is left to tell.
    pub(crate) fn forget_channels(&mut self) {
        for Channel { base, .. } in self.channels.places.iter_mut().filter_map(Option::take) {
            if base.closure.is_none() {
                self.link.close_channel(base.number);
            }
        }
    }

    /// The application gave up the network these channels were opened over (N77).
    pub(crate) fn disconnect_channels_of(&mut self, port: &mut Port<'_>, network: u32) {
        for index in 0..MAX_CHANNELS {
            let base = self.channels.places[index].as_ref().map(|channel| &channel.base);
            if let Some(base) = base.filter(|base| base.network == network && base.closure.is_none()) {
                self.link.close_channel(base.number);
                self.lose_channel(port, index, ClosureReason::NetworkDisconnected);
            }
        }
    }

    /// The cloud has ended a channel.
    pub(crate) fn channel_closed(&mut self, port: &mut Port<'_>, number: u8, reason: ClosureReason) {
        let is_it = |base: &Base| base.number == number && base.closure.is_none();
        let mut places = self.channels.places.iter();
        let index = places.position(|place| place.as_ref().is_some_and(|channel| is_it(&channel.base)));
        if let Some(index) = index {
            self.lose_channel(port, index, reason);
        }
    }

    /// What was received stays; what is in flight is answered; the application hears of it once (D31, D50, D53).
    fn lose_channel(&mut self, port: &mut Port<'_>, index: usize, reason: ClosureReason) {
        let Some(Channel { base, protocol }) = &mut self.channels.places[index] else { return };
        if base.closure.is_some() {
            return;
        }
        base.closure = Some(reason);
        base.inbox.abandon();
        base.outbox.clear();
        let (to, answers) = (base.to, protocol.answer_unanswered());
        let is_told = reason == ClosureReason::NetworkDisconnected || !protocol.ended_as_asked();
        for _ in 0..answers {
            self.notifications.post(port, to, EventType::ChannelDataReadable);
        }
        if is_told {
            self.notifications.post(port, to, EventType::ChannelNotConnected);
        }
    }

    /// The channel's number on the link; none is free while too many wait for the cloud to confirm their end.
    fn open_on_link(&mut self, channel_type: ChannelType, ring: u32) -> Result<u8, Status> {
        let channel_type = match channel_type {
            ChannelType::OpaqueBytes => link::channel::ChannelType::OpaqueBytes,
            ChannelType::Mqtt => link::channel::ChannelType::Mqtt,
            ChannelType::Http => link::channel::ChannelType::Http,
            ChannelType::ConfigFetch => link::channel::ChannelType::ConfigFetch,
        };
        self.link.open_channel(channel_type, ring).map_err(|_| Status::Unavailable)
    }

    /// Everything D30 checks that the parameters and the tables can tell.
    fn checked_params(&self, params: &OpenChannelParams) -> Result<(ChannelType, Span, Span), Status> {
        if params.version != 1 {
            return Err(Status::UnsupportedStructureVersion);
        }
        if !self.notifications.knows(params.notification_handle) || !self.network.knows(params.network_handle)
        {
            return Err(Status::InvalidHandle);
        }
        let channel_type = ChannelType::from_raw(params.channel_type).ok_or(Status::UnknownChannelType)?;
        let (receive, send) = buffers(params)?;
        if receive.overlaps(send) || self.has_lent(receive) || self.has_lent(send) {
            return Err(Status::BufferAlreadyInUse);
        }
        if params.endpoint.length != 0 {
            return Err(Status::UnknownChannelEndpoint);
        }
        Ok((channel_type, receive, send))
    }

    /// Everything D30 checks that depends on the moment.
    fn may_open(&self, now: Instant) -> Result<(), Status> {
        if !self.network.is_open() {
            return Err(Status::NetworkNotConnected);
        }
        if self.channels.is_too_often(now) {
            return Err(Status::RateLimited);
        }
        Ok(())
    }
}

impl Protocol {
    /// The protocol of a type, at its beginning.
    fn new(channel_type: ChannelType) -> Self {
        match channel_type {
            ChannelType::OpaqueBytes => Self::Opaque(Opaque::new()),
            ChannelType::Mqtt => Self::Mqtt(Mqtt::new()),
            ChannelType::Http => Self::Http(Http::new()),
            ChannelType::ConfigFetch => Self::Config(Config::new()),
        }
    }

    /// Answers what nobody else will answer now, and tells how many items became readable by it (D53).
    fn answer_unanswered(&mut self) -> u32 {
        match self {
            Self::Mqtt(mqtt) => mqtt.answer_unanswered(),
            Self::Opaque(opaque) => {
                opaque.ended();
                0
            }
            Self::Http(_) | Self::Config(_) => 0,
        }
    }

    /// Whether the exchange had come to the end the application wanted, so that its end is no news (D13, D14, D50).
    fn ended_as_asked(&self) -> bool {
        match self {
            Self::Opaque(_) => false,
            Self::Mqtt(mqtt) => mqtt.has_disconnected(),
            Self::Http(http) => http.is_complete(),
            Self::Config(config) => config.is_complete(),
        }
    }
}

/// The two buffers, aligned, sized and in the application's RAM (N59, N60).
fn buffers(params: &OpenChannelParams) -> Result<(Span, Span), Status> {
    let both =
        [(params.receive_buffer, params.receive_buffer_len), (params.send_buffer, params.send_buffer_len)];
    if both.iter().any(|(address, _)| !address.is_multiple_of(BUFFER_ALIGNMENT)) {
        return Err(Status::InvalidBufferAlignment);
    }
    if both.iter().any(|&(_, length)| length == 0 || !length.is_multiple_of(BUFFER_ALIGNMENT)) {
        return Err(Status::InvalidBufferSize);
    }
    let [receive, send] = both.map(|(address, length)| Span::writable(address, length));
    Ok((receive.early()?, send.early()?))
}
