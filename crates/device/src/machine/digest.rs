//! The state of a machine in a few bytes, to see whether two are alike.

use armv8m::Register;
use ring::digest::Context;

use super::Machine;
use crate::memory_map::{RAM, length};

impl Machine {
    /// Adds time, processor registers and RAM to a digest. What peripherals and the kernel hold is not in it; it shows
    /// there as soon as the application looks.
    pub fn digest_into(&self, context: &mut Context) {
        context.update(&self.now().to_le_bytes());
        context.update(&self.instructions().to_le_bytes());
        for register in registers() {
            context.update(&self.cpu.register(register).to_le_bytes());
        }
        context.update(self.cpu.memory(RAM.start, length(&RAM)).unwrap_or_default());
    }
}

/// The registers a digest covers, and by which a recording numbers them.
pub(crate) fn registers() -> impl Iterator<Item = Register> {
    use Register as R;
    let special = [
        R::Xpsr,
        R::Msp,
        R::Psp,
        R::Msplim,
        R::Psplim,
        R::Primask,
        R::Basepri,
        R::Faultmask,
        R::Control,
        R::Fpscr,
    ];
    (0..16).map(R::R).chain((0..32).map(R::S)).chain(special)
}
