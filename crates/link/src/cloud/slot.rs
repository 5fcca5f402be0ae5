//! One channel number at the cloud's end.

use crate::channel::{ChannelType, ClosureReason, Open, RingCredit, WindowCredit};
use crate::header::HeaderBytes;
use crate::kind::{self, Direction, to_device};
use crate::limits::{CREDIT_FRACTION, MESSAGE_ITEMS};
use crate::session::{Output, Refusal, Requests, Sending};
use crate::violation::{self, Violation};

/// Where in its life a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Free,
    Open,
    /// `CLOSED` is owed, `CLOSE` has not come.
    Ending,
    /// `CLOSED` was sent, `CLOSE` has not come.
    Ended,
    /// `CLOSE` came, `CLOSED` is owed.
    Closed,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub life: Life,
    /// What `CLOSED` will say.
    pub reason: ClosureReason,
    pub channel_type: ChannelType,
    /// The receive ring's size, and what of it is taken.
    pub ring: u32,
    used: u32,
    /// `MESSAGE` and `LOST` items outstanding.
    pub items: u8,
    /// An item waits for room: `WANTED` is owed, or was sent.
    wanted: Wanted,
    /// Bytes the device may still send; those received and kept; those to be given back.
    pub window: u32,
    pub held: u32,
    pub owed: u32,
    /// Whether fragments with more to follow go back as soon as they have come, or wait to be taken further too.
    pub is_taking: bool,
    pub sending: Option<Sending>,
    pub requests: Requests,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    No,
    Owed,
    Told,
}

impl Slot {
    pub(super) const FREE: Self = Self {
        life: Life::Free,
        reason: ClosureReason::None,
        channel_type: ChannelType::OpaqueBytes,
        ring: 0,
        used: 0,
        items: 0,
        wanted: Wanted::No,
        window: 0,
        held: 0,
        owed: 0,
        is_taking: true,
        sending: None,
        requests: Requests::NONE,
    };

    pub(super) const fn opened(open: Open, window: u32) -> Self {
        let Open { channel_type, ring } = open;
        Self { life: Life::Open, channel_type, ring, window, ..Self::FREE }
    }

    pub(super) const fn room(&self) -> u32 {
        self.ring - self.used
    }

    /// `CLOSE` came. The number is free when `CLOSED` has been sent as well.
    pub(super) fn close_came(&mut self) {
        match self.life {
            Life::Open => {
                *self = Self { life: Life::Closed, reason: ClosureReason::ClosedByApplication, ..Self::FREE }
            }
            Life::Ending => self.life = Life::Closed,
            Life::Ended => *self = Self::FREE,
            Life::Free | Life::Closed => {}
        }
    }

    /// The device gave room back.
    pub(super) fn give_back(&mut self, credit: RingCredit) -> Result<(), Violation> {
        if credit.bytes > self.used || credit.items > u32::from(self.items) {
            return Err(violation::CREDIT_EXCEEDED);
        }
        self.used -= credit.bytes;
        self.items -= credit.items as u8;
        Ok(())
    }

    /// An item of this kind begins.
    pub(super) fn item_begins(&mut self, kind: u8) -> Result<(), Violation> {
        if !kind::belongs(Direction::ToCloud, self.channel_type, kind) {
            return Err(violation::WRONG_CHANNEL_TYPE);
        }
        self.requests.asked(kind)
    }

    /// Bytes of an item came, of a fragment with more to follow or not.
    pub(super) fn took(&mut self, bytes: u32, goes_on: bool) -> Result<(), Violation> {
        self.window = self.window.checked_sub(bytes).ok_or(violation::WINDOW_EXCEEDED)?;
        *(if goes_on && self.is_taking { &mut self.owed } else { &mut self.held }) += bytes;
        Ok(())
    }

    /// Begins an item, or says why it cannot begin now.
    pub(super) fn begin(&mut self, kind: u8, head: u32, content: u32) -> Result<(), Refusal> {
        let shape = kind::shape(Direction::ToDevice, 1, kind).ok_or(Refusal::Never)?;
        let left = head.checked_add(content).ok_or(Refusal::Never)?;
        let belongs = kind::belongs(Direction::ToDevice, self.channel_type, kind);
        if kind < to_device::MESSAGE || !belongs || left > shape.max || content > self.ring {
            return Err(Refusal::Never);
        }
        if self.sending.is_some() {
            return Err(Refusal::Busy);
        }
        let item = u8::from(matches!(kind, to_device::MESSAGE | to_device::LOST));
        if content > self.room() || self.items + item > MESSAGE_ITEMS {
            self.want();
            return Err(Refusal::NoRoom);
        }
        self.requests.answered(kind).map_err(|_| Refusal::NotAsked)?;
        self.used += content;
        self.items += item;
        if is_stored(kind) {
            self.wanted = Wanted::No;
        }
        self.sending = Some(Sending { kind, left });
        Ok(())
    }

    fn want(&mut self) {
        if self.wanted == Wanted::No {
            self.wanted = Wanted::Owed;
        }
    }

    pub(super) fn fragment(&mut self, channel: u8, most: usize) -> Option<(HeaderBytes, usize)> {
        let sending = self.sending.as_mut()?;
        let cut = sending.fragment(channel, most)?;
        if sending.left == 0 {
            self.sending = None;
        }
        Some(cut)
    }

    /// Writes the control frames that are due: `WANTED`, credit worth a record of its own, `CLOSED`.
    pub(super) fn write_due(&mut self, number: u8, window: u32, output: &mut Output<'_>) {
        if self.wanted == Wanted::Owed
            && self.life == Life::Open
            && output.frame(number, to_device::WANTED, &[])
        {
            self.wanted = Wanted::Told;
        }
        if self.owed >= window / CREDIT_FRACTION {
            self.write_credit(number, output);
        }
        if matches!(self.life, Life::Ending | Life::Closed)
            && output.frame(number, to_device::CLOSED, &[self.reason.code()])
        {
            self.closed_sent();
        }
    }

    fn closed_sent(&mut self) {
        if self.life == Life::Closed {
            *self = Self::FREE;
        } else {
            self.life = Life::Ended;
        }
    }

    /// Writes all the credit that is owed.
    pub(super) fn write_credit(&mut self, number: u8, output: &mut Output<'_>) {
        if self.owed == 0 || self.life != Life::Open {
            return;
        }
        let mut body = [0; WindowCredit::MAX];
        let length = WindowCredit { bytes: self.owed }.encode(&mut body);
        if output.frame(number, to_device::CREDIT, &body[..length]) {
            self.window += self.owed;
            self.owed = 0;
        }
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
