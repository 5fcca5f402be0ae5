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
//! * While [`Kernel::wants_link`] is true the port makes, and keeps, one connection to the cloud. It tells
//!   [`Kernel::link_connecting`] when it starts, [`Kernel::link_connected`] when TLS stands, and [`Kernel::link_lost`]
//!   when the attempt failed or the connection is gone. When it turns false while a connection stands, the port sends
//!   what [`Kernel::transmit`] still gives (a farewell), closes the connection and calls `link_lost` with
//!   [`LinkLoss::Asked`]; `wants_link` stays false until it did, even if the link is wanted again meanwhile.
//! * Bytes from the cloud go to [`Kernel::receive`]. If it refuses them the port does as above.
//! * After anything that entered the kernel, [`Kernel::transmit`] is asked until it gives 0.
//! * [`Kernel::wake`] is called when [`Kernel::next_wakeup`] is reached, and after each slice of the application's run
//!   while [`Kernel::has_waiting_records`] is true. The second keeps "one record, one interrupt" (D11): a port that
//!   sees handlers being entered may call [`Kernel::interrupt_taken`] instead; calling either too often is harmless.
#![no_std]
#![forbid(unsafe_code)]

mod calls;
mod channel;
mod config;
mod connection;
mod device;
mod handles;
mod http;
mod inbox;
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
mod time;

pub use link::Violation;
pub use memory::{Memory, MemoryFault};
pub use port::{Clock, Hardware, Interrupts, LinkLoss, Port};

use abi::Status;
use abi::power::WakeReason;
use channel::Channels;
use handles::{Chance, Handles};
use link::device::Session;
use logging::Logging;
use network::Network;
use notifications::Notifications;
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
}

/// What the port does with the processor after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Return to the caller with this status in r0.
    Status(Status),
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
    session: Session,
    channels: Channels,
    logging: Logging,
    clock: WallClock,
    /// Whose turn it is on the wire.
    turn: usize,
}

impl Kernel {
    /// A kernel at the start of the device: no handle exists (N09), and it wants a link of its own (N12).
    pub fn new(boot: &Boot) -> Self {
        let mut chance = Chance::new(&boot.seed);
        Self {
            start: chance.word(),
            handles: Handles::new(&mut chance),
            chance,
            notifications: Notifications::new(),
            network: Network::new(boot.wake_reason, &boot.image),
            session: Session::new(),
            channels: Channels::new(),
            logging: Logging::new(),
            clock: WallClock::new(),
            turn: 0,
            boot: boot.clone(),
        }
    }

    /// The port has started the application anew, for this reason, after a fault or on request (D73). Every handle of the
    /// application is void, its buffers are its own again, and the kernel owns the network until it is asked for (N18,
    /// N19). The link stays as it is.
    pub fn application_restarted(&mut self, port: &mut Port<'_>, wake_reason: WakeReason) {
        self.boot.wake_reason = wake_reason;
        self.notifications = Notifications::new();
        self.forget_channels();
        self.logging.give_up_buffer();
        self.network.application_restarted(wake_reason);
        self.settle_network(port);
    }

    /// Whether the port should have, or be making, a connection now. False during the pauses of back-off, and from the
    /// moment a connection is to end until the port has said that it has ended.
    pub fn wants_link(&self) -> bool {
        self.network.wants_link(self.clock.is_set())
    }

    /// The moment, in microseconds since the start, at which [`Self::wake`] is due; `None` if nothing is timed. Records
    /// that wait for their line are not in it: see [`Self::has_waiting_records`].
    pub fn next_wakeup(&self) -> Option<u64> {
        [self.network.next_wakeup(), self.connection_wakeup()].into_iter().flatten().min()
    }

    /// Does what has become due: time-outs, back-off, and records whose line has become free (D11). To be followed by
    /// [`Self::transmit`], as every entry is.
    pub fn wake(&mut self, port: &mut Port<'_>) {
        self.wake_connection(port);
        self.wake_network(port);
        self.notifications.advance(port);
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
