//! The cloud's end of the link (link.md §3, §5, §6).
//!
//! The session owns the connection's rules; the caller owns the bodies. Bytes from the device go through [`Session::receive`];
//! what the session itself owes comes from [`Session::transmit`]; an item of a channel is begun with [`Session::begin`] and sent
//! by asking [`Session::fragment`] for one header after another, each followed by so many of the item's bytes.

use crate::channel::{ClosureReason, Open, RingCredit};
use crate::connection::{Bye, ByeReason, Hello, LogHead, Welcome, decode_number};
use crate::header::HeaderBytes;
use crate::kind::{Direction, to_cloud, to_device};
use crate::limits::{CHANNELS, HELLO_TIMEOUT, KEEPALIVE_GRACE, MAX_LOG_TEXT, MESSAGE_ITEMS, VERSION};
use crate::parser::{Parser, Piece};
use crate::session::{Gather, Output, Refusal, number};
use crate::varint;
use crate::violation::{self, Violation};

mod slot;

use slot::{Life, Slot};

/// Milliseconds in a second: the unit of `now` at this end.
const SECOND: u64 = 1000;
/// How long `HELLO` may take.
const HELLO_PATIENCE: u64 = HELLO_TIMEOUT as u64 * SECOND;
/// Bytes of the longest body the session collects: a `LOG`.
const LONGEST: usize = LogHead::MAX + MAX_LOG_TEXT;

/// What arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The device is there; [`Session::welcome`] or [`Session::bye`] is the answer.
    Hello(Hello),
    /// A log message; its text is [`Session::log_text`].
    Log(LogHead),
    /// The device asks for the time; [`Session::time`] is the answer.
    TimeQuery,
    /// The device ends the connection; its words are [`Session::bye_text`]. Nothing follows.
    Bye {
        /// Why.
        reason: ByeReason,
    },
    /// The device opened a channel.
    Open {
        /// The channel.
        channel: u8,
        /// Its type and ring.
        open: Open,
    },
    /// The device closed a channel. The session answers `CLOSED` by itself; nothing more can be sent on it.
    Close {
        /// The channel.
        channel: u8,
    },
    /// There is more room on a channel.
    Credit {
        /// The channel.
        channel: u8,
        /// What was given back.
        credit: RingCredit,
    },
    /// A run of an item of kinds 3 to 12. The caller joins the pieces from first to last and decodes the whole.
    Item(Piece<'a>),
}

/// Why the cloud gave the connection up. `BYE` *keepalive* is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// No `HELLO` came.
    NoHello,
    /// Nothing came for twice the keepalive interval and 10 s.
    Silent,
}

/// How far the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing has come.
    New,
    /// `HELLO` came.
    Greeted,
    /// Open: `WELCOME` was given.
    Open,
    /// One end has said or is about to say `BYE`.
    Over,
}

/// The cloud's end of one connection.
#[derive(Clone, Debug)]
pub struct Session {
    state: State,
    parser: Parser,
    gather: Gather<LONGEST>,
    received: u64,
    keepalive: u64,
    window: u32,
    owed: Owed,
    slots: [Slot; CHANNELS],
}

/// Frames of the connection that are to go out.
#[derive(Clone, Copy, Debug, Default)]
struct Owed {
    welcome: Option<Welcome>,
    pong: Option<u32>,
    log_taken: Option<u32>,
    time: Option<u64>,
    logging: Option<bool>,
    bye: Option<(ByeReason, &'static str)>,
}

impl Session {
    /// The transport is up.
    pub fn new(now: u64) -> Self {
        Self {
            state: State::New,
            parser: Parser::new(Direction::ToCloud),
            gather: Gather::new(),
            received: now,
            keepalive: 0,
            window: 0,
            owed: Owed::default(),
            slots: [Slot::FREE; CHANNELS],
        }
    }

    /// How far the connection is.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether `BYE` was said, so that the transport is to be closed once [`Session::transmit`] gives nothing.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Takes bytes from the front of `input` until something is to be told. Call until it gives `None`; then `input` is
    /// empty. After a violation `BYE` is owed and everything that still comes is dropped.
    pub fn receive<'a>(&mut self, now: u64, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, Violation> {
        if !input.is_empty() && self.state != State::New {
            self.received = now;
        }
        let event = self.next_event(now, input);
        if let Err(broken) = event {
            self.bye(ByeReason::Violation, broken.text());
        }
        event
    }

    fn next_event<'a>(&mut self, now: u64, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, Violation> {
        loop {
            if self.state == State::Over {
                *input = &[];
            }
            let Some(piece) = self.parser.next(input)? else { return Ok(None) };
            let event = if piece.channel == 0 { self.connection(now, &piece)? } else { self.channel(piece)? };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    fn connection(&mut self, now: u64, piece: &Piece<'_>) -> Result<Option<Event<'static>>, Violation> {
        match (self.state, piece.kind) {
            (State::New, to_cloud::HELLO | to_cloud::BYE) => {}
            (State::New, _) => return Err(violation::HELLO_EXPECTED),
            (_, to_cloud::HELLO) => return Err(violation::HELLO_TWICE),
            (State::Greeted, to_cloud::BYE) => {}
            (State::Greeted, _) => return Err(violation::BEFORE_WELCOME),
            _ => {}
        }
        if !self.gather.take(piece) {
            return Ok(None);
        }
        match piece.kind {
            to_cloud::HELLO => self.hello(now),
            to_cloud::PING => self.ping(),
            to_cloud::LOG => Ok(Some(Event::Log(LogHead::decode(self.gather.body())?.0))),
            to_cloud::TIME_QUERY => Ok(Some(Event::TimeQuery)),
            to_cloud::BYE => self.bye_came().map(Some),
            _ => Err(violation::UNKNOWN_KIND),
        }
    }

    fn hello(&mut self, now: u64) -> Result<Option<Event<'static>>, Violation> {
        let version = crate::bytes::Reader::new(self.gather.body()).v()?;
        if version != VERSION {
            self.bye(ByeReason::Version, "this cloud speaks version 1 of the link");
            return Ok(None);
        }
        let hello = Hello::decode(self.gather.body())?;
        self.state = State::Greeted;
        self.received = now;
        Ok(Some(Event::Hello(hello)))
    }

    fn ping(&mut self) -> Result<Option<Event<'static>>, Violation> {
        if self.owed.pong.is_some() {
            return Err(violation::PING_TWICE);
        }
        self.owed.pong = Some(decode_number(self.gather.body())?);
        Ok(None)
    }

    fn bye_came(&mut self) -> Result<Event<'static>, Violation> {
        let reason = Bye::decode(self.gather.body())?.reason;
        self.state = State::Over;
        self.owed = Owed::default();
        Ok(Event::Bye { reason })
    }

    fn channel<'a>(&mut self, piece: Piece<'a>) -> Result<Option<Event<'a>>, Violation> {
        match self.state {
            State::New => return Err(violation::HELLO_EXPECTED),
            State::Greeted => return Err(violation::BEFORE_WELCOME),
            State::Open | State::Over => {}
        }
        let life = self.slot_ref(piece.channel).ok_or(violation::CHANNEL_NOT_OPEN)?.life;
        match (life, piece.kind) {
            (Life::Free, to_cloud::OPEN) => self.open(&piece),
            (_, to_cloud::OPEN) => Err(violation::CHANNEL_IN_USE),
            (Life::Closed, to_cloud::CLOSE) => Err(violation::CLOSED_TWICE),
            (Life::Free | Life::Closed, _) => Err(violation::CHANNEL_NOT_OPEN),
            (_, to_cloud::CLOSE) => Ok(self.close(piece.channel)),
            (Life::Ending | Life::Ended, _) => Ok(None),
            (Life::Open, to_cloud::CREDIT) => self.credit(&piece),
            (Life::Open, _) => self.item(piece),
        }
    }

    fn open(&mut self, piece: &Piece<'_>) -> Result<Option<Event<'static>>, Violation> {
        if !self.gather.take(piece) {
            return Ok(None);
        }
        let open = Open::decode(self.gather.body())?;
        let window = self.window;
        let Some(slot) = self.slot(piece.channel) else { return Ok(None) };
        *slot = Slot::opened(open, window);
        Ok(Some(Event::Open { channel: piece.channel, open }))
    }

    fn close(&mut self, channel: u8) -> Option<Event<'static>> {
        self.parser.forget(channel);
        let slot = self.slot(channel)?;
        let was = slot.life;
        slot.close_came();
        (was == Life::Open).then_some(Event::Close { channel })
    }

    fn credit(&mut self, piece: &Piece<'_>) -> Result<Option<Event<'static>>, Violation> {
        if !self.gather.take(piece) {
            return Ok(None);
        }
        let credit = RingCredit::decode(self.gather.body())?;
        let Some(slot) = self.slot(piece.channel) else { return Ok(None) };
        slot.give_back(credit)?;
        Ok(Some(Event::Credit { channel: piece.channel, credit }))
    }

    fn item<'a>(&mut self, piece: Piece<'a>) -> Result<Option<Event<'a>>, Violation> {
        let goes_on = self.parser.is_unfinished(piece.channel);
        let Some(slot) = self.slot(piece.channel) else { return Ok(None) };
        if piece.first {
            slot.item_begins(piece.kind)?;
        }
        slot.took(piece.bytes.len() as u32, goes_on)?;
        Ok(Some(Event::Item(piece)))
    }

    /// The text of the log message last told, until the next [`Session::receive`].
    pub fn log_text(&self) -> &[u8] {
        LogHead::decode(self.gather.body()).map_or(&[], |(_, text)| text)
    }

    /// The device's words in the `BYE` last told.
    pub fn bye_text(&self) -> &[u8] {
        Bye::decode(self.gather.body()).map_or(&[], |bye| bye.text)
    }

    /// Answers `HELLO`. The interval is held to 1 s to an hour and the window to at least 16 384 bytes.
    pub fn welcome(&mut self, keepalive: u32, window: u32, wall: u64, logging: bool) {
        if self.state != State::Greeted {
            return;
        }
        let keepalive = keepalive.clamp(1, crate::limits::MAX_KEEPALIVE);
        let window = window.max(crate::limits::MIN_WINDOW);
        self.keepalive = u64::from(keepalive) * SECOND;
        self.window = window;
        self.owed.welcome = Some(Welcome { version: VERSION, keepalive, window, wall, logging });
    }

    /// Log messages up to this number are safe.
    pub fn log_taken(&mut self, sequence: u32) {
        self.owed.log_taken = self.owed.log_taken.max(Some(sequence));
    }

    /// Answers `TIME_QUERY`, or tells the time unasked: microseconds since 1970.
    pub fn time(&mut self, wall: u64) {
        self.owed.time = Some(wall);
    }

    /// Log messages are wanted from now on, or no longer.
    pub fn logging(&mut self, enabled: bool) {
        self.owed.logging = Some(enabled);
    }

    /// Ends the connection; `BYE` goes out with the next [`Session::transmit`]. The text is cut to 128 bytes.
    pub fn bye(&mut self, reason: ByeReason, text: &'static str) {
        if self.state != State::Over {
            self.state = State::Over;
            self.owed = Owed { bye: Some((reason, text)), ..Owed::default() };
        }
    }

    /// The cloud ends a channel by itself; `CLOSED` goes out with the next [`Session::transmit`]. Every request in flight must
    /// have been answered before (D50).
    pub fn closed(&mut self, channel: u8, reason: ClosureReason) {
        if let Some(slot) = self.slot(channel)
            && slot.life == Life::Open
        {
            slot.life = Life::Ending;
            slot.reason = reason;
        }
    }

    /// Whether items can be begun on the channel.
    pub fn is_channel_open(&self, channel: u8) -> bool {
        self.state == State::Open && self.slot_ref(channel).is_some_and(|slot| slot.life == Life::Open)
    }

    /// Bytes of the channel's receive ring that are free.
    pub fn room(&self, channel: u8) -> u32 {
        self.slot_ref(channel).map_or(0, Slot::room)
    }

    /// How many `MESSAGE` and `LOST` items may be begun on the channel now.
    pub fn message_items_free(&self, channel: u8) -> u8 {
        self.slot_ref(channel).map_or(0, |slot| MESSAGE_ITEMS - slot.items)
    }

    /// The caller took items further: up to `bytes` received bytes of the channel go back into the device's window. Bytes of
    /// fragments with more to follow went back by themselves unless [`Session::set_taking`] says otherwise, so that an item longer
    /// than the window comes to its end.
    pub fn consumed(&mut self, channel: u8, bytes: u32) {
        if let Some(slot) = self.slot(channel) {
            slot.owed += bytes.min(slot.held);
            slot.held -= bytes.min(slot.held);
        }
    }

    /// Says whether the caller has room for what comes on the channel. While it has not, fragments with more to follow stay in the
    /// window as all others do until [`Session::consumed`], so that what an unfinished item takes is bounded by the window.
    pub fn set_taking(&mut self, channel: u8, is_taking: bool) {
        if let Some(slot) = self.slot(channel) {
            slot.is_taking = is_taking;
        }
    }

    /// Begins an item: `head` bytes that take no room and `content` bytes that take room in the ring, for the kinds of which
    /// link.md §6 says so (0 for the others). With [`Refusal::NoRoom`] the device is told that room is wanted, and an
    /// [`Event::Credit`] will come.
    pub fn begin(&mut self, channel: u8, kind: u8, head: u32, content: u32) -> Result<(), Refusal> {
        if !self.is_channel_open(channel) {
            return Err(Refusal::NotOpen);
        }
        let slot = self.slot(channel).ok_or(Refusal::NotOpen)?;
        slot.begin(kind, head, content)
    }

    /// The next frame of the item begun: its header and how many of the item's bytes follow it, at most `most`. `None` when
    /// the item has been sent, or the channel has ended.
    pub fn fragment(&mut self, channel: u8, most: usize) -> Option<(HeaderBytes, usize)> {
        if !self.is_channel_open(channel) {
            return None;
        }
        self.slot(channel)?.fragment(channel, most)
    }

    /// Begins and writes a whole item without ring bytes: the answers. Gives the length written.
    pub fn answer(
        &mut self,
        channel: u8,
        kind: u8,
        body: &[u8],
        out: &mut [u8; ANSWER_FRAME],
    ) -> Result<usize, Refusal> {
        if body.len() > ANSWER_FRAME - crate::header::MAX_HEADER {
            return Err(Refusal::Never);
        }
        self.begin(channel, kind, body.len() as u32, 0)?;
        let (header, length) = self.fragment(channel, body.len()).ok_or(Refusal::Never)?;
        let header = header.as_slice();
        out[..header.len()].copy_from_slice(header);
        out[header.len()..][..length].copy_from_slice(&body[..length]);
        Ok(header.len() + length)
    }

    /// Writes the control frames that are owed, as many as fit whole, and gives their length. An `out` of 160 bytes holds
    /// any of them. When something is written, all owed credit goes with it: a record is paid for already.
    pub fn transmit(&mut self, out: &mut [u8]) -> usize {
        let mut output = Output::new(out);
        match self.state {
            State::New => {}
            State::Greeted => self.write_welcome(&mut output),
            State::Open => {}
            State::Over => self.write_bye(&mut output),
        }
        if self.state == State::Open {
            self.write_connection(&mut output);
            self.write_channels(&mut output);
        }
        output.written()
    }

    fn write_welcome(&mut self, output: &mut Output<'_>) {
        let Some(welcome) = self.owed.welcome else { return };
        let mut body = [0; Welcome::MAX];
        let length = welcome.encode(&mut body);
        if output.frame(0, to_device::WELCOME, &body[..length]) {
            self.owed.welcome = None;
            self.state = State::Open;
        }
    }

    fn write_bye(&mut self, output: &mut Output<'_>) {
        let Some((reason, text)) = self.owed.bye else { return };
        let mut body = [0; Bye::MAX];
        let length = Bye { reason, text: text.as_bytes() }.encode(&mut body);
        if output.frame(0, to_device::BYE, &body[..length]) {
            self.owed.bye = None;
        }
    }

    fn write_connection(&mut self, output: &mut Output<'_>) {
        write_number(output, to_device::PONG, &mut self.owed.pong);
        write_number(output, to_device::LOG_TAKEN, &mut self.owed.log_taken);
        write_number(output, to_device::TIME, &mut self.owed.time);
        let logging = self.owed.logging;
        if logging.is_some_and(|enabled| output.frame(0, to_device::LOGGING, &[u8::from(enabled)])) {
            self.owed.logging = None;
        }
    }

    fn write_channels(&mut self, output: &mut Output<'_>) {
        let window = self.window;
        for (number, slot) in (1..).zip(&mut self.slots) {
            slot.write_due(number, window, output);
        }
        if output.written() > 0 {
            for (number, slot) in (1..).zip(&mut self.slots) {
                slot.write_credit(number, output);
            }
        }
    }

    /// When [`Session::handle_timeout`] is to be called at the latest.
    pub fn next_timeout(&self) -> Option<u64> {
        self.deadline().map(|(at, _)| at + 1)
    }

    /// Gives the connection up when the device was silent for too long. Something that comes exactly at the time is not late.
    pub fn handle_timeout(&mut self, now: u64) -> Result<(), GaveUp> {
        match self.deadline() {
            Some((at, why)) if now > at => {
                self.bye(ByeReason::Keepalive, "nothing came for too long");
                Err(why)
            }
            _ => Ok(()),
        }
    }

    fn deadline(&self) -> Option<(u64, GaveUp)> {
        let patience = 2 * self.keepalive + KEEPALIVE_GRACE as u64 * SECOND;
        match self.state {
            State::New => Some((self.received + HELLO_PATIENCE, GaveUp::NoHello)),
            State::Open => Some((self.received + patience, GaveUp::Silent)),
            State::Greeted | State::Over => None,
        }
    }

    fn slot(&mut self, channel: u8) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(channel).wrapping_sub(1))
    }

    fn slot_ref(&self, channel: u8) -> Option<&Slot> {
        self.slots.get(usize::from(channel).wrapping_sub(1))
    }
}

/// Bytes of the longest answer as a frame.
pub const ANSWER_FRAME: usize = crate::header::MAX_HEADER + crate::mqtt::FilterCodes::MAX;

fn write_number<N: Copy + Into<u64>>(output: &mut Output<'_>, kind: u8, owed: &mut Option<N>) {
    let Some(value) = *owed else { return };
    let mut body = [0; varint::MAX_64];
    if output.frame(0, kind, number(value.into(), &mut body)) {
        *owed = None;
    }
}
