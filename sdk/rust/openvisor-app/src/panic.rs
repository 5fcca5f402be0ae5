//! A panic as a readable crash: its message as the last line of the log, then a fault whose report has the backtrace.
//! A test may end by it with success.

use core::arch::asm;
use core::panic::PanicInfo;

use crate::{logging, testing};

#[panic_handler]
fn panic(information: &PanicInfo<'_>) -> ! {
    let message = information.message();
    match information.location() {
        Some(place) => {
            logging::formatted(format_args!("panic at {}:{}: {message}", place.file(), place.line()));
        }
        None => logging::formatted(format_args!("panic: {message}")),
    }
    testing::panicked(&message);
    // SAFETY: an undefined instruction: the application ends here.
    unsafe { asm!("udf #1", options(noreturn)) }
}
