//! The kernel for `thumbv8m.main-none-eabi`, with the smallest possible port: an address is an address.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

#[cfg(target_os = "none")]
mod entry {
    #![allow(
        unsafe_code,
        reason = "a port turns addresses into memory, and the functions need names that the measuring program finds"
    )]

    use core::cell::UnsafeCell;
    use core::mem::MaybeUninit;

    use abi::power::WakeReason;
    use kernel::{
        Boot, Clock, Hardware, Interrupts, Kernel, LinkInput, LinkLoss, Memory, MemoryFault, Outcome, Policy,
        Port, Violation,
    };
    use sansio::Instant;

    /// The application's memory. The kernel has checked every address against the memory map.
    struct Direct;

    impl Memory for Direct {
        fn read(&self, address: u32, into: &mut [u8]) -> Result<(), MemoryFault> {
            // SAFETY: the kernel reads only runs inside the application's flash and RAM, which are mapped for as long
            // as the program runs and overlap nothing of its own.
            unsafe {
                core::ptr::copy_nonoverlapping(address as *const u8, into.as_mut_ptr(), into.len());
            }
            Ok(())
        }

        fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), MemoryFault> {
            // SAFETY: as above; the run is inside the application's RAM.
            unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, bytes.len()) }
            Ok(())
        }

        fn write_words(&mut self, words: &[(u32, u32)]) -> Result<(), MemoryFault> {
            for (address, value) in words {
                // SAFETY: as above.
                unsafe { core::ptr::write_unaligned(*address as *mut u32, *value) }
            }
            Ok(())
        }

        fn copy(&mut self, from: u32, to: u32, count: u32) -> Result<(), MemoryFault> {
            // SAFETY: as above; the second run is inside the application's RAM.
            unsafe { core::ptr::copy(from as *const u8, to as *mut u8, count as usize) }
            Ok(())
        }
    }

    /// Interrupts that are never pending, so that records are delivered at once.
    struct IdleInterrupts;

    impl Interrupts for IdleInterrupts {
        fn pend(&mut self, _irq: u16) {}
        fn is_enabled(&self, _irq: u16) -> bool {
            true
        }
        fn is_pending(&self, _irq: u16) -> bool {
            false
        }
        fn in_handler(&self) -> bool {
            false
        }
    }

    struct NoHardware;

    impl Hardware for NoHardware {
        fn clock_hz(&self, _clock: Clock) -> u32 {
            160_000_000
        }
        fn peek(&mut self, _register: u32) -> Option<u32> {
            None
        }
        fn poke(&mut self, _register: u32, _mask: u32, _xor: u32) -> bool {
            false
        }
    }

    /// The kernel's state, in memory that is zero before the program runs and takes no flash (D111).
    static KERNEL: Static<Kernel> = Static(UnsafeCell::new(Kernel::EMPTY));

    /// The port, made once: to make one for each call would be counted as the kernel's cost.
    static PORT: Static<MaybeUninit<Port<'static>>> = Static(UnsafeCell::new(MaybeUninit::uninit()));

    /// A variable of the only thread.
    struct Static<T>(UnsafeCell<T>);

    // SAFETY: one thread runs, and nothing interrupts it.
    unsafe impl<T> Sync for Static<T> {}

    impl<T> Static<T> {
        fn get(&self) -> &'static mut T {
            // SAFETY: each function below takes one reference, which is gone when the next function is called.
            unsafe { &mut *self.0.get() }
        }
    }

    /// Sets the time of the following calls; reading a clock is the port's cost.
    #[unsafe(no_mangle)]
    extern "C" fn port_set_time(now: u32) {
        // SAFETY: the device has started, with a port.
        unsafe { PORT.get().assume_init_mut() }.now = Instant::from_micros(now.into());
    }

    fn enter<R>(f: impl FnOnce(&mut Kernel, &mut Port<'_>) -> R) -> R {
        // SAFETY: the device has started, with a port.
        let port = unsafe { PORT.get().assume_init_mut() };
        f(KERNEL.get(), port)
    }

    fn link(input: LinkInput<'_>) -> Result<(), Violation> {
        enter(|kernel, port| kernel.handle(port, input))
    }

    /// Starts the kernel.
    #[unsafe(no_mangle)]
    extern "C" fn kernel_start(seed: &[u8; 16], image: &[u8; 32]) {
        let boot = Boot {
            device_id: *b"UV00112233445566778899aabbccddeeff",
            seed: *seed,
            wake_reason: WakeReason::ColdBoot,
            image: *image,
            policy: Policy::default(),
            application_test: false,
        };
        static MEMORY: Static<Direct> = Static(UnsafeCell::new(Direct));
        static LINES: Static<IdleInterrupts> = Static(UnsafeCell::new(IdleInterrupts));
        static HARDWARE: Static<NoHardware> = Static(UnsafeCell::new(NoHardware));
        let (memory, interrupts, hardware) = (MEMORY.get(), LINES.get(), HARDWARE.get());
        PORT.get().write(Port { now: Instant::ZERO, memory, interrupts, hardware });
        KERNEL.get().start(&boot);
    }

    /// Makes a system call; an outcome that is no status is all ones.
    #[unsafe(no_mangle)]
    extern "C" fn kernel_call(slot: u32, args: &[u32; 4]) -> u32 {
        let outcome = enter(|kernel, port| kernel.call(port, slot, *args));
        if let Outcome::Status(status) = outcome { status.raw() } else { u32::MAX }
    }

    /// Reports a connection.
    #[unsafe(no_mangle)]
    extern "C" fn kernel_connected() {
        let _ = link(LinkInput::Connecting);
        let _ = link(LinkInput::Connected);
    }

    /// Reports the end of the connection.
    #[unsafe(no_mangle)]
    extern "C" fn kernel_lost() {
        let _ = link(LinkInput::Lost(LinkLoss::Unreachable));
    }

    /// Receives bytes from the cloud; 1 if they are a violation.
    #[unsafe(no_mangle)]
    extern "C" fn kernel_receive(bytes: &Buffer) -> u32 {
        let bytes = &bytes.bytes[..(bytes.length as usize).min(BUFFER)];
        u32::from(link(LinkInput::Received(bytes)).is_err())
    }

    /// Writes bytes for the cloud, and their number.
    #[unsafe(no_mangle)]
    extern "C" fn kernel_transmit(out: &mut Buffer) {
        out.length = enter(|kernel, port| kernel.transmit(port, &mut out.bytes)) as u32;
    }

    /// Handles a timeout. The result only keeps the functions in the program.
    #[unsafe(no_mangle)]
    extern "C" fn kernel_timeout() -> u32 {
        let _ = link(LinkInput::Timeout);
        let kernel = KERNEL.get();
        u32::from(kernel.wants_link()) | kernel.next_timeout().unwrap_or_default().as_micros() as u32
    }

    const BUFFER: usize = 4096;

    /// Bytes, with their number before them.
    #[repr(C)]
    struct Buffer {
        length: u32,
        bytes: [u8; BUFFER],
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        loop {
            core::hint::spin_loop();
        }
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    println!("this program is for thumbv8m.main-none-eabi; cargo xtask cost builds and runs it");
}
