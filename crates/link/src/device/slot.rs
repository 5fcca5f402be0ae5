//! One channel number at the device's end.

use crate::channel::{ChannelType, Open, RingCredit};
use crate::errors::SendError;
use crate::frame_writer::FrameWriter;
use crate::kind::{self, Direction, to_cloud};
use crate::limits::{CREDIT_FRACTION, MAX_FRAME_BODY, MESSAGE_ITEMS};
use crate::requests::PendingRequests;

/// Where in its life a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Free,
    /// `OPEN` is owed.
    Opening,
    Open,
    /// `CLOSE` is owed, `CLOSED` has not come.
    Closing,
    /// `CLOSE` was sent, `CLOSED` has not come.
    Closed,
    /// `CLOSED` came, `CLOSE` is owed.
    Ended,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub phase: Phase,
    pub open: Open,
    /// Ring bytes and items the cloud must still count as taken.
    pub taken: RingCredit,
    /// The part of `taken` that is free again but not told yet.
    pub owed: RingCredit,
    /// The cloud waits for room.
    pub is_blocked: bool,
    /// Bytes that may be sent.
    pub window: u32,
    /// The kind and the bytes so far of the item being sent.
    pub sending: Option<(u8, u32)>,
    pub requests: PendingRequests,
}

const NOTHING: RingCredit = RingCredit { bytes: 0, items: 0 };

impl Slot {
    pub(super) const FREE: Self = Self {
        phase: Phase::Free,
        open: Open { channel_type: ChannelType::OpaqueBytes, ring: 0 },
        taken: NOTHING,
        owed: NOTHING,
        is_blocked: false,
        window: 0,
        sending: None,
        requests: PendingRequests::NONE,
    };

    /// Whether a control frame is to go out now.
    pub(super) fn wants_transmit(&self) -> bool {
        matches!(self.phase, Phase::Opening | Phase::Closing | Phase::Ended) || self.credit_is_due()
    }

    pub(super) fn has_credit(&self) -> bool {
        self.phase == Phase::Open && self.owed != NOTHING
    }

    /// Whether owed credit is worth a record of its own: a quarter of what it refers to, or the cloud waits for it.
    pub(super) fn credit_is_due(&self) -> bool {
        let much = self.owed.bytes >= (self.open.ring / CREDIT_FRACTION).max(1)
            || self.owed.items >= u32::from(MESSAGE_ITEMS) / CREDIT_FRACTION;
        self.has_credit() && (self.is_blocked || much)
    }

    /// Takes a body frame into account, or says why it may not be sent.
    pub(super) fn account(&mut self, kind: u8, length: u16, more: bool) -> Result<(), SendError> {
        let shape = kind::shape(Direction::ToCloud, 1, kind).ok_or(SendError::Invalid)?;
        let bytes = u32::from(length);
        let whole = self.sending.map_or(0, |(_, before)| before) + bytes;
        let belongs = kind::belongs(Direction::ToCloud, self.open.channel_type, kind);
        let cut_wrong = more && (!shape.fragments || length == 0);
        if kind < to_cloud::TOPIC
            || !belongs
            || cut_wrong
            || usize::from(length) > MAX_FRAME_BODY
            || whole > shape.max
        {
            return Err(SendError::Invalid);
        }
        if self.sending.is_some_and(|(begun, _)| begun != kind) {
            return Err(SendError::Busy);
        }
        let window = self.window.checked_sub(bytes).ok_or(SendError::Blocked)?;
        if self.sending.is_none() {
            self.requests.begin(kind).map_err(|_| SendError::OutOfOrder)?;
        }
        self.window = window;
        self.sending = more.then_some((kind, whole));
        Ok(())
    }

    /// Writes the `OPEN` or `CLOSE` that is owed.
    pub(super) fn write_lifecycle(&mut self, number: u8, writer: &mut FrameWriter<'_>) {
        match self.phase {
            Phase::Opening => self.write_open(number, writer),
            Phase::Closing if writer.frame(number, to_cloud::CLOSE, &[]) => self.phase = Phase::Closed,
            Phase::Ended if writer.frame(number, to_cloud::CLOSE, &[]) => *self = Self::FREE,
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

    /// Writes all the credit that is owed.
    pub(super) fn write_credit(&mut self, number: u8, writer: &mut FrameWriter<'_>) {
        let mut body = [0; RingCredit::MAX];
        let length = self.owed.encode(&mut body);
        if writer.frame(number, to_cloud::CREDIT, &body[..length]) {
            self.taken.bytes -= self.owed.bytes;
            self.taken.items -= self.owed.items;
            self.owed = NOTHING;
        }
    }
}
