//! The hypervisor's mind: handles, notification centres, the network, channels and the system calls.
//!
//! It does no I/O, reads no clock, draws no randomness and allocates nothing: memory, interrupts, time and chance come
//! in as arguments, in [`Boot`] once and in a [`Port`] with each entry. The same kernel therefore runs in a virtual
//! device, in a simulation and in the secure world of a processor. Its tables are of fixed size, named in [`limits`];
//! the bytes of messages lie in the application's own rings.
//!
//! # How a port drives it
//!
//! * A branch to the entry page becomes [`Kernel::call`]; the [`Outcome`] says what to do with the processor.
//! * While [`Kernel::wants_link`] is true the port makes, and keeps up, one connection to the cloud, and reports what
//!   happens to it as a [`LinkInput`] to [`Kernel::handle`]. When `wants_link` becomes false while there is a connection,
//!   the port sends what [`Kernel::transmit`] still gives (a `BYE`), closes the connection and reports
//!   [`LinkLoss::Requested`]; `wants_link` stays false until it did, even if the link is wanted again meanwhile. It does
//!   the same when `handle` returns a [`Violation`].
//! * After every entry into the kernel the port calls [`Kernel::transmit`] until it gives 0.
//! * When [`Kernel::next_timeout`] is reached, the input is [`LinkInput::Timeout`]. It is the same input after each slice
//!   of the application's run while [`Kernel::has_waiting_records`] is true, which keeps "one record, one interrupt"
//!   (D11); a port that sees handlers being entered may call [`Kernel::interrupt_taken`] instead.
//! * What only the port can know it says: [`Kernel::application_restarted`], [`Kernel::debugger_attached`],
//!   [`Kernel::fetching_update`], [`Kernel::update_downloaded`]. What a factory test posts it takes with
//!   [`Kernel::take_test_log`].
//! * What a device does not have it leaves out: the traits of fast lines, the LED, the external flash and Wi-Fi are
//!   there by default nowhere, and the calls that need them answer `UNAVAILABLE`.
//!
//! Terms are defined in `docs/glossary.md`.
#![no_std]
#![forbid(unsafe_code)]

mod calls;
mod channel;
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
mod port;
mod power;
mod queue;
mod ring;
mod strings;
mod system;
mod time;
mod wifi;

use abi::Status;
use abi::power::{DeepSleepMode, PowerSavingMode, WakeReason};
use channel::Channels;
pub use connection::LinkInput;
use flash::FlashHandles;
use handles::{Chance, Handles};
use interrupts::FastInterrupts;
use link::DeviceLink;
pub use link::Violation;
use logging::Logging;
pub use memory::{Memory, MemoryFault};
use network::Network;
use notifications::Notifications;
pub use port::{
    Clock, ExternalFlash, FastLines, FlashFault, Hardware, Interrupts, LinkLoss, Port, Wifi, WifiNetwork,
};
use sansio::Instant;
use system::SystemEvents;
use time::WallClock;

/// What the kernel is told once, when the device starts.
#[derive(Clone, Debug)]
pub struct Boot {
    /// The device's identifier: `UV` and 32 hexadecimal digits.
    pub device_id: [u8; 34],
    /// Chance from outside, different at every start: handles, back-off and the start's own number come from it.
    pub seed: [u8; 16],
    /// Why the device, or the application, was started.
    pub wake_reason: WakeReason,
    /// SHA-256 of the application image; zero if there is none.
    pub image: [u8; 32],
    /// What the application's bundle says of the network.
    pub policy: Policy,
    /// Whether the application is a factory test: only there do the calls of tests work (D107).
    pub application_test: bool,
}

/// The bundle's connectivity policy. All zero, as in a bundle that says nothing, it grants no grace and asks for
/// check-ins at the kernel's own pace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Longest time without a connection, seconds: then the kernel connects by itself (N16). 0 is
    /// [`limits::DEFAULT_CHECK_IN_INTERVAL`] (D104).
    pub minimum_check_in_time_sec: u32,
    /// How long the link stays after the application has released it, seconds (D24).
    pub connection_grace_time_sec: u32,
}

/// What the port does with the processor after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Return to the caller with this status in r0.
    Status(Status),
    /// Save power until an interrupt the application has enabled is pending, going on to drive the kernel as usual;
    /// then return to the caller with `OKAY`.
    Sleep {
        /// How deeply.
        mode: PowerSavingMode,
    },
    /// Save all the power there is to save: RAM is lost, and the device starts anew at its next reason to wake. That
    /// is a cold boot after a shutdown, and one of the `DEEPSLEEP` reasons after standby.
    DeepSleep {
        /// How deeply.
        mode: DeepSleepMode,
        /// When to wake at the latest, as [`WakeReason::DeepSleepCheckIn`] (N16).
        check_in_at: Instant,
    },
    /// Apply the update that waits, if one does, and start the application or the device anew.
    Restart,
    /// The factory test is over: never return to it. With 0 the final application is to be installed if there is one;
    /// with anything else nothing runs until the next reset, which repeats the test.
    TestingComplete {
        /// 0 for passed.
        status: u32,
    },
    /// The application branched to where no call is: an application fault (D07).
    Fault,
}

/// The kernel of one device.
pub struct Kernel {
    boot: Boot,
    /// This start's own number, by which the cloud tells one start from the next.
    start: u32,
    chance: Chance,
    handles: Handles,
    notifications: Notifications,
    network: Network,
    link: DeviceLink,
    channels: Channels,
    logging: Logging,
    test_logging: Logging,
    clock: WallClock,
    system: SystemEvents,
    fast: FastInterrupts,
    flash: FlashHandles,
    /// Whose turn it is on the wire.
    turn: usize,
}

impl Kernel {
    /// A kernel before the start of its device, for memory that is set up before the program runs. It is good for
    /// nothing but [`Self::start`]; a kernel is too large for the stacks of small processors. It is all zero bytes, so
    /// that it takes no flash (D111): whatever is not zero at the start is set by [`Self::start`].
    pub const EMPTY: Self = Self {
        boot: Boot {
            device_id: [0; 34],
            seed: [0; 16],
            wake_reason: WakeReason::ColdBoot,
            image: [0; 32],
            policy: Policy { minimum_check_in_time_sec: 0, connection_grace_time_sec: 0 },
            application_test: false,
        },
        start: 0,
        chance: Chance::UNSEEDED,
        handles: Handles::UNKEYED,
        notifications: Notifications::new(),
        network: Network::new(),
        link: DeviceLink::new(),
        channels: Channels::new(),
        logging: Logging::new(),
        test_logging: Logging::new(),
        clock: WallClock::new(),
        system: SystemEvents::new(),
        fast: FastInterrupts::new(),
        flash: FlashHandles::new(),
        turn: 0,
    };

    /// A kernel at the start of the device, by value. [`Self::start`] does the same in place.
    pub fn new(boot: &Boot) -> Self {
        let mut kernel = Self::EMPTY;
        kernel.start(boot);
        kernel
    }

    /// The device starts: no handle exists (N09), and the kernel wants a link of its own (N12). Whatever this kernel was
    /// before is forgotten, an earlier device's start included.
    pub fn start(&mut self, boot: &Boot) {
        self.boot.clone_from(boot);
        self.chance = Chance::new(&boot.seed);
        self.start = self.chance.word();
        self.handles = Handles::new(&mut self.chance);
        self.notifications.start();
        self.network = Network::new();
        self.network.start(boot);
        let _ = self.link.handle(Instant::ZERO, &mut link::device::Input::Lost);
        self.channels.start();
        self.logging.start();
        self.test_logging.start();
        self.clock = WallClock::new();
        self.system = SystemEvents::new();
        self.fast = FastInterrupts::new();
        self.flash = FlashHandles::new();
        self.turn = 0;
    }

    /// The port has started the application anew, for this reason, after a fault or on request (D73). Every handle of the
    /// application is void, its buffers are its own again, and the kernel owns the network until it is asked for (N18,
    /// N19). The link stays as it is.
    pub fn application_restarted(&mut self, port: &mut Port<'_>, wake_reason: WakeReason) {
        self.boot.wake_reason = wake_reason;
        self.notifications.start();
        self.system.application_restarted();
        self.fast.give_back(port);
        self.flash = FlashHandles::new();
        self.forget_channels();
        self.logging.give_up_buffer();
        self.test_logging.give_up_buffer();
        self.network.application_restarted(wake_reason);
        self.settle_network(port);
    }

    /// The port's time is not that of the cloud's world: the time of day is taken from the cloud once, and goes on by the
    /// port's time (D141). To be said again after each start of the kernel.
    pub fn run_clock_free(&mut self) {
        self.clock.run_free();
    }

    /// Whether the cloud owes an answer that is late after a while: `WELCOME` or `PONG`.
    pub fn awaits_cloud(&self) -> bool {
        self.network.has_connection() && (!self.network.is_open() || self.link.awaits_pong())
    }

    /// Whether the port should have, or be making, a connection now. False during the pauses of back-off, and from the
    /// moment a connection is to end until the port has said that it has ended.
    pub fn wants_link(&self) -> bool {
        self.network.wants_link(self.clock.is_set())
    }

    /// When [`LinkInput::Timeout`] is due at the latest; `None` if nothing is timed. Records that wait for an interrupt
    /// are not in it, because it is not time that they wait for: see [`Self::has_waiting_records`].
    pub fn next_timeout(&self) -> Option<Instant> {
        [self.network.next_timeout(), self.connection_timeout()].into_iter().flatten().min()
    }

    /// Whether records wait for a pend to be taken (D11).
    pub fn has_waiting_records(&self) -> bool {
        self.notifications.has_waiting()
    }

    /// The handler of line `irq` was entered: its next record, if one waits, may be written (D11). The controller must
    /// no longer show the line as pending.
    pub fn interrupt_taken(&mut self, port: &mut Port<'_>, irq: u16) {
        if self.notifications.uses(irq) {
            self.notifications.advance(port);
        }
    }
}
