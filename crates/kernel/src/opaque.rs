//! Channels of opaque bytes: a stream in each direction, through the application's two rings.
//!
//! How the link cuts the bytes has no meaning, so what has arrived is readable at once, and what is in the send ring
//! can be sent at once.

pub(crate) mod calls;

use link::kind::to_device;
use link::{Fragment, Violation, violation};

use crate::channel_core::ChannelCore;
use crate::inbox::Progress;
use crate::memory::Memory;

/// The state of a channel of opaque bytes.
pub(crate) struct Opaque {
    /// Received bytes that the application was shown and has not consumed. It can consume no others, because bytes that
    /// it has not seen must not disappear (D102).
    shown: u32,
    /// Free bytes of the send ring at which to post `CHANNELDATAWRITESPACE`, after a write that did not fit. One event
    /// for every byte that leaves would make applications retry too early (D13, D101).
    awaited_space: Option<u32>,
}

impl Opaque {
    pub(crate) fn new() -> Self {
        Self { shown: 0, awaited_space: None }
    }

    /// Receives bytes. They are announced when the ring was empty before, since an application that has not read the
    /// earlier bytes will find these with them (D12).
    pub(crate) fn on_fragment(
        core: &mut ChannelCore,
        memory: &mut dyn Memory,
        fragment: &Fragment<'_>,
    ) -> Result<Progress, Violation> {
        if fragment.kind != to_device::DATA {
            return Err(violation::WRONG_CHANNEL_TYPE);
        }
        let was_empty = core.inbox.ring().used() == 0;
        let received = core.inbox.receive(memory, fragment.bytes, true)?;
        Ok(Progress { stored: received.stored, announce: received.stored > 0 && was_empty })
    }

    /// Bytes have left the send ring; whether to post `CHANNELDATAWRITESPACE`.
    pub(crate) fn take_awaited_space(&mut self, free: u32) -> bool {
        let is_available = self.awaited_space.is_some_and(|awaited| free >= awaited);
        if is_available {
            self.awaited_space = None;
        }
        is_available
    }

    /// The channel is disconnected: nothing can be written any more.
    pub(crate) fn disconnect(&mut self) {
        self.awaited_space = None;
    }

    /// A write of `length` bytes did not fit: wait until it would, or until the ring is empty if it never will (D101).
    fn await_space(&mut self, length: u32, ring: u32) {
        self.awaited_space = Some(length.min(ring));
    }
}
