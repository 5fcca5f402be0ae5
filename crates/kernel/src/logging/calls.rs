//! The system calls of the application's log, and of a factory test's log.

use abi::Status;

use super::Logging;
use crate::boot::Boot;
use crate::channel::Channels;
use crate::limits::BUFFER_ALIGNMENT;
use crate::memory::{Phase as _, Span};
use crate::notifications::Notifications;
use crate::port::Port;

/// `mvServerLoggingInit`.
pub(crate) fn init(
    logging: &mut Logging,
    test_logging: &Logging,
    notifications: &Notifications,
    channels: &Channels,
    buffer: u32,
    length: u32,
) -> Result<(), Status> {
    let span = check_buffer(buffer, length)?;
    set_buffer(logging, test_logging, notifications, channels, span)
}

/// `mvServerLog`.
pub(crate) fn post(
    logging: &mut Logging,
    port: &mut Port<'_>,
    message: u32,
    length: u32,
) -> Result<(), Status> {
    logging.post(port, message, length)
}

/// `mvTestLoggingInit`: as for the server's log, but only in a factory test (D107).
pub(crate) fn init_test(
    test_logging: &mut Logging,
    logging: &Logging,
    boot: &Boot,
    notifications: &Notifications,
    channels: &Channels,
    buffer: u32,
    length: u32,
) -> Result<(), Status> {
    let span = check_buffer(buffer, length)?;
    if !boot.application_test {
        return Err(Status::Unavailable);
    }
    set_buffer(test_logging, logging, notifications, channels, span)
}

/// Gives the log a buffer that nothing else uses. It may overlap the log's own earlier one, which it replaces.
fn set_buffer(
    logging: &mut Logging,
    other: &Logging,
    notifications: &Notifications,
    channels: &Channels,
    span: Span,
) -> Result<(), Status> {
    if notifications.overlaps_buffer(span) || channels.overlaps_buffer(span) || other.overlaps_buffer(span) {
        return Err(Status::BufferAlreadyInUse);
    }
    logging.set_buffer(span);
    Ok(())
}

/// A buffer of the size and alignment that logs need (D70).
fn check_buffer(buffer: u32, length: u32) -> Result<Span, Status> {
    let span = Span::writable(buffer, length).early()?;
    if !buffer.is_multiple_of(BUFFER_ALIGNMENT) {
        return Err(Status::InvalidBufferAlignment);
    }
    if length == 0 || !length.is_multiple_of(BUFFER_ALIGNMENT) {
        return Err(Status::InvalidBufferSize);
    }
    Ok(span)
}
