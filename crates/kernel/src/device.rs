//! The device itself: its identifier, its clock frequencies, and the registers that are reached by call only.

use abi::Status;

use crate::boot::Boot;
use crate::memory::{OutParam, Phase as _, Span};
use crate::port::{Clock, Port};

/// `mvGetDeviceId`. The length must be exactly that of the identifier.
pub(crate) fn id(boot: &Boot, port: &mut Port<'_>, to: u32, length: u32) -> Result<(), Status> {
    let to = Span::writable(to, length).early()?;
    if to.length() as usize != boot.device_id.len() {
        return Err(Status::InvalidBufferSize);
    }
    port.memory.write(to.address(), &boot.device_id).early()
}

/// `mvGetSysClk`, `mvGetHClk`, `mvGetPClk1`, `mvGetPClk2`.
pub(crate) fn clock_hz(port: &mut Port<'_>, clock: Clock, to: u32) -> Result<(), Status> {
    let to = OutParam::check(port.memory, to).early()?;
    to.write_u32(port.memory, port.hardware.clock_hz(clock)).early()
}

/// `mvPeriphPeek32`.
pub(crate) fn peek(port: &mut Port<'_>, register: u32, to: u32) -> Result<(), Status> {
    let to = OutParam::check(port.memory, to).early()?;
    let value = check_aligned(register).and_then(|register| port.hardware.peek(register));
    to.write_u32(port.memory, value.ok_or(Status::PeripheralAccessFault)?).early()
}

/// `mvPeriphPoke32`.
pub(crate) fn poke(port: &mut Port<'_>, register: u32, mask: u32, xor: u32) -> Result<(), Status> {
    let is_done = check_aligned(register).is_some_and(|register| port.hardware.poke(register, mask, xor));
    if is_done { Ok(()) } else { Err(Status::PeripheralAccessFault) }
}

fn check_aligned(register: u32) -> Option<u32> {
    register.is_multiple_of(4).then_some(register)
}
