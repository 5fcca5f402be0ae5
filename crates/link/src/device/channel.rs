//! The state of one channel number at the device's end.

use crate::channel::{ChannelType, Open, RingCredit};
use crate::errors::SendError;
use crate::frame_writer::FrameWriter;
use crate::kind::{self, Direction, to_cloud};
use crate::limits::{CREDIT_FRACTION, MAX_FRAME_BODY, MESSAGE_ITEMS};
use crate::requests::PendingRequests;

/// How far a channel number is. It is free again after both `CLOSE` and `CLOSED`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Free,
    /// `OPEN` is pending.
    Opening,
    Open,
    /// `CLOSE` is pending, `CLOSED` has not been received.
    Closing,
    /// `CLOSE` has been sent, `CLOSED` has not been received.
    Closed,
    /// `CLOSED` has been received, `CLOSE` is pending.
    EndedByCloud,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ChannelState {
    pub phase: Phase,
    pub open: Open,
    /// Ring bytes and items that the cloud counts as used.
    pub used: RingCredit,
    /// The part of `used` that is free again, of which the cloud does not know yet.
    pub credit: RingCredit,
    /// The cloud waits for room, so that credit is sent at once.
    pub is_blocked: bool,
    /// Bytes that may be sent now.
    pub window: u32,
    /// The kind and the bytes so far of the item being sent.
    pub sending: Option<(u8, u32)>,
    pub requests: PendingRequests,
}

impl ChannelState {
    pub(super) const FREE: Self = Self {
        phase: Phase::Free,
        open: Open { channel_type: ChannelType::OpaqueBytes, ring: 0 },
        used: RingCredit::NONE,
        credit: RingCredit::NONE,
        is_blocked: false,
        window: 0,
        sending: None,
        requests: PendingRequests::NONE,
    };

    /// Whether a control frame is due.
    pub(super) fn wants_transmit(&self) -> bool {
        matches!(self.phase, Phase::Opening | Phase::Closing | Phase::EndedByCloud) || self.credit_is_due()
    }

    pub(super) fn has_credit(&self) -> bool {
        self.phase == Phase::Open && self.credit != RingCredit::NONE
    }

    /// Whether credit is worth a record of its own: a quarter of what it refers to, or the cloud waits for it.
    pub(super) fn credit_is_due(&self) -> bool {
        // At least one byte: a quarter of a tiny ring would be none.
        let is_quarter = self.credit.bytes >= (self.open.ring / CREDIT_FRACTION).max(1)
            || self.credit.items >= u32::from(MESSAGE_ITEMS) / CREDIT_FRACTION;
        self.has_credit() && (self.is_blocked || is_quarter)
    }

    /// Accounts for a body frame, or says why it may not be sent.
    pub(super) fn account_for(&mut self, kind: u8, length: u16, more: bool) -> Result<(), SendError> {
        // 1 stands for any channel: kinds are the same on all of them.
        let shape = kind::shape(Direction::ToCloud, 1, kind).ok_or(SendError::Invalid)?;
        let bytes = u32::from(length);
        let total = self.sending.map_or(0, |(_, before)| before) + bytes;
        let is_allowed = kind::belongs(Direction::ToCloud, self.open.channel_type, kind);
        let is_cut_wrong = more && (!shape.may_fragment || length == 0);
        if kind < to_cloud::TOPIC
            || !is_allowed
            || is_cut_wrong
            || usize::from(length) > MAX_FRAME_BODY
            || total > shape.max
        {
            return Err(SendError::Invalid);
        }
        if self.sending.is_some_and(|(started, _)| started != kind) {
            return Err(SendError::Busy);
        }
        let window = self.window.checked_sub(bytes).ok_or(SendError::Blocked)?;
        if self.sending.is_none() {
            self.requests.begin(kind).map_err(|_| SendError::OutOfOrder)?;
        }
        self.window = window;
        self.sending = more.then_some((kind, total));
        Ok(())
    }

    /// Writes a pending `OPEN` or `CLOSE`.
    pub(super) fn write_lifecycle(&mut self, number: u8, writer: &mut FrameWriter<'_>) {
        match self.phase {
            Phase::Opening => self.write_open(number, writer),
            Phase::Closing if writer.frame(number, to_cloud::CLOSE, &[]) => self.phase = Phase::Closed,
            Phase::EndedByCloud if writer.frame(number, to_cloud::CLOSE, &[]) => *self = Self::FREE,
            _ => {}
        }
    }

    fn write_open(&mut self, number: u8, writer: &mut FrameWriter<'_>) {
        let mut body = [0; Open::MAX];
        let length = self.open.encode(&mut body);
        if writer.frame(number, to_cloud::OPEN, &body[..length]) {
            self.phase = Phase::Open;
        }
    }

    /// Writes all the credit there is.
    pub(super) fn write_credit(&mut self, number: u8, writer: &mut FrameWriter<'_>) {
        let mut body = [0; RingCredit::MAX];
        let length = self.credit.encode(&mut body);
        if writer.frame(number, to_cloud::CREDIT, &body[..length]) {
            self.used.bytes -= self.credit.bytes;
            self.used.items -= self.credit.items;
            self.credit = RingCredit::NONE;
        }
    }
}
