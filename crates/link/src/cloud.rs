//! The cloud's end of the link (link.md §3, §5, §6).

use sansio::{Duration, Instant, WallTime};

use crate::channel::{ClosureReason, Open, RingCredit};
use crate::connection::{Bye, ByeReason, Hello, LogHead, Welcome, decode_number};
use crate::errors::{Error, SendError, TimeoutReason};
use crate::frame_buffer::FrameBuffer;
use crate::frame_writer::FrameWriter;
use crate::header::HeaderBytes;
use crate::kind::{Direction, to_cloud, to_device};
use crate::limits::{
    CHANNELS, HELLO_TIMEOUT, KEEPALIVE_GRACE, MAX_KEEPALIVE, MAX_LOG_TEXT, MESSAGE_ITEMS, MIN_KEEPALIVE,
    VERSION,
};
use crate::parser::{Fragment, Parser};
use crate::state::State;
use crate::violation::{self, Violation};

mod channel;

use channel::{ChannelState, Phase};

/// Bytes of the longest body that is collected: a `LOG`.
const MAX_COLLECTED: usize = LogHead::MAX + MAX_LOG_TEXT;

/// What arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The device has introduced itself; [`CloudLink::send_welcome`] or [`CloudLink::send_bye`] is the answer.
    Hello(Hello),
    /// A log message; its text is [`CloudLink::log_text`].
    Log(LogHead),
    /// The device asks for the time; [`CloudLink::send_time`] is the answer.
    TimeQuery,
    /// The device ends the connection; its text is [`CloudLink::bye_text`]. Nothing follows.
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
    /// The device closed a channel. The link answers `CLOSED` by itself; nothing more can be sent on it.
    Close {
        /// The channel.
        channel: u8,
    },
    /// There is more room in a channel's receive ring.
    Credit {
        /// The channel.
        channel: u8,
        /// What has become free.
        credit: RingCredit,
    },
    /// A run of an item of kinds 3 to 12. The driver joins the fragments from first to last and decodes the whole.
    Item(Fragment<'a>),
}

/// What can happen to the cloud's end.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Bytes from the device.
    Received(&'a [u8]),
    /// [`CloudLink::next_timeout`] has been reached.
    Timeout,
}

/// The cloud's end of one connection.
///
/// It owns the connection's rules; its driver owns the clock, the transport and the bodies of items. The driver
///
/// 1. calls [`CloudLink::handle`] with each [`Input`], again with the same one until it gives `None`;
/// 2. calls [`CloudLink::transmit`] until it gives 0, and sends what it writes: also after an error;
/// 3. sends what it has itself: an item of a channel is begun with [`CloudLink::begin_item`] and sent as the
///    fragments that [`CloudLink::next_fragment`] gives, each a header followed by that many of the item's bytes;
/// 4. closes the transport when the link [`CloudLink::is_closing`], and waits otherwise, at most until
///    [`CloudLink::next_timeout`].
///
/// `now` is any clock that never goes back.
#[derive(Clone, Debug)]
pub struct CloudLink {
    state: State,
    parser: Parser,
    frame_buffer: FrameBuffer<MAX_COLLECTED>,
    received: Instant,
    keepalive: Duration,
    window: u32,
    pending: PendingControl,
    channels: [ChannelState; CHANNELS],
}

/// Frames of the connection that are to go out.
#[derive(Clone, Copy, Debug, Default)]
struct PendingControl {
    welcome: Option<Welcome>,
    pong: Option<u32>,
    log_taken: Option<u32>,
    time: Option<WallTime>,
    logging: Option<bool>,
    bye: Option<(ByeReason, &'static str)>,
}

impl CloudLink {
    /// A link over a transport established just now.
    pub fn new(now: Instant) -> Self {
        Self {
            state: State::AwaitingHello,
            parser: Parser::new(Direction::ToCloud),
            frame_buffer: FrameBuffer::new(),
            received: now,
            keepalive: Duration::ZERO,
            window: 0,
            pending: PendingControl::default(),
            channels: [ChannelState::FREE; CHANNELS],
        }
    }

    /// How far the connection is.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether the driver should close the transport once [`CloudLink::transmit`] gives nothing.
    pub fn is_closing(&self) -> bool {
        self.state == State::Closing
    }

    /// Takes an input in. Call again with the same input until it gives `None`: bytes are taken from the front of
    /// [`Input::Received`] up to the next event, and there are none left then. After an error `BYE` is pending, and
    /// what still arrives is ignored.
    pub fn handle<'a>(&mut self, now: Instant, input: &mut Input<'a>) -> Result<Option<Event<'a>>, Error> {
        match input {
            Input::Received(bytes) => Ok(self.receive(now, bytes)?),
            Input::Timeout => self.handle_timeout(now).map(|()| None).map_err(Error::Timeout),
        }
    }

    fn receive<'a>(&mut self, now: Instant, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, Violation> {
        // The time for `HELLO` is fixed: a peer that sends a byte now and then must not extend it.
        if !input.is_empty() && self.state != State::AwaitingHello {
            self.received = now;
        }
        let event = self.next_event(now, input);
        if let Err(broken) = event {
            self.send_bye(ByeReason::Violation, broken.text());
        }
        event
    }

    fn next_event<'a>(&mut self, now: Instant, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, Violation> {
        loop {
            if self.state == State::Closing {
                *input = &[];
            }
            let Some(fragment) = self.parser.next(input)? else { return Ok(None) };
            let event = if fragment.channel == 0 {
                self.connection_fragment(now, &fragment)?
            } else {
                self.channel_fragment(fragment)?
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    fn connection_fragment(
        &mut self,
        now: Instant,
        fragment: &Fragment<'_>,
    ) -> Result<Option<Event<'static>>, Violation> {
        match (self.state, fragment.kind) {
            (State::AwaitingHello, to_cloud::HELLO | to_cloud::BYE) => {}
            (State::Disconnected | State::AwaitingHello, _) => return Err(violation::HELLO_EXPECTED),
            (_, to_cloud::HELLO) => return Err(violation::HELLO_TWICE),
            (State::AwaitingWelcome, to_cloud::BYE) => {}
            (State::AwaitingWelcome, _) => return Err(violation::BEFORE_WELCOME),
            _ => {}
        }
        if !self.frame_buffer.push(fragment) {
            return Ok(None);
        }
        match fragment.kind {
            to_cloud::HELLO => self.hello(now),
            to_cloud::PING => self.ping(),
            to_cloud::LOG => Ok(Some(Event::Log(LogHead::decode(self.frame_buffer.body())?.0))),
            to_cloud::TIME_QUERY => Ok(Some(Event::TimeQuery)),
            to_cloud::BYE => self.bye_received().map(Some),
            _ => Err(violation::UNKNOWN_KIND),
        }
    }

    fn hello(&mut self, now: Instant) -> Result<Option<Event<'static>>, Violation> {
        let version = crate::bytes::Reader::new(self.frame_buffer.body()).varint32()?;
        if version != VERSION {
            self.send_bye(ByeReason::Version, "this cloud speaks version 1 of the link");
            return Ok(None);
        }
        let hello = Hello::decode(self.frame_buffer.body())?;
        self.state = State::AwaitingWelcome;
        self.received = now;
        Ok(Some(Event::Hello(hello)))
    }

    fn ping(&mut self) -> Result<Option<Event<'static>>, Violation> {
        // A pending PONG is bounded memory only because there is at most one PING without its PONG.
        if self.pending.pong.is_some() {
            return Err(violation::PING_TWICE);
        }
        self.pending.pong = Some(decode_number(self.frame_buffer.body())?);
        Ok(None)
    }

    fn bye_received(&mut self) -> Result<Event<'static>, Violation> {
        let reason = Bye::decode(self.frame_buffer.body())?.reason;
        self.state = State::Closing;
        // The device ignores what arrives after its own BYE.
        self.pending = PendingControl::default();
        Ok(Event::Bye { reason })
    }

    fn channel_fragment<'a>(&mut self, fragment: Fragment<'a>) -> Result<Option<Event<'a>>, Violation> {
        match self.state {
            State::Disconnected | State::AwaitingHello => return Err(violation::HELLO_EXPECTED),
            State::AwaitingWelcome => return Err(violation::BEFORE_WELCOME),
            State::Open | State::Closing => {}
        }
        let phase = self.channel_state(fragment.channel).ok_or(violation::CHANNEL_NOT_OPEN)?.phase;
        match (phase, fragment.kind) {
            (Phase::Free, to_cloud::OPEN) => self.open(&fragment),
            (_, to_cloud::OPEN) => Err(violation::CHANNEL_IN_USE),
            (Phase::Closed, to_cloud::CLOSE) => Err(violation::CLOSED_TWICE),
            (Phase::Free | Phase::Closed, _) => Err(violation::CHANNEL_NOT_OPEN),
            (_, to_cloud::CLOSE) => Ok(self.close(fragment.channel)),
            // The device may not know yet that the channel has ended.
            (Phase::Ending | Phase::Ended, _) => Ok(None),
            (Phase::Open, to_cloud::CREDIT) => self.credit(&fragment),
            (Phase::Open, _) => self.item(fragment),
        }
    }

    fn open(&mut self, fragment: &Fragment<'_>) -> Result<Option<Event<'static>>, Violation> {
        if !self.frame_buffer.push(fragment) {
            return Ok(None);
        }
        let open = Open::decode(self.frame_buffer.body())?;
        let window = self.window;
        let Some(state) = self.channel_state_mut(fragment.channel) else { return Ok(None) };
        *state = ChannelState::opened(open, window);
        Ok(Some(Event::Open { channel: fragment.channel, open }))
    }

    fn close(&mut self, channel: u8) -> Option<Event<'static>> {
        self.parser.discard(channel);
        let state = self.channel_state_mut(channel)?;
        let before = state.phase;
        state.close_received();
        (before == Phase::Open).then_some(Event::Close { channel })
    }

    fn credit(&mut self, fragment: &Fragment<'_>) -> Result<Option<Event<'static>>, Violation> {
        if !self.frame_buffer.push(fragment) {
            return Ok(None);
        }
        let credit = RingCredit::decode(self.frame_buffer.body())?;
        let Some(state) = self.channel_state_mut(fragment.channel) else { return Ok(None) };
        state.credit_received(credit)?;
        Ok(Some(Event::Credit { channel: fragment.channel, credit }))
    }

    fn item<'a>(&mut self, fragment: Fragment<'a>) -> Result<Option<Event<'a>>, Violation> {
        // The parser has read the fragment's header, so this is about what follows the fragment.
        let more_follows = self.parser.is_unfinished(fragment.channel);
        let Some(state) = self.channel_state_mut(fragment.channel) else { return Ok(None) };
        if fragment.first {
            state.begin_received(fragment.kind)?;
        }
        state.bytes_received(fragment.bytes.len() as u32, more_follows)?;
        Ok(Some(Event::Item(fragment)))
    }

    /// The text of the last [`Event::Log`], until the next [`CloudLink::handle`].
    pub fn log_text(&self) -> &[u8] {
        LogHead::decode(self.frame_buffer.body()).map_or(&[], |(_, text)| text)
    }

    /// The text of the last [`Event::Bye`].
    pub fn bye_text(&self) -> &[u8] {
        Bye::decode(self.frame_buffer.body()).map_or(&[], |bye| bye.text)
    }

    /// Answers `HELLO`. The interval is clamped to 1 s to an hour and the window to at least 16 384 bytes.
    pub fn send_welcome(&mut self, keepalive: Duration, window: u32, wall: WallTime, logging: bool) {
        if self.state != State::AwaitingWelcome {
            return;
        }
        let keepalive = keepalive.clamp(MIN_KEEPALIVE, MAX_KEEPALIVE);
        let window = window.max(crate::limits::MIN_WINDOW);
        self.keepalive = keepalive;
        self.window = window;
        self.pending.welcome = Some(Welcome { version: VERSION, keepalive, window, wall, logging });
    }

    /// Log messages up to this number are stored: the device may forget them.
    pub fn acknowledge_logs(&mut self, sequence: u32) {
        self.pending.log_taken = self.pending.log_taken.max(Some(sequence));
    }

    /// Answers `TIME_QUERY`, or sends the time of day unasked.
    pub fn send_time(&mut self, wall: WallTime) {
        self.pending.time = Some(wall);
    }

    /// Says whether log messages are wanted from now on.
    pub fn set_logging(&mut self, enabled: bool) {
        self.pending.logging = Some(enabled);
    }

    /// Ends the connection: [`CloudLink::transmit`] writes `BYE` and nothing after it. The text is cut to 128 bytes.
    pub fn send_bye(&mut self, reason: ByeReason, text: &'static str) {
        if self.state != State::Closing {
            self.state = State::Closing;
            self.pending = PendingControl { bye: Some((reason, text)), ..PendingControl::default() };
        }
    }

    /// Ends a channel from the cloud's side: [`CloudLink::transmit`] writes `CLOSED`. Every request in flight must
    /// have been answered before, because the application counts on one answer for each (D50).
    pub fn close_channel(&mut self, channel: u8, reason: ClosureReason) {
        if let Some(state) = self.channel_state_mut(channel)
            && state.phase == Phase::Open
        {
            state.phase = Phase::Ending;
            state.reason = reason;
        }
    }

    /// Whether items can be begun on the channel.
    pub fn is_channel_open(&self, channel: u8) -> bool {
        self.state == State::Open
            && self.channel_state(channel).is_some_and(|state| state.phase == Phase::Open)
    }

    /// Bytes of the channel's receive ring that are free.
    pub fn free_ring_bytes(&self, channel: u8) -> u32 {
        self.channel_state(channel).map_or(0, ChannelState::free_ring_bytes)
    }

    /// How many `MESSAGE` and `LOST` items may be begun on the channel now.
    pub fn free_message_items(&self, channel: u8) -> u8 {
        self.channel_state(channel).map_or(0, |state| MESSAGE_ITEMS - state.items)
    }

    /// The driver has passed items on: up to `bytes` received bytes of the channel are credited to the device's
    /// window. Bytes of fragments with more to follow are credited on arrival unless
    /// [`CloudLink::set_fragment_credit`] says otherwise, so that an item longer than the window can be completed.
    pub fn consume(&mut self, channel: u8, bytes: u32) {
        if let Some(state) = self.channel_state_mut(channel) {
            let bytes = bytes.min(state.unconsumed);
            state.credit += bytes;
            state.unconsumed -= bytes;
        }
    }

    /// Whether fragments with more to follow are credited on arrival, as they are at first, or wait for
    /// [`CloudLink::consume`] as all others do. A driver without room turns it off, so that the memory an unfinished
    /// item takes is bounded by the window.
    pub fn set_fragment_credit(&mut self, channel: u8, enabled: bool) {
        if let Some(state) = self.channel_state_mut(channel) {
            state.fragment_credit = enabled;
        }
    }

    /// Begins an item: `head` bytes that take no room in the ring and `content` bytes that do, for the kinds of which
    /// link.md §6 says so (0 for the others). After [`SendError::Blocked`] the device learns by `BLOCKED` that room
    /// is needed, and an [`Event::Credit`] will arrive.
    pub fn begin_item(&mut self, channel: u8, kind: u8, head: u32, content: u32) -> Result<(), SendError> {
        if !self.is_channel_open(channel) {
            return Err(SendError::NotOpen);
        }
        let state = self.channel_state_mut(channel).ok_or(SendError::NotOpen)?;
        state.begin(kind, head, content)
    }

    /// The next frame of the item begun: its header and how many of the item's bytes follow it, at most `max`. `None`
    /// when the item has been sent, or the channel has ended.
    pub fn next_fragment(&mut self, channel: u8, max: usize) -> Option<(HeaderBytes, usize)> {
        if !self.is_channel_open(channel) {
            return None;
        }
        self.channel_state_mut(channel)?.next_fragment(channel, max)
    }

    /// Begins and writes a whole item that takes no ring bytes, as most answers do. Gives the length written.
    ///
    /// # Errors
    /// [`SendError`]: the body is longer than an answer has, or the channel cannot begin an item now.
    pub fn write_answer(
        &mut self,
        channel: u8,
        kind: u8,
        body: &[u8],
        out: &mut [u8; ANSWER_FRAME],
    ) -> Result<usize, SendError> {
        if body.len() > ANSWER_FRAME - crate::header::MAX_HEADER {
            return Err(SendError::Invalid);
        }
        self.begin_item(channel, kind, body.len() as u32, 0)?;
        let (header, length) = self.next_fragment(channel, body.len()).ok_or(SendError::Invalid)?;
        let header = header.as_slice();
        out[..header.len()].copy_from_slice(header);
        out[header.len()..][..length].copy_from_slice(&body[..length]);
        Ok(header.len() + length)
    }

    /// Writes pending control frames, as many as fit whole, and gives their length; 0 when there are none. 160 bytes
    /// are room for any of them. When something is written, all credit goes with it, because the record is paid for
    /// already.
    pub fn transmit(&mut self, _now: Instant, out: &mut [u8]) -> usize {
        let mut writer = FrameWriter::new(out);
        match self.state {
            State::AwaitingWelcome => self.write_welcome(&mut writer),
            State::Disconnected | State::AwaitingHello | State::Open => {}
            State::Closing => self.write_bye(&mut writer),
        }
        if self.state == State::Open {
            self.write_connection(&mut writer);
            self.write_channels(&mut writer);
        }
        writer.written()
    }

    fn write_welcome(&mut self, writer: &mut FrameWriter<'_>) {
        let Some(welcome) = self.pending.welcome else { return };
        let mut body = [0; Welcome::MAX];
        let length = welcome.encode(&mut body);
        if writer.frame(0, to_device::WELCOME, &body[..length]) {
            self.pending.welcome = None;
            self.state = State::Open;
        }
    }

    fn write_bye(&mut self, writer: &mut FrameWriter<'_>) {
        let Some((reason, text)) = self.pending.bye else { return };
        let mut body = [0; Bye::MAX];
        let length = Bye { reason, text: text.as_bytes() }.encode(&mut body);
        if writer.frame(0, to_device::BYE, &body[..length]) {
            self.pending.bye = None;
        }
    }

    fn write_connection(&mut self, writer: &mut FrameWriter<'_>) {
        write_number(writer, to_device::PONG, &mut self.pending.pong, u64::from);
        write_number(writer, to_device::LOG_TAKEN, &mut self.pending.log_taken, u64::from);
        write_number(writer, to_device::TIME, &mut self.pending.time, WallTime::as_micros);
        let logging = self.pending.logging;
        if logging.is_some_and(|enabled| writer.frame(0, to_device::LOGGING, &[u8::from(enabled)])) {
            self.pending.logging = None;
        }
    }

    fn write_channels(&mut self, writer: &mut FrameWriter<'_>) {
        let window = self.window;
        for (number, state) in (1..).zip(&mut self.channels) {
            state.write_pending(number, window, writer);
        }
        if writer.written() > 0 {
            for (number, state) in (1..).zip(&mut self.channels) {
                state.write_credit(number, writer);
            }
        }
    }

    /// When [`Input::Timeout`] is due.
    pub fn next_timeout(&self) -> Option<Instant> {
        // What happens exactly at the deadline is not late.
        self.deadline().map(|(at, _)| at + Duration::from_micros(1))
    }

    /// Ends the connection when the device was silent for too long.
    fn handle_timeout(&mut self, now: Instant) -> Result<(), TimeoutReason> {
        match self.deadline() {
            Some((at, reason)) if now > at => {
                self.send_bye(ByeReason::Keepalive, reason.text());
                Err(reason)
            }
            _ => Ok(()),
        }
    }

    fn deadline(&self) -> Option<(Instant, TimeoutReason)> {
        let longest_silence = self.keepalive.saturating_mul(2) + KEEPALIVE_GRACE;
        match self.state {
            State::AwaitingHello => Some((self.received + HELLO_TIMEOUT, TimeoutReason::NoHello)),
            State::Open => Some((self.received + longest_silence, TimeoutReason::Silent)),
            State::Disconnected | State::AwaitingWelcome | State::Closing => None,
        }
    }

    fn channel_state_mut(&mut self, channel: u8) -> Option<&mut ChannelState> {
        self.channels.get_mut(usize::from(channel).wrapping_sub(1))
    }

    fn channel_state(&self, channel: u8) -> Option<&ChannelState> {
        self.channels.get(usize::from(channel).wrapping_sub(1))
    }
}

/// Bytes of the longest answer as a frame.
pub const ANSWER_FRAME: usize = crate::header::MAX_HEADER + crate::mqtt::FilterCodes::MAX;

fn write_number<N: Copy>(
    writer: &mut FrameWriter<'_>,
    kind: u8,
    pending: &mut Option<N>,
    number: impl Fn(N) -> u64,
) {
    if pending.is_some_and(|value| writer.number(kind, number(value))) {
        *pending = None;
    }
}
