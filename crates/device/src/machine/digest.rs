//! The state of a machine in a few bytes, by which two are compared.

use armv8m::Register;
use ring::digest::Context;

use super::Machine;
use crate::memory_map::{RAM, length};

impl Machine {
    /// Adds time, processor registers and RAM to a digest. The state of peripherals and kernel is not in it: a
    /// difference shows in the others as soon as the application reads it.
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
