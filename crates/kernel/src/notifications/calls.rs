//! The system calls of notification centres.

use abi::Status;
use abi::notifications::NotificationSetup;

use super::{Centre, NotificationTarget, Notifications, RECORD};
use crate::channel::Channels;
use crate::handles::HandleAllocator;
use crate::interrupts::{FastInterrupts, usable_irq};
use crate::limits::MIN_NOTIFICATION_BUFFER;
use crate::logging::Logging;
use crate::memory::{HandleParam, OutParam, Phase as _, Span, read_struct};
use crate::port::Port;

/// `mvSetupNotifications`.
#[expect(clippy::too_many_arguments, reason = "a parameter for each table that the call may read or change")]
pub(crate) fn setup(
    notifications: &mut Notifications,
    handles: &mut HandleAllocator,
    fast: &FastInterrupts,
    channels: &Channels,
    logs: [&Logging; 2],
    port: &mut Port<'_>,
    setup: u32,
    handle_out: u32,
) -> Result<(), Status> {
    let setup: NotificationSetup = read_struct(port.memory, setup).early()?;
    let handle_out = OutParam::check(port.memory, handle_out).early()?;
    let buffer = Span::writable(setup.buffer, setup.buffer_size).early()?;
    if buffer.length() < MIN_NOTIFICATION_BUFFER || buffer.length() % RECORD != 0 {
        return Err(Status::InvalidBufferSize);
    }
    if notifications.overlaps_buffer(buffer)
        || channels.overlaps_buffer(buffer)
        || logs.iter().any(|log| log.overlaps_buffer(buffer))
    {
        return Err(Status::BufferAlreadyInUse);
    }
    let irq = usable_irq(setup.irq)?;
    // A handler could not know which of two centres its interrupt is for, or whether there is a record at all (D15).
    if notifications.uses_irq(irq) || fast.contains(setup.irq) {
        return Err(Status::InvalidInterrupt);
    }
    let free = notifications.centres.iter_mut().find(|slot| slot.is_none());
    let free = free.ok_or(Status::TooManyNotificationBuffers)?;

    let handle = handles.allocate();
    handle_out.write_u32(port.memory, handle).early()?;
    *free = Some(Centre { handle, irq, buffer, next: 0 });
    Ok(())
}

/// `mvCloseNotifications`. What still refers to the centre continues without notifications; waiting records are
/// dropped.
pub(crate) fn close(
    notifications: &mut Notifications,
    port: &mut Port<'_>,
    handle: u32,
) -> Result<(), Status> {
    let handle = HandleParam::check(port.memory, handle).early()?;
    let closing = handle.value;
    let is_closing = |slot: &&mut Option<Centre>| slot.is_some_and(|centre| centre.handle == closing);
    let slot = notifications.centres.iter_mut().find(is_closing).ok_or(Status::InvalidHandle)?;

    handle.clear(port.memory).early()?;
    *slot = None;
    notifications.pending.retain(|pending| pending.centre != closing);
    Ok(())
}

/// `mvTempTriggerNotification`.
pub(crate) fn trigger(
    notifications: &mut Notifications,
    port: &mut Port<'_>,
    centre: u32,
    event_type: u32,
    tag: u32,
) -> Result<(), Status> {
    if !notifications.contains(centre) {
        return Err(Status::InvalidHandle);
    }
    notifications.post_raw(port, NotificationTarget { centre, tag }, event_type);
    Ok(())
}
