//! The system calls of channels of opaque bytes.

use abi::Status;
use abi::notifications::EventType;
use link::DeviceLink;

use crate::channel::Channels;
use crate::channel_core::ChannelCore;
use crate::memory::{OutParam, Phase as _, Span};
use crate::notifications::Notifications;
use crate::port::Port;

/// `mvWriteChannel`: all or nothing. A write of no bytes only asks for the free space.
pub(crate) fn write(
    channels: &mut Channels,
    port: &mut Port<'_>,
    handle: u32,
    data: u32,
    length: u32,
    available: u32,
) -> Result<(), Status> {
    let (core, opaque) = channels.opaque(handle)?;
    let data = Span::readable(data, length).early()?;
    let available = OutParam::check(port.memory, available).late()?;
    core.require_connected()?;
    if length > core.outbox.free() {
        opaque.await_space(length, core.outbox.size());
        return Err(Status::InvalidBufferSize);
    }
    core.outbox.append_stream(port.memory, data).early()?;
    available.write_u32(port.memory, core.outbox.free()).late()
}

/// `mvWriteChannelStream`: as much as fits.
pub(crate) fn write_stream(
    channels: &mut Channels,
    port: &mut Port<'_>,
    handle: u32,
    data: u32,
    length: u32,
    written: u32,
) -> Result<(), Status> {
    let (core, opaque) = channels.opaque(handle)?;
    let data = Span::readable(data, length).early()?;
    let written = OutParam::check(port.memory, written).late()?;
    core.require_connected()?;
    let fits = data.first(core.outbox.free());
    core.outbox.append_stream(port.memory, fits).early()?;
    if fits.length() < length {
        // The rest can be written in parts, so any space will do (D101).
        opaque.await_space(1, core.outbox.size());
    }
    written.write_u32(port.memory, fits.length()).late()
}

/// `mvReadChannel`: where the oldest bytes are in the application's own ring, and how many are contiguous there.
pub(crate) fn read(
    channels: &mut Channels,
    port: &mut Port<'_>,
    handle: u32,
    pointer: u32,
    length: u32,
) -> Result<(), Status> {
    let pointer = OutParam::check(port.memory, pointer).early()?;
    let length = OutParam::check(port.memory, length).early()?;
    let (core, opaque) = channels.opaque(handle)?;
    require_readable(core)?;
    let run = core.inbox.ring().oldest();
    opaque.shown = run.length();
    pointer.write_u32(port.memory, run.address()).early()?;
    length.write_u32(port.memory, run.length()).early()
}

/// `mvReadChannelComplete`: frees bytes that have been read. What is left is announced again, because it was announced
/// together with them (D12).
pub(crate) fn read_complete(
    channels: &mut Channels,
    link: &mut DeviceLink,
    notifications: &mut Notifications,
    port: &mut Port<'_>,
    handle: u32,
    consumed: u32,
) -> Result<(), Status> {
    let (core, opaque) = channels.opaque(handle)?;
    require_readable(core)?;
    opaque.shown = opaque.shown.checked_sub(consumed).ok_or(Status::ParameterFault)?;
    core.inbox.release(consumed);
    if core.is_connected() {
        link.return_credit(core.number, consumed, 0);
    }
    if core.inbox.ring().used() > 0 {
        notifications.post(port, core.target, EventType::ChannelDataReadable);
    }
    Ok(())
}

/// What was received before the connection was lost can be read (N68, N70); when nothing is left, the channel answers
/// as closed (D31).
fn require_readable(core: &ChannelCore) -> Result<(), Status> {
    if core.inbox.ring().used() > 0 { Ok(()) } else { core.require_connected() }
}
