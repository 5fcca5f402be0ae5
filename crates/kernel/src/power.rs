//! Waking. (Sleeping, restarting and the LED answer `UNAVAILABLE` so far.)

use crate::Kernel;
use crate::memory::{Output, Phase as _};
use crate::port::Port;
use abi::Status;

impl Kernel {
    /// `mvGetWakeReason`: one byte (D08), and not from a handler (D05).
    pub(crate) fn wake_reason(&self, port: &mut Port<'_>, to: u32) -> Result<(), Status> {
        if port.interrupts.in_handler() {
            return Err(Status::Unavailable);
        }
        let to = Output::<1>::claim(port.memory, to).early()?;
        to.put(port.memory, [self.boot.wake_reason.raw()]).early()
    }
}
