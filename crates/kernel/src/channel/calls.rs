//! The system calls of all channels: open, close, closure reason.

use abi::Status;
use abi::channel::{ChannelType, ClosureReason, OpenChannelParams};
use link::DeviceLink;
use sansio::Instant;

use super::{Channel, Channels, Protocol};
use crate::channel_core::ChannelCore;
use crate::handles::HandleAllocator;
use crate::inbox::Inbox;
use crate::limits::{BUFFER_ALIGNMENT, OPEN_RATE_WINDOW};
use crate::logging::Logging;
use crate::memory::{HandleParam, OutParam, Phase as _, Span, read_struct};
use crate::network::Network;
use crate::notifications::{NotificationTarget, Notifications};
use crate::outbox::Outbox;
use crate::port::Port;

/// `mvOpenChannel`. The order of the checks is part of the interface, so that of two mistakes the same one is reported
/// everywhere (D30).
#[expect(clippy::too_many_arguments, reason = "a parameter for each table that the call may read or change")]
pub(crate) fn open(
    channels: &mut Channels,
    link: &mut DeviceLink,
    handles: &mut HandleAllocator,
    notifications: &Notifications,
    network: &Network,
    logs: [&Logging; 2],
    port: &mut Port<'_>,
    params: u32,
    handle_out: u32,
) -> Result<(), Status> {
    let params: OpenChannelParams = read_struct(port.memory, params).early()?;
    let handle_out = OutParam::check(port.memory, handle_out).early()?;
    if params.version != 1 {
        return Err(Status::UnsupportedStructureVersion);
    }
    if !notifications.contains(params.notification_handle) || !network.contains(params.network_handle) {
        return Err(Status::InvalidHandle);
    }
    let channel_type = ChannelType::from_raw(params.channel_type).ok_or(Status::UnknownChannelType)?;
    let (receive, send) = check_buffers(&params)?;
    let is_in_use = |span| {
        notifications.overlaps_buffer(span)
            || channels.overlaps_buffer(span)
            || logs.iter().any(|log| log.overlaps_buffer(span))
    };
    if receive.overlaps(send) || is_in_use(receive) || is_in_use(send) {
        return Err(Status::BufferAlreadyInUse);
    }
    if params.endpoint.length != 0 {
        return Err(Status::UnknownChannelEndpoint);
    }
    if !network.is_open() {
        return Err(Status::NetworkNotConnected);
    }
    channels.check_rate(port.now)?;
    let slot = channels.slots.iter().position(Option::is_none).ok_or(Status::TooManyChannels)?;

    let handle = handles.allocate();
    let number = open_on_link(link, channel_type, receive.length())?;
    if let Err(fault) = handle_out.write_u32(port.memory, handle) {
        link.close_channel(number);
        return Err(fault).early();
    }
    channels.record_open(port.now);
    let core = ChannelCore {
        handle,
        network: params.network_handle,
        target: NotificationTarget { centre: params.notification_handle, tag: params.notification_tag },
        number,
        closure: None,
        inbox: Inbox::new(receive),
        outbox: Outbox::new(send),
    };
    channels.slots[slot] = Some(Channel { core, protocol: Protocol::new(channel_type) });
    Ok(())
}

/// `mvCloseChannel`. No event follows, since it is the caller who ended the channel (D14). The buffers are the
/// application's again at once, so what has not left the send ring is lost.
pub(crate) fn close(
    channels: &mut Channels,
    link: &mut DeviceLink,
    port: &mut Port<'_>,
    handle: u32,
) -> Result<(), Status> {
    let handle = HandleParam::check(port.memory, handle).early()?;
    // Before the variable is cleared: a value that is no channel's handle stays as it is (D31).
    let closing = channels.by_handle(handle.value)?.core.handle;
    // Before the channel is closed: a call that fails closes nothing.
    handle.clear(port.memory).early()?;

    let is_closing =
        |slot: &&mut Option<Channel>| slot.as_ref().is_some_and(|channel| channel.core.handle == closing);
    let slot = channels.slots.iter_mut().find(is_closing);
    if let Some(Channel { core, .. }) = slot.and_then(Option::take)
        && core.is_connected()
    {
        link.close_channel(core.number);
    }
    Ok(())
}

/// `mvGetChannelClosureReason`.
pub(crate) fn closure_reason(
    channels: &mut Channels,
    port: &mut Port<'_>,
    handle: u32,
    to: u32,
) -> Result<(), Status> {
    let to = OutParam::check(port.memory, to).early()?;
    let closure = channels.by_handle(handle)?.core.closure.unwrap_or(ClosureReason::None);
    to.write_u32(port.memory, closure.raw()).early()
}

impl Channels {
    /// `RATELIMITED` if another opening would be one too many in the last second.
    fn check_rate(&self, now: Instant) -> Result<(), Status> {
        let oldest = if self.recent_opens.has_room(1) { None } else { self.recent_opens.get(0) };
        let is_limited = oldest.is_some_and(|at| now.duration_since(at) < OPEN_RATE_WINDOW);
        if is_limited { Err(Status::RateLimited) } else { Ok(()) }
    }

    fn record_open(&mut self, now: Instant) {
        if !self.recent_opens.has_room(1) {
            self.recent_opens.pop();
        }
        self.recent_opens.push(now);
    }
}

/// Opens the channel on the link. `UNAVAILABLE` while all numbers belong to channels whose end the cloud has not
/// confirmed: frames of the old channel could still arrive under the number.
fn open_on_link(link: &mut DeviceLink, channel_type: ChannelType, ring: u32) -> Result<u8, Status> {
    let channel_type = match channel_type {
        ChannelType::OpaqueBytes => link::channel::ChannelType::OpaqueBytes,
        ChannelType::Mqtt => link::channel::ChannelType::Mqtt,
        ChannelType::Http => link::channel::ChannelType::Http,
        ChannelType::ConfigFetch => link::channel::ChannelType::ConfigFetch,
    };
    link.open_channel(channel_type, ring).map_err(|_| Status::Unavailable)
}

/// The receive and the send buffer: aligned and sized as the guide has it (N59, N60), and in the application's RAM,
/// because the kernel writes to both (D01).
fn check_buffers(params: &OpenChannelParams) -> Result<(Span, Span), Status> {
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
