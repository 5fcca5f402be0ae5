//! The device: a machine on a thread of its own, its time tied to the wall clock, its link to a connection.

use std::mem;
use std::time::{Duration, Instant};

use armv8m::Cycles;
use kernel::LinkLoss;

use crate::clock::{MinimumPace, TimeScale, WallClock};
use crate::debug::gdb::GdbConnection;
use crate::device::Remote;
use crate::events::DeviceEvent;
use crate::machine::{Input, InputError, RunResult, SLICE};
use crate::memory_map::CYCLES_PER_MICRO;
use crate::recording::RecordedMachine;
use crate::serial::Serial;
use crate::transport::{CHUNK, Connection, Connector, TransportEvent};

/// Timer events of an idle guest that are dealt with between two looks at the link.
const MAX_TIMER_EVENTS: usize = 64;

/// Pieces of event that are taken between two turns of the guest.
const MAX_TRANSPORT_EVENTS: usize = 8;

/// Time after which the link is socket_polled at although nothing has said that there is something to read: a device that is busy does
/// not wait for it.
const SOCKET_POLL_INTERVAL: Duration = Duration::from_micros(200);

/// Least time between two wakings by a timer. The link and the outside wake the device at once.
const MIN_SLEEP: Duration = Duration::from_millis(15);

/// Time between two looks at the kernel while a debugger holds the application; its timers count seconds.
const HALTED_POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Cycles the guest may be ahead of, or behind, the wall clock before anything is done about it.
const TOLERANCE: Cycles = 500 * CYCLES_PER_MICRO;

/// Cycles a guest may lose before that is told: a second.
const LAG_REPORT_THRESHOLD: Cycles = 1_000_000 * CYCLES_PER_MICRO;

/// The connection as the device's thread knows it.
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

/// What runs on the device's thread.
pub(crate) struct Runner {
    machine: RecordedMachine,
    clock: WallClock,
    /// How fast the guest's time goes when nothing is against it.
    pub(crate) scale: TimeScale,
    /// How fast the kernel's clock goes at least.
    minimum_pace: MinimumPace,
    started: Instant,
    /// The observer knows that the host is too slow.
    is_behind: bool,
    connector: Connector,
    link: Link,
    remote: Remote,
    serial: Serial,
    observer: Box<dyn FnMut(DeviceEvent) + Send>,
    /// What goes to the cloud or has come from it, on its way between link and kernel.
    chunk: Box<[u8]>,
    /// When the link was last socket_polled at with or without a reason.
    socket_polled: Instant,
    /// When the thread last slept to an end.
    woken: Instant,
    /// Where a debugger may connect.
    pub(crate) gdb: Option<GdbConnection>,
    /// The application had nothing to do when it last ran. Only then may time pass without it: an interrupt that is
    /// still to be handled hides the events after it, and they would be merged into one.
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
            started: woken,
            is_behind: false,
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
        while !self.remote.is_stopping() {
            if let Some(gdb) = &mut self.gdb {
                gdb.poll(&mut self.machine);
            }
            if self.machine.machine().is_halted() { self.step_halted() } else { self.step() }
        }
        self.farewell();
        self.machine.end();
        self.report_events();
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

    /// Has the machine take an input in. Whoever sent one that it does not accept, as for a sensor that is not wired to it, was
    /// told what there is before the device started.
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

    /// A debugger holds the application: its time stands still, the kernel's and the link's go on (N20).
    fn step_halted(&mut self) {
        let began = Instant::now();
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

    /// Lets the guest run and its time pass, carries what came and what goes, and sleeps when nothing is to be done.
    fn step(&mut self) {
        let now = Instant::now();
        // A guest that slept is not behind: time passes for it up to what it slept for.
        if mem::take(&mut self.idle) {
            self.machine.pass_time(self.clock.cycle_at(now));
        }
        self.take_inputs();
        self.set_pace(now);
        let target = self.clock.target(now, self.machine.now());
        self.advance_kernel_clock(now);
        if self.machine.now() > target + TOLERANCE {
            self.service_link();
            self.report_events();
            return self.sleep_until(self.machine.now());
        }
        self.run_towards(target);
        self.poll_socket_if_due(now);
        self.service_link();
        self.serial.feed(&mut self.machine);
        // What came may have given the application something to do.
        self.idle = self.machine.run(1) == RunResult::Idle && !self.machine.machine().is_halted();
        self.report_events();
        if self.idle && self.machine.now() >= target {
            self.sleep();
        }
    }

    /// While the cloud owes an answer the guest's time goes no faster than the cloud's, so that none is late by scale alone.
    fn set_pace(&mut self, now: Instant) {
        let awaits = matches!(self.link, Link::Connecting(_)) || self.machine.machine().awaits_cloud();
        self.clock.set_scale(now, if awaits { TimeScale::ONE } else { self.scale });
    }

    /// The cloud's world does not wait for a guest that has fallen behind: the kernel's clock follows it (D220).
    fn advance_kernel_clock(&mut self, now: Instant) {
        let behind = self.minimum_pace.behind(now, self.machine.now());
        if behind > 0 {
            self.apply(&Input::TimeSkipped(behind));
        }
        let lost = self.clock.lost();
        if !self.is_behind && lost > LAG_REPORT_THRESHOLD {
            self.is_behind = true;
            let elapsed = now.saturating_duration_since(self.started);
            (self.observer)(DeviceEvent::FellBehind {
                behind_ms: lost / CYCLES_PER_MICRO / 1000,
                elapsed_ms: elapsed.as_millis() as u64,
                scale: self.scale,
            });
        }
    }

    /// Lets the application run, and time pass where it has nothing to do, up to `target` or for a slice.
    fn run_towards(&mut self, target: Cycles) {
        for _ in 0..MAX_TIMER_EVENTS {
            if self.machine.run(SLICE) == RunResult::Busy || self.machine.now() >= target {
                break;
            }
            self.machine.pass_time(target);
        }
    }

    /// Nothing runs: sleeps until something is due, or the waker rings. A device that has just been up sleeps a little
    /// longer: frequent ticks then share one waking, and each still comes at its own guest time.
    fn sleep(&mut self) {
        self.machine.flush();
        self.set_pace(Instant::now());
        let due = self.machine.next_timeout().map(|cycle| self.clock.moment(cycle));
        self.wait(due.map(|moment| moment.max(self.woken + MIN_SLEEP)));
        self.woken = Instant::now();
    }

    fn sleep_until(&mut self, cycle: Cycles) {
        self.wait(Some(self.clock.moment(cycle)));
    }

    /// Waits for the waker, the link, or a moment.
    fn wait(&mut self, until: Option<Instant>) {
        let connection = self.link.connection();
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
            (Link::Connecting(_) | Link::Up(_), false) => self.disconnect("no longer wanted".into()),
            _ => {}
        }
        self.send();
    }

    fn connect(&mut self) {
        self.apply(&Input::LinkConnecting);
        self.link = Link::Connecting(self.connector.connect());
    }

    /// Takes what has come, but not all that goes on coming: the guest has its turn as well. What is left keeps the device
    /// from sleeping.
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
            self.disconnect(format!("the cloud broke a rule of the link: {}", violation.text()));
        }
    }

    /// Sends what the kernel has for the cloud, as far as there is room.
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

    /// Ends the connection from this side: what is still to be said is said, then it closes by itself.
    fn disconnect(&mut self, cause: String) {
        self.send();
        self.link = Link::Down;
        self.apply(&Input::LinkLost { kind: LinkLoss::Requested, cause: cause.into() });
    }

    /// The device stops: its last words go out before the thread ends.
    fn farewell(&mut self) {
        self.send();
        if let Link::Up(connection) = mem::replace(&mut self.link, Link::Down) {
            self.apply(&Input::Farewell);
            let length = self.machine.transmit(&mut self.chunk);
            connection.close(&self.chunk[..length]);
        }
    }
}

#[cfg(test)]
mod tests;
