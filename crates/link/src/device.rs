//! The device's end of the link (link.md §3, §5, §6).

use sansio::{Duration, Instant};

use crate::channel::{ChannelType, Open};
use crate::connection::{Bye, ByeReason, Hello, LogHead};
use crate::errors::{Error, NoFreeChannel, SendError, TimeoutReason};
use crate::frame_buffer::FrameBuffer;
use crate::frame_writer::FrameWriter;
use crate::header::{Header, HeaderBytes, MAX_HEADER};
use crate::kind::{Direction, to_cloud};
use crate::limits::{CHANNELS, HELLO_TIMEOUT, KEEPALIVE_GRACE, MAX_FRAME_BODY, MAX_LOG_TEXT};
use crate::parser::Parser;
use crate::state::State;
use crate::violation::{self, Violation};

mod channel;
mod event;
mod receive;

use channel::{ChannelState, Phase};
pub use event::{Answer, Event};

/// `PING` tokens are cut to these bits, so that they take one byte.
const PING_TOKENS: u32 = 0x7f;
/// Bytes a `LOG` frame has at most before its text.
pub const LOG_FRAME: usize = MAX_HEADER + LogHead::MAX;

/// What can happen to the device's end.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The transport is established; `HELLO` will be this one.
    Connected(&'a Hello),
    /// The transport is gone, and with it everything of the connection: nothing is carried over to the next, since the
    /// cloud drops the brokers' connections (D52) and the kernel answers what is in flight (D53).
    Lost,
    /// Bytes from the cloud.
    Received(&'a [u8]),
    /// [`DeviceLink::next_timeout`] has been reached.
    Timeout,
}

/// The device's end of one connection after another.
///
/// It owns the connection's rules; its driver owns the clock, the transport and the bodies of items. The driver
///
/// 1. calls [`DeviceLink::handle`] with each [`Input`], again with the same one until it gives `None`;
/// 2. calls [`DeviceLink::transmit`] until it gives 0, and sends what it writes: also after an error;
/// 3. sends what it has itself: a channel's item as frames for which it asks [`DeviceLink::next_fragment`] how much
///    may go and [`DeviceLink::channel_frame`] for the header, a log message after [`DeviceLink::log_frame`];
/// 4. closes the transport when the link [`DeviceLink::is_closing`], and waits otherwise, at most until
///    [`DeviceLink::next_timeout`].
///
/// `now` is the device's clock, which starts with the device and never goes back.
#[derive(Clone, Debug)]
pub struct DeviceLink {
    state: State,
    hello: Hello,
    parser: Parser,
    frame_buffer: FrameBuffer<{ Bye::MAX }>,
    keepalive: Duration,
    window: u32,
    /// When the last byte was sent and received, or, while `WELCOME` is awaited, when `HELLO` was sent.
    sent: Instant,
    received: Instant,
    ping: Option<Ping>,
    /// When a `PING` that was due was first found unsent, if the transport still takes nothing.
    overdue: Option<Instant>,
    token: u32,
    time_query_pending: bool,
    /// The highest log sequence sent on this connection.
    log_sent: u32,
    /// The text of the pending `BYE`, and its reason: apart, so that a link without one is all zero bytes.
    bye: Option<&'static str>,
    bye_reason: ByeReason,
    channels: [ChannelState; CHANNELS],
}

#[derive(Clone, Copy, Debug)]
struct Ping {
    token: u32,
    at: Instant,
}

impl Default for DeviceLink {
    fn default() -> Self {
        Self::new()
    }
}

impl DeviceLink {
    /// A link without a connection. It is all zero bytes, so that a device's first state takes no flash.
    pub const fn new() -> Self {
        Self {
            state: State::Disconnected,
            hello: Hello { version: 0, boot: 0, wake_reason: 0, clock: Instant::ZERO, image: [0; 32] },
            parser: Parser::new(Direction::ToDevice),
            frame_buffer: FrameBuffer::new(),
            keepalive: Duration::ZERO,
            window: 0,
            sent: Instant::ZERO,
            received: Instant::ZERO,
            ping: None,
            overdue: None,
            token: 0,
            time_query_pending: false,
            log_sent: 0,
            bye: None,
            bye_reason: ByeReason::Done,
            channels: [ChannelState::FREE; CHANNELS],
        }
    }

    /// Takes an input in. Call again with the same input until it gives `None`: bytes are taken from the front of
    /// [`Input::Received`] up to the next event, and there are none left then. After an error `BYE` is pending, and
    /// what still arrives is ignored.
    #[inline]
    pub fn handle<'a>(&mut self, now: Instant, input: &mut Input<'a>) -> Result<Option<Event<'a>>, Error> {
        match input {
            Input::Connected(hello) => self.connected(now, hello),
            Input::Lost => self.lost(),
            Input::Received(bytes) => return Ok(self.receive(now, bytes)?),
            Input::Timeout => self.handle_timeout(now).map_err(Error::Timeout)?,
        }
        Ok(None)
    }

    // Not inlined: a new link is built on the stack, where it would take room during every other input too.
    #[inline(never)]
    fn connected(&mut self, now: Instant, hello: &Hello) {
        *self = Self { state: State::AwaitingHello, hello: *hello, sent: now, received: now, ..Self::new() };
    }

    #[inline(never)]
    fn lost(&mut self) {
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

    /// Whether the driver should close the transport once [`DeviceLink::transmit`] gives nothing.
    pub fn is_closing(&self) -> bool {
        self.state == State::Closing
    }

    fn receive<'a>(&mut self, now: Instant, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, Violation> {
        if !input.is_empty() {
            self.received = now;
        }
        let event = self.next_event(input);
        if let Err(broken) = event {
            self.send_bye(ByeReason::Violation, broken.text());
        }
        event
    }

    /// Accounts for `bytes` of an item that the driver has stored in the channel's receive ring: those that link.md §6
    /// counts, so not the head's. No effect once the channel has ended.
    ///
    /// # Errors
    /// The ring has no room for that many. `BYE` is then pending.
    pub fn store(&mut self, channel: u8, bytes: u32) -> Result<(), Violation> {
        let Some(state) = self.channel_state_mut(channel).filter(|state| state.phase == Phase::Open) else {
            return Ok(());
        };
        if bytes > state.open.ring - state.used.bytes {
            self.send_bye(ByeReason::Violation, violation::RING_EXCEEDED.text());
            return Err(violation::RING_EXCEEDED);
        }
        state.used.bytes += bytes;
        Ok(())
    }

    /// Opens a channel under a free number. [`DeviceLink::transmit`] writes its `OPEN`; frames may follow that.
    ///
    /// # Errors
    /// [`NoFreeChannel`]: all numbers are in use, also by channels whose closing the cloud has not confirmed, or the
    /// connection is not open.
    pub fn open_channel(&mut self, channel_type: ChannelType, ring: u32) -> Result<u8, NoFreeChannel> {
        if self.state != State::Open {
            return Err(NoFreeChannel);
        }
        let window = self.window;
        let free = self.channels.iter().position(|state| state.phase == Phase::Free).ok_or(NoFreeChannel)?;
        let open = Open { channel_type, ring };
        self.channels[free] = ChannelState { phase: Phase::Opening, open, window, ..ChannelState::FREE };
        Ok(free as u8 + 1)
    }

    /// Closes the channel: no further event names it.
    pub fn close_channel(&mut self, channel: u8) {
        let Some(state) = self.channel_state_mut(channel) else { return };
        match state.phase {
            Phase::Opening => state.phase = Phase::Free,
            Phase::Open => state.phase = Phase::Closing,
            Phase::Free | Phase::Closing | Phase::Closed | Phase::EndedByCloud => {}
        }
    }

    /// The application has taken this many ring bytes and `MESSAGE` or `LOST` items. The cloud learns of it when
    /// enough has gathered to be worth a record (link.md §6).
    #[allow(clippy::inline_always, reason = "a few instructions, in a call that is counted by instructions")]
    #[inline(always)]
    pub fn return_credit(&mut self, channel: u8, bytes: u32, items: u32) {
        let Some(ChannelState { used, credit, .. }) = self.channel_state_mut(channel) else { return };
        credit.bytes += bytes.min(used.bytes - credit.bytes);
        credit.items += items.min(used.items - credit.items);
    }

    /// Asks the cloud for the time of day, as the kernel does once an hour because its own clock drifts (D25).
    pub fn request_time(&mut self) {
        self.time_query_pending = true;
    }

    /// Ends the connection: [`DeviceLink::transmit`] writes `BYE` and nothing after it. The text is cut to 128 bytes.
    pub fn send_bye(&mut self, reason: ByeReason, text: &'static str) {
        if !matches!(self.state, State::Disconnected | State::Closing) {
            self.state = State::Closing;
            (self.bye, self.bye_reason) = (Some(text), reason);
        }
    }

    /// Whether the channel is open, its `OPEN` sent.
    pub fn is_channel_open(&self, channel: u8) -> bool {
        self.state == State::Open
            && self.channel_state(channel).is_some_and(|state| state.phase == Phase::Open)
    }

    /// Bytes the device may send on the channel now.
    pub fn window(&self, channel: u8) -> u32 {
        if self.is_channel_open(channel) {
            self.channel_state(channel).map_or(0, |state| state.window)
        } else {
            0
        }
    }

    /// How the next frame of an item with `left` bytes to go is cut, when the driver can write `max` body bytes: its
    /// length and whether more follow. `None` while the window is smaller than that; [`Event::Window`] says when it
    /// has grown.
    pub fn next_fragment(&self, channel: u8, left: u32, max: usize) -> Option<(u16, bool)> {
        let length = (left as usize).min(max).min(MAX_FRAME_BODY) as u32;
        // An empty frame is the whole of an empty item; in the middle of one it would be a violation.
        let is_useful = length > 0 || left == 0;
        (is_useful && self.is_channel_open(channel) && length <= self.window(channel))
            .then_some((length as u16, length < left))
    }

    /// Begins a frame of a channel: accounts for it and gives its header. The driver sends exactly `length` body
    /// bytes after it.
    ///
    /// # Errors
    /// [`SendError`]: the channel is not open, or the frame is none that may follow now. Nothing has been accounted
    /// for.
    pub fn channel_frame(
        &mut self,
        now: Instant,
        channel: u8,
        kind: u8,
        length: u16,
        more: bool,
    ) -> Result<HeaderBytes, SendError> {
        if !self.is_channel_open(channel) {
            return Err(SendError::NotOpen);
        }
        let state = self.channel_state_mut(channel).ok_or(SendError::NotOpen)?;
        state.account_for(kind, length, more)?;
        self.sent = now;
        Ok(Header { kind, channel, length, more }.to_bytes())
    }

    /// Begins a log message of `text` bytes: writes the frame up to the text and gives the length written. The driver
    /// sends exactly the text after it. `None` while the connection is not open, or for a text over 1024 bytes.
    pub fn log_frame(
        &mut self,
        now: Instant,
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

    /// Writes pending control frames, as many as fit whole, and gives their length; 0 when there are none. 160 bytes
    /// are room for any of them. When something is written, all credit goes with it, because the record is paid for
    /// already.
    pub fn transmit(&mut self, now: Instant, out: &mut [u8]) -> usize {
        let mut writer = FrameWriter::new(out);
        match self.state {
            State::AwaitingHello => self.write_hello(&mut writer),
            State::Open => self.write_pending(now, &mut writer),
            State::Closing => self.write_bye(&mut writer),
            State::Disconnected | State::AwaitingWelcome => {}
        }
        let written = writer.written();
        if written > 0 {
            self.sent = now;
        }
        written
    }

    /// Writes all credit, also what is not due: for a driver that sends something else in the same record anyway.
    pub fn transmit_credit(&mut self, now: Instant, out: &mut [u8]) -> usize {
        let mut writer = FrameWriter::new(out);
        if self.state == State::Open {
            self.write_credit(&mut writer, ChannelState::has_credit);
        }
        let written = writer.written();
        if written > 0 {
            self.sent = now;
        }
        written
    }

    /// Whether [`DeviceLink::transmit`] has something to write now.
    pub fn wants_transmit(&self, now: Instant) -> bool {
        match self.state {
            State::Disconnected | State::AwaitingWelcome => false,
            State::AwaitingHello => true,
            State::Closing => self.bye.is_some(),
            State::Open => {
                self.time_query_pending
                    || self.ping_is_due(now)
                    || self.channels.iter().any(ChannelState::wants_transmit)
            }
        }
    }

    fn write_hello(&mut self, writer: &mut FrameWriter<'_>) {
        let mut body = [0; Hello::MAX];
        let length = self.hello.encode(&mut body);
        if writer.frame(0, to_cloud::HELLO, &body[..length]) {
            self.state = State::AwaitingWelcome;
        }
    }

    fn write_bye(&mut self, writer: &mut FrameWriter<'_>) {
        let Some(text) = self.bye else { return };
        let mut body = [0; Bye::MAX];
        let length = Bye { reason: self.bye_reason, text: text.as_bytes() }.encode(&mut body);
        if writer.frame(0, to_cloud::BYE, &body[..length]) {
            self.bye = None;
        }
    }

    fn write_pending(&mut self, now: Instant, writer: &mut FrameWriter<'_>) {
        if self.time_query_pending && writer.frame(0, to_cloud::TIME_QUERY, &[]) {
            self.time_query_pending = false;
        }
        self.write_lifecycle(writer);
        self.write_credit(writer, ChannelState::credit_is_due);
        // What was written above is a sign of life already. A device that only sends would not notice a peer
        // that no longer receives.
        let is_idle = now >= self.sent + self.keepalive && writer.written() == 0;
        let hears_nothing = now >= self.received + self.keepalive;
        if self.ping.is_none() && (is_idle || hears_nothing) {
            self.write_ping(now, writer);
        }
        if writer.written() > 0 {
            self.write_credit(writer, ChannelState::has_credit);
        }
    }

    fn write_lifecycle(&mut self, writer: &mut FrameWriter<'_>) {
        for (number, state) in (1..).zip(&mut self.channels) {
            state.write_lifecycle(number, writer);
        }
    }

    fn write_credit(&mut self, writer: &mut FrameWriter<'_>, which: impl Fn(&ChannelState) -> bool) {
        for (number, state) in (1..).zip(&mut self.channels) {
            if which(state) {
                state.write_credit(number, writer);
            }
        }
    }

    fn write_ping(&mut self, now: Instant, writer: &mut FrameWriter<'_>) {
        let token = self.token & PING_TOKENS;
        if writer.number(to_cloud::PING, u64::from(token)) {
            self.token = self.token.wrapping_add(1);
            self.ping = Some(Ping { token, at: now });
        }
    }

    /// Whether a `PING` has been sent that is not answered.
    pub fn awaits_pong(&self) -> bool {
        self.ping.is_some()
    }

    /// When [`Input::Timeout`] and [`DeviceLink::transmit`] are due at the latest.
    pub fn next_timeout(&self) -> Option<Instant> {
        match (self.state, self.ping) {
            (State::AwaitingWelcome, _) => Some(after(self.sent + HELLO_TIMEOUT)),
            (State::Open, Some(ping)) => Some(after(ping.at + KEEPALIVE_GRACE)),
            (State::Open, None) => {
                Some(self.overdue_since().map_or(self.ping_due_at(), |since| after(since + KEEPALIVE_GRACE)))
            }
            _ => None,
        }
    }

    /// Ends the connection when an answer is late, or a `PING` could not be sent for as long. An answer exactly
    /// at its time is not late.
    fn handle_timeout(&mut self, now: Instant) -> Result<(), TimeoutReason> {
        let checked = self.check_deadline(now);
        if let Err(reason) = checked {
            self.send_bye(ByeReason::Keepalive, reason.text());
        }
        checked
    }

    fn check_deadline(&mut self, now: Instant) -> Result<(), TimeoutReason> {
        match (self.state, self.ping) {
            (State::AwaitingWelcome, _) if now > self.sent + HELLO_TIMEOUT => Err(TimeoutReason::NoWelcome),
            (State::Open, Some(ping)) if now > ping.at + KEEPALIVE_GRACE => Err(TimeoutReason::NoPong),
            (State::Open, None) => self.check_overdue(now),
            _ => Ok(()),
        }
    }

    /// A transport that takes nothing (a cut cable behind full buffers) must not hide the silence: a `PING` that
    /// cannot be sent counts as sent when it was due.
    fn check_overdue(&mut self, now: Instant) -> Result<(), TimeoutReason> {
        self.overdue = self.ping_is_due(now).then(|| self.overdue_since().unwrap_or(now));
        let is_late = self.overdue.is_some_and(|since| now > since + KEEPALIVE_GRACE);
        if is_late { Err(TimeoutReason::NoPong) } else { Ok(()) }
    }

    /// A note from before the last byte sent or received is out of date.
    fn overdue_since(&self) -> Option<Instant> {
        self.overdue.filter(|since| *since >= self.ping_due_at())
    }

    fn ping_due_at(&self) -> Instant {
        self.sent.min(self.received) + self.keepalive
    }

    fn ping_is_due(&self, now: Instant) -> bool {
        self.ping.is_none() && now >= self.ping_due_at()
    }

    fn channel_state_mut(&mut self, channel: u8) -> Option<&mut ChannelState> {
        self.channels.get_mut(usize::from(channel).wrapping_sub(1))
    }

    fn channel_state(&self, channel: u8) -> Option<&ChannelState> {
        self.channels.get(usize::from(channel).wrapping_sub(1))
    }
}

/// The first instant that is later: what happens exactly at a deadline is not late.
fn after(deadline: Instant) -> Instant {
    deadline + Duration::from_micros(1)
}
