//! The hypervisor's core: handles, notification centres, the network, channels and the system calls.
//!
//! It does no I/O, reads no clock, draws no randomness and allocates nothing: memory, interrupts, time and randomness
//! are arguments, in [`Boot`] once and in a [`Port`] with each call. The same kernel therefore runs in a virtual
//! device, in a simulation and in the secure world of a processor. Its tables are of fixed size, named in [`limits`];
//! the bytes of messages are in the application's own ring buffers.
//!
//! Each topic has a file with its state (`network.rs`) and one with its system calls (`network/calls.rs`); `calls.rs`
//! dispatches to the latter and gives each call the tables it may touch.
//!
//! # How a port drives it
//!
//! * A branch into the call page becomes [`Kernel::call`]; the [`Outcome`] says what to do with the processor.
//! * While [`Kernel::wants_link`] is true the port makes, and keeps up, one connection to the cloud, and reports what
//!   happens to it as a [`LinkInput`] to [`Kernel::handle`]. When `wants_link` becomes false while there is a
//!   connection, the port sends what [`Kernel::transmit`] still gives (a `BYE`), closes the connection and reports
//!   [`LinkLoss::Requested`]; `wants_link` stays false until it did, even if the link is wanted again meanwhile. It
//!   does the same when `handle` returns a [`Violation`].
//! * After every entry into the kernel the port calls [`Kernel::transmit`] until it gives 0.
//! * When [`Kernel::next_timeout`] is reached, the input is [`LinkInput::Timeout`]. It is the same input after each
//!   slice of the application's run while [`Kernel::has_waiting_records`] is true, which keeps "one record, one
//!   interrupt" (D11); a port that sees handlers being entered may call [`Kernel::interrupt_taken`] instead.
//! * The port reports what only it can know: [`Kernel::application_restarted`], [`Kernel::debugger_attached`],
//!   [`Kernel::fetching_update`], [`Kernel::update_downloaded`]. It takes the messages of a factory test with
//!   [`Kernel::take_test_log`].
//! * Fast interrupts, the LED, the external flash and Wi-Fi are optional: a port that does not override the methods for
//!   them has none, and the calls that need them answer `UNAVAILABLE`.
//!
//! Terms are defined in `docs/glossary.md`.
#![no_std]
#![forbid(unsafe_code)]

mod boot;
mod calls;
mod channel;
mod channel_core;
mod config;
mod connection;
mod device;
mod flash;
mod handles;
mod http;
mod inbox;
mod interrupts;
pub mod limits;
mod logging;
mod memory;
mod mqtt;
mod network;
mod notifications;
mod opaque;
mod outbox;
mod outcome;
mod port;
mod power;
mod queue;
mod ring;
mod rng;
mod strings;
mod system;
mod time;
mod wifi;

use abi::power::WakeReason;
pub use boot::{Boot, Policy};
use channel::Channels;
pub use connection::LinkInput;
use flash::FlashHandles;
use handles::HandleAllocator;
use interrupts::FastInterrupts;
use limits::MAX_LOG_MESSAGE;
use link::DeviceLink;
pub use link::Violation;
pub use link::connection::ByeReason;
use logging::Logging;
pub use memory::{Memory, MemoryFault};
use network::Network;
use notifications::Notifications;
pub use outcome::Outcome;
pub use port::{
    Clock, ExternalFlash, FastLines, FlashFault, Hardware, Interrupts, LinkLoss, Port, Wifi, WifiNetwork,
};
use rng::Rng;
use sansio::Instant;
use system::SystemEvents;
use time::WallClock;

/// The kernel of one device.
pub struct Kernel {
    boot: Boot,
    /// Number of this start, which distinguishes it from other starts of the same device in the cloud.
    boot_id: u32,
    rng: Rng,
    handles: HandleAllocator,
    notifications: Notifications,
    network: Network,
    link: DeviceLink,
    channels: Channels,
    logging: Logging,
    test_logging: Logging,
    clock: WallClock,
    system_events: SystemEvents,
    fast_interrupts: FastInterrupts,
    flash: FlashHandles,
    /// The sender whose turn on the link is next.
    next_sender: usize,
}

impl Kernel {
    /// A kernel before the start of its device, for memory that is set up before the program runs: a kernel is too
    /// large for the stack of a small processor. It must be started by [`Self::start`] before anything else. It is all
    /// zero bytes, because a copy of its state in flash would take a quarter of what the kernel may have (D111);
    /// whatever is not zero at the start is set by [`Self::start`].
    pub const EMPTY: Self = Self {
        boot: Boot {
            device_id: [0; 34],
            seed: [0; 16],
            wake_reason: WakeReason::ColdBoot,
            image: [0; 32],
            policy: Policy { minimum_check_in_time_sec: 0, connection_grace_time_sec: 0 },
            application_test: false,
        },
        boot_id: 0,
        rng: Rng::UNSEEDED,
        handles: HandleAllocator::UNKEYED,
        notifications: Notifications::new(),
        network: Network::new(),
        link: DeviceLink::new(),
        channels: Channels::new(),
        logging: Logging::new(),
        test_logging: Logging::new(),
        clock: WallClock::new(),
        system_events: SystemEvents::new(),
        fast_interrupts: FastInterrupts::new(),
        flash: FlashHandles::new(),
        next_sender: 0,
    };

    /// A kernel at the start of the device, by value. [`Self::start`] does the same in place.
    pub fn new(boot: &Boot) -> Self {
        let mut kernel = Self::EMPTY;
        kernel.start(boot);
        kernel
    }

    /// The device starts: no handle exists (N09), and the kernel wants a link for itself (N12). Nothing remains of what
    /// this kernel was before.
    pub fn start(&mut self, boot: &Boot) {
        self.boot.clone_from(boot);
        self.rng = Rng::new(&boot.seed);
        self.boot_id = self.rng.next_u32();
        self.handles = HandleAllocator::new(&mut self.rng);
        self.notifications.start();
        self.network = Network::new();
        self.network.start(boot);
        let _ = self.link.handle(Instant::ZERO, &mut link::device::Input::Lost);
        self.channels.start();
        self.logging.start();
        self.test_logging.start();
        self.clock = WallClock::new();
        self.system_events = SystemEvents::new();
        self.fast_interrupts = FastInterrupts::new();
        self.flash = FlashHandles::new();
        self.next_sender = 0;
    }

    /// The port has restarted the application, for this reason, after a fault or on request (D73). Every handle of the
    /// application is void, its buffers are its own again, and the kernel owns the network until it is requested (N18,
    /// N19). The link stays as it is.
    pub fn application_restarted(&mut self, port: &mut Port<'_>, wake_reason: WakeReason) {
        self.boot.wake_reason = wake_reason;
        self.notifications.start();
        self.system_events.application_restarted();
        self.fast_interrupts.reset(port);
        self.flash = FlashHandles::new();
        self.channels.close_all(&mut self.link);
        self.logging.remove_buffer();
        self.test_logging.remove_buffer();
        self.network.application_restarted(wake_reason);
        self.update_network(port);
    }

    /// The port has attached a debugger to the application, or detached it. The link is kept up meanwhile, whatever the
    /// application does, because the debugger uses it (N20, N23).
    pub fn debugger_attached(&mut self, port: &mut Port<'_>, attached: bool) {
        self.network.set_debugger_attached(attached);
        self.update_network(port);
    }

    /// The port has begun to download an update, or has finished. The link is kept up meanwhile, because the download
    /// uses it (N15, N76).
    pub fn fetching_update(&mut self, port: &mut Port<'_>, fetching: bool) {
        self.network.set_fetching_update(fetching);
        self.update_network(port);
    }

    /// The port has downloaded and verified an update, which `mvRestart` will apply. Applications that have registered
    /// for it are notified, and so are those that register from now on (D103).
    pub fn update_downloaded(&mut self, port: &mut Port<'_>) {
        self.system_events.update_downloaded(&mut self.notifications, port);
    }

    /// Makes the time of day follow the port's time, once the cloud has sent it: the port's time runs at another speed
    /// than the cloud's (D141). To be called again after each start of the kernel.
    pub fn run_clock_free(&mut self) {
        self.clock.run_free();
    }

    /// The next message of a factory test for the factory's console: when it was posted, and how many bytes of `text`
    /// it fills. The port takes messages whenever the console has room.
    pub fn take_test_log(
        &mut self,
        port: &mut Port<'_>,
        text: &mut [u8; MAX_LOG_MESSAGE as usize],
    ) -> Option<(Instant, usize)> {
        let (head, length) = self.test_logging.next()?;
        self.test_logging.send(port.memory, &mut text[..length]);
        // This cannot fail, since the message has just been sent.
        let _ = self.test_logging.acknowledge(head.sequence);
        Some((head.clock, length))
    }

    /// Whether the cloud has yet to send `WELCOME` or `PONG`, which the link calls late after a while.
    pub fn awaits_cloud(&self) -> bool {
        self.network.has_connection() && (!self.network.is_open() || self.link.awaits_pong())
    }

    /// Whether the port should have, or be making, a connection now. False during the pauses of back-off, and from the
    /// moment a connection is to end until the port has reported its end.
    pub fn wants_link(&self) -> bool {
        self.network.wants_link(self.clock.is_set())
    }

    /// Why the cloud ended the last connection, if it said so: for the port to report. Taken once.
    pub fn take_bye(&mut self) -> Option<ByeReason> {
        self.network.take_bye()
    }

    /// When [`LinkInput::Timeout`] is due at the latest; `None` if nothing is timed. Records that wait for an interrupt
    /// are not in it, because it is not time that they wait for: see [`Self::has_waiting_records`].
    pub fn next_timeout(&self) -> Option<Instant> {
        [self.network.next_timeout(), self.next_link_timeout()].into_iter().flatten().min()
    }

    /// Whether notification records wait for an interrupt to be taken (D11).
    pub fn has_waiting_records(&self) -> bool {
        self.notifications.has_pending()
    }

    /// The handler of interrupt `irq` was entered, so that the next record that waits for it may be written (D11). The
    /// controller must no longer show the interrupt as pending.
    pub fn interrupt_taken(&mut self, port: &mut Port<'_>, irq: u16) {
        if self.notifications.uses_irq(irq) {
            self.notifications.deliver_pending(port);
        }
    }
}
