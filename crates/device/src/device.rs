//! A device as a program uses it: its options, starting and stopping it, and reaching it while it runs.

use std::io;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use armv8m::Cycles;

use crate::application::Application;
use crate::clock::TimeScale;
use crate::debug::Debugging;
use crate::debug::gdb::GdbConnection;
use crate::entropy::{Seed, system_entropy};
use crate::events::{DeviceEvent, PinFilter};
use crate::identity::Identity;
use crate::image::Image;
use crate::machine::{DebuggerInput, Input, Machine, Provisioning, RestartPolicy, Settings};
use crate::memory_map::CYCLES_PER_MICRO;
use crate::pin::Pin;
use crate::recording::{Header, RecordedMachine, Recorder, wiring};
use crate::runner::Runner;
use crate::serial::{MAX_WAITING, Route, Serial};
use crate::stimulus::Schedule;
use crate::storage::Storage;
use crate::transport::{Address, Connector};
use crate::waker::Waker;
use crate::wiring::Attachment;

/// What a device is started with.
pub struct Options {
    /// Where its cloud listens.
    pub cloud: Address,
    /// Its identity.
    pub identity: Identity,
    /// Its application.
    pub image: Image,
    /// How soon an application that faulted restarts.
    pub restart: RestartPolicy,
    /// Report every system call.
    pub trace: bool,
    /// What is wired to the board.
    pub attachments: Vec<Attachment>,
    /// Inputs that arrive at given times of its own clock.
    pub schedule: Schedule,
    /// Where the output of serial ports goes; that of the others is reported to the observer.
    pub routes: Vec<Route>,
    /// What it is provisioned with, beside its application.
    pub provisioning: Provisioning,
    /// Debugger, symbols and traces.
    pub debugging: Debugging,
    /// Seed of its random words; they come from the host without one.
    pub seed: Option<Seed>,
    /// How many times as fast as the wall clock its time runs.
    pub time_scale: TimeScale,
    /// Which general-purpose outputs besides the user LED are reported.
    pub pins: PinFilter,
    /// Report the lines of the application's log ([`DeviceEvent::Logged`]).
    pub report_log: bool,
    /// The time of its own clock after which it stops by itself.
    pub end: Option<Duration>,
    /// Records its inputs.
    pub recorder: Option<Recorder>,
}

impl Options {
    /// A device with nothing wired to it, not traced, that behaves as its application's bundle says, and stores what
    /// survives a loss of power in the folder of its identity, if that has one.
    pub fn new(cloud: Address, identity: Identity, application: impl Into<Application>) -> Self {
        let storage = identity.folder().map(Storage::in_folder).unwrap_or_default();
        let Application { image, policy, restart, layers, .. } = application.into();
        Self {
            provisioning: Provisioning { storage, policy, layers, ..Provisioning::default() },
            cloud,
            identity,
            image,
            restart,
            trace: false,
            attachments: Vec::new(),
            schedule: Schedule::default(),
            debugging: Debugging::default(),
            seed: None,
            time_scale: TimeScale::ONE,
            pins: PinFilter::default(),
            report_log: false,
            end: None,
            recorder: None,
            routes: Vec::new(),
        }
    }

    /// The header of a recording.
    fn header(&mut self, seed: Seed) -> Header {
        let (flash, wifi) = self.provisioning.storage.content();
        Header {
            device_id: self.identity.device_id(),
            image: self.image.digest(),
            seed,
            restart: self.restart,
            policy: self.provisioning.policy,
            factory_test: self.provisioning.factory_test,
            free_clock: self.provisioning.free_clock,
            poll_scale: self.provisioning.poll_scale,
            wifi,
            flash,
            wiring: wiring(&self.attachments),
        }
    }

    /// Starts the recording, if there is a recorder; a recording needs a seed.
    fn begin_recording(&mut self) -> io::Result<Option<Recorder>> {
        let Some(mut recorder) = self.recorder.take() else { return Ok(None) };
        let seed = *self.seed.get_or_insert_with(Seed::random);
        recorder.begin(&self.header(seed))?;
        Ok(Some(recorder))
    }
}

/// A time of the device's clock in cycles.
fn cycles(time: Duration) -> Cycles {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).saturating_mul(CYCLES_PER_MICRO)
}

/// A running device. Dropping it stops it.
pub struct Device {
    remote: Remote,
    thread: Option<JoinHandle<()>>,
}

impl Device {
    /// Starts a device. `observer` is called on the device's own thread, which waits for it.
    ///
    /// # Errors
    /// The external flash, the recording or the debugger's port cannot be set up, or the operating system starts no
    /// further thread. The connection to the cloud cannot fail here: it is made later, and repeated.
    pub fn start(
        mut options: Options,
        observer: impl FnMut(DeviceEvent) + Send + 'static,
    ) -> io::Result<Self> {
        options.provisioning.install()?;
        options.provisioning.free_clock |= options.time_scale != TimeScale::ONE;
        options.provisioning.poll_scale = options.time_scale.whole();
        let recorder = options.begin_recording()?;
        let remote = Remote::new()?;
        let connector = Connector::new(&options.identity, options.cloud, remote.waker.clone())?;
        let settings = Settings {
            device_id: options.identity.device_id(),
            image: options.image,
            entropy: options.seed.map_or_else(system_entropy, Seed::entropy),
            restart: options.restart,
            trace: options.trace,
            attachments: options.attachments,
        };
        let debugging = options.debugging;
        let gdb = debugging
            .gdb
            .map(|server| server.open(remote.waker.clone()))
            .transpose()?
            .map(GdbConnection::new);
        let handed = remote.clone();
        let serial = Serial::new(options.routes, remote.shared.serial_waiting.clone());
        let thread = std::thread::Builder::new().name("device".into()).spawn(move || {
            let mut machine = Machine::with_provisioning(settings, options.provisioning);
            machine.set_symbols(debugging.symbols);
            machine.report_pins(options.pins);
            machine.report_log(options.report_log);
            if let Some(tracer) = debugging.tracer {
                machine.trace_to(tracer);
            }
            let mut machine = RecordedMachine::new(machine, recorder);
            machine.set_schedule(options.schedule);
            machine.set_end(options.end.map(cycles));
            if debugging.wait {
                machine
                    .handle(&Input::Debugger(DebuggerInput::HaltAtReset))
                    .expect("a halt is always accepted");
            }
            let mut runner = Runner::new(machine, connector, handed, serial, Box::new(observer));
            (runner.gdb, runner.scale) = (gdb, options.time_scale);
            runner.run();
        })?;
        Ok(Self { remote, thread: Some(thread) })
    }

    /// A handle by which other threads reach the device.
    pub fn remote(&self) -> Remote {
        self.remote.clone()
    }

    /// Closes the link and stops.
    pub fn stop(mut self) {
        self.remote.stop();
        self.join();
    }

    /// Waits until the device is stopped by its [`Remote`].
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
    pub(crate) waker: Waker,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    inputs: Mutex<Vec<Input<'static>>>,
    /// Bytes that serial ports have not accepted yet.
    serial_waiting: Arc<AtomicUsize>,
}

impl Remote {
    /// The remote of a device that is about to start.
    ///
    /// # Errors
    /// The operating system's, where it refuses a waker.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { waker: Waker::new()?, shared: Arc::default() })
    }

    /// Stops the device.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.waker.wake();
    }

    /// Sends bytes to the serial port with the number `port`. They wait until it is on and has room. Returns whether
    /// they were accepted: not while [`MAX_WAITING`] bytes wait already.
    pub fn send_serial(&self, port: u8, bytes: Vec<u8>) -> bool {
        let waiting = &self.shared.serial_waiting;
        if waiting.load(Ordering::SeqCst) >= MAX_WAITING {
            return false;
        }
        waiting.fetch_add(bytes.len(), Ordering::SeqCst);
        self.send(Input::Serial { port, bytes: bytes.into() });
        true
    }

    /// Drives a pin from outside.
    pub fn drive_pin(&self, pin: Pin, level: bool) {
        self.send(Input::Pin { pin, level });
    }

    /// Sets what the sensor at `address` of I2C bus `bus` measures; ignored where there is none.
    pub fn set_quantity(&self, bus: u8, address: u8, name: String, value: f64) {
        self.send(Input::Quantity { bus, address, name: name.into(), value });
    }

    fn send(&self, input: Input<'static>) {
        self.shared.inputs.lock().unwrap_or_else(PoisonError::into_inner).push(input);
        self.waker.wake();
    }

    pub(crate) fn take_inputs(&self) -> Vec<Input<'static>> {
        mem::take(&mut *self.shared.inputs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::SeqCst)
    }
}
