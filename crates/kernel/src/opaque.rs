//! Bytes without a meaning to the kernel: a stream each way, through the application's two rings.
//!
//! How the bytes are cut on the link tells nobody anything, so whatever has come is readable, and whatever is in the send
//! ring may go, at once.

use abi::Status;
use abi::notifications::EventType;
use link::kind::to_device;
use link::{Fragment, Violation, violation};

use crate::Kernel;
use crate::channel::Base;
use crate::memory::{Memory, Output, Phase as _, Span};
use crate::port::Port;

/// The state of one channel of opaque bytes.
pub(crate) struct Opaque {
    /// Received bytes the application was shown and has not given back: it may give back no others (D102).
    shown: u32,
    /// Free bytes of the send ring at which the application is to be told that there is room, because a write of its
    /// own did not fit (D13).
    awaited: Option<u32>,
}

impl Opaque {
    pub(crate) fn new() -> Self {
        Self { shown: 0, awaited: None }
    }

    /// Takes a fragment of what the cloud sends; whether there is something to read that was not there before (D12).
    pub(crate) fn item(
        base: &mut Base,
        memory: &mut dyn Memory,
        fragment: &Fragment<'_>,
        stored: &mut dyn FnMut(u32) -> Result<(), Violation>,
    ) -> Result<bool, Violation> {
        if fragment.kind != to_device::DATA {
            return Err(violation::WRONG_CHANNEL_TYPE);
        }
        let was_empty = base.inbox.ring().used() == 0;
        stored(fragment.bytes.len() as u32)?;
        base.inbox.store(memory, fragment.bytes)?;
        Ok(base.inbox.finish() > 0 && was_empty)
    }

    /// Bytes have left the send ring; whether the application is to be told that there is room (D13).
    pub(crate) fn has_room_again(&mut self, free: u32) -> bool {
        let is_told = self.awaited.is_some_and(|awaited| free >= awaited);
        if is_told {
            self.awaited = None;
        }
        is_told
    }

    /// Nobody writes any more.
    pub(crate) fn ended(&mut self) {
        self.awaited = None;
    }

    /// A write of `length` bytes did not fit: room for it, or all the room there ever is, is awaited.
    fn wait_for_room(&mut self, length: u32, ring: u32) {
        self.awaited = Some(length.min(ring));
    }
}

impl Kernel {
    /// `mvWriteChannel`: all or nothing; no bytes only ask for the room.
    pub(crate) fn write_channel(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        data: u32,
        length: u32,
        available: u32,
    ) -> Result<(), Status> {
        let (base, opaque) = self.channels.opaque(handle)?;
        let data = Span::readable(data, length).early()?;
        let available = Output::claim(port.memory, available).late()?;
        base.connected()?;
        if length > base.outbox.free() {
            opaque.wait_for_room(length, base.outbox.size());
            return Err(Status::InvalidBufferSize);
        }
        base.outbox.append(port.memory, data).early()?;
        available.put_u32(port.memory, base.outbox.free()).late()
    }

    /// `mvWriteChannelStream`: as much as fits.
    pub(crate) fn write_channel_stream(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        data: u32,
        length: u32,
        written: u32,
    ) -> Result<(), Status> {
        let (base, opaque) = self.channels.opaque(handle)?;
        let data = Span::readable(data, length).early()?;
        let written = Output::claim(port.memory, written).late()?;
        base.connected()?;
        let fits = data.first(base.outbox.free());
        base.outbox.append(port.memory, fits).early()?;
        if fits.length() < length {
            opaque.wait_for_room(1, base.outbox.size());
        }
        written.put_u32(port.memory, fits.length()).late()
    }

    /// `mvReadChannel`: where the oldest bytes lie in the application's own ring, and how many lie there in one piece.
    pub(crate) fn read_channel(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        pointer: u32,
        length: u32,
    ) -> Result<(), Status> {
        let pointer = Output::claim(port.memory, pointer).early()?;
        let length = Output::claim(port.memory, length).early()?;
        let (base, opaque) = self.channels.opaque(handle)?;
        readable(base)?;
        let run = base.inbox.ring().oldest();
        opaque.shown = run.length();
        pointer.put_u32(port.memory, run.address()).early()?;
        length.put_u32(port.memory, run.length()).early()
    }

    /// `mvReadChannelComplete`: room for others; what is left is announced anew (D12).
    pub(crate) fn read_channel_complete(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        consumed: u32,
    ) -> Result<(), Status> {
        let (base, opaque) = self.channels.opaque(handle)?;
        readable(base)?;
        opaque.shown = opaque.shown.checked_sub(consumed).ok_or(Status::ParameterFault)?;
        base.inbox.release(consumed);
        if base.connected().is_ok() {
            self.link.return_credit(base.number, consumed, 0);
        }
        if base.inbox.ring().used() > 0 {
            self.notifications.post(port, base.to, EventType::ChannelDataReadable);
        }
        Ok(())
    }
}

/// What is left after the end can be read (N68, N70); when nothing is, the channel is closed (D31).
fn readable(base: &Base) -> Result<(), Status> {
    if base.inbox.ring().used() > 0 { Ok(()) } else { base.connected() }
}
