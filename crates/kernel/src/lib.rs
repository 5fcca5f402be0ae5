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

pub mod limits;
#[allow(dead_code, reason = "the calls that use it come next")]
mod memory;
mod port;

pub use memory::{Memory, MemoryFault};
pub use port::{Clock, Hardware, Interrupts, LinkLoss, Port};

use abi::Status;
use abi::power::WakeReason;

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

/// A rule of the link the cloud broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation(&'static str);

impl Violation {
    /// The broken rule, for people.
    pub const fn text(self) -> &'static str {
        self.0
    }
}

/// The kernel of one device.
pub struct Kernel {
    boot: Boot,
}

impl Kernel {
    /// A kernel at the start of the device: no handle exists (N09), and it wants a link of its own (N12).
    pub fn new(boot: &Boot) -> Self {
        Self { boot: boot.clone() }
    }

    /// One system call: `slot` is the branch's offset into the entry page, `args` are r0 to r3.
    pub fn call(&mut self, port: &mut Port<'_>, slot: u32, args: [u32; 4]) -> Outcome {
        let _ = (port, slot, args, &self.boot);
        Outcome::Status(Status::Unavailable)
    }

    /// Whether the port should have, or be making, a connection now. False during the pauses of back-off.
    pub fn wants_link(&self) -> bool {
        false
    }

    /// The port has started to make a connection.
    pub fn link_connecting(&mut self, _port: &mut Port<'_>) {}

    /// The connection stands: TLS is done, bytes can go both ways.
    pub fn link_connected(&mut self, _port: &mut Port<'_>) {}

    /// The attempt failed, or the connection is gone.
    pub fn link_lost(&mut self, _port: &mut Port<'_>, _cause: LinkLoss) {}

    /// Bytes from the cloud. On a violation the port closes the connection and calls [`Self::link_lost`].
    pub fn receive(&mut self, _port: &mut Port<'_>, _bytes: &[u8]) -> Result<(), Violation> {
        Ok(())
    }

    /// Fills `out` with what is to go to the cloud now, fairly among channels, and tells how many bytes; 0 is nothing.
    /// `out` must be at least [`limits::TRANSMIT_ROOM`] bytes long. What was given counts as sent.
    pub fn transmit(&mut self, _port: &mut Port<'_>, _out: &mut [u8]) -> usize {
        0
    }

    /// The moment, in microseconds since the start, at which [`Self::wake`] is due; `None` if nothing is timed.
    pub fn next_wakeup(&self) -> Option<u64> {
        None
    }

    /// Does what has become due: time-outs, back-off, and records whose line has become free (D11).
    pub fn wake(&mut self, _port: &mut Port<'_>) {}

    /// Whether records wait for a pend to be taken (D11).
    pub fn has_waiting_records(&self) -> bool {
        false
    }

    /// The handler of line `irq` was entered: its next record, if one waits, may be written (D11).
    pub fn interrupt_taken(&mut self, _port: &mut Port<'_>, _irq: u16) {}
}
