//! The receiving half of the device's end: from fragments to events.

use super::channel::{ChannelState, Phase};
use super::{Answer, DeviceLink, Event};
use crate::channel::{WindowCredit, decode_closed};
use crate::connection::{Bye, Welcome, decode_logging, decode_number, decode_time};
use crate::kind::{self, Direction, to_device};
use crate::limits::MESSAGE_ITEMS;
use crate::mqtt::{FilterCodes, Outcome, Published};
use crate::parser::Fragment;
use crate::state::State;
use crate::violation::{self, Violation};

impl DeviceLink {
    pub(super) fn next_event<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, Violation> {
        loop {
            // After a BYE nothing counts any more, and what arrives is discarded rather than judged.
            if matches!(self.state, State::Disconnected | State::Closing) {
                *input = &[];
            }
            let Some(fragment) = self.parser.next(input)? else { return Ok(None) };
            let event = if fragment.channel == 0 {
                self.connection_fragment(&fragment)?
            } else {
                self.channel_fragment(fragment)?
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    fn connection_fragment(&mut self, fragment: &Fragment<'_>) -> Result<Option<Event<'static>>, Violation> {
        match (self.state, fragment.kind) {
            (State::AwaitingHello, _) => return Err(violation::HELLO_EXPECTED),
            // A cloud that refuses the device says so instead of WELCOME.
            (State::AwaitingWelcome, to_device::WELCOME | to_device::BYE) => {}
            (State::AwaitingWelcome, _) => return Err(violation::BEFORE_WELCOME),
            (_, to_device::WELCOME) => return Err(violation::WELCOME_TWICE),
            _ => {}
        }
        // A frame of the connection is short and stored here, since it may arrive in parts.
        if !self.frame_buffer.push(fragment) {
            return Ok(None);
        }
        match fragment.kind {
            to_device::WELCOME => self.welcome().map(Some),
            to_device::PONG => self.pong(),
            to_device::LOG_TAKEN => self.log_taken().map(Some),
            to_device::TIME => Ok(Some(Event::Time { wall: decode_time(self.frame_buffer.body())? })),
            to_device::LOGGING => {
                Ok(Some(Event::Logging { enabled: decode_logging(self.frame_buffer.body())? }))
            }
            to_device::BYE => self.bye_received().map(Some),
            _ => Err(violation::UNKNOWN_KIND),
        }
    }

    fn welcome(&mut self) -> Result<Event<'static>, Violation> {
        let welcome = Welcome::decode(self.frame_buffer.body())?;
        if welcome.version != self.hello.version {
            return Err(violation::OTHER_VERSION);
        }
        // Only after every check: a refused WELCOME must not open the channels.
        self.state = State::Open;
        self.keepalive = welcome.keepalive;
        self.window = welcome.window;
        Ok(Event::Welcome { wall: welcome.wall, logging: welcome.logging })
    }

    fn pong(&mut self) -> Result<Option<Event<'static>>, Violation> {
        let token = decode_number(self.frame_buffer.body())?;
        match self.ping.take() {
            Some(ping) if ping.token == token => Ok(None),
            // Another token would let an old PONG hide that the cloud is silent.
            _ => Err(violation::UNEXPECTED_PONG),
        }
    }

    fn log_taken(&mut self) -> Result<Event<'static>, Violation> {
        let sequence = decode_number(self.frame_buffer.body())?;
        // Acknowledging more than was sent would drop messages that have not left yet.
        if sequence > self.log_sent {
            return Err(violation::LOG_NOT_SENT);
        }
        Ok(Event::LogTaken { sequence })
    }

    fn bye_received(&mut self) -> Result<Event<'static>, Violation> {
        let bye = Bye::decode(self.frame_buffer.body())?;
        let reason = bye.reason;
        self.state = State::Closing;
        // The cloud has said its reason, so that the device's own is no longer sent.
        self.bye = None;
        Ok(Event::Bye { reason })
    }

    fn channel_fragment<'a>(&mut self, fragment: Fragment<'a>) -> Result<Option<Event<'a>>, Violation> {
        if self.state != State::Open {
            return Err(violation::BEFORE_WELCOME);
        }
        let phase = self.channel_state_mut(fragment.channel).ok_or(violation::CHANNEL_NOT_OPEN)?.phase;
        match (phase, fragment.kind) {
            (Phase::Free | Phase::Opening, _) => Err(violation::CHANNEL_NOT_OPEN),
            // A channel that the cloud has closed is closed by the device too; until then its number is not free.
            (Phase::EndedByCloud, to_device::CLOSED) => Err(violation::CLOSED_TWICE),
            (Phase::EndedByCloud, _) => Err(violation::CHANNEL_NOT_OPEN),
            (_, to_device::CLOSED) => self.closed(&fragment, phase),
            // The application is no longer interested; the cloud may not know that yet.
            (Phase::Closing | Phase::Closed, _) => Ok(None),
            (Phase::Open, _) => self.open_channel_fragment(fragment),
        }
    }

    fn closed(&mut self, fragment: &Fragment<'_>, phase: Phase) -> Result<Option<Event<'static>>, Violation> {
        if !self.frame_buffer.push(fragment) {
            return Ok(None);
        }
        let reason = decode_closed(self.frame_buffer.body())?;
        // The end of a channel ends its unfinished item.
        self.parser.discard(fragment.channel);
        let Some(state) = self.channel_state_mut(fragment.channel) else { return Ok(None) };
        *state = ChannelState {
            // Free only once both ends have closed: a number used again at once could get frames of its predecessor.
            phase: if phase == Phase::Closed { Phase::Free } else { Phase::EndedByCloud },
            ..ChannelState::FREE
        };
        Ok((phase == Phase::Open).then_some(Event::Closed { channel: fragment.channel, reason }))
    }

    fn open_channel_fragment<'a>(&mut self, fragment: Fragment<'a>) -> Result<Option<Event<'a>>, Violation> {
        let Some(state) = self.channel_state_mut(fragment.channel) else { return Ok(None) };
        if !kind::belongs(Direction::ToDevice, state.open.channel_type, fragment.kind) {
            return Err(violation::WRONG_CHANNEL_TYPE);
        }
        match fragment.kind {
            to_device::CREDIT => self.window_credit(&fragment),
            to_device::BLOCKED => Ok(self.blocked(fragment.channel)),
            to_device::PUBLISHED..=to_device::DISCONNECTED => self.answer(&fragment),
            _ => self.item(fragment),
        }
    }

    fn window_credit(&mut self, fragment: &Fragment<'_>) -> Result<Option<Event<'static>>, Violation> {
        if !self.frame_buffer.push(fragment) {
            return Ok(None);
        }
        let credit = WindowCredit::decode(self.frame_buffer.body())?;
        let full = self.window;
        let Some(state) = self.channel_state_mut(fragment.channel) else { return Ok(None) };
        // More than was sent: the window would grow beyond what the cloud stores for a channel.
        if credit.bytes > full - state.window {
            return Err(violation::CREDIT_EXCEEDED);
        }
        state.window += credit.bytes;
        Ok(Some(Event::Window { channel: fragment.channel }))
    }

    fn blocked(&mut self, channel: u8) -> Option<Event<'static>> {
        self.channel_state_mut(channel)?.is_blocked = true;
        None
    }

    fn answer(&mut self, fragment: &Fragment<'_>) -> Result<Option<Event<'static>>, Violation> {
        if !self.frame_buffer.push(fragment) {
            return Ok(None);
        }
        let body = self.frame_buffer.body();
        let answer = match fragment.kind {
            to_device::PUBLISHED => Answer::Published(Published::decode(body)?),
            to_device::CONNECTED => Answer::Connected(Outcome::decode(body)?),
            to_device::SUBSCRIBED => Answer::Subscribed(FilterCodes::decode(body)?),
            to_device::UNSUBSCRIBED => Answer::Unsubscribed(FilterCodes::decode(body)?),
            _ => Answer::Disconnected(Outcome::decode(body)?),
        };
        let Some(state) = self.channel_state_mut(fragment.channel) else { return Ok(None) };
        // An answer that nothing waits for is a violation, because the application would read it as another one's.
        state.requests.finish(fragment.kind)?;
        Ok(Some(Event::Answer { channel: fragment.channel, answer }))
    }

    fn item<'a>(&mut self, fragment: Fragment<'a>) -> Result<Option<Event<'a>>, Violation> {
        let Some(state) = self.channel_state_mut(fragment.channel) else { return Ok(None) };
        // Counted once an item, when its first fragment arrives.
        if fragment.first {
            state.is_blocked = false;
            state.requests.finish(fragment.kind)?;
            // Only these come unrequested, so that only they need a limit of their own.
            if matches!(fragment.kind, to_device::MESSAGE | to_device::LOST) {
                state.used.items += 1;
            }
            if state.used.items > u32::from(MESSAGE_ITEMS) {
                return Err(violation::ITEMS_EXCEEDED);
            }
        }
        Ok(Some(Event::Item(fragment)))
    }
}
