//! A device's session: one task that owns the relay core, feeds it with what happens, and does what it says.
//!
//! Nothing is handed between tasks on the way of a byte: the task polls the device's connection, its broker connections, its
//! look-ups and its timer in turn. Read buffers are on the worker's stack, so a session at rest owns no buffer at all.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use link::connection::ByeReason;
use relay::{DeviceRelay, ExchangeId, HttpOutcome, Input, LookupId, Notice, Output};
use sansio::WallTime;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::accounts::{Account, Permit};
use crate::clock::{wall_micros, wall_millis};
use crate::device_id::DeviceId;
use crate::events::{Disconnection, EventKind};
use crate::gateway::{Admitted, DeviceStream};
use crate::limits::{DEVICE_BACKLOG, READ_CHUNK, SESSION_ROUNDS, WALL_CLOCK_INTERVAL};
use crate::log_intake::LogQueue;
use crate::memory_limit::{DeviceMemory, Verdict};
use crate::metrics;
use crate::pipe::Pipe;
use crate::registry::{Command, EndReason, RegistrationGuard};
use crate::shared::Shared;
use crate::sources::SourcePermit;
use crate::store::{LogLine, Logging, Value};

mod broker;
mod log_rate;
mod meters;
mod outbound;
mod pending;
mod translate;

use broker::{Broker, BrokerEvent};
use log_rate::LogRate;
use meters::Meters;
use pending::Pending;

/// Serves a connection from its admission to its end. What is large is in boxes of its own, so that a session at rest takes no
/// more room than it needs: this future is part of every connection.
pub(crate) async fn serve(shared: Arc<Shared>, admitted: Box<Admitted>) {
    if let Some(mut session) = Box::pin(prepare(shared, admitted)).await {
        session.run().await;
    }
}

/// The session of a connection, which for a device that may not connect has only to say so. `None` when the cloud stops.
async fn prepare(shared: Arc<Shared>, admitted: Box<Admitted>) -> Option<Box<Session>> {
    let (device, address, fingerprint) = (admitted.device, admitted.address, admitted.fingerprint);
    let asked = Instant::now();
    if let Some(ending) = shared.refused.find(device, fingerprint, asked) {
        return Some(refuse_unasked(shared, *admitted, ending));
    }
    if !shared.device_rates.admits(device, asked) {
        shared.metrics.note_limit("connections_a_second_per_device");
        return Some(refuse_unasked(shared, *admitted, EndReason::TooOften));
    }
    let known = shared.store.admission(device).await;
    metrics::observe(&shared.metrics.store_seconds.admit, asked.elapsed());
    let (known, refused) = match known {
        Ok(Some(known)) if known.fingerprint == fingerprint => (Some(known), None),
        Ok(_) => (None, Some(EndReason::Revoked)),
        Err(error) => {
            tracing::error!(%device, %error, "the store cannot be asked about a device");
            shared.metrics.store_failures.with_label_values(&["admit"]).inc();
            (None, Some(EndReason::Internal))
        }
    };
    let registry = shared.registry.clone();
    let logging = known.map_or(Logging::OFF, |known| known.logging);
    let account = known.map(|known| shared.accounts.of(known.account));
    let mut session = Session::new(shared, *admitted, account, logging);
    if let Some(ending) = refused {
        tracing::warn!(%device, %address, ?ending, "device refused");
        session.shared.refused.note(device, fingerprint, ending, asked);
        session.refuse(ending);
        return Some(session);
    }
    // A device that comes anew takes the place it has.
    let account = session.account.clone()?;
    let again = || registry.is_connected(device).then(|| account.devices.force());
    session.share = account.devices.take().or_else(again);
    if session.share.is_none() {
        tracing::warn!(%device, %address, account = account.store.account(), "too many devices of its account");
        session.shared.metrics.note_limit("connections_per_account");
        session.shared.refused.note(device, fingerprint, EndReason::TooMany, asked);
        session.refuse(EndReason::TooMany);
        return Some(session);
    }
    session.registration = Some(registry.register(device, fingerprint)?);
    Some(session)
}

/// The session of a device that is refused without asking the store: it was refused a moment ago, or connects too often.
fn refuse_unasked(shared: Arc<Shared>, admitted: Admitted, ending: EndReason) -> Box<Session> {
    let (device, address) = (admitted.device, admitted.address);
    tracing::warn!(%device, %address, ?ending, "device refused without asking the store");
    let mut session = Session::new(shared, admitted, None, Logging::OFF);
    session.refuse(ending);
    session
}

/// One connected device.
struct Session {
    shared: Arc<Shared>,
    device: DeviceId,
    address: SocketAddr,
    /// Whose it is; none for a device that is refused.
    account: Option<Arc<Account>>,
    /// Its part in what the account may have.
    share: Option<Permit>,
    /// Its place among the connected devices; none for a device that is refused.
    registration: Option<RegistrationGuard>,
    /// From `HELLO`; names the start of the device its log lines belong to.
    boot: u32,
    relay: DeviceRelay,
    link: Pipe<DeviceStream>,
    /// What was last said of its queue.
    backlog: usize,
    brokers: Vec<Broker>,
    lookups: Pending<LookupId, Vec<Value>>,
    exchanges: Pending<ExchangeId, HttpOutcome>,
    /// Whether the core tells what is for people only.
    is_watched: bool,
    logs: LogQueue,
    /// Number of the last log line on its way to the store, and of the last that is there.
    logged: u32,
    stored: u32,
    /// Whether lines are wanted, and what the device knows of it.
    logging: Logging,
    is_logging: bool,
    logging_ends: Option<Instant>,
    /// Number of the last line that was not, until the device is told that it is done with.
    refused: Option<u32>,
    log_rate: LogRate,
    meters: Meters,
    /// Channels opened of those the relay has counted, which the meters have.
    opened: u32,
    memory: DeviceMemory,
    timer: Pin<Box<Sleep>>,
    /// When the device is next told the time.
    wall_clock: Instant,
    /// Until when what is in flight may be answered, once the cloud stops.
    draining: Option<Instant>,
    closing: Option<Closing>,
    /// Its share of the gateway's bounds.
    _place: SourcePermit,
}

/// The session says its last words.
struct Closing {
    reason: ByeReason,
    deadline: Instant,
}

impl Session {
    fn new(
        shared: Arc<Shared>,
        admitted: Admitted,
        account: Option<Arc<Account>>,
        logging: Logging,
    ) -> Box<Self> {
        let require_tls = account.as_ref().is_some_and(|account| account.require_tls);
        let settings = translate::settings(&shared, require_tls, logging.is_on(wall_millis()));
        let memory = DeviceMemory::new(shared.memory.clone(), account.clone());
        let logs = LogQueue::new(shared.log_intake.clone());
        let log_rate = LogRate::new(shared.limits.log_lines_a_second);
        let meters = Meters::new(&shared.limits, account.clone());
        Box::new(Self {
            device: admitted.device,
            address: admitted.address,
            account,
            share: None,
            registration: None,
            boot: 0,
            relay: DeviceRelay::new(shared.epoch.now(), settings),
            link: Pipe::new(admitted.stream),
            backlog: 0,
            brokers: Vec::new(),
            lookups: Pending::none(),
            exchanges: Pending::none(),
            is_watched: settings.notices,
            logs,
            logged: 0,
            stored: 0,
            logging,
            is_logging: settings.logging,
            logging_ends: None,
            refused: None,
            log_rate,
            meters,
            opened: 0,
            memory,
            timer: Box::pin(sleep_until(Instant::now())),
            wall_clock: Instant::now() + WALL_CLOCK_INTERVAL,
            draining: None,
            closing: None,
            _place: admitted.place,
            shared,
        })
    }

    async fn run(&mut self) {
        let (device, address) = (self.device, self.address);
        let is_refused = self.registration.is_none();
        if !is_refused {
            self.switch_logging();
            self.emit(|| EventKind::Connected { address });
            tracing::info!(%device, %address, "device connected");
            self.shared.metrics.admitted.inc();
        }
        let reason = poll_fn(|context| self.poll(context)).await;
        self.finish();
        if !is_refused {
            tracing::info!(%device, ?reason, "device disconnected");
            self.shared.metrics.ended.with_label_values(&[translate::ended(&reason)]).inc();
            self.emit(|| EventKind::Disconnected { reason: reason.clone() });
        }
    }

    /// Works until there is nothing to do; ready when the session is over.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Disconnection> {
        let mut buffer = [0; READ_CHUNK];
        self.note_watchers();
        for _ in 0..SESSION_ROUNDS {
            self.execute();
            match self.poll_once(context, &mut buffer) {
                Progress::Worked => {}
                Progress::Idle => {
                    self.note_counts();
                    if !self.note_memory() {
                        return Poll::Pending;
                    }
                }
                Progress::Over(reason) => return Poll::Ready(reason),
            }
        }
        self.note_counts();
        self.note_memory();
        // Others want to run too.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// What was counted and not yet told, and an end to what the core still counts as open.
    fn finish(&mut self) {
        self.handle_input(Input::Shutdown { reason: ByeReason::Internal });
        self.note_counts();
        self.note_backlog(0);
        self.drop_brokers();
    }

    fn note_backlog(&mut self, now: usize) {
        let before = std::mem::replace(&mut self.backlog, now);
        if now != before {
            self.shared.metrics.link_backlog.add(now.cast_signed() as i64 - before.cast_signed() as i64);
        }
    }

    fn note_counts(&mut self) {
        self.note_backlog(self.link.backlog());
        let counts = self.relay.take_counts();
        self.opened = 0;
        self.shared.metrics.add(&counts);
        if self.meters.note_requests(counts.requests()) {
            self.shared.metrics.note_limit("requests_a_second");
        }
    }

    /// Looks at once what was read for channels it opened, so that one that opens too many is not read from again.
    fn note_channels(&mut self) {
        let opened = self.relay.counts().opened.iter().sum::<u32>();
        let more = opened.saturating_sub(self.opened);
        self.opened = opened;
        if more > 0 && self.meters.note_channels(more) {
            self.shared.metrics.note_limit("channels_a_second");
        }
    }

    /// Notes what is held, and acts on it (D183). Whether there is something to be done now.
    fn note_memory(&mut self) -> bool {
        if self.closing.is_some() {
            return false;
        }
        let was_throttled = self.memory.is_throttled();
        let verdict = self.memory.note(self.held(), Instant::now());
        if let Verdict::Throttle(limit) = verdict
            && !was_throttled
        {
            self.shared.metrics.note_limit(limit);
        }
        if verdict == Verdict::Disconnect {
            self.shared.metrics.overloaded.inc();
            self.end(EndReason::Overloaded);
            return true;
        }
        let throttled = self.memory.is_throttled();
        if throttled != was_throttled {
            self.handle_input(Input::Throttle { enabled: throttled });
        }
        throttled != was_throttled
    }

    /// Bytes held for the device and its connections.
    fn held(&self) -> usize {
        let brokers: usize = self.brokers.iter().map(Broker::held).sum();
        let waiting = self.exchanges.reserved() + self.lookups.reserved();
        self.relay.memory() + self.link.backlog() + brokers + waiting
    }

    /// Has the core tell what is for people only when there are any: it costs a little for every message.
    fn note_watchers(&mut self) {
        let is_watched = self.shared.is_watched();
        if self.is_watched != is_watched {
            self.is_watched = is_watched;
            self.handle_input(Input::Notices { enabled: is_watched });
        }
    }

    /// Takes one turn with everything that may have something.
    fn poll_once(&mut self, context: &mut Context<'_>, buffer: &mut [u8; READ_CHUNK]) -> Progress {
        let mut worked = self.poll_commands(context);
        match self.poll_link(context, buffer) {
            Ok(moved) => worked |= moved,
            Err(reason) => return Progress::Over(reason),
        }
        if self.closing.is_none() {
            worked |= self.poll_brokers(context, buffer);
            worked |= self.poll_lookups(context);
            worked |= self.poll_exchanges(context);
        }
        worked |= self.poll_logs(context);
        worked |= self.poll_timer(context);
        worked |= self.drain();
        if self.has_close_timed_out() {
            return Progress::Over(Disconnection::TimedOut);
        }
        if worked { Progress::Worked } else { Progress::Idle }
    }

    /// Gives the core an input. A rule the device broke is its end; the core has the `BYE` ready.
    fn handle_input(&mut self, input: Input<'_>) {
        let now = self.shared.epoch.now();
        if let Err(violation) = self.relay.handle(now, input) {
            tracing::warn!(device = %self.device, ?violation, "the device broke a rule of the link");
        }
    }

    /// Does what the core says until it has nothing more to say.
    fn execute(&mut self) {
        while let Some(output) = self.relay.poll(self.shared.epoch.now()) {
            match output {
                Output::LinkSend(bytes) => self.link.push(&bytes),
                Output::OpenConnection { connection, target } => self.open(connection, target),
                Output::ConnectionSend { connection, bytes } => {
                    self.with_pipe(connection, |pipe| pipe.push(&bytes))
                }
                Output::CloseConnection { connection, abort } => self.close(connection, abort),
                Output::PauseReading { connection } => {
                    self.with_pipe(connection, |pipe| pipe.set_reading(false));
                }
                Output::ResumeReading { connection } => {
                    self.with_pipe(connection, |pipe| pipe.set_reading(true));
                }
                Output::Lookup { lookup, keys } => self.look_up(lookup, keys),
                Output::HttpRequest { exchange, request } => self.start_exchange(exchange, request),
                Output::CancelHttp { exchange } => self.exchanges.cancel(exchange),
                Output::Log(line) => self.log(line),
                Output::Hello(hello) => self.on_hello(hello),
                Output::Notice(notice) => self.note(notice),
                Output::Disconnect { reason } => self.say_bye(reason),
            }
        }
    }
}

impl Session {
    fn poll_commands(&mut self, context: &mut Context<'_>) -> bool {
        let Some(registration) = &self.registration else { return false };
        match registration.poll_command(context) {
            Poll::Ready(Command::End(ending)) => self.end(ending),
            Poll::Ready(Command::Drain) => {
                self.log_dropped();
                self.draining = Some(Instant::now() + self.shared.limits.drain_timeout);
            }
            Poll::Ready(Command::Logging(logging)) => {
                self.logging = logging;
                self.switch_logging();
            }
            Poll::Pending => return false,
        }
        true
    }

    /// Writes to and reads from the device.
    fn poll_link(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8; READ_CHUNK],
    ) -> Result<bool, Disconnection> {
        if let Some(closing) = &self.closing {
            let closed = self.link.poll_close(context, buffer).is_ready();
            return if closed { Err(Disconnection::Bye(closing.reason)) } else { Ok(false) };
        }
        let mut worked = match self.poll_write(context) {
            Poll::Ready(written) => {
                let count = written.map_err(|_| Disconnection::Lost)?;
                self.shared.metrics.link_sent.inc_by(count as u64);
                if self.meters.note_sent(count) {
                    self.shared.metrics.note_limit("link_bytes_a_second");
                }
                true
            }
            Poll::Pending => false,
        };
        let held_back = self.draining.is_some()
            || self.link.backlog() > DEVICE_BACKLOG
            || self.logs.is_full()
            || !self.meters.may_read();
        self.link.set_reading(!held_back);
        if let Poll::Ready(read) = self.link.poll_read(context, buffer) {
            let bytes = read.ok().filter(|bytes| !bytes.is_empty()).ok_or(Disconnection::Lost)?;
            self.shared.metrics.link_received.inc_by(bytes.len() as u64);
            if self.meters.note_received(bytes.len()) {
                self.shared.metrics.note_limit("link_bytes_a_second");
            }
            self.handle_input(Input::LinkReceived(bytes));
            self.note_channels();
            worked = true;
        }
        Ok(worked)
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.meters.may_write() { self.link.poll_write(context) } else { Poll::Pending }
    }

    fn poll_brokers(&mut self, context: &mut Context<'_>, buffer: &mut [u8; READ_CHUNK]) -> bool {
        let mut worked = false;
        let mut index = 0;
        while let Some(broker) = self.brokers.get_mut(index) {
            let connection = broker.id;
            let may_read = self.link.backlog() <= DEVICE_BACKLOG;
            index += 1;
            let Poll::Ready(event) = broker.poll(context, buffer, may_read) else { continue };
            worked = true;
            let metrics = &self.shared.metrics;
            match &event {
                BrokerEvent::Opened => {
                    tracing::debug!(device = %self.device, connection = connection.0, "connected to a broker");
                    metrics.brokers_opened.inc();
                }
                BrokerEvent::Failed(cause) => {
                    metrics.brokers_failed.with_label_values(&[cause.label()]).inc();
                }
                BrokerEvent::Closed(_) | BrokerEvent::Received(_) | BrokerEvent::Written(_) => {}
            }
            if matches!(event, BrokerEvent::Failed(_) | BrokerEvent::Closed(_)) {
                index -= 1;
                self.brokers.remove(index);
            }
            self.handle_input(translate::event(connection, event));
        }
        worked
    }

    fn poll_lookups(&mut self, context: &mut Context<'_>) -> bool {
        let mut worked = false;
        while let Some((lookup, values)) = self.lookups.poll_done(context) {
            self.note_fetched(&values);
            let values = translate::values(values);
            self.handle_input(Input::LookupFinished { lookup, values });
            worked = true;
        }
        worked
    }

    fn poll_exchanges(&mut self, context: &mut Context<'_>) -> bool {
        let mut worked = false;
        while let Some((exchange, outcome)) = self.exchanges.poll_done(context) {
            let result = translate::http_result(&outcome);
            if let HttpOutcome::Failed(cause) = &outcome {
                tracing::info!(device = %self.device, result, %cause, "HTTP request failed");
            } else {
                tracing::debug!(device = %self.device, result, "HTTP request finished");
            }
            self.shared.metrics.http.with_label_values(&[result]).inc();
            self.handle_input(Input::HttpFinished { exchange, outcome });
            worked = true;
        }
        worked
    }

    fn note_fetched(&self, values: &[Value]) {
        tracing::debug!(device = %self.device, items = values.len(), "configuration fetched");
        self.shared.metrics.fetches.inc();
        for value in values {
            self.shared.metrics.fetched.with_label_values(&[translate::fetched(value)]).inc();
        }
    }

    fn poll_logs(&mut self, context: &mut Context<'_>) -> bool {
        let mut worked = false;
        // What stands before it has to be safe first.
        if let Some(sequence) = self.refused.filter(|_| self.logged == self.stored) {
            self.refused = None;
            self.logged = sequence;
            self.stored = sequence;
            self.handle_input(Input::LogStored { sequence });
            worked = true;
        }
        if let Some(sequence) = self.logs.poll_stored(context) {
            self.stored = sequence;
            self.handle_input(Input::LogStored { sequence });
            worked = true;
        }
        worked
    }

    /// Wakes the core when it asked for it. The timer is moved forward only, and looked at again when it goes off too early:
    /// most of the time the next thing to wait for only moves away.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> bool {
        let due = self.due();
        if due < self.timer.deadline() {
            self.timer.as_mut().reset(due);
        }
        while self.timer.as_mut().poll(context).is_ready() {
            if due <= Instant::now() {
                self.timer.as_mut().reset(due + IDLE_TIMER);
                self.timeout();
                return true;
            }
            self.timer.as_mut().reset(due);
        }
        false
    }

    /// Tells the device whether its lines are wanted, when that has changed or its time is over.
    fn switch_logging(&mut self) {
        let now = wall_millis();
        let enabled = self.logging.is_on(now);
        if self.is_logging != enabled {
            self.is_logging = enabled;
            self.log_dropped();
            self.handle_input(Input::Logging { enabled });
        }
        let left = self.logging.expires().filter(|_| enabled).map(|expires| expires.saturating_sub(now));
        let left = left.and_then(|left| u64::try_from(left).ok()).map(Duration::from_millis);
        // Looked at again now and then: the wall clock may be set meanwhile.
        self.logging_ends = left.map(|left| Instant::now() + left.min(WALL_CLOCK_INTERVAL));
    }

    fn due(&self) -> Instant {
        if let Some(closing) = &self.closing {
            return closing.deadline;
        }
        let core = self.relay.next_timeout().map(|millis| self.shared.epoch.instant(millis));
        let held = self
            .meters
            .due()
            .into_iter()
            .chain(self.log_rate.due())
            .chain(self.memory.due())
            .chain(self.draining)
            .chain(self.logging_ends);
        held.chain(core).fold(self.wall_clock, Instant::min)
    }

    fn timeout(&mut self) {
        if self.memory.due().is_some_and(|due| due <= Instant::now()) {
            self.note_memory();
        }
        if self.closing.is_some() {
            return;
        }
        self.switch_logging();
        if self.wall_clock <= Instant::now() {
            self.wall_clock += WALL_CLOCK_INTERVAL;
            self.handle_input(Input::WallClock(WallTime::from_micros(wall_micros())));
        }
        if self.log_rate.due().is_some_and(|due| due <= Instant::now()) {
            self.log_dropped();
        }
        self.handle_input(Input::Timeout);
    }

    /// Ends a session that has nothing more to wait for, if it is to end; whether it did.
    fn drain(&mut self) -> bool {
        let Some(deadline) = self.draining.filter(|_| self.closing.is_none()) else { return false };
        // Answers that are known leave first.
        self.execute();
        if !self.is_drained() && Instant::now() < deadline {
            return false;
        }
        self.end(EndReason::ShuttingDown);
        true
    }

    /// Whether all the device asked for is answered, and the answers have left.
    fn is_drained(&self) -> bool {
        let logs_are_safe = self.logged == self.stored;
        !self.relay.is_asked() && logs_are_safe && self.exchanges.is_empty() && self.link.backlog() == 0
    }

    fn has_close_timed_out(&self) -> bool {
        self.closing.as_ref().is_some_and(|closing| closing.deadline <= Instant::now())
    }
}

/// What the core asks for; its connections and requests are in `outbound.rs`.
impl Session {
    /// Passes on what happened on a channel; the log and the metrics need some of it too (D190, D197).
    fn note(&self, notice: Notice) {
        let device = self.device;
        match &notice {
            Notice::ConnectFailed { host, port, error, .. } => {
                self.shared.metrics.note_connect_failed(error.label());
                let host = text::redacted_host(host);
                tracing::info!(%device, ?host, port, result = error.label(), cause = %error, "connect to a broker failed");
            }
            Notice::ConnectDelayed { host, port, max_delay, .. } => {
                let host = text::redacted_host(host);
                tracing::warn!(%device, ?host, port, most_ms = max_delay.as_millis(), "connects to a broker keep failing; they are delayed");
            }
            _ => {}
        }
        self.emit(|| EventKind::Notice(notice));
    }

    fn log(&mut self, line: relay::LogLine) {
        let relay::LogLine { sequence, clock, text } = line;
        let clock = clock.as_micros();
        if !self.is_logging {
            self.shared.metrics.log_lines.refused.inc();
            self.refused = Some(sequence);
        } else if self.log_rate.admits(sequence, clock) {
            self.log_dropped();
            self.store_log(sequence, clock, text);
        } else {
            self.shared.metrics.log_lines.dropped.inc();
        }
    }

    /// Says in the log what was dropped, if anything was.
    fn log_dropped(&mut self) {
        let Some(dropped) = self.log_rate.take_dropped() else { return };
        self.shared.metrics.note_limit("log_lines_a_second");
        tracing::warn!(device = %self.device, "log lines dropped");
        let text = self.log_rate.words(dropped);
        self.store_log(dropped.sequence, dropped.clock, text.into_bytes());
    }

    fn store_log(&mut self, sequence: u32, clock: u64, text: Vec<u8>) {
        self.emit(|| EventKind::Log { sequence, clock, text: text.clone() });
        let (device, boot, received) = (self.device, self.boot, wall_millis());
        self.logged = sequence;
        self.logs.push(LogLine { device, boot, sequence, clock, received, text });
    }

    fn on_hello(&mut self, hello: relay::HelloInfo) {
        let relay::HelloInfo { boot, wake_reason, image, clock } = hello;
        self.boot = boot;
        self.logs.start_run(self.device, boot, clock.as_micros());
        self.logs.note_seen(self.device, image);
        self.emit(|| EventKind::Started { boot, wake_reason, image });
    }

    /// Ends the session before it begins.
    fn refuse(&mut self, ending: EndReason) {
        self.shared.metrics.refused.with_label_values(&[translate::refused(ending)]).inc();
        self.end(ending);
    }

    /// Ends the session from outside.
    fn end(&mut self, ending: EndReason) {
        let reason = translate::reason(ending);
        self.handle_input(Input::Shutdown { reason });
        self.execute();
        self.say_bye(reason);
    }

    /// Nothing more is done but to send the last words. Every broker connection ends without `DISCONNECT` (D52).
    fn say_bye(&mut self, reason: ByeReason) {
        if self.closing.is_none() {
            let deadline = Instant::now() + self.shared.limits.farewell_timeout;
            self.closing = Some(Closing { reason, deadline });
            self.drop_brokers();
            self.lookups = Pending::none();
            self.exchanges = Pending::none();
        }
    }

    fn emit(&self, kind: impl FnOnce() -> EventKind) {
        self.shared.emit(self.device, kind);
    }
}

/// What the gauges count of a session goes with it, however it ends: also when it panics, or is dropped when the cloud stops.
impl Drop for Session {
    fn drop(&mut self) {
        self.note_backlog(0);
        self.drop_brokers();
    }
}

/// How far away the timer is put when nothing is known to wait for.
const IDLE_TIMER: Duration = Duration::from_hours(24);

/// What a turn came to.
enum Progress {
    Worked,
    Idle,
    Over(Disconnection),
}
