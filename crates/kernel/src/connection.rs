//! The connection to the cloud: events of the link into the tables, and what waits in the tables onto the wire.

use abi::channel::ClosureReason;
use abi::notifications::EventType;
use link::connection::{ByeReason, Hello, LogHead};
use link::device::{Answer, DeviceLink, Event, Input, LOG_FRAME};
use link::header::MAX_HEADER;
use link::kind::to_cloud;
use link::mqtt::Acknowledge;
use link::opaque::chunk;
use link::{Fragment, violation};
use sansio::Instant;

use crate::channel::{Base, Channel, Protocol};
use crate::limits::{MAX_CHANNELS, MIN_FRAGMENT};
use crate::mqtt::{ANNOUNCEMENT, Mqtt};
use crate::opaque::Opaque;
use crate::port::{LinkLoss, Port};
use crate::{Kernel, Violation};

/// Those that take turns on the wire: the log, then each channel.
const TURNS: usize = 1 + MAX_CHANNELS;

/// What happens to the connection to the cloud, and time that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkInput<'a> {
    /// The port has started to make a connection.
    Connecting,
    /// The connection is established: TLS is done, bytes can go both ways.
    Connected,
    /// Bytes from the cloud, in order.
    Received(&'a [u8]),
    /// The attempt failed, or the connection is gone.
    Lost(LinkLoss),
    /// The device is about to stop: from now on the connection carries nothing but the kernel's `BYE`. The port sends
    /// what [`Kernel::transmit`] still gives and closes it.
    Shutdown,
    /// [`Kernel::next_timeout`] has been reached, or an interrupt may have been taken for which a record waits
    /// ([`Kernel::has_waiting_records`]). Harmless at any other time.
    Timeout,
}

impl Kernel {
    /// Takes in what happened to the link, or a timeout. A violation is the cloud's: the port then sends what
    /// [`Self::transmit`] still gives, closes the connection and reports [`LinkInput::Lost`]. Only
    /// [`LinkInput::Received`] can fail.
    pub fn handle(&mut self, port: &mut Port<'_>, input: LinkInput<'_>) -> Result<(), Violation> {
        match input {
            LinkInput::Connecting => self.link_connecting(port),
            LinkInput::Connected => self.link_connected(port),
            LinkInput::Received(bytes) => return self.receive(port, bytes),
            LinkInput::Lost(cause) => self.link_lost(port, cause),
            LinkInput::Shutdown => self.link.send_bye(ByeReason::Done, ""),
            LinkInput::Timeout => self.handle_timeout(port),
        }
        Ok(())
    }

    fn link_connecting(&mut self, port: &mut Port<'_>) {
        self.network_connecting();
        self.settle_network(port);
    }

    fn link_connected(&mut self, port: &mut Port<'_>) {
        if self.network_greeting() {
            let hello = Hello {
                version: link::VERSION,
                boot: self.start,
                wake_reason: self.boot.wake_reason.raw(),
                clock: port.now,
                image: self.boot.image,
            };
            // Nothing can be wrong with a new connection.
            let _ = self.link.handle(port.now, &mut Input::Connected(&hello));
        }
    }

    fn link_lost(&mut self, port: &mut Port<'_>, cause: LinkLoss) {
        let _ = self.link.handle(port.now, &mut Input::Lost);
        self.network_lost(port, cause);
    }

    fn receive(&mut self, port: &mut Port<'_>, bytes: &[u8]) -> Result<(), Violation> {
        let taken = self.take_events(port, bytes);
        if let Err(broken) = taken {
            self.link.send_bye(ByeReason::Violation, broken.text());
            self.network_failing(port);
        }
        taken
    }

    fn handle_timeout(&mut self, port: &mut Port<'_>) {
        self.wake_connection(port);
        self.wake_network(port);
        self.notifications.advance(port);
    }

    /// Fills `out` with what is to go to the cloud now, taking turns among channels, and tells how many bytes; 0 is
    /// nothing. `out` must be at least [`MIN_TRANSMIT_BUFFER`](crate::limits::MIN_TRANSMIT_BUFFER) bytes long. What was given counts
    /// as sent.
    pub fn transmit(&mut self, port: &mut Port<'_>, out: &mut [u8]) -> usize {
        let mut written = self.link.transmit(port.now, out);
        while let Some(length) = self.transmit_one(port, &mut out[written..]) {
            written += length;
        }
        if written > 0 {
            written += self.link.transmit_credit(port.now, &mut out[written..]);
        }
        written
    }

    /// Gives the connection up if the cloud is silent, and asks for the time when that is due (D25).
    pub(crate) fn wake_connection(&mut self, port: &mut Port<'_>) {
        if self.link.handle(port.now, &mut Input::Timeout).is_err() {
            self.network_failing(port);
        }
        if self.network.is_open() && self.clock.ask_at() <= port.now {
            self.clock.asked(port.now);
            self.link.request_time();
        }
    }

    /// When the link or the wall clock next needs a timeout.
    pub(crate) fn connection_timeout(&self) -> Option<Instant> {
        let link = if self.network.has_connection() { self.link.next_timeout() } else { None };
        let clock = self.network.is_open().then(|| self.clock.ask_at());
        [link, clock].into_iter().flatten().min()
    }

    fn take_events(&mut self, port: &mut Port<'_>, bytes: &[u8]) -> Result<(), Violation> {
        let mut input = Input::Received(bytes);
        let broken = |error: link::Error| Violation::new(error.text());
        while let Some(event) = self.link.handle(port.now, &mut input).map_err(broken)? {
            self.take_event(port, event)?;
        }
        Ok(())
    }

    fn take_event(&mut self, port: &mut Port<'_>, event: Event<'_>) -> Result<(), Violation> {
        match event {
            Event::Welcome { wall, logging } => {
                self.clock.set(port.now, wall);
                self.logging.set_enabled(logging);
                self.network_opened(port);
            }
            Event::Time { wall } => self.clock.set(port.now, wall),
            Event::LogTaken { sequence } => self.logging.taken(sequence)?,
            Event::Logging { enabled } => self.logging.set_enabled(enabled),
            Event::Bye { .. } => self.network_failing(port),
            Event::Closed { channel, reason } => self.channel_closed(port, channel, closure(reason)),
            Event::Window { .. } => {}
            Event::Answer { channel, answer } => self.take_answer(port, channel, &answer)?,
            Event::Item(fragment) => self.take_item(port, &fragment)?,
        }
        Ok(())
    }

    fn take_answer(&mut self, port: &mut Port<'_>, number: u8, answer: &Answer) -> Result<(), Violation> {
        let Some(Channel { base, protocol }) = self.channels.numbered(number) else { return Ok(()) };
        let Protocol::Mqtt(mqtt) = protocol else { return Err(violation::WRONG_CHANNEL_TYPE) };
        if mqtt.answered(answer)? {
            self.notifications.post(port, base.to, EventType::ChannelDataReadable);
        }
        Ok(())
    }

    fn take_item(&mut self, port: &mut Port<'_>, fragment: &Fragment<'_>) -> Result<(), Violation> {
        let number = fragment.channel;
        let link = &mut self.link;
        let mut stored = |bytes| link.store(number, bytes);
        let Some(Channel { base, protocol }) = self.channels.numbered(number) else { return Ok(()) };
        let became_readable = match protocol {
            Protocol::Opaque(_) => Opaque::item(base, port.memory, fragment, &mut stored)?,
            Protocol::Mqtt(mqtt) => mqtt.item(base, port.memory, fragment, &mut stored)?,
            Protocol::Http(http) => http.item(base, port.memory, fragment, &mut stored)?,
            Protocol::Config(config) => config.item(base, port.memory, fragment, &mut stored)?,
        };
        if became_readable {
            self.notifications.post(port, base.to, EventType::ChannelDataReadable);
        }
        Ok(())
    }

    /// One frame of whoever's turn it is; `None` if nobody has anything that may go now and fits.
    fn transmit_one(&mut self, port: &mut Port<'_>, out: &mut [u8]) -> Option<usize> {
        if !self.network.is_open() {
            return None;
        }
        for turn in (self.turn..TURNS).chain(0..self.turn) {
            let length = match turn.checked_sub(1) {
                None if self.log_waits_for(out.len()) => {
                    // It cannot be cut, and is not to be overtaken for ever: it goes first when there is room again.
                    self.turn = turn;
                    return None;
                }
                None => self.transmit_log(port, out),
                Some(channel) => self.transmit_channel(port, channel, out),
            };
            if length.is_some() {
                self.turn = (turn + 1) % TURNS;
                return length;
            }
        }
        None
    }

    /// The next log message, if the link may carry it.
    fn next_log(&self) -> Option<(LogHead, usize)> {
        if self.network.carries_logs() { self.logging.next() } else { None }
    }

    /// Whether a message is there that does not fit this room.
    fn log_waits_for(&self, room: usize) -> bool {
        self.next_log().is_some_and(|(_, text)| LOG_FRAME + text > room)
    }

    fn transmit_log(&mut self, port: &mut Port<'_>, out: &mut [u8]) -> Option<usize> {
        let (head, text) = self.next_log()?;
        let mut frame = [0; LOG_FRAME];
        let before = self.link.log_frame(port.now, &head, text, &mut frame)?;
        out[..before].copy_from_slice(&frame[..before]);
        self.logging.send(port.memory, &mut out[before..before + text]);
        Some(before + text)
    }

    /// One frame of a channel: opaque bytes; or an acknowledgement if one may go now, else a fragment of the oldest
    /// request.
    fn transmit_channel(&mut self, port: &mut Port<'_>, index: usize, out: &mut [u8]) -> Option<usize> {
        let Channel { base, protocol } = self.channels.places[index].as_mut()?;
        base.connected().ok()?;
        match protocol {
            Protocol::Opaque(opaque) => {
                let length = send_bytes(&mut self.link, port, base, out)?;
                if opaque.has_room_again(base.outbox.free()) {
                    self.notifications.post(port, base.to, EventType::ChannelDataWriteSpace);
                }
                Some(length)
            }
            Protocol::Mqtt(mqtt) if mqtt.owes_acknowledgement() && base.outbox.is_between_items() => {
                acknowledge(&mut self.link, port.now, base.number, mqtt, out)
            }
            Protocol::Mqtt(mqtt) if base.outbox.announces() => {
                announce(&mut self.link, port.now, base, mqtt, out)
            }
            _ => send_fragment(&mut self.link, port, base, out),
        }
    }
}

fn acknowledge(
    link: &mut DeviceLink,
    now: Instant,
    channel: u8,
    mqtt: &mut Mqtt,
    out: &mut [u8],
) -> Option<usize> {
    let mut body = [0; Acknowledge::MAX];
    let length = Acknowledge { delivery: mqtt.next_acknowledgement()? }.encode(&mut body);
    let sent = send_whole(link, now, channel, to_cloud::ACKNOWLEDGE, &body[..length], out)?;
    mqtt.acknowledged();
    Some(sent)
}

/// Tells the cloud which topic the number of the next publish stands for.
fn announce(
    link: &mut DeviceLink,
    now: Instant,
    base: &mut Base,
    mqtt: &mut Mqtt,
    out: &mut [u8],
) -> Option<usize> {
    let mut body = [0; ANNOUNCEMENT];
    let length = mqtt.topics.announce(&mut body);
    let sent = send_whole(link, now, base.number, to_cloud::TOPIC, &body[..length], out)?;
    base.outbox.announced();
    mqtt.topics.told();
    Some(sent)
}

/// A short item of the kernel's own, in one frame.
fn send_whole(
    link: &mut DeviceLink,
    now: Instant,
    channel: u8,
    kind: u8,
    body: &[u8],
    out: &mut [u8],
) -> Option<usize> {
    if out.len() < MAX_HEADER + body.len() || link.window(channel) < body.len() as u32 {
        return None;
    }
    let header = link.channel_frame(now, channel, kind, body.len() as u16, false).ok()?;
    let (before, rest) = out.split_at_mut(header.as_slice().len());
    before.copy_from_slice(header.as_slice());
    rest[..body.len()].copy_from_slice(body);
    Some(before.len() + body.len())
}

/// As many bytes of the stream as fit one frame: each frame is an item of its own, so nothing ever waits for its end.
fn send_bytes(link: &mut DeviceLink, port: &Port<'_>, base: &mut Base, out: &mut [u8]) -> Option<usize> {
    let waiting = base.outbox.appended();
    let room = out.len().checked_sub(MAX_HEADER)? as u32;
    let length = chunk(waiting, room.min(link.window(base.number)));
    if length == 0 || length < waiting.min(MIN_FRAGMENT as u32) {
        return None;
    }
    let header = link.channel_frame(port.now, base.number, to_cloud::DATA, length as u16, false).ok()?;
    let (before, rest) = out.split_at_mut(header.as_slice().len());
    before.copy_from_slice(header.as_slice());
    base.outbox.take_appended(port.memory, &mut rest[..length as usize]);
    Some(before.len() + length as usize)
}

fn send_fragment(link: &mut DeviceLink, port: &Port<'_>, base: &mut Base, out: &mut [u8]) -> Option<usize> {
    let (kind, left) = base.outbox.next()?;
    let room = out.len().checked_sub(MAX_HEADER)?;
    let (length, more) = link.next_fragment(base.number, left, room)?;
    if more && usize::from(length) < MIN_FRAGMENT {
        return None;
    }
    let header = link.channel_frame(port.now, base.number, kind, length, more).ok()?;
    let (before, rest) = out.split_at_mut(header.as_slice().len());
    before.copy_from_slice(header.as_slice());
    base.outbox.take(port.memory, &mut rest[..usize::from(length)], more);
    Some(before.len() + usize::from(length))
}

/// The reason as the public header has it.
fn closure(reason: link::channel::ClosureReason) -> ClosureReason {
    let raw = u32::from(reason.code());
    ClosureReason::from_raw(raw).unwrap_or(ClosureReason::UnexpectedlyTerminated)
}
