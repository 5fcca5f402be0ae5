//! The device's end of the link (link.md §3, §5, §6).
//!
//! The session owns the connection's rules; the caller owns the bodies. Bytes from the cloud go through [`Session::receive`];
//! what the session itself owes comes from [`Session::transmit`]; bodies are announced by [`Session::channel_frame`]
//! or [`Session::log_frame`], whose header the caller sends before the body's bytes.

use crate::channel::{ChannelType, Open};
use crate::connection::{Bye, ByeReason, Hello, LogHead};
use crate::header::{Header, HeaderBytes, MAX_HEADER};
use crate::kind::{Direction, to_cloud};
use crate::limits::{CHANNELS, HELLO_TIMEOUT, KEEPALIVE_GRACE, MAX_FRAME_BODY, MAX_LOG_TEXT};
use crate::parser::Parser;
use crate::session::{Gather, Output, Refusal, number};
use crate::varint;
use crate::violation::{self, Violation};

mod event;
mod receive;
mod slot;

pub use event::{Answer, Event, GaveUp};
use slot::{Phase, Slot};

/// Microseconds in a second: the unit of `now` at this end.
const SECOND: u64 = 1_000_000;
/// How long `WELCOME` may take, and how late `PONG` may be.
const HELLO_PATIENCE: u64 = HELLO_TIMEOUT as u64 * SECOND;
const PONG_PATIENCE: u64 = KEEPALIVE_GRACE as u64 * SECOND;
/// `PING` tokens stay below this mask, so that they take one byte.
const PING_TOKENS: u32 = 0x7f;
/// Bytes a `LOG` frame has at most before its text.
pub const LOG_FRAME: usize = MAX_HEADER + LogHead::MAX;

/// How far the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is none.
    Down,
    /// The transport is there; `HELLO` is owed.
    Hello,
    /// `HELLO` was sent.
    Greeting,
    /// Open.
    Open,
    /// One end has said or is about to say `BYE`.
    Over,
}

/// No number is free: 15 are open or wait for their other half, or there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoNumber;

/// The device's end of one connection after another.
#[derive(Clone, Debug)]
pub struct Session {
    state: State,
    hello: Hello,
    parser: Parser,
    gather: Gather<{ Bye::MAX }>,
    keepalive: u64,
    window: u32,
    /// When the last byte went out and came in, or, while greeting, when `HELLO` was sent.
    sent: u64,
    received: u64,
    ping: Option<Ping>,
    /// Since when a `PING` that was due has found no way out, as far as anybody asked.
    overdue: Option<u64>,
    token: u32,
    time_query: bool,
    log_sent: u32,
    /// The text of the `BYE` that is owed, and its reason: apart, so that nothing owed is all zero bytes.
    bye: Option<&'static str>,
    bye_reason: ByeReason,
    channels: [Slot; CHANNELS],
}

#[derive(Clone, Copy, Debug)]
struct Ping {
    token: u32,
    at: u64,
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

impl Session {
    /// A session without a connection. It is all zero bytes, so that a device's first state takes no flash.
    pub const fn new() -> Self {
        Self {
            state: State::Down,
            hello: Hello { version: 0, boot: 0, wake_reason: 0, clock: 0, image: [0; 32] },
            parser: Parser::new(Direction::ToDevice),
            gather: Gather::new(),
            keepalive: 0,
            window: 0,
            sent: 0,
            received: 0,
            ping: None,
            overdue: None,
            token: 0,
            time_query: false,
            log_sent: 0,
            bye: None,
            bye_reason: ByeReason::Done,
            channels: [Slot::FREE; CHANNELS],
        }
    }

    /// The transport is up: `HELLO` is owed.
    pub fn connected(&mut self, now: u64, hello: &Hello) {
        *self = Self { state: State::Hello, hello: *hello, sent: now, received: now, ..Self::new() };
    }

    /// The transport is down. Nothing of the connection is kept (D52, D53).
    pub fn lost(&mut self) {
        *self = Self::new();
    }

    /// How far the connection is.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether channels can be opened and used.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether `BYE` was said, so that the transport is to be closed once [`Session::transmit`] gives nothing.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Takes bytes from the front of `input` until something is to be told. Call until it gives `None`; then `input` is
    /// empty. After a violation `BYE` is owed and everything that still comes is dropped.
    pub fn receive<'a>(&mut self, now: u64, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, Violation> {
        if !input.is_empty() {
            self.received = now;
        }
        let event = self.next_event(input);
        if let Err(broken) = event {
            self.bye(ByeReason::Violation, broken.text());
        }
        event
    }

    /// The caller put `bytes` of an item into the channel's receive ring: those that link.md §6 counts, so not the head's.
    /// Refused when the cloud had no right to that many. `BYE` is then owed. Without effect once the channel has ended.
    pub fn stored(&mut self, channel: u8, bytes: u32) -> Result<(), Violation> {
        let Some(slot) = self.slot(channel).filter(|slot| slot.phase == Phase::Open) else { return Ok(()) };
        if bytes > slot.open.ring - slot.taken.bytes {
            self.bye(ByeReason::Violation, violation::RING_EXCEEDED.text());
            return Err(violation::RING_EXCEEDED);
        }
        slot.taken.bytes += bytes;
        Ok(())
    }

    /// Opens a channel under a free number; its `OPEN` goes out with the next [`Session::transmit`], and frames after it.
    pub fn open(&mut self, channel_type: ChannelType, ring: u32) -> Result<u8, NoNumber> {
        if self.state != State::Open {
            return Err(NoNumber);
        }
        let window = self.window;
        let free = self.channels.iter().position(|slot| slot.phase == Phase::Free).ok_or(NoNumber)?;
        let open = Open { channel_type, ring };
        self.channels[free] = Slot { phase: Phase::Opening, open, window, ..Slot::FREE };
        Ok(free as u8 + 1)
    }

    /// The application closed the channel. Nothing more is told of it.
    pub fn close(&mut self, channel: u8) {
        let Some(slot) = self.slot(channel) else { return };
        match slot.phase {
            Phase::Opening => slot.phase = Phase::Free,
            Phase::Open => slot.phase = Phase::Closing,
            Phase::Free | Phase::Closing | Phase::Closed | Phase::Ended => {}
        }
    }

    /// The application took so many ring bytes and `MESSAGE` or `LOST` items. Told to the cloud in time, not at once.
    #[allow(clippy::inline_always, reason = "a few instructions, in a call that is counted by instructions")]
    #[inline(always)]
    pub fn credit(&mut self, channel: u8, bytes: u32, items: u32) {
        let Some(Slot { taken, owed, .. }) = self.slot(channel) else { return };
        owed.bytes += bytes.min(taken.bytes - owed.bytes);
        owed.items += items.min(taken.items - owed.items);
    }

    /// Asks the cloud for the time (D25).
    pub fn time_query(&mut self) {
        self.time_query = true;
    }

    /// Ends the connection; `BYE` goes out with the next [`Session::transmit`]. The text is cut to 128 bytes.
    pub fn bye(&mut self, reason: ByeReason, text: &'static str) {
        if !matches!(self.state, State::Down | State::Over) {
            self.state = State::Over;
            (self.bye, self.bye_reason) = (Some(text), reason);
        }
    }

    /// Whether the channel is open, its `OPEN` sent.
    pub fn is_channel_open(&self, channel: u8) -> bool {
        self.state == State::Open && self.slot_ref(channel).is_some_and(|slot| slot.phase == Phase::Open)
    }

    /// Bytes the device may send on the channel now.
    pub fn window(&self, channel: u8) -> u32 {
        if self.is_channel_open(channel) { self.slot_ref(channel).map_or(0, |slot| slot.window) } else { 0 }
    }

    /// How the next frame of an item with `left` bytes to go is cut, when the caller can write `most` body bytes: its length
    /// and whether more follow. `None` while the window holds less than that; it will grow.
    pub fn fragment(&self, channel: u8, left: u32, most: usize) -> Option<(u16, bool)> {
        let length = (left as usize).min(most).min(MAX_FRAME_BODY) as u32;
        let sends = length > 0 || left == 0;
        (sends && self.is_channel_open(channel) && length <= self.window(channel))
            .then_some((length as u16, length < left))
    }

    /// Announces a frame of a channel: accounts it and gives its header. The caller sends exactly `length` body bytes after it.
    pub fn channel_frame(
        &mut self,
        now: u64,
        channel: u8,
        kind: u8,
        length: u16,
        more: bool,
    ) -> Result<HeaderBytes, Refusal> {
        if !self.is_channel_open(channel) {
            return Err(Refusal::NotOpen);
        }
        let slot = self.slot(channel).ok_or(Refusal::NotOpen)?;
        slot.account(kind, length, more)?;
        self.sent = now;
        Ok(Header { kind, channel, length, more }.to_bytes())
    }

    /// Announces a log message of `text` bytes: writes the frame up to the text and gives the length written. The caller sends
    /// exactly the text after it. `None` while the connection is not open, or for a text over 1024 bytes.
    pub fn log_frame(
        &mut self,
        now: u64,
        head: &LogHead,
        text: usize,
        out: &mut [u8; LOG_FRAME],
    ) -> Option<usize> {
        if self.state != State::Open || text > MAX_LOG_TEXT {
            return None;
        }
        let mut fields = [0; LogHead::MAX];
        let fields_len = head.encode(&mut fields);
        let header = Header::connection(to_cloud::LOG, (fields_len + text) as u16).to_bytes();
        let header = header.as_slice();
        out[..header.len()].copy_from_slice(header);
        out[header.len()..][..fields_len].copy_from_slice(&fields[..fields_len]);
        self.log_sent = self.log_sent.max(head.sequence);
        self.sent = now;
        Some(header.len() + fields_len)
    }

    /// Writes the control frames that are owed, as many as fit whole, and gives their length. An `out` of 160 bytes holds
    /// any of them. When something is written, all owed credit goes with it: a record is paid for already.
    pub fn transmit(&mut self, now: u64, out: &mut [u8]) -> usize {
        let mut output = Output::new(out);
        match self.state {
            State::Hello => self.write_hello(&mut output),
            State::Open => self.write_owed(now, &mut output),
            State::Over => self.write_bye(&mut output),
            State::Down | State::Greeting => {}
        }
        let written = output.written();
        if written > 0 {
            self.sent = now;
        }
        written
    }

    /// Writes all owed credit, also what is not due: for a caller that sends something else in the same record anyway.
    pub fn spare_credit(&mut self, now: u64, out: &mut [u8]) -> usize {
        let mut output = Output::new(out);
        if self.state == State::Open {
            self.write_credit(&mut output, Slot::owes_credit);
        }
        let written = output.written();
        if written > 0 {
            self.sent = now;
        }
        written
    }

    /// Whether [`Session::transmit`] has something to write now.
    pub fn wants_transmit(&self, now: u64) -> bool {
        match self.state {
            State::Down | State::Greeting => false,
            State::Hello => true,
            State::Over => self.bye.is_some(),
            State::Open => {
                self.time_query || self.ping_is_due(now) || self.channels.iter().any(Slot::owes_frame)
            }
        }
    }

    fn write_hello(&mut self, output: &mut Output<'_>) {
        let mut body = [0; Hello::MAX];
        let length = self.hello.encode(&mut body);
        if output.frame(0, to_cloud::HELLO, &body[..length]) {
            self.state = State::Greeting;
        }
    }

    fn write_bye(&mut self, output: &mut Output<'_>) {
        let Some(text) = self.bye else { return };
        let mut body = [0; Bye::MAX];
        let length = Bye { reason: self.bye_reason, text: text.as_bytes() }.encode(&mut body);
        if output.frame(0, to_cloud::BYE, &body[..length]) {
            self.bye = None;
        }
    }

    fn write_owed(&mut self, now: u64, output: &mut Output<'_>) {
        if self.time_query && output.frame(0, to_cloud::TIME_QUERY, &[]) {
            self.time_query = false;
        }
        self.write_lives(output);
        self.write_credit(output, Slot::credit_is_due);
        let idle = now >= self.sent + self.keepalive && output.written() == 0;
        let deaf = now >= self.received + self.keepalive;
        if self.ping.is_none() && (idle || deaf) {
            self.write_ping(now, output);
        }
        if output.written() > 0 {
            self.write_credit(output, Slot::owes_credit);
        }
    }

    fn write_lives(&mut self, output: &mut Output<'_>) {
        for (number, slot) in (1..).zip(&mut self.channels) {
            slot.write_life(number, output);
        }
    }

    fn write_credit(&mut self, output: &mut Output<'_>, which: impl Fn(&Slot) -> bool) {
        for (number, slot) in (1..).zip(&mut self.channels) {
            if which(slot) {
                slot.write_credit(number, output);
            }
        }
    }

    fn write_ping(&mut self, now: u64, output: &mut Output<'_>) {
        let mut body = [0; varint::MAX_64];
        let token = self.token & PING_TOKENS;
        if output.frame(0, to_cloud::PING, number(u64::from(token), &mut body)) {
            self.token = self.token.wrapping_add(1);
            self.ping = Some(Ping { token, at: now });
        }
    }

    /// Whether a `PING` was sent and not answered yet.
    pub fn awaits_pong(&self) -> bool {
        self.ping.is_some()
    }

    /// When [`Session::handle_timeout`] and [`Session::transmit`] are to be called at the latest.
    pub fn next_wakeup(&self) -> Option<u64> {
        match (self.state, self.ping) {
            (State::Greeting, _) => Some(self.sent + HELLO_PATIENCE + 1),
            (State::Open, Some(ping)) => Some(ping.at + PONG_PATIENCE + 1),
            (State::Open, None) => {
                Some(self.overdue_since().map_or(self.ping_due(), |since| since + PONG_PATIENCE + 1))
            }
            _ => None,
        }
    }

    /// Gives the connection up when an answer is late, or a `PING` has found no way out for as long: the transport is to be
    /// closed at once. An answer exactly at its time is not late.
    pub fn handle_timeout(&mut self, now: u64) -> Result<(), GaveUp> {
        match (self.state, self.ping) {
            (State::Greeting, _) if now > self.sent + HELLO_PATIENCE => Err(GaveUp::NoWelcome),
            (State::Open, Some(ping)) if now > ping.at + PONG_PATIENCE => Err(GaveUp::NoPong),
            (State::Open, None) => self.judge_overdue(now),
            _ => Ok(()),
        }
    }

    /// A transport that takes nothing more (a cable cut, its buffers full) must not keep the silence from being noticed.
    fn judge_overdue(&mut self, now: u64) -> Result<(), GaveUp> {
        self.overdue = self.ping_is_due(now).then(|| self.overdue_since().unwrap_or(now));
        let is_late = self.overdue.is_some_and(|since| now > since + PONG_PATIENCE);
        if is_late { Err(GaveUp::NoPong) } else { Ok(()) }
    }

    /// What was noted before the connection moved again is old news.
    fn overdue_since(&self) -> Option<u64> {
        self.overdue.filter(|since| *since >= self.ping_due())
    }

    fn ping_due(&self) -> u64 {
        self.sent.min(self.received) + self.keepalive
    }

    fn ping_is_due(&self, now: u64) -> bool {
        self.ping.is_none() && now >= self.ping_due()
    }

    fn slot(&mut self, channel: u8) -> Option<&mut Slot> {
        self.channels.get_mut(usize::from(channel).wrapping_sub(1))
    }

    fn slot_ref(&self, channel: u8) -> Option<&Slot> {
        self.channels.get(usize::from(channel).wrapping_sub(1))
    }
}
