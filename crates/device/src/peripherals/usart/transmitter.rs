//! The sending side: TDR or its FIFO, and the shift register from which a character leaves one frame after it began.

use std::collections::VecDeque;

use armv8m::Cycles;

use super::format::{Settings, TE};
use super::{SBKF, TC, TXE, TXFE, TXFT, TXFTCFG_AT};

/// What the shift register sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    Character(u16),
    /// Low for a frame. The other end here has no notion of it.
    Break,
}

#[derive(Debug)]
pub(super) struct Transmitter {
    /// TDR, with FIFOs those of the transmitter.
    waiting: VecDeque<u16>,
    /// What is being sent, and the cycle at which it has left.
    shifting: Option<(Cycles, Frame)>,
    break_requested: bool,
    /// TC.
    complete: bool,
    /// TXFE was cleared by ICR and is set again when the FIFO has been filled and emptied.
    empty_cleared: bool,
}

impl Transmitter {
    pub(super) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            shifting: None,
            break_requested: false,
            complete: true,
            empty_cleared: false,
        }
    }

    /// Writes TDR. What is written while there is no room replaces TDR; a FIFO does not take it.
    pub(super) fn write(&mut self, word: u16, settings: &Settings, now: Cycles) {
        if !settings.is_on(0) {
            return;
        }
        if self.waiting.len() < settings.capacity() {
            self.waiting.push_back(word);
        } else if !settings.has_fifo()
            && let Some(waiting) = self.waiting.back_mut()
        {
            *waiting = word;
        }
        (self.complete, self.empty_cleared) = (false, false);
        self.begin(settings, now);
    }

    /// The next frame begins, if there is one, the transmitter is on, and none is being sent.
    pub(super) fn begin(&mut self, settings: &Settings, now: Cycles) {
        if !settings.is_on(TE) || self.shifting.is_some() {
            return;
        }
        let frame = if std::mem::take(&mut self.break_requested) {
            Some(Frame::Break)
        } else {
            self.waiting.pop_front().map(Frame::Character)
        };
        self.shifting = frame.map(|frame| (now + settings.frame_cycles(), frame));
    }

    /// The cycle at which what is being sent has left.
    pub(super) fn next_event(&self) -> Option<Cycles> {
        self.shifting.map(|(at, _)| at)
    }

    /// Does what is due at cycle `at`. Returns the character that has been sent.
    pub(super) fn advance(&mut self, settings: &Settings, at: Cycles) -> Option<u8> {
        let (_, frame) = self.shifting.take_if(|(leaves_at, _)| *leaves_at <= at)?;
        self.begin(settings, at);
        self.complete |= self.shifting.is_none() && self.waiting.is_empty();
        match frame {
            Frame::Character(word) => Some(settings.sent(word)),
            Frame::Break => None,
        }
    }

    /// RQR.SBKRQ: a break follows what is being sent.
    pub(super) fn request_break(&mut self, settings: &Settings, now: Cycles) {
        self.break_requested = settings.is_on(TE);
        self.complete &= !self.break_requested;
        self.begin(settings, now);
    }

    /// RQR.TXFRQ: what waits is dropped.
    pub(super) fn flush(&mut self) {
        self.waiting.clear();
    }

    /// ICR.
    pub(super) fn clear(&mut self, flags: u32, empty: bool) {
        self.complete &= flags & TC == 0;
        self.empty_cleared |= empty;
    }

    pub(super) fn has_room(&self, settings: &Settings) -> bool {
        self.waiting.len() < settings.capacity()
    }

    /// The transmitter's flags in ISR.
    pub(super) fn status(&self, settings: &Settings) -> u32 {
        let flag = |set: bool, flag| if set { flag } else { 0 };
        let fifo = settings.has_fifo();
        let room = settings.capacity().saturating_sub(self.waiting.len());
        let breaks = self.break_requested || matches!(self.shifting, Some((_, Frame::Break)));
        flag(room > 0, TXE)
            | flag(fifo && self.waiting.is_empty() && !self.empty_cleared, TXFE)
            | flag(fifo && room >= settings.threshold(TXFTCFG_AT), TXFT)
            | flag(self.complete, TC)
            | flag(breaks, SBKF)
    }
}
