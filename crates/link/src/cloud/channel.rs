//! The state of one channel number at the cloud's end.

use crate::channel::{ChannelType, ClosureReason, Open, RingCredit, WindowCredit};
use crate::errors::SendError;
use crate::frame_writer::FrameWriter;
use crate::header::{Header, HeaderBytes};
use crate::kind::{self, Direction, to_device};
use crate::limits::{CREDIT_FRACTION, MAX_FRAME_BODY, MESSAGE_ITEMS};
use crate::requests::PendingRequests;
use crate::violation::{self, Violation};

/// How far a channel number is. It is free again after both `CLOSE` and `CLOSED`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Free,
    Open,
    /// `CLOSED` is pending, `CLOSE` has not been received.
    Ending,
    /// `CLOSED` has been sent, `CLOSE` has not been received.
    Ended,
    /// `CLOSE` has been received, `CLOSED` is pending.
    Closed,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ChannelState {
    pub phase: Phase,
    /// What `CLOSED` will say.
    pub reason: ClosureReason,
    pub channel_type: ChannelType,
    /// Bytes of the receive ring, and how many of them are used.
    pub ring: u32,
    used: u32,
    /// `MESSAGE` and `LOST` items outstanding.
    pub items: u8,
    /// Whether an item waits for room, and `BLOCKED` has been sent for it.
    blocked: Blocked,
    /// Bytes the device may still send.
    pub window: u32,
    /// Bytes received that the driver has not consumed.
    pub unconsumed: u32,
    /// Bytes to be credited to the window.
    pub credit: u32,
    /// Whether fragments with more to follow are credited on arrival.
    pub fragment_credit: bool,
    pub sending: Option<OutgoingItem>,
    pub requests: PendingRequests,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blocked {
    No,
    Pending,
    Sent,
}

impl ChannelState {
    pub(super) const FREE: Self = Self {
        phase: Phase::Free,
        reason: ClosureReason::None,
        channel_type: ChannelType::OpaqueBytes,
        ring: 0,
        used: 0,
        items: 0,
        blocked: Blocked::No,
        window: 0,
        unconsumed: 0,
        credit: 0,
        fragment_credit: true,
        sending: None,
        requests: PendingRequests::NONE,
    };

    pub(super) const fn opened(open: Open, window: u32) -> Self {
        let Open { channel_type, ring } = open;
        Self { phase: Phase::Open, channel_type, ring, window, ..Self::FREE }
    }

    pub(super) const fn free_ring_bytes(&self) -> u32 {
        self.ring - self.used
    }

    /// `CLOSE` has been received. The number is free when `CLOSED` has been sent as well.
    pub(super) fn close_received(&mut self) {
        match self.phase {
            Phase::Open => {
                *self =
                    Self { phase: Phase::Closed, reason: ClosureReason::ClosedByApplication, ..Self::FREE }
            }
            Phase::Ending => self.phase = Phase::Closed,
            Phase::Ended => *self = Self::FREE,
            Phase::Free | Phase::Closed => {}
        }
    }

    /// The device has freed room in the ring.
    pub(super) fn credit_received(&mut self, credit: RingCredit) -> Result<(), Violation> {
        if credit.bytes > self.used || credit.items > u32::from(self.items) {
            return Err(violation::CREDIT_EXCEEDED);
        }
        self.used -= credit.bytes;
        self.items -= credit.items as u8;
        Ok(())
    }

    /// The device begins an item of this kind.
    pub(super) fn begin_received(&mut self, kind: u8) -> Result<(), Violation> {
        if !kind::belongs(Direction::ToCloud, self.channel_type, kind) {
            return Err(violation::WRONG_CHANNEL_TYPE);
        }
        self.requests.begin(kind)
    }

    /// Bytes of an item have been received, of a fragment with more to follow or not.
    pub(super) fn bytes_received(&mut self, bytes: u32, more_follows: bool) -> Result<(), Violation> {
        self.window = self.window.checked_sub(bytes).ok_or(violation::WINDOW_EXCEEDED)?;
        let counter =
            if more_follows && self.fragment_credit { &mut self.credit } else { &mut self.unconsumed };
        *counter += bytes;
        Ok(())
    }

    /// Begins an item, or says why it cannot begin now.
    pub(super) fn begin(&mut self, kind: u8, head: u32, content: u32) -> Result<(), SendError> {
        // 1 stands for any channel: kinds are the same on all of them.
        let shape = kind::shape(Direction::ToDevice, 1, kind).ok_or(SendError::Invalid)?;
        let left = head.checked_add(content).ok_or(SendError::Invalid)?;
        let is_allowed = kind::belongs(Direction::ToDevice, self.channel_type, kind);
        if kind < to_device::MESSAGE || !is_allowed || left > shape.max || content > self.ring {
            return Err(SendError::Invalid);
        }
        if self.sending.is_some() {
            return Err(SendError::Busy);
        }
        // Counted apart from bytes: a device has a fixed number of places for them, however short they are.
        let item = u8::from(matches!(kind, to_device::MESSAGE | to_device::LOST));
        if content > self.free_ring_bytes() || self.items + item > MESSAGE_ITEMS {
            self.note_blocked();
            return Err(SendError::Blocked);
        }
        self.requests.finish(kind).map_err(|_| SendError::OutOfOrder)?;
        self.used += content;
        self.items += item;
        if is_stored(kind) {
            self.blocked = Blocked::No;
        }
        self.sending = Some(OutgoingItem { kind, left });
        Ok(())
    }

    fn note_blocked(&mut self) {
        if self.blocked == Blocked::No {
            self.blocked = Blocked::Pending;
        }
    }

    pub(super) fn next_fragment(&mut self, channel: u8, max: usize) -> Option<(HeaderBytes, usize)> {
        let sending = self.sending.as_mut()?;
        let fragment = sending.next_fragment(channel, max)?;
        if sending.left == 0 {
            self.sending = None;
        }
        Some(fragment)
    }

    /// Writes the control frames that are due: `BLOCKED`, credit worth a record of its own, `CLOSED`.
    pub(super) fn write_pending(&mut self, number: u8, window: u32, writer: &mut FrameWriter<'_>) {
        if self.blocked == Blocked::Pending
            && self.phase == Phase::Open
            && writer.frame(number, to_device::BLOCKED, &[])
        {
            self.blocked = Blocked::Sent;
        }
        if self.credit >= window / CREDIT_FRACTION {
            self.write_credit(number, writer);
        }
        if matches!(self.phase, Phase::Ending | Phase::Closed)
            && writer.frame(number, to_device::CLOSED, &[self.reason.code()])
        {
            self.closed_sent();
        }
    }

    fn closed_sent(&mut self) {
        if self.phase == Phase::Closed {
            *self = Self::FREE;
        } else {
            self.phase = Phase::Ended;
        }
    }

    /// Writes all the credit there is.
    pub(super) fn write_credit(&mut self, number: u8, writer: &mut FrameWriter<'_>) {
        if self.credit == 0 || self.phase != Phase::Open {
            return;
        }
        let mut body = [0; WindowCredit::MAX];
        let length = WindowCredit { bytes: self.credit }.encode(&mut body);
        if writer.frame(number, to_device::CREDIT, &body[..length]) {
            self.window += self.credit;
            self.credit = 0;
        }
    }
}

/// The item being sent on a channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutgoingItem {
    kind: u8,
    left: u32,
}

impl OutgoingItem {
    /// Cuts the next fragment of at most `max` bytes; `None` when that leaves no room for a byte there is to send.
    fn next_fragment(&mut self, channel: u8, max: usize) -> Option<(HeaderBytes, usize)> {
        let length = (self.left as usize).min(max).min(MAX_FRAME_BODY);
        if length == 0 && self.left > 0 {
            return None;
        }
        self.left -= length as u32;
        let header = Header { kind: self.kind, channel, length: length as u16, more: self.left > 0 };
        Some((header.to_bytes(), length))
    }
}

/// Whether items of this kind take ring bytes.
const fn is_stored(kind: u8) -> bool {
    matches!(
        kind,
        to_device::MESSAGE
            | to_device::LOST
            | to_device::HTTP_RESPONSE
            | to_device::CONFIG_RESPONSE
            | to_device::DATA
    )
}
