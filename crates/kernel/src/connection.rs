//! The connection to the cloud: what arrives goes into the tables, and what waits in the tables is sent.

use abi::channel::ClosureReason;
use abi::notifications::{EventType, SystemNotificationSource};
use link::connection::{ByeReason, Hello, LogHead};
use link::device::{Answer, DeviceLink, Event, Input, LOG_FRAME};
use link::header::MAX_HEADER;
use link::kind::to_cloud;
use link::mqtt::Acknowledge;
use link::opaque::chunk;
use link::{Fragment, Violation, violation};
use sansio::Instant;

use crate::Kernel;
use crate::channel::{Channel, Protocol};
use crate::channel_core::ChannelCore;
use crate::limits::{MAX_CHANNELS, MIN_FRAGMENT};
use crate::mqtt::{MAX_ANNOUNCEMENT, Mqtt};
use crate::notifications::NotificationTarget;
use crate::opaque::Opaque;
use crate::port::{LinkLoss, Port};

/// The senders that take turns on the link: the log, then each channel.
const SENDERS: usize = 1 + MAX_CHANNELS;

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
            LinkInput::Connecting => {
                self.network.on_connecting();
                self.update_network(port);
            }
            LinkInput::Connected => self.on_connected(port),
            LinkInput::Received(bytes) => return self.receive(port, bytes),
            LinkInput::Lost(cause) => self.on_lost(port, cause),
            LinkInput::Shutdown => self.link.send_bye(ByeReason::Done, ""),
            LinkInput::Timeout => self.handle_timeout(port),
        }
        Ok(())
    }

    /// Fills `out` with what can be sent to the cloud now, taking turns among the senders, and returns how many bytes
    /// that is; 0 is nothing. `out` must be at least [`MIN_TRANSMIT_BUFFER`](crate::limits::MIN_TRANSMIT_BUFFER) bytes
    /// long. What was returned counts as sent.
    pub fn transmit(&mut self, port: &mut Port<'_>, out: &mut [u8]) -> usize {
        let mut written = self.link.transmit(port.now, out);
        while let Some(length) = self.transmit_one(port, &mut out[written..]) {
            written += length;
        }
        if written > 0 {
            // Credit that is not urgent goes along with other frames: sent alone it would cost a packet.
            written += self.link.transmit_credit(port.now, &mut out[written..]);
        }
        written
    }

    /// The application has one more network handle. It is notified at once if the link is up already, so that it need
    /// not ask (D21).
    pub(crate) fn network_requested(&mut self, port: &mut Port<'_>, target: NotificationTarget) {
        // For the new handle this is the initial status; registrations for system events see a change.
        if self.network.take_status_change(port.now, self.clock.is_set()) {
            self.post_network_event(port);
        }
        if self.network.is_open() {
            self.notifications.post(port, target, EventType::NetworkStatusChanged);
        }
    }

    /// The application has released a network handle. Channels over it lose their network even if
    /// another handle keeps the link up (N77).
    pub(crate) fn network_released(&mut self, port: &mut Port<'_>, handle: u32) {
        self.channels.disconnect_network(&mut self.link, &mut self.notifications, port, handle);
        self.network.begin_grace(port.now);
        self.update_network(port);
    }

    /// Ends a link that is no longer wanted, and notifies every handle of a change of the status (D21).
    pub(crate) fn update_network(&mut self, port: &mut Port<'_>) {
        if self.network.drop_unwanted(self.clock.is_set()) {
            self.link.send_bye(ByeReason::Done, "");
            self.end_link(port, false);
        }
        if self.network.take_status_change(port.now, self.clock.is_set()) {
            for target in self.network.targets() {
                self.notifications.post(port, target, EventType::NetworkStatusChanged);
            }
            self.post_network_event(port);
        }
    }

    /// When the link or the wall clock next needs a timeout.
    pub(crate) fn next_link_timeout(&self) -> Option<Instant> {
        let link = if self.network.has_connection() { self.link.next_timeout() } else { None };
        let clock = self.network.is_open().then(|| self.clock.next_sync());
        [link, clock].into_iter().flatten().min()
    }

    fn on_connected(&mut self, port: &mut Port<'_>) {
        if self.network.on_connected() {
            let hello = Hello {
                version: link::VERSION,
                boot: self.boot_id,
                wake_reason: self.boot.wake_reason.raw(),
                clock: port.now,
                image: self.boot.image,
            };
            // Nothing can be wrong with a new connection.
            let _ = self.link.handle(port.now, &mut Input::Connected(&hello));
        }
    }

    fn on_lost(&mut self, port: &mut Port<'_>, cause: LinkLoss) {
        // Nothing can be wrong with a connection that is gone.
        let _ = self.link.handle(port.now, &mut Input::Lost);
        // Before the network records the loss: channels are ended only while the connection counts as established.
        self.end_link(port, cause != LinkLoss::Requested);
        self.network.on_lost(port.now, cause, &mut self.rng);
        self.update_network(port);
    }

    fn handle_timeout(&mut self, port: &mut Port<'_>) {
        if self.link.handle(port.now, &mut Input::Timeout).is_err() {
            self.fail_link(port);
        }
        if self.network.is_open() && self.clock.next_sync() <= port.now {
            self.clock.on_requested(port.now);
            self.link.request_time();
        }
        self.network.handle_timeout(port.now);
        self.update_network(port);
        self.notifications.deliver_pending(port);
    }

    /// The connection must end because of the cloud: by its `BYE`, its violation or its silence. A pause follows.
    fn fail_link(&mut self, port: &mut Port<'_>) {
        self.end_link(port, true);
        self.update_network(port);
    }

    /// From now on the connection carries nothing but a `BYE`.
    fn end_link(&mut self, port: &mut Port<'_>, failed: bool) {
        // An end can have two causes, such as a violation and then the loss; the second changes nothing.
        if self.network.is_established() {
            self.network.on_closing(port.now, failed);
            self.logging.connection_lost();
            let reason = ClosureReason::NetworkDisconnected;
            self.channels.disconnect_all(&mut self.notifications, port, reason);
        }
    }

    fn post_network_event(&mut self, port: &mut Port<'_>) {
        self.system_events.post(&mut self.notifications, port, SystemNotificationSource::Network);
    }

    fn receive(&mut self, port: &mut Port<'_>, bytes: &[u8]) -> Result<(), Violation> {
        let received = self.receive_events(port, bytes);
        if let Err(violation) = received {
            self.link.send_bye(ByeReason::Violation, violation.text());
            self.fail_link(port);
        }
        received
    }

    fn receive_events(&mut self, port: &mut Port<'_>, bytes: &[u8]) -> Result<(), Violation> {
        let mut input = Input::Received(bytes);
        let violation = |error: link::Error| Violation::new(error.text());
        while let Some(event) = self.link.handle(port.now, &mut input).map_err(violation)? {
            self.on_event(port, event)?;
        }
        Ok(())
    }

    fn on_event(&mut self, port: &mut Port<'_>, event: Event<'_>) -> Result<(), Violation> {
        match event {
            Event::Welcome { wall, logging } => {
                self.clock.set(port.now, wall);
                self.logging.set_enabled(logging);
                self.network.on_welcome(port.now);
                self.update_network(port);
            }
            Event::Time { wall } => self.clock.set(port.now, wall),
            Event::LogTaken { sequence } => self.logging.acknowledge(sequence)?,
            Event::Logging { enabled } => self.logging.set_enabled(enabled),
            Event::Bye { reason } => {
                self.network.on_bye(reason);
                self.fail_link(port);
            }
            Event::Closed { channel, reason } => {
                let reason = closure_reason(reason);
                self.channels.disconnect_number(&mut self.notifications, port, channel, reason);
            }
            // What waits for the window is sent by the next `transmit`.
            Event::Window { .. } => {}
            Event::Answer { channel, answer } => self.on_answer(port, channel, &answer)?,
            Event::Item(fragment) => self.on_fragment(port, &fragment)?,
        }
        Ok(())
    }

    fn on_answer(&mut self, port: &mut Port<'_>, number: u8, answer: &Answer) -> Result<(), Violation> {
        // The application may have closed the channel while the response was on its way.
        let Some(Channel { core, protocol }) = self.channels.by_number(number) else { return Ok(()) };
        let Protocol::Mqtt(mqtt) = protocol else { return Err(violation::WRONG_CHANNEL_TYPE) };
        if mqtt.on_answer(answer)? {
            self.notifications.post(port, core.target, EventType::ChannelDataReadable);
        }
        Ok(())
    }

    fn on_fragment(&mut self, port: &mut Port<'_>, fragment: &Fragment<'_>) -> Result<(), Violation> {
        let Some(Channel { core, protocol }) = self.channels.by_number(fragment.channel) else {
            return Ok(());
        };
        let progress = match protocol {
            Protocol::Opaque(_) => Opaque::on_fragment(core, port.memory, fragment)?,
            Protocol::Mqtt(mqtt) => mqtt.on_fragment(core, port.memory, fragment)?,
            Protocol::Http(http) => http.on_fragment(core, port.memory, fragment)?,
            Protocol::Config(config) => config.on_fragment(core, port.memory, fragment)?,
        };
        self.link.store(fragment.channel, progress.stored)?;
        if progress.announce {
            self.notifications.post(port, core.target, EventType::ChannelDataReadable);
        }
        Ok(())
    }

    /// One frame of the next sender that has something which may be sent now and fits.
    fn transmit_one(&mut self, port: &mut Port<'_>, out: &mut [u8]) -> Option<usize> {
        if !self.network.is_open() {
            return None;
        }
        for sender in (self.next_sender..SENDERS).chain(0..self.next_sender) {
            let length = match sender.checked_sub(1) {
                None if self.log_exceeds(out.len()) => {
                    // A log message cannot be divided, and if smaller frames used the rest of the buffer they could
                    // overtake it for ever. It waits for the next buffer and goes first there.
                    self.next_sender = sender;
                    return None;
                }
                None => self.transmit_log(port, out),
                Some(slot) => self.transmit_channel(port, slot, out),
            };
            if length.is_some() {
                self.next_sender = (sender + 1) % SENDERS;
                return length;
            }
        }
        None
    }

    /// The next log message, if the link may carry it.
    fn next_log(&self) -> Option<(LogHead, usize)> {
        if self.network.carries_logs() { self.logging.next() } else { None }
    }

    /// Whether there is a log message that is longer than `space`.
    fn log_exceeds(&self, space: usize) -> bool {
        self.next_log().is_some_and(|(_, text)| LOG_FRAME + text > space)
    }

    fn transmit_log(&mut self, port: &mut Port<'_>, out: &mut [u8]) -> Option<usize> {
        let (head, text) = self.next_log()?;
        let mut frame = [0; LOG_FRAME];
        let before = self.link.log_frame(port.now, &head, text, &mut frame)?;
        out[..before].copy_from_slice(&frame[..before]);
        self.logging.send(port.memory, &mut out[before..before + text]);
        Some(before + text)
    }

    /// One frame of a channel: bytes of a stream; or an acknowledgement, if one may be sent now; or a fragment of the
    /// oldest request. Acknowledgements go first because the broker's next message may wait for one.
    fn transmit_channel(&mut self, port: &mut Port<'_>, slot: usize, out: &mut [u8]) -> Option<usize> {
        let Channel { core, protocol } = self.channels.connected_in_slot(slot)?;
        match protocol {
            Protocol::Opaque(opaque) => {
                let length = send_stream(&mut self.link, port, core, out)?;
                if opaque.take_awaited_space(core.outbox.free()) {
                    self.notifications.post(port, core.target, EventType::ChannelDataWriteSpace);
                }
                Some(length)
            }
            Protocol::Mqtt(mqtt) if mqtt.has_acknowledgement() && core.outbox.is_between_items() => {
                send_acknowledgement(&mut self.link, port.now, core.number, mqtt, out)
            }
            Protocol::Mqtt(mqtt) if core.outbox.needs_alias() => {
                send_alias(&mut self.link, port.now, core, mqtt, out)
            }
            _ => send_fragment(&mut self.link, port, core, out),
        }
    }
}

fn send_acknowledgement(
    link: &mut DeviceLink,
    now: Instant,
    channel: u8,
    mqtt: &mut Mqtt,
    out: &mut [u8],
) -> Option<usize> {
    let mut body = [0; Acknowledge::MAX];
    let length = Acknowledge { delivery: mqtt.next_acknowledgement()? }.encode(&mut body);
    let sent = send_short_item(link, now, channel, to_cloud::ACKNOWLEDGE, &body[..length], out)?;
    mqtt.pop_acknowledgement();
    Some(sent)
}

/// Announces the topic alias that the next publish uses.
fn send_alias(
    link: &mut DeviceLink,
    now: Instant,
    core: &mut ChannelCore,
    mqtt: &mut Mqtt,
    out: &mut [u8],
) -> Option<usize> {
    let mut body = [0; MAX_ANNOUNCEMENT];
    let length = mqtt.topics.encode_announcement(&mut body);
    let sent = send_short_item(link, now, core.number, to_cloud::TOPIC, &body[..length], out)?;
    core.outbox.set_alias_announced();
    mqtt.topics.set_announced();
    Some(sent)
}

/// A short item made by the kernel, in one frame.
fn send_short_item(
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

/// As many bytes of a stream as fit one frame. Each frame is an item of its own, so nothing waits for its end.
fn send_stream(
    link: &mut DeviceLink,
    port: &Port<'_>,
    core: &mut ChannelCore,
    out: &mut [u8],
) -> Option<usize> {
    let waiting = core.outbox.stream_length();
    let space = out.len().checked_sub(MAX_HEADER)? as u32;
    let length = chunk(waiting, space.min(link.window(core.number)));
    if length == 0 || length < waiting.min(MIN_FRAGMENT as u32) {
        return None;
    }
    let header = link.channel_frame(port.now, core.number, to_cloud::DATA, length as u16, false).ok()?;
    let (before, rest) = out.split_at_mut(header.as_slice().len());
    before.copy_from_slice(header.as_slice());
    core.outbox.take_stream(port.memory, &mut rest[..length as usize]);
    Some(before.len() + length as usize)
}

/// The next fragment of the oldest request.
fn send_fragment(
    link: &mut DeviceLink,
    port: &Port<'_>,
    core: &mut ChannelCore,
    out: &mut [u8],
) -> Option<usize> {
    let (kind, left) = core.outbox.next()?;
    let space = out.len().checked_sub(MAX_HEADER)?;
    let (length, more) = link.next_fragment(core.number, left, space)?;
    if more && usize::from(length) < MIN_FRAGMENT {
        return None;
    }
    let header = link.channel_frame(port.now, core.number, kind, length, more).ok()?;
    let (before, rest) = out.split_at_mut(header.as_slice().len());
    before.copy_from_slice(header.as_slice());
    core.outbox.take(port.memory, &mut rest[..usize::from(length)], more);
    Some(before.len() + usize::from(length))
}

/// The reason as the public header has it. The link may have reasons that the header does not.
fn closure_reason(reason: link::channel::ClosureReason) -> ClosureReason {
    let raw = u32::from(reason.code());
    ClosureReason::from_raw(raw).unwrap_or(ClosureReason::UnexpectedlyTerminated)
}
