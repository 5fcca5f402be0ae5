//! The receiving half of the device's session: from pieces to events.

use super::slot::{Phase, Slot};
use super::{Answer, Event, SECOND, Session, State};
use crate::channel::{WindowCredit, decode_closed};
use crate::connection::{Bye, Welcome, decode_logging, decode_number, decode_time};
use crate::kind::{self, Direction, to_device};
use crate::limits::MESSAGE_ITEMS;
use crate::mqtt::{FilterCodes, Outcome, Published};
use crate::parser::Piece;
use crate::violation::{self, Violation};

impl Session {
    pub(super) fn next_event<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, Violation> {
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
}
