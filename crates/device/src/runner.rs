//! The device: a machine on a thread of its own, its time tied to the wall clock, its link to a connection.

use std::io;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kernel::LinkLoss;

use crate::application::Application;
use crate::bell::Bell;
use crate::chance::{Seed, system_chance};
use crate::clock::{LeastPace, TimeScale, WallClock};
use crate::debug::Debugging;
use crate::debug::gdb::Session;
use crate::events::{DeviceEvent, PinFilter};
use crate::identity::Identity;
use crate::image::Image;
use crate::machine::{Machine, Provisions, Ran, RestartPolicy, Settings};
use crate::map::CYCLES_PER_MICRO;
use crate::recording::{Head, Recorder, Taped, wiring};
use crate::serial::{MAX_WAITING, Route, Serial};
use crate::stimulus::Schedule;
use crate::storage::Storage;
use crate::transport::{Address, CHUNK, Connection, Dialler, News};
use crate::wiring::Attachment;

/// Most cycles between two looks at the link while the application is busy.
const SLICE: u64 = 4_000;

/// The same while the guest is behind the wall clock: timers that were missed follow each other closely.
const LAGGING_SLICE: u64 = 4_000;

/// Timer events of an idle guest that are dealt with between two looks at the link.
const MAX_EVENTS: usize = 64;

/// Pieces of news that are taken between two turns of the guest.
const MAX_NEWS: usize = 8;

/// Time after which the link is looked at although nothing has said that there is something to read: a device that is busy does
/// not wait for it.
const LOOK_INTERVAL: Duration = Duration::from_micros(200);

/// Least time between two wakings by a timer. The link and the outside wake the device at once.
const NAP: Duration = Duration::from_millis(15);

/// Time between two looks at the kernel while a debugger holds the application; its timers count seconds.
const HALTED_NAP: Duration = Duration::from_millis(250);

/// Cycles the guest may be ahead of, or behind, the wall clock before anything is done about it.
const TOLERANCE: u64 = 500 * CYCLES_PER_MICRO;

/// Cycles a guest may lose before that is told: a second.
const MUCH: u64 = 1_000_000 * CYCLES_PER_MICRO;

/// What a device is made from.
pub struct Options {
    /// Where its cloud listens.
    pub cloud: Address,
    /// Who it is.
    pub identity: Identity,
    /// Its application.
    pub image: Image,
    /// How soon an application that faulted starts again.
    pub restart: RestartPolicy,
    /// Tell of every system call.
    pub trace: bool,
    /// What is wired to the board.
    pub targets: Vec<Attachment>,
    /// What reaches it from outside at times of its own.
    pub schedule: Schedule,
    /// Where what serial ports send goes; the observer is told of the others.
    pub routes: Vec<Route>,
    /// What outlives its power, and what its bundle says.
    pub provisions: Provisions,
    /// Who looks into it.
    pub debugging: Debugging,
    /// Where its chance comes from; from the host if this says nothing.
    pub seed: Option<Seed>,
    /// How many times as fast as the wall clock its time goes.
    pub time_scale: TimeScale,
    /// Which general-purpose outputs besides the user LED are told of.
    pub pins: PinFilter,
    /// Writes down what reaches it.
    pub recorder: Option<Recorder>,
}

impl Options {
    /// A device with nothing wired to it, not traced, that behaves as its application's bundle says, and keeps what
    /// outlives its power in the folder of its identity, if that has one.
    pub fn new(cloud: Address, identity: Identity, application: impl Into<Application>) -> Self {
        let storage = identity.folder().map(Storage::in_folder).unwrap_or_default();
        let Application { image, policy, restart, layers, .. } = application.into();
        Self {
            provisions: Provisions { storage, policy, layers, ..Provisions::default() },
            cloud,
            identity,
            image,
            restart,
            trace: false,
            targets: Vec::new(),
            schedule: Schedule::default(),
            debugging: Debugging::default(),
            seed: None,
            time_scale: TimeScale::ONE,
            pins: PinFilter::default(),
            recorder: None,
            routes: Vec::new(),
        }
    }

    /// What a recording begins with.
    fn head(&mut self, seed: Seed) -> Head {
        let (flash, wifi) = self.provisions.storage.content();
        Head {
            device_id: self.identity.device_id(),
            image: self.image.digest(),
            seed,
            restart: self.restart,
            policy: self.provisions.policy,
            factory_test: self.provisions.factory_test,
            free_clock: self.provisions.free_clock,
            poll_scale: self.provisions.poll_scale,
            wifi,
            flash,
            wiring: wiring(&self.targets),
        }
    }

    /// Begins the recording, if there is to be one; a recording needs a seed.
    fn begin_recording(&mut self) -> io::Result<Option<Recorder>> {
        let Some(mut recorder) = self.recorder.take() else { return Ok(None) };
        if self.debugging.gdb.is_some() {
            return Err(io::Error::other("what a debugger does cannot be recorded"));
        }
        let seed = *self.seed.get_or_insert_with(Seed::random);
        recorder.begin(&self.head(seed))?;
        Ok(Some(recorder))
    }
}

/// A running device. Dropping it stops it.
pub struct Device {
    remote: Remote,
    thread: Option<JoinHandle<()>>,
}

impl Device {
    /// Starts a device. `observer` is called on the device's own thread and holds it up while it runs.
    pub fn start(
        mut options: Options,
        observer: impl FnMut(DeviceEvent) + Send + 'static,
    ) -> io::Result<Self> {
        options.provisions.install()?;
        options.provisions.free_clock |= options.time_scale != TimeScale::ONE;
        options.provisions.poll_scale = options.time_scale.whole();
        let recorder = options.begin_recording()?;
        let remote = Remote { bell: Bell::new()?, shared: Arc::default() };
        let dialler = Dialler::new(&options.identity, options.cloud, remote.bell.clone())?;
        let settings = Settings {
            device_id: options.identity.device_id(),
            image: options.image,
            chance: options.seed.map_or_else(system_chance, Seed::chance),
            restart: options.restart,
            trace: options.trace,
            targets: options.targets,
        };
        let debugging = options.debugging;
        let session =
            debugging.gdb.map(|server| server.open(remote.bell.clone())).transpose()?.map(Session::new);
        let handed = remote.clone();
        let serial = Serial::new(options.routes, remote.shared.serial_waiting.clone());
        let thread = std::thread::Builder::new().name("device".into()).spawn(move || {
            let mut machine = Machine::provisioned(settings, options.provisions);
            machine.set_symbols(debugging.symbols);
            machine.report_pins(options.pins);
            if let Some(tracer) = debugging.tracer {
                machine.trace_to(tracer);
            }
            if debugging.wait {
                machine.wait_for_debugger();
            }
            let mut taped = Taped::new(machine, recorder);
            taped.follow(options.schedule);
            let runner = Runner::new(taped, dialler, handed, serial, Box::new(observer));
            Runner { session, scale: options.time_scale, ..runner }.run();
        })?;
        Ok(Self { remote, thread: Some(thread) })
    }

    /// A handle by which other threads reach the device.
    pub fn remote(&self) -> Remote {
        self.remote.clone()
    }

    /// Says farewell to the cloud and stops.
    pub fn stop(mut self) {
        self.remote.stop();
        self.join();
    }

    /// Waits until someone stops the device by its [`Remote`].
    pub fn wait(mut self) {
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.remote.stop();
        self.join();
    }
}

/// Reaches a running device from other threads.
#[derive(Clone)]
pub struct Remote {
    bell: Bell,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    inputs: Mutex<Vec<Input>>,
    /// Bytes for serial ports that were not taken yet.
    serial_waiting: Arc<AtomicUsize>,
}

/// What the outside does to the device's pins.
enum Input {
    Serial { port: u8, bytes: Vec<u8> },
    Pin { port: u8, pin: u8, level: bool },
    Quantity { bus: u8, address: u8, name: String, value: f64 },
}

impl Remote {
    /// Stops the device.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.bell.ring();
    }

    /// Sends bytes to the serial port with the number `port`. They wait until it is on and has room. Answers whether they
    /// were accepted: not while [`MAX_WAITING`] wait already.
    pub fn send_serial(&self, port: u8, bytes: Vec<u8>) -> bool {
        let waiting = &self.shared.serial_waiting;
        if waiting.load(Ordering::SeqCst) >= MAX_WAITING {
            return false;
        }
        waiting.fetch_add(bytes.len(), Ordering::SeqCst);
        self.input(Input::Serial { port, bytes });
        true
    }

    /// Drives pin `pin` of port `port`, 0 for A.
    pub fn drive_pin(&self, port: u8, pin: u8, level: bool) {
        self.input(Input::Pin { port, pin, level });
    }

    /// Sets what the sensor at `address` of I2C bus `bus` measures; nothing happens where there is none.
    pub fn set_quantity(&self, bus: u8, address: u8, name: String, value: f64) {
        self.input(Input::Quantity { bus, address, name, value });
    }

    fn input(&self, input: Input) {
        self.shared.inputs.lock().unwrap_or_else(PoisonError::into_inner).push(input);
        self.bell.ring();
    }

    fn take_inputs(&self) -> Vec<Input> {
        mem::take(&mut *self.shared.inputs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::SeqCst)
    }
}

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
struct Runner {
    machine: Taped,
    clock: WallClock,
    /// How fast the guest's time goes when nothing is against it.
    scale: TimeScale,
    /// How fast the kernel's clock goes at least.
    least_pace: LeastPace,
    started: Instant,
    /// The observer knows that the host is too slow.
    is_behind: bool,
    dialler: Dialler,
    link: Link,
    remote: Remote,
    serial: Serial,
    observer: Box<dyn FnMut(DeviceEvent) + Send>,
    /// What goes to the cloud or has come from it, on its way between link and kernel.
    chunk: Box<[u8]>,
    /// When the link was last looked at with or without a reason.
    looked: Instant,
    /// When the thread last slept to an end.
    woken: Instant,
    /// Where a debugger may connect.
    session: Option<Session>,
    /// The application had nothing to do when it last ran. Only then may time pass without it: an interrupt that is
    /// still to be handled hides the events after it, and they would be merged into one.
    idle: bool,
}

impl Runner {
    fn new(
        machine: Taped,
        dialler: Dialler,
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
            least_pace: LeastPace::start(woken, start),
            started: woken,
            is_behind: false,
            dialler,
            serial,
            link: Link::Down,
            remote,
            observer,
            chunk,
            looked: woken,
            woken,
            session: None,
            idle: false,
        }
    }

    fn run(mut self) {
        while !self.remote.is_stopping() {
            if let Some(session) = &mut self.session {
                session.attend(self.machine.unrecorded());
            }
            if self.machine.is_halted() { self.stand_still() } else { self.step() }
        }
        self.farewell();
        self.machine.end();
        self.tell_observer();
    }

    fn take_inputs(&mut self) {
        for input in self.remote.take_inputs() {
            match input {
                Input::Serial { port, bytes } => self.serial.queue(port, &bytes),
                Input::Pin { port, pin, level } => self.machine.drive_pin(port, pin, level),
                Input::Quantity { bus, address, name, value } => {
                    self.machine.set_quantity(bus, address, &name, value);
                }
            }
        }
        self.serial.feed(&mut self.machine);
    }

    fn tell_observer(&mut self) {
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
    fn stand_still(&mut self) {
        let began = Instant::now();
        self.take_inputs();
        self.tend_link();
        self.tell_observer();
        self.wait(Some(began + HALTED_NAP));
        let now = Instant::now();
        self.machine.unrecorded().hold(WallClock::start(began, 0).cycle_at(now));
        self.clock = WallClock::start(now, self.machine.now());
        self.least_pace = LeastPace::start(now, self.machine.now());
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
        self.keep_up(now);
        if self.machine.now() > target + TOLERANCE {
            self.tend_link();
            self.tell_observer();
            return self.sleep_until(self.machine.now());
        }
        self.run_towards(target);
        self.look_now_and_then(now);
        self.tend_link();
        self.serial.feed(&mut self.machine);
        // What came may have given the application something to do.
        self.idle = self.machine.run(1) == Ran::Idle && !self.machine.is_halted();
        self.tell_observer();
        if self.idle && self.machine.now() >= target {
            self.sleep();
        }
    }

    /// While the cloud owes an answer the guest's time goes no faster than the cloud's, so that none is late by scale alone.
    fn set_pace(&mut self, now: Instant) {
        let awaits = matches!(self.link, Link::Connecting(_)) || self.machine.awaits_cloud();
        self.clock.set_scale(now, if awaits { TimeScale::ONE } else { self.scale });
    }

    /// The cloud's world does not wait for a guest that has fallen behind: the kernel's clock follows it (D220).
    fn keep_up(&mut self, now: Instant) {
        let behind = self.least_pace.behind(now, self.machine.now());
        if behind > 0 {
            self.machine.skip_time(behind);
        }
        let lost = self.clock.lost();
        if !self.is_behind && lost > MUCH {
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
    fn run_towards(&mut self, target: u64) {
        for _ in 0..MAX_EVENTS {
            let lagging = target.saturating_sub(self.machine.now()) > TOLERANCE;
            let ran = self.machine.run(if lagging { LAGGING_SLICE } else { SLICE });
            if ran == Ran::Busy || self.machine.now() >= target {
                break;
            }
            self.machine.pass_time(target);
        }
    }

    /// Nothing runs: sleeps until something is due, or the bell rings. A device that has just been up sleeps a little
    /// longer: frequent ticks then share one waking, and each still comes at its own guest time.
    fn sleep(&mut self) {
        self.machine.flush();
        self.set_pace(Instant::now());
        let due = self.machine.next_event().map(|cycle| self.clock.moment(cycle));
        self.wait(due.map(|moment| moment.max(self.woken + NAP)));
        self.woken = Instant::now();
    }

    fn sleep_until(&mut self, cycle: u64) {
        self.wait(Some(self.clock.moment(cycle)));
    }

    /// Waits for the bell, the link, or a moment.
    fn wait(&mut self, until: Option<Instant>) {
        let connection = self.link.connection();
        if connection.is_some_and(Connection::has_more) {
            return;
        }
        let until = [until, connection.and_then(Connection::deadline)].into_iter().flatten().min();
        let woken = self.remote.bell.wait(connection.and_then(Connection::interest), until);
        if woken.socket
            && let Some(connection) = self.link.connection_mut()
        {
            connection.look();
        }
    }

    fn look_now_and_then(&mut self, now: Instant) {
        if now.saturating_duration_since(self.looked) >= LOOK_INTERVAL
            && let Some(connection) = self.link.connection_mut()
        {
            connection.look();
            self.looked = now;
        }
    }

    fn tend_link(&mut self) {
        self.take_news();
        match (&self.link, self.machine.wants_link()) {
            (Link::Down, true) => self.dial(),
            (Link::Connecting(_) | Link::Up(_), false) => self.hang_up("no longer wanted".into()),
            _ => {}
        }
        self.send();
    }

    fn dial(&mut self) {
        self.machine.link_connecting();
        self.link = Link::Connecting(self.dialler.dial());
    }

    /// Takes what has come, but not all that goes on coming: the guest has its turn as well. What is left keeps the device
    /// from sleeping.
    fn take_news(&mut self) {
        for _ in 0..MAX_NEWS {
            let Some(news) = self.next_news() else { break };
            match news {
                News::Connected => self.connected(),
                News::Bytes(length) => self.receive(length),
                News::Lost(loss) => {
                    self.link = Link::Down;
                    self.machine.link_lost(loss.kind, loss.text);
                }
            }
        }
    }

    fn next_news(&mut self) -> Option<News> {
        self.link.connection_mut()?.news(&mut self.chunk)
    }

    fn connected(&mut self) {
        if let Link::Connecting(connection) = mem::replace(&mut self.link, Link::Down) {
            self.link = Link::Up(connection);
        }
        self.machine.link_connected();
    }

    fn receive(&mut self, length: usize) {
        if let Err(violation) = self.machine.receive(&self.chunk[..length]) {
            self.hang_up(format!("the cloud broke a rule of the link: {}", violation.text()));
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
    fn hang_up(&mut self, cause: String) {
        self.send();
        self.link = Link::Down;
        self.machine.link_lost(LinkLoss::Requested, cause);
    }

    /// The device stops: its last words go out before the thread ends.
    fn farewell(&mut self) {
        self.send();
        if let Link::Up(connection) = mem::replace(&mut self.link, Link::Down) {
            self.machine.farewell();
            let length = self.machine.transmit(&mut self.chunk);
            connection.finish(&self.chunk[..length]);
        }
    }
}

#[cfg(test)]
mod tests;
