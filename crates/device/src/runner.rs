//! The loop of a device's thread: ties a machine's time to the wall clock and its link to a connection.

use std::mem;
use std::time::{Duration, Instant};

use armv8m::Cycles;
use kernel::LinkLoss;

use crate::clock::{MinimumPace, PaceMeter, TimeScale, WallClock};
use crate::debug::gdb::GdbConnection;
use crate::device::Remote;
use crate::events::DeviceEvent;
use crate::machine::{Input, InputError, RunResult, SLICE};
use crate::memory_map::CYCLES_PER_MICRO;
use crate::recording::RecordedMachine;
use crate::serial::Serial;
use crate::transport::{CHUNK, Connection, Connector, TransportEvent};

/// Most timer events of an idle guest that are handled before the link is serviced again.
const MAX_TIMER_EVENTS: usize = 64;

/// Most events of the connection that are handled before the guest runs again.
const MAX_TRANSPORT_EVENTS: usize = 8;

/// Time after which the socket is read although no wait has reported it as readable: a device that is busy does not
/// wait. Reading it at every turn would cost a system call each.
const SOCKET_POLL_INTERVAL: Duration = Duration::from_micros(200);

/// Shortest time between two wake-ups by a timer: a device with a 1 ms tick then costs one wake-up for fifteen ticks.
/// The link and other inputs wake the device at once.
const MIN_SLEEP: Duration = Duration::from_millis(15);

/// Time between two advances of the kernel's clock while a debugger has halted the application; its timers count
/// seconds.
const HALTED_POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Cycles the guest may be ahead of the wall clock before it waits: shorter sleeps cost more than they are long.
const TOLERANCE: Cycles = 500 * CYCLES_PER_MICRO;

/// Cycles a guest may fall behind before that is reported: a second.
const LAG_REPORT_THRESHOLD: Cycles = 1_000_000 * CYCLES_PER_MICRO;

/// The connection to the cloud.
enum Link {
    Down,
    Connecting(Connection),
    Up(Connection),
}

impl Link {
    fn connection(&self) -> Option<&Connection> {
        match self {
            Self::Down => None,
            Self::Connecting(connection) | Self::Up(connection) => Some(connection),
        }
    }

    fn connection_mut(&mut self) -> Option<&mut Connection> {
        match self {
            Self::Down => None,
            Self::Connecting(connection) | Self::Up(connection) => Some(connection),
        }
    }
}

/// The state of the device's thread.
pub(crate) struct Runner {
    machine: RecordedMachine,
    clock: WallClock,
    /// The rate of guest time that the options ask for.
    pub(crate) scale: TimeScale,
    /// How fast the kernel's clock runs at least.
    minimum_pace: MinimumPace,
    pace: PaceMeter,
    started: Instant,
    /// That the host is too slow has been reported.
    is_behind: bool,
    /// The application waits for its restart.
    is_restarting: bool,
    connector: Connector,
    link: Link,
    remote: Remote,
    serial: Serial,
    observer: Box<dyn FnMut(DeviceEvent) + Send>,
    /// Bytes between connection and kernel, either way.
    chunk: Box<[u8]>,
    /// When the socket was last marked as readable without a report of a wait.
    socket_polled: Instant,
    /// When the thread last woke from a sleep.
    woken: Instant,
    /// Where a debugger may connect.
    pub(crate) gdb: Option<GdbConnection>,
    /// The application had nothing to do when it last ran. Only then may time pass without it: an interrupt that is
    /// still pending hides the events after it, and they would be merged into one.
    idle: bool,
}

impl Runner {
    pub(crate) fn new(
        machine: RecordedMachine,
        connector: Connector,
        remote: Remote,
        serial: Serial,
        observer: Box<dyn FnMut(DeviceEvent) + Send>,
    ) -> Self {
        let woken = Instant::now();
        let start = machine.now();
        let clock = WallClock::start(woken, start);
        let chunk = vec![0; CHUNK].into_boxed_slice();
        Self {
            machine,
            clock,
            scale: TimeScale::ONE,
            minimum_pace: MinimumPace::start(woken, start),
            pace: PaceMeter::default(),
            started: woken,
            is_behind: false,
            is_restarting: false,
            connector,
            serial,
            link: Link::Down,
            remote,
            observer,
            chunk,
            socket_polled: woken,
            woken,
            gdb: None,
            idle: false,
        }
    }

    pub(crate) fn run(mut self) {
        while !self.remote.is_stopping() && !self.machine.is_at_end() {
            if let Some(gdb) = &mut self.gdb {
                gdb.poll(&mut self.machine);
            }
            // The debugger may have halted it just now.
            if self.machine.machine().is_halted() { self.step_halted() } else { self.step() }
        }
        self.close_link();
        self.machine.end();
        self.report_events();
        if self.machine.is_at_end() {
            (self.observer)(DeviceEvent::EndReached);
        }
    }

    fn take_inputs(&mut self) {
        for input in self.remote.take_inputs() {
            match input {
                // They wait until the port is on and has room.
                Input::Serial { port, bytes } => self.serial.queue(port, &bytes),
                input => self.apply(&input),
            }
        }
        self.serial.feed(&mut self.machine);
    }

    /// Has the machine handle an input. One that it does not accept is ignored: what is wired to it was checked before
    /// it started.
    fn apply(&mut self, input: &Input<'_>) {
        let _ = self.machine.handle(input);
    }

    fn report_events(&mut self) {
        for event in self.machine.take_events() {
            let routed = match &event {
                DeviceEvent::Serial { port, bytes } => self.serial.written(*port, bytes),
                _ => false,
            };
            if !routed {
                (self.observer)(event);
            }
        }
    }

    /// A debugger has halted the application: its time is stopped, the kernel's and the link's are not (N20).
    fn step_halted(&mut self) {
        let began = Instant::now();
        if self.pace.stop(began, self.machine.now()) {
            self.report_pace();
        }
        self.take_inputs();
        self.service_link();
        self.report_events();
        self.wait(Some(began + HALTED_POLL_INTERVAL));
        let now = Instant::now();
        self.apply(&Input::TimeSkipped(WallClock::start(began, 0).cycle_at(now)));
        self.clock = WallClock::start(now, self.machine.now());
        self.minimum_pace = MinimumPace::start(now, self.machine.now());
        self.idle = false;
    }

    /// Lets the guest run and its time pass, services the link, and sleeps when there is nothing to do.
    fn step(&mut self) {
        let now = Instant::now();
        let target = self.begin_step(now);
        if self.machine.now() > target + TOLERANCE {
            self.service_link();
            self.report_events();
            return self.sleep_until(self.machine.now());
        }
        self.run_towards(now, target);
        self.poll_socket_if_due(now);
        self.service_link();
        // The guest may have made room in a port by reading it.
        self.serial.feed(&mut self.machine);
        // What was received may have given the application something to do.
        self.idle = self.machine.run(1) == RunResult::Idle && !self.machine.machine().is_halted();
        self.begins_restart(now);
        self.report_events();
        // A guest that is behind does not sleep, even if it has nothing to do at this cycle.
        if self.idle && self.machine.now() >= target {
            self.sleep();
        }
    }

    /// Lets the time of a guest that was asleep pass, and hands it its inputs. Returns the cycle it should reach.
    fn begin_step(&mut self, now: Instant) -> Cycles {
        // A guest that was asleep is not behind: its time passes up to now.
        if mem::take(&mut self.idle) {
            self.machine.pass_time(self.clock.cycle_at(now));
        }
        self.take_inputs();
        // After inputs are taken: the link may have begun to wait for the cloud.
        self.set_pace(now);
        // After the pace is set, since it decides how many cycles the time since the last turn is.
        let target = self.clock.target(now, self.machine.now());
        self.advance_kernel_clock(now);
        if self.pace.observe(now, self.machine.now()) {
            self.report_pace();
        }
        target
    }

    /// Hands on to the debugger's `monitor status` how fast the device's time goes.
    fn report_pace(&mut self) {
        self.machine.set_pace(self.pace.pace(), self.scale);
    }

    /// While the kernel waits for the cloud, the guest's time runs no faster than the cloud's, so that no answer is
    /// late by the time scale alone (D141).
    fn set_pace(&mut self, now: Instant) {
        let awaits = matches!(self.link, Link::Connecting(_)) || self.machine.machine().awaits_cloud();
        self.clock.set_scale(now, if awaits { TimeScale::ONE } else { self.scale });
    }

    /// The kernel's clock follows the wall clock even when the guest falls behind: the cloud would otherwise take a
    /// slow device for a lost one (D220).
    fn advance_kernel_clock(&mut self, now: Instant) {
        let behind = self.minimum_pace.behind(now, self.machine.now());
        if behind > 0 {
            self.apply(&Input::TimeSkipped(behind));
        }
        let lost = self.clock.lost();
        if !self.is_behind && lost > LAG_REPORT_THRESHOLD {
            self.is_behind = true;
            let elapsed = now.saturating_duration_since(self.started);
            // With what it could still catch up with: its timers are late by all of it.
            let behind = lost.saturating_add(self.clock.cycle_at(now).saturating_sub(self.machine.now()));
            (self.observer)(DeviceEvent::FellBehind {
                behind_ms: behind / CYCLES_PER_MICRO / 1000,
                elapsed_ms: elapsed.as_millis() as u64,
                scale: self.scale,
                polled: self.machine.machine().polled_call(),
            });
        }
    }

    /// Lets the application run, and time pass where it has nothing to do, up to `target` or for one slice.
    fn run_towards(&mut self, now: Instant, target: Cycles) {
        for _ in 0..MAX_TIMER_EVENTS {
            let result = self.machine.run(SLICE);
            if self.begins_restart(now) || result == RunResult::Busy || self.machine.now() >= target {
                break;
            }
            self.machine.pass_time(target);
        }
    }

    /// Whether the pause before a restart has just begun. It is the time that was announced, also by the wall clock:
    /// the guest does not use it to catch up (D341).
    fn begins_restart(&mut self, now: Instant) -> bool {
        let is_restarting = self.machine.machine().is_restarting();
        let begins = is_restarting && !mem::replace(&mut self.is_restarting, is_restarting);
        if begins {
            self.clock.forget_lag(now, self.machine.now());
        }
        self.is_restarting = is_restarting;
        begins
    }

    /// Sleeps until something is due, or the waker is used. A device that has just been awake sleeps a little longer:
    /// frequent ticks then share one wake-up, and each still happens at its own guest time.
    fn sleep(&mut self) {
        // What the recording has buffered is written while there is time.
        self.machine.flush();
        self.set_pace(Instant::now());
        let due = self.machine.next_timeout().map(|cycle| self.clock.moment(cycle));
        self.wait(due.map(|moment| moment.max(self.woken + MIN_SLEEP)));
        self.woken = Instant::now();
    }

    fn sleep_until(&mut self, cycle: Cycles) {
        self.wait(Some(self.clock.moment(cycle)));
    }

    /// Waits for the waker, the socket, or a time.
    fn wait(&mut self, until: Option<Instant>) {
        let connection = self.link.connection();
        // TLS has decrypted more than was read: the socket would not report it.
        if connection.is_some_and(Connection::has_more) {
            return;
        }
        let until = [until, connection.and_then(Connection::deadline)].into_iter().flatten().min();
        let woken = self.remote.waker.wait(connection.and_then(Connection::interest), until);
        if woken.socket
            && let Some(connection) = self.link.connection_mut()
        {
            connection.mark_readable();
        }
    }

    fn poll_socket_if_due(&mut self, now: Instant) {
        if now.saturating_duration_since(self.socket_polled) >= SOCKET_POLL_INTERVAL
            && let Some(connection) = self.link.connection_mut()
        {
            connection.mark_readable();
            self.socket_polled = now;
        }
    }

    fn service_link(&mut self) {
        self.poll_transport();
        match (&self.link, self.machine.machine().wants_link()) {
            (Link::Down, true) => self.connect(),
            (Link::Connecting(_) | Link::Up(_), false) => self.disconnect("no longer needed".into()),
            _ => {}
        }
        self.send();
    }

    fn connect(&mut self) {
        self.apply(&Input::LinkConnecting);
        self.link = Link::Connecting(self.connector.connect());
    }

    /// Handles events of the connection, but not endlessly: the guest has its turn as well. While events are left, the
    /// device does not sleep.
    fn poll_transport(&mut self) {
        for _ in 0..MAX_TRANSPORT_EVENTS {
            let Some(event) = self.next_transport_event() else { break };
            match event {
                TransportEvent::Connected => self.connected(),
                TransportEvent::Bytes(length) => self.receive(length),
                TransportEvent::Lost(loss) => {
                    self.link = Link::Down;
                    self.apply(&Input::LinkLost { kind: loss.kind, cause: loss.text.into() });
                }
            }
        }
    }

    fn next_transport_event(&mut self) -> Option<TransportEvent> {
        self.link.connection_mut()?.poll(&mut self.chunk)
    }

    fn connected(&mut self) {
        if let Link::Connecting(connection) = mem::replace(&mut self.link, Link::Down) {
            self.link = Link::Up(connection);
        }
        self.apply(&Input::LinkConnected);
    }

    fn receive(&mut self, length: usize) {
        let received = Input::Received(self.chunk[..length].into());
        if let Err(InputError::Violation(violation)) = self.machine.handle(&received) {
            self.disconnect(format!("the cloud violated the link protocol: {}", violation.text()));
        }
    }

    /// Sends the kernel's bytes to the cloud, as far as there is room.
    fn send(&mut self) {
        let Link::Up(connection) = &mut self.link else { return };
        while connection.has_room() {
            let length = self.machine.transmit(&mut self.chunk);
            if length == 0 {
                break;
            }
            connection.send(&self.chunk[..length]);
        }
    }

    /// Ends the connection: sends the kernel's last bytes, then it closes in the background.
    fn disconnect(&mut self, cause: String) {
        self.send();
        self.link = Link::Down;
        self.apply(&Input::LinkLost { kind: LinkLoss::Requested, cause: cause.into() });
    }

    /// The device stops: BYE is sent before the thread ends.
    fn close_link(&mut self) {
        self.send();
        if let Link::Up(connection) = mem::replace(&mut self.link, Link::Down) {
            self.apply(&Input::Shutdown);
            let length = self.machine.transmit(&mut self.chunk);
            connection.close(&self.chunk[..length]);
        }
    }
}

#[cfg(test)]
mod tests;
