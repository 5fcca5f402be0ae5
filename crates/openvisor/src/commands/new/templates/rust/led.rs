//! The user LED on PA5.

use openvisor_app::processor::{read, write};
use openvisor_app::{logging, sys};

/// The clock controller is shared with the hypervisor and accessed through it; the GPIO bank is not shared.
const RCC_AHB2ENR1: u32 = 0x4602_0C8C;
const GPIOA_CLOCK: u32 = 1;
const GPIOA_MODER: usize = 0x4202_0000;
const GPIOA_ODR: usize = 0x4202_0014;
const GPIOA_BSRR: usize = 0x4202_0018;
const PIN: u32 = 5;
const OUTPUT: u32 = 1;

/// Enables the clock of GPIO bank A, makes the pin an output, and turns the LED off.
pub fn start() {
    // SAFETY: numbers only.
    let status = unsafe { sys::mvPeriphPoke32(RCC_AHB2ENR1, GPIOA_CLOCK, GPIOA_CLOCK) };
    logging::check("mvPeriphPoke32", status);
    // SAFETY: the bank's mode register, which nothing else uses.
    unsafe {
        let others = read(GPIOA_MODER) & !(3 << (2 * PIN));
        write(GPIOA_MODER, others | (OUTPUT << (2 * PIN)));
    }
    set(false);
}

/// Turns it on or off. The low half of BSRR sets pins, the high half resets them.
pub fn set(on: bool) {
    // SAFETY: changes one pin.
    unsafe { write(GPIOA_BSRR, 1 << if on { PIN } else { PIN + 16 }) };
}

/// Whether it is on.
pub fn is_lit() -> bool {
    // SAFETY: reading the output register has no effect.
    unsafe { read(GPIOA_ODR) & 1 << PIN != 0 }
}
