//! A device's session: one task that owns the relay core, gives it inputs, and carries out its outputs.
//!
//! No byte passes from one task to another on its way: the task polls the device's connection, its connections to
//! brokers, its requests and its timer in turn. Read buffers are on the worker's stack, so an idle session owns no
//! buffer at all.
//!
//! - `inputs.rs`: what the parts of the session have for the core. `admission.rs`: whether a device may connect.
//!   `brokers.rs`, `broker.rs`: its connections to brokers. `requests.rs`: what needs a permit of its account:
//!   connects, HTTP exchanges, configuration fetches. `log_stream.rs`, `log_rate.rs`: its log lines.
//! - `meters.rs`: its rates. `timer.rs`: when the task runs at the latest. `translate.rs`: labels, and conversions of
//!   relay's types.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use link::connection::ByeReason;
use relay::{DeviceRelay, Input, Notice, Output};
use tokio::time::Instant;

use crate::clock::wall_millis;
use crate::events::{Disconnection, EventKind};
use crate::gateway::{Admitted, DeviceStream};
use crate::id::DeviceId;
use crate::limits::{READ_CHUNK, SESSION_ROUNDS};
use crate::memory_limit::{DeviceMemory, Verdict};
use crate::pipe::Pipe;
use crate::registry::EndReason;
use crate::shared::Shared;
use crate::store::Logging;

mod admission;
mod broker;
mod brokers;
mod gauge;
mod inputs;
mod log_rate;
mod log_stream;
mod meters;
mod pending;
mod requests;
mod timer;
mod translate;

use admission::{Admission, Decision, Grant};
use brokers::Brokers;
use gauge::GaugeShare;
use log_stream::LogStream;
use meters::Meters;
use requests::Requests;
use timer::Timer;

/// Serves a connection from its admission to its end. Large parts are boxed, because this future is part of every
/// connection and an idle session should take no more memory than it needs.
pub(crate) async fn serve(shared: Arc<Shared>, admitted: Box<Admitted>) {
    // A function of its own: what it needs, the box of `admitted` included, is freed before the session runs.
    if let Some(mut session) = Box::pin(begin(shared, admitted)).await {
        session.run().await;
    }
}

/// The session of a connection; `None` when the cloud stops. That of a device that is refused only says why.
async fn begin(shared: Arc<Shared>, admitted: Box<Admitted>) -> Option<Box<Session>> {
    match admission::decide(&shared, &admitted).await {
        Decision::Admitted(grant) => Some(Session::new(shared, *admitted, Some(grant))),
        Decision::Refused(reason) => Some(Session::refused(shared, *admitted, reason)),
        Decision::Stopping => None,
    }
}

/// One connected device.
struct Session {
    shared: Arc<Shared>,
    device: DeviceId,
    admission: Admission,
    relay: DeviceRelay,
    link: Pipe<DeviceStream>,
    /// The link's part of the metric of queued bytes.
    backlog: GaugeShare,
    brokers: Brokers,
    requests: Requests,
    logs: LogStream,
    meters: Meters,
    memory: DeviceMemory,
    timer: Timer,
    phase: Phase,
    /// Whether the core produces notices; they cost a little for every message, so only while somebody receives them.
    has_subscribers: bool,
}

/// How far a session is.
enum Phase {
    Running,
    /// The cloud stops: requests in flight may be answered until the deadline.
    Draining(Instant),
    /// The `BYE` is on its way; nothing else happens.
    Closing {
        reason: ByeReason,
        deadline: Instant,
    },
}

/// The result of polling everything once.
enum Progress {
    Worked,
    Idle,
    Ended(Disconnection),
}

impl Session {
    /// The session of an admitted device, or, without a grant, of one that is going to be refused.
    fn new(shared: Arc<Shared>, admitted: Admitted, grant: Option<Grant>) -> Box<Self> {
        let Admitted { device, address, stream, permit, .. } = admitted;
        let logging = grant.as_ref().map_or(Logging::OFF, |grant| grant.logging);
        let admission = Admission::new(address, permit, grant);
        let account = admission.account();
        let require_tls = account.is_some_and(|account| account.require_tls);
        let settings = translate::settings(&shared, require_tls, logging.is_on(wall_millis()));
        Box::new(Self {
            device,
            relay: DeviceRelay::new(shared.epoch.now(), settings),
            link: Pipe::new(stream),
            backlog: GaugeShare::new(shared.metrics.link_backlog.clone()),
            brokers: Brokers::new(device, shared.metrics.clone(), shared.limits.farewell_timeout),
            requests: Requests::default(),
            logs: LogStream::new(device, &shared, logging, settings.logging),
            meters: Meters::new(&shared.limits, shared.metrics.clone(), account.cloned()),
            memory: DeviceMemory::new(shared.memory.clone(), account.cloned()),
            timer: Timer::new(),
            phase: Phase::Running,
            has_subscribers: settings.notices,
            admission,
            shared,
        })
    }

    /// A session that only says why the device is refused.
    fn refused(shared: Arc<Shared>, admitted: Admitted, reason: EndReason) -> Box<Self> {
        let mut session = Self::new(shared, admitted, None);
        session.shared.metrics.refused.with_label_values(&[reason.label()]).inc();
        session.end(reason);
        session
    }

    async fn run(&mut self) {
        let (device, address) = (self.device, self.admission.address());
        let is_refused = self.admission.is_refused();
        if !is_refused {
            self.update_logging();
            self.emit(|| EventKind::Connected { address });
            tracing::info!(name: "device_connected", %device, %address, "device connected");
            self.shared.metrics.admitted.inc();
        }
        let reason = poll_fn(|context| self.poll(context)).await;
        self.finish();
        if !is_refused {
            tracing::info!(name: "device_disconnected", %device, reason = reason.label(), "device disconnected");
            self.shared.metrics.ended.with_label_values(&[reason.label()]).inc();
            self.emit(|| EventKind::Disconnected { reason: reason.clone() });
        }
    }

    /// Works until there is nothing to do; ready when the session has ended.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Disconnection> {
        let mut buffer = [0; READ_CHUNK];
        self.update_subscribers();
        for _ in 0..SESSION_ROUNDS {
            self.apply_outputs();
            // After the outputs, so that what the last round's inputs produced is sent in this one.
            match self.poll_once(context, &mut buffer) {
                Progress::Worked => {}
                Progress::Idle => {
                    self.update_counts();
                    // A new verdict is an input for the core, so there may be work again.
                    if !self.update_memory() {
                        return Poll::Pending;
                    }
                }
                Progress::Ended(reason) => return Poll::Ready(reason),
            }
        }
        self.update_counts();
        self.update_memory();
        // A session that always has work must not starve the other tasks of its worker.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Polls everything once.
    fn poll_once(&mut self, context: &mut Context<'_>, buffer: &mut [u8; READ_CHUNK]) -> Progress {
        let mut worked = self.poll_commands(context);
        match self.poll_link(context, buffer) {
            Ok(moved) => worked |= moved,
            Err(reason) => return Progress::Ended(reason),
        }
        if !self.is_closing() {
            worked |= self.poll_brokers(context, buffer);
            worked |= self.poll_lookups(context);
            worked |= self.poll_exchanges(context);
        }
        worked |= self.poll_logs(context);
        worked |= self.poll_timer(context);
        worked |= self.poll_drain();
        if self.has_close_timed_out() {
            return Progress::Ended(Disconnection::TimedOut);
        }
        if worked { Progress::Worked } else { Progress::Idle }
    }

    /// Gives the core an input. A violation by the device ends its session: the core has queued the `BYE`.
    fn handle_input(&mut self, input: Input<'_>) {
        let now = self.shared.epoch.now();
        if let Err(violation) = self.relay.handle(now, input) {
            tracing::warn!(name: "link_violated", device = %self.device, %violation, "the device violated the link protocol");
        }
    }

    /// Carries out the core's outputs until there are none.
    fn apply_outputs(&mut self) {
        while let Some(output) = self.relay.poll(self.shared.epoch.now()) {
            match output {
                Output::LinkSend(bytes) => self.link.push(&bytes),
                Output::OpenConnection { connection, target } => self.open_broker(connection, target),
                Output::ConnectionSend { connection, bytes } => {
                    self.brokers.with_pipe(connection, |pipe| pipe.push(&bytes));
                }
                Output::CloseConnection { connection, abort } => self.brokers.close(connection, abort),
                Output::PauseReading { connection } => {
                    self.brokers.with_pipe(connection, |pipe| pipe.set_reading(false));
                }
                Output::ResumeReading { connection } => {
                    self.brokers.with_pipe(connection, |pipe| pipe.set_reading(true));
                }
                Output::Lookup { lookup, keys } => self.start_lookup(lookup, keys),
                Output::HttpRequest { exchange, request } => self.start_exchange(exchange, request),
                Output::CancelHttp { exchange } => self.requests.exchanges.cancel(exchange),
                Output::Log(line) => self.on_log(line),
                Output::Hello(hello) => self.on_hello(hello),
                Output::Notice(notice) => self.on_notice(notice),
                Output::Disconnect { reason } => self.say_bye(reason),
            }
        }
    }
}

/// Outputs: what the core asks for. Connects and requests are in `requests.rs`.
impl Session {
    /// Emits a notice as an event; some kinds also appear in the log and the metrics, where an operator looks for the
    /// cause of a failing connect (D190) and for brokers whose connects are delayed (D197).
    fn on_notice(&self, notice: Notice) {
        let device = self.device;
        match &notice {
            Notice::ConnectFailed { host, port, error, .. } => {
                self.shared.metrics.count_connect_failed(error.label());
                let host = text::redacted_host(host);
                tracing::info!(name: "broker_connect_failed", %device, host = host.as_str(), port, reason = error.label(), %error, "connect to a broker failed");
            }
            Notice::ConnectDelayed { host, port, max_delay, .. } => {
                let host = text::redacted_host(host);
                tracing::warn!(name: "broker_connects_delayed", %device, host = host.as_str(), port, max_delay_ms = max_delay.as_millis(), "connects to a broker keep failing; they are delayed");
            }
            _ => {}
        }
        self.emit(|| EventKind::Notice(notice));
    }

    fn on_log(&mut self, line: relay::LogLine) {
        let (shared, device) = (&self.shared, self.device);
        self.logs.accept(line, &mut |line| shared.emit(device, || line.to_event()));
    }

    fn on_hello(&mut self, hello: relay::HelloInfo) {
        let relay::HelloInfo { boot, wake_reason, image, clock } = hello;
        self.logs.start_run(boot, clock.as_micros(), image);
        self.emit(|| EventKind::Started { boot, wake_reason, image });
    }

    /// Ends the session from the cloud's side.
    fn end(&mut self, reason: EndReason) {
        let reason = translate::bye_reason(reason);
        self.handle_input(Input::Shutdown { reason });
        self.apply_outputs();
        self.say_bye(reason);
    }

    /// Stops everything but sending the `BYE`. Every broker connection ends without `DISCONNECT`, so that the broker
    /// publishes the will, because the application did not ask to disconnect (D52).
    fn say_bye(&mut self, reason: ByeReason) {
        if !self.is_closing() {
            let deadline = Instant::now() + self.shared.limits.farewell_timeout;
            self.phase = Phase::Closing { reason, deadline };
            self.brokers.clear();
            self.requests = Requests::default();
        }
    }

    /// Ends a draining session once everything is answered, or at its deadline. Whether it did.
    fn poll_drain(&mut self) -> bool {
        let Phase::Draining(deadline) = self.phase else { return false };
        // Known answers are sent first.
        self.apply_outputs();
        if self.is_closing() || (!self.is_drained() && Instant::now() < deadline) {
            return false;
        }
        self.end(EndReason::ShuttingDown);
        true
    }

    /// Whether everything the device asked for is answered, and the answers are sent.
    fn is_drained(&self) -> bool {
        !self.relay.has_pending_requests()
            && self.logs.are_stored()
            && self.requests.exchanges.is_empty()
            && self.link.backlog() == 0
    }

    /// Ends what the core still counts as open, and reports the last counts.
    fn finish(&mut self) {
        self.handle_input(Input::Shutdown { reason: ByeReason::Internal });
        self.update_counts();
        self.backlog.set(0);
        self.brokers.clear();
    }

    fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. })
    }

    fn has_close_timed_out(&self) -> bool {
        matches!(self.phase, Phase::Closing { deadline, .. } if deadline <= Instant::now())
    }

    fn emit(&self, kind: impl FnOnce() -> EventKind) {
        self.shared.emit(self.device, kind);
    }
}

/// What the session reports to others, or learns from them.
impl Session {
    fn update_counts(&mut self) {
        self.backlog.set(self.link.backlog());
        let counts = self.relay.take_counts();
        self.shared.metrics.add(&counts);
        self.meters.charge_requests(&counts);
    }

    /// Reports the memory in use, and acts on the verdict: the largest users are throttled first when memory is short
    /// (D183). Whether that changed anything.
    fn update_memory(&mut self) -> bool {
        if self.is_closing() {
            return false;
        }
        let was_throttled = self.memory.is_throttled();
        match self.memory.update(self.memory_in_use(), Instant::now()) {
            Verdict::Disconnect => {
                self.shared.metrics.overloaded.inc();
                self.end(EndReason::Overloaded);
                return true;
            }
            Verdict::Throttle(limit) if !was_throttled => self.shared.metrics.count_limit(limit),
            Verdict::Throttle(_) | Verdict::Enough => {}
        }
        let throttled = self.memory.is_throttled();
        if throttled != was_throttled {
            self.handle_input(Input::Throttle { enabled: throttled });
        }
        throttled != was_throttled
    }

    /// Bytes in use for the device and its connections.
    fn memory_in_use(&self) -> usize {
        self.relay.memory_bytes()
            + self.link.backlog()
            + self.brokers.memory_in_use()
            + self.requests.memory_reserved()
    }

    fn update_subscribers(&mut self) {
        let has_subscribers = self.shared.has_subscribers();
        if self.has_subscribers != has_subscribers {
            self.has_subscribers = has_subscribers;
            self.handle_input(Input::Notices { enabled: has_subscribers });
        }
    }

    /// Notifies the device to start or stop logging when its setting has changed or expired.
    fn update_logging(&mut self) {
        if let Some(enabled) = self.logs.update(wall_millis()) {
            self.flush_dropped_logs();
            self.handle_input(Input::Logging { enabled });
        }
    }

    fn flush_dropped_logs(&mut self) {
        let (shared, device) = (&self.shared, self.device);
        self.logs.flush_dropped(&mut |line| shared.emit(device, || line.to_event()));
    }
}

// Sizes differ between targets.
#[cfg(all(test, target_arch = "x86_64"))]
mod size_tests;
