//! The receiving side: the line with what the other end sends, and the receiver that takes it character by character.
//!
//! A character arrives one frame after it began; the next begins at once. IDLE, RTOF, CMF and BUSY follow what arrives,
//! whether the application takes it or not. A character that arrives while the receiver is full is not lost, unless
//! overruns are enabled: it waits, and is received when there is room. A program that feeds a port from a file or a
//! terminal has no second try.

use std::collections::VecDeque;

use armv8m::Cycles;

use super::format::{ABREN, ADDM7, MME, RE, Settings, WAKE};
use super::{ABRF, BUSY, CMF, IDLE, ORE, OVRDIS, RTOF, RWU, RXFF, RXFT, RXFTCFG_AT, RXNE};

/// Characters that can be on their way on a line. Beyond, the sender has to wait.
pub const LINE: usize = 4096;

/// Flags that stay until they are cleared by ICR.
const CLEARABLE: u32 = IDLE | ORE | RTOF | CMF;

#[derive(Debug)]
pub(super) struct Receiver {
    /// What the other end has to send. It belongs to the outside: no reset loses it.
    line: VecDeque<u8>,
    /// What arrives while the receiver is full is lost, as on the chip.
    overruns: bool,
    /// The character on the line, and the cycle at which it will be whole.
    arriving: Option<(Cycles, u8)>,
    /// What has arrived and found no room.
    waiting: VecDeque<u8>,
    /// RDR, with FIFOs those of the receiver.
    received: VecDeque<u16>,
    flags: u32,
    mute: bool,
    /// When the last character was whole.
    arrived_at: Option<Cycles>,
    /// When the line will have been idle for a frame, or for the receiver timeout.
    idle_at: Option<Cycles>,
    timeout_at: Option<Cycles>,
}

impl Receiver {
    pub(super) fn new(overruns: bool) -> Self {
        Self {
            line: VecDeque::new(),
            overruns,
            arriving: None,
            waiting: VecDeque::new(),
            received: VecDeque::new(),
            flags: 0,
            mute: false,
            arrived_at: None,
            idle_at: None,
            timeout_at: None,
        }
    }

    /// The other end sends `bytes` behind what it still has to send. Returns whether there was room for them.
    pub(super) fn send(&mut self, bytes: &[u8], settings: &Settings, now: Cycles) -> bool {
        let room = self.line.len() + self.waiting.len() + bytes.len() <= LINE;
        if room {
            self.line.extend(bytes);
            self.begin(settings, now);
        }
        room
    }

    /// The next character begins, if there is one, the receiver is on, and none is on the line.
    pub(super) fn begin(&mut self, settings: &Settings, now: Cycles) {
        if !settings.is_on(RE) || self.arriving.is_some() {
            return;
        }
        if let Some(byte) = self.line.pop_front() {
            self.arriving = Some((now + settings.frame_cycles(), byte));
            (self.idle_at, self.timeout_at) = (None, None);
        }
    }

    /// The receiver is switched off. What it has not received yet waits at the other end.
    pub(super) fn stop(&mut self) {
        let unfinished = self.arriving.take().map(|(_, byte)| byte);
        for byte in self.waiting.drain(..).chain(unfinished).rev() {
            self.line.push_front(byte);
        }
        (self.idle_at, self.timeout_at) = (None, None);
    }

    /// The port is switched off: nothing that was received is left, and no flag.
    pub(super) fn reset(&mut self) {
        self.stop();
        let line = std::mem::take(&mut self.line);
        *self = Self { line, ..Self::new(self.overruns) };
    }

    /// The cycle at which a flag next changes by itself.
    pub(super) fn next_event(&self) -> Option<Cycles> {
        let arrives = self.arriving.map(|(at, _)| at);
        [arrives, self.idle_at, self.timeout_at].into_iter().flatten().min()
    }

    /// Makes happen what is due at cycle `at`.
    pub(super) fn advance(&mut self, settings: &Settings, at: Cycles) {
        let is_due = |moment: &mut Cycles| *moment <= at;
        if self.arriving.is_some_and(|(whole_at, _)| whole_at <= at)
            && let Some((_, byte)) = self.arriving.take()
        {
            self.arrived(byte, settings, at);
        }
        if self.timeout_at.take_if(is_due).is_some() {
            self.flags |= RTOF;
        }
        if self.idle_at.take_if(is_due).is_some() {
            self.idle(settings);
        }
    }

    /// A character is whole at cycle `at`.
    pub(super) fn arrived(&mut self, byte: u8, settings: &Settings, at: Cycles) {
        if !self.is_muted(byte, settings) {
            self.accept(byte, settings);
        }
        self.arrived_at = Some(at);
        self.begin(settings, at);
        if self.arriving.is_none() {
            self.idle_at = Some(at + settings.frame_cycles());
            self.timeout_at = settings.has_timeout().then(|| at + settings.timeout_cycles());
        }
    }

    fn accept(&mut self, byte: u8, settings: &Settings) {
        let word = settings.received(byte);
        if word as u8 == settings.address() {
            self.flags |= CMF;
        }
        // The line has the baud rate the port is set to, so measuring it finds that one.
        if settings.control[1] & ABREN != 0 && !settings.low_power {
            self.flags |= ABRF;
        }
        if self.received.len() < settings.capacity() {
            self.received.push_back(word);
        } else if !self.overruns {
            self.waiting.push_back(byte);
        } else if settings.control[2] & OVRDIS == 0 {
            self.flags |= ORE;
        } else if let Some(newest) = self.received.back_mut() {
            *newest = word;
        }
    }

    /// Whether a port in mute mode does not take `byte`. An address, which has its topmost bit set, may end or begin
    /// that.
    fn is_muted(&mut self, byte: u8, settings: &Settings) -> bool {
        let [first, second, _] = settings.control;
        if first & MME != 0 && first & WAKE != 0 && byte & 0x80 != 0 {
            let mask = if second & ADDM7 != 0 { 0x7F } else { 0x0F };
            self.mute = (byte ^ settings.address()) & mask != 0;
        }
        self.mute
    }

    fn idle(&mut self, settings: &Settings) {
        if !self.mute {
            self.flags |= IDLE;
        } else if settings.control[0] & WAKE == 0 {
            self.mute = false;
        }
    }

    /// RQR.MMRQ. A line that has been idle for a frame would end the mute mode that ends so.
    pub(super) fn mute(&mut self, settings: &Settings) {
        let [first, ..] = settings.control;
        let is_idle = self.arriving.is_none() && self.idle_at.is_none();
        self.mute |= first & MME != 0 && !(first & WAKE == 0 && is_idle);
    }

    /// CR1.MME was cleared.
    pub(super) fn unmute(&mut self) {
        self.mute = false;
    }

    /// RQR.ABRRQ.
    pub(super) fn measure_baud_rate(&mut self) {
        self.flags &= !ABRF;
    }

    /// Reads RDR.
    pub(super) fn take(&mut self, settings: &Settings) -> u32 {
        let Some(word) = self.received.pop_front() else { return 0 };
        self.refill(settings);
        word.into()
    }

    /// RQR.RXFRQ: what the receiver has is dropped. What waits, or is still on the line, is not the receiver's.
    pub(super) fn flush(&mut self, settings: &Settings) {
        self.received.clear();
        self.refill(settings);
    }

    fn refill(&mut self, settings: &Settings) {
        while self.received.len() < settings.capacity()
            && let Some(byte) = self.waiting.pop_front()
        {
            self.received.push_back(settings.received(byte));
        }
    }

    /// RTOR or RTOEN was written: the timeout counts from the last character. One that has expired does not expire
    /// again, and one that was off until then does not come late.
    pub(super) fn set_timeout(&mut self, was_on: bool, settings: &Settings, now: Cycles) {
        let ends = self.arrived_at.map(|at| at + settings.timeout_cycles());
        let is_pending = |ends: &u64| {
            if was_on { self.timeout_at.is_some() } else { *ends > now && self.arriving.is_none() }
        };
        self.timeout_at = ends.filter(is_pending).filter(|_| settings.has_timeout());
    }

    /// ICR.
    pub(super) fn clear(&mut self, flags: u32) {
        self.flags &= !(flags & CLEARABLE);
    }

    pub(super) fn has_characters(&self) -> bool {
        !self.received.is_empty()
    }

    pub(super) fn has_overrun(&self) -> bool {
        self.flags & ORE != 0
    }

    /// The receiver's flags in ISR.
    pub(super) fn status(&self, settings: &Settings) -> u32 {
        let flag = |set: bool, flag| if set { flag } else { 0 };
        let (count, fifo) = (self.received.len(), settings.has_fifo());
        self.flags
            | flag(count > 0, RXNE)
            | flag(fifo && count >= settings.capacity(), RXFF)
            | flag(fifo && count >= settings.threshold(RXFTCFG_AT), RXFT)
            | flag(self.arriving.is_some(), BUSY)
            | flag(self.mute, RWU)
    }
}
