//! The device's end of the link (link.md §3, §5, §6).
//!
//! The session owns the connection's rules; the caller owns the bodies. Bytes from the cloud go through [`Session::receive`];
//! what the session itself owes comes from [`Session::transmit`]; bodies are announced by [`Session::channel_frame`]
//! or [`Session::log_frame`], whose header the caller sends before the body's bytes.

use crate::channel::{ChannelType, ClosureReason, Open, WindowCredit, decode_closed};
use crate::connection::{
    Bye, ByeReason, Hello, LogHead, Welcome, decode_logging, decode_number, decode_time,
};
use crate::header::{Header, HeaderBytes, MAX_HEADER};
use crate::kind::{self, Direction, to_cloud, to_device};
use crate::limits::{
    CHANNELS, HELLO_TIMEOUT, KEEPALIVE_GRACE, MAX_FRAME_BODY, MAX_LOG_TEXT, MESSAGE_ITEMS, VERSION,
};
use crate::mqtt::{FilterCodes, Outcome, Published};
use crate::parser::{Parser, Piece};
use crate::session::{Gather, Output, Refusal, number};
use crate::varint;
use crate::violation::{self, Violation};

mod slot;

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

/// What arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The connection is open; channels may be opened.
    Welcome {
        /// Microseconds since 1970 (D25).
        wall: u64,
        /// Whether log messages are wanted.
        logging: bool,
    },
    /// The answer to [`Session::time_query`].
    Time {
        /// Microseconds since 1970.
        wall: u64,
    },
    /// Log messages up to this number are safe.
    LogTaken {
        /// The number of the last of them.
        sequence: u32,
    },
    /// Log messages are wanted from now on, or no longer.
    Logging {
        /// Whether they are.
        enabled: bool,
    },
    /// The cloud ends the connection; nothing follows.
    Bye {
        /// Why.
        reason: ByeReason,
    },
    /// The cloud ended a channel. Its number is the session's again: the caller does not name it any more. Requests still
    /// unanswered crossed the end on their way and are answered by the caller.
    Closed {
        /// The channel.
        channel: u8,
        /// Why.
        reason: ClosureReason,
    },
    /// A channel's window has grown.
    Window {
        /// The channel.
        channel: u8,
    },
    /// An answer to a request of a channel.
    Answer {
        /// The channel.
        channel: u8,
        /// The answer.
        answer: Answer,
    },
    /// A run of a `MESSAGE`, `LOST`, `HTTP_RESPONSE`, `CONFIG_RESPONSE` or `DATA` item.
    Item(Piece<'a>),
}

/// The answers that take no ring bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To a `PUBLISH`. That its slot was in flight is the caller's to check ([`crate::mqtt::PublishSlots`]).
    Published(Published),
    /// To a `CONNECT`.
    Connected(Outcome),
    /// To a `SUBSCRIBE`.
    Subscribed(FilterCodes),
    /// To an `UNSUBSCRIBE`.
    Unsubscribed(FilterCodes),
    /// To a `DISCONNECT`, or the broker's own end of the connection.
    Disconnected(Outcome),
}

/// Why the device gave the connection up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// Neither `WELCOME` nor `BYE` came.
    NoWelcome,
    /// A `PONG` did not come.
    NoPong,
}

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
    token: u32,
    time_query: bool,
    log_sent: u32,
    bye: Option<(ByeReason, &'static str)>,
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
    /// A session without a connection.
    pub const fn new() -> Self {
        Self {
            state: State::Down,
            hello: Hello { version: VERSION, boot: 0, wake_reason: 0, clock: 0, image: [0; 32] },
            parser: Parser::new(Direction::ToDevice),
            gather: Gather::new(),
            keepalive: 0,
            window: 0,
            sent: 0,
            received: 0,
            ping: None,
            token: 0,
            time_query: false,
            log_sent: 0,
            bye: None,
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

    fn next_event<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, Violation> {
        loop {
            if matches!(self.state, State::Down | State::Over) {
                *input = &[];
            }
            let Some(piece) = self.parser.next(input)? else { return Ok(None) };
            let event = if piece.channel == 0 { self.connection(&piece)? } else { self.channel(piece)? };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    fn connection(&mut self, piece: &Piece<'_>) -> Result<Option<Event<'static>>, Violation> {
        match (self.state, piece.kind) {
            (State::Hello, _) => return Err(violation::HELLO_EXPECTED),
            (State::Greeting, to_device::WELCOME | to_device::BYE) => {}
            (State::Greeting, _) => return Err(violation::BEFORE_WELCOME),
            (_, to_device::WELCOME) => return Err(violation::WELCOME_TWICE),
            _ => {}
        }
        if !self.gather.take(piece) {
            return Ok(None);
        }
        match piece.kind {
            to_device::WELCOME => self.welcome().map(Some),
            to_device::PONG => self.pong(),
            to_device::LOG_TAKEN => self.log_taken().map(Some),
            to_device::TIME => Ok(Some(Event::Time { wall: decode_time(self.gather.body())? })),
            to_device::LOGGING => Ok(Some(Event::Logging { enabled: decode_logging(self.gather.body())? })),
            to_device::BYE => self.bye_came().map(Some),
            _ => Err(violation::UNKNOWN_KIND),
        }
    }

    fn welcome(&mut self) -> Result<Event<'static>, Violation> {
        let welcome = Welcome::decode(self.gather.body())?;
        if welcome.version != self.hello.version {
            return Err(violation::OTHER_VERSION);
        }
        self.state = State::Open;
        self.keepalive = u64::from(welcome.keepalive) * SECOND;
        self.window = welcome.window;
        Ok(Event::Welcome { wall: welcome.wall, logging: welcome.logging })
    }

    fn pong(&mut self) -> Result<Option<Event<'static>>, Violation> {
        let token = decode_number(self.gather.body())?;
        match self.ping.take() {
            Some(ping) if ping.token == token => Ok(None),
            _ => Err(violation::UNASKED_PONG),
        }
    }

    fn log_taken(&mut self) -> Result<Event<'static>, Violation> {
        let sequence = decode_number(self.gather.body())?;
        if sequence > self.log_sent {
            return Err(violation::LOG_NOT_SENT);
        }
        Ok(Event::LogTaken { sequence })
    }

    fn bye_came(&mut self) -> Result<Event<'static>, Violation> {
        let bye = Bye::decode(self.gather.body())?;
        let reason = bye.reason;
        self.state = State::Over;
        self.bye = None;
        Ok(Event::Bye { reason })
    }

    fn channel<'a>(&mut self, piece: Piece<'a>) -> Result<Option<Event<'a>>, Violation> {
        if self.state != State::Open {
            return Err(violation::BEFORE_WELCOME);
        }
        let phase = self.slot(piece.channel).ok_or(violation::CHANNEL_NOT_OPEN)?.phase;
        match (phase, piece.kind) {
            (Phase::Free | Phase::Opening, _) => Err(violation::CHANNEL_NOT_OPEN),
            (Phase::Ended, to_device::CLOSED) => Err(violation::CLOSED_TWICE),
            (Phase::Ended, _) => Err(violation::CHANNEL_NOT_OPEN),
            (_, to_device::CLOSED) => self.closed(&piece, phase),
            (Phase::Closing | Phase::Closed, _) => Ok(None),
            (Phase::Open, _) => self.open_channel(piece),
        }
    }

    fn closed(&mut self, piece: &Piece<'_>, phase: Phase) -> Result<Option<Event<'static>>, Violation> {
        if !self.gather.take(piece) {
            return Ok(None);
        }
        let reason = decode_closed(self.gather.body())?;
        self.parser.forget(piece.channel);
        let Some(slot) = self.slot(piece.channel) else { return Ok(None) };
        *slot = Slot { phase: if phase == Phase::Closed { Phase::Free } else { Phase::Ended }, ..Slot::FREE };
        Ok((phase == Phase::Open).then_some(Event::Closed { channel: piece.channel, reason }))
    }

    fn open_channel<'a>(&mut self, piece: Piece<'a>) -> Result<Option<Event<'a>>, Violation> {
        let Some(slot) = self.slot(piece.channel) else { return Ok(None) };
        if !kind::belongs(Direction::ToDevice, slot.open.channel_type, piece.kind) {
            return Err(violation::WRONG_CHANNEL_TYPE);
        }
        match piece.kind {
            to_device::CREDIT => self.window_grows(&piece),
            to_device::WANTED => Ok(self.wanted(piece.channel)),
            to_device::PUBLISHED..=to_device::DISCONNECTED => self.answer(&piece),
            _ => self.item(piece),
        }
    }

    fn window_grows(&mut self, piece: &Piece<'_>) -> Result<Option<Event<'static>>, Violation> {
        if !self.gather.take(piece) {
            return Ok(None);
        }
        let credit = WindowCredit::decode(self.gather.body())?;
        let whole = self.window;
        let Some(slot) = self.slot(piece.channel) else { return Ok(None) };
        if credit.bytes > whole - slot.window {
            return Err(violation::CREDIT_EXCEEDED);
        }
        slot.window += credit.bytes;
        Ok(Some(Event::Window { channel: piece.channel }))
    }

    fn wanted(&mut self, channel: u8) -> Option<Event<'static>> {
        self.slot(channel)?.wanted = true;
        None
    }

    fn answer(&mut self, piece: &Piece<'_>) -> Result<Option<Event<'static>>, Violation> {
        if !self.gather.take(piece) {
            return Ok(None);
        }
        let body = self.gather.body();
        let answer = match piece.kind {
            to_device::PUBLISHED => Answer::Published(Published::decode(body)?),
            to_device::CONNECTED => Answer::Connected(Outcome::decode(body)?),
            to_device::SUBSCRIBED => Answer::Subscribed(FilterCodes::decode(body)?),
            to_device::UNSUBSCRIBED => Answer::Unsubscribed(FilterCodes::decode(body)?),
            _ => Answer::Disconnected(Outcome::decode(body)?),
        };
        let Some(slot) = self.slot(piece.channel) else { return Ok(None) };
        slot.requests.answered(piece.kind)?;
        Ok(Some(Event::Answer { channel: piece.channel, answer }))
    }

    fn item<'a>(&mut self, piece: Piece<'a>) -> Result<Option<Event<'a>>, Violation> {
        let Some(slot) = self.slot(piece.channel) else { return Ok(None) };
        if piece.first {
            slot.wanted = false;
            slot.requests.answered(piece.kind)?;
            if matches!(piece.kind, to_device::MESSAGE | to_device::LOST) {
                slot.taken.items += 1;
            }
            if slot.taken.items > u32::from(MESSAGE_ITEMS) {
                return Err(violation::ITEMS_EXCEEDED);
            }
        }
        Ok(Some(Event::Item(piece)))
    }

    /// The caller put `bytes` of an item into the channel's receive ring: those that link.md §6 counts, so not the head's.
    /// Refused when the cloud had no right to that many. `BYE` is then owed.
    pub fn stored(&mut self, channel: u8, bytes: u32) -> Result<(), Violation> {
        let Some(slot) = self.slot(channel) else { return Ok(()) };
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
    pub fn credit(&mut self, channel: u8, bytes: u32, items: u32) {
        let Some(slot) = self.slot(channel) else { return };
        slot.owed.bytes = slot.owed.bytes.saturating_add(bytes).min(slot.taken.bytes);
        slot.owed.items = slot.owed.items.saturating_add(items).min(slot.taken.items);
    }

    /// Asks the cloud for the time (D25).
    pub fn time_query(&mut self) {
        self.time_query = true;
    }

    /// Ends the connection; `BYE` goes out with the next [`Session::transmit`]. The text is cut to 128 bytes.
    pub fn bye(&mut self, reason: ByeReason, text: &'static str) {
        if !matches!(self.state, State::Down | State::Over) {
            self.state = State::Over;
            self.bye = Some((reason, text));
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
        let Some((reason, text)) = self.bye else { return };
        let mut body = [0; Bye::MAX];
        let length = Bye { reason, text: text.as_bytes() }.encode(&mut body);
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

    /// When [`Session::handle_timeout`] and [`Session::transmit`] are to be called at the latest.
    pub fn next_wakeup(&self) -> Option<u64> {
        match (self.state, self.ping) {
            (State::Greeting, _) => Some(self.sent + HELLO_PATIENCE + 1),
            (State::Open, Some(ping)) => Some(ping.at + PONG_PATIENCE + 1),
            (State::Open, None) => Some(self.sent.min(self.received) + self.keepalive),
            _ => None,
        }
    }

    /// Gives the connection up when an answer is late: the transport is to be closed at once. An answer exactly at its time
    /// is not late.
    pub fn handle_timeout(&mut self, now: u64) -> Result<(), GaveUp> {
        match (self.state, self.ping) {
            (State::Greeting, _) if now > self.sent + HELLO_PATIENCE => Err(GaveUp::NoWelcome),
            (State::Open, Some(ping)) if now > ping.at + PONG_PATIENCE => Err(GaveUp::NoPong),
            _ => Ok(()),
        }
    }

    fn ping_is_due(&self, now: u64) -> bool {
        self.ping.is_none() && now >= self.sent.min(self.received) + self.keepalive
    }

    fn slot(&mut self, channel: u8) -> Option<&mut Slot> {
        self.channels.get_mut(usize::from(channel).wrapping_sub(1))
    }

    fn slot_ref(&self, channel: u8) -> Option<&Slot> {
        self.channels.get(usize::from(channel).wrapping_sub(1))
    }
}
