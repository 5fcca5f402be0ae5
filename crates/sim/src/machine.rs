//! A kernel and the model port around it.

use abi::memory::APPLICATION_RAM_START;
use abi::strings::{SizedString, SizedStringBuffer};
use abi::{Call, Status};
use kernel::{Boot, Clock, Hardware, Interrupts, Kernel, LinkInput, Memory, MemoryFault, Outcome, Port};
use sansio::Instant;

/// The application's memory as far as it is used, bytes.
const RAM: usize = 0x1_6000;
/// What is used anew for each call lies here.
const SCRATCH: u32 = APPLICATION_RAM_START;
const SCRATCH_END: u32 = SCRATCH + 0x6000;

/// RAM without flash: an application of the simulation has no code to keep there.
struct Ram(Vec<u8>);

impl Ram {
    fn place(&self, address: u32, length: usize) -> Result<std::ops::Range<usize>, MemoryFault> {
        let start = address.checked_sub(APPLICATION_RAM_START).ok_or(MemoryFault)? as usize;
        let end = start.checked_add(length).filter(|end| *end <= self.0.len()).ok_or(MemoryFault)?;
        Ok(start..end)
    }
}

impl Memory for Ram {
    fn read(&self, address: u32, into: &mut [u8]) -> Result<(), MemoryFault> {
        into.copy_from_slice(&self.0[self.place(address, into.len())?]);
        Ok(())
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), MemoryFault> {
        let place = self.place(address, bytes.len())?;
        self.0[place].copy_from_slice(bytes);
        Ok(())
    }
}

/// One line of an interrupt controller.
#[derive(Debug, Default)]
pub struct Line {
    /// Whether the application is interrupted at all; else it polls.
    pub enabled: bool,
    /// Pended, and not taken since.
    pub pending: bool,
}

impl Interrupts for Line {
    fn pend(&mut self, _irq: u16) {
        self.pending = true;
    }
    fn is_enabled(&self, _irq: u16) -> bool {
        self.enabled
    }
    fn is_pending(&self, _irq: u16) -> bool {
        self.pending
    }
    fn in_handler(&self) -> bool {
        false
    }
}

struct NoHardware;

impl Hardware for NoHardware {
    fn clock_hz(&self, _clock: Clock) -> u32 {
        1
    }
    fn peek(&mut self, _register: u32) -> Option<u32> {
        None
    }
    fn poke(&mut self, _register: u32, _mask: u32, _xor: u32) -> bool {
        false
    }
}

/// A device from one start to the next.
pub struct Machine {
    kernel: Kernel,
    ram: Ram,
    /// The one line in use.
    pub line: Line,
    /// When it started, in the simulation's time.
    started: u64,
    /// The simulation's time.
    now: u64,
    free: u32,
}

impl Machine {
    /// A device that starts now.
    pub fn new(boot: &Boot, now: u64) -> Self {
        let kernel = Kernel::new(boot);
        Self { kernel, ram: Ram(vec![0; RAM]), line: Line::default(), started: now, now, free: SCRATCH }
    }

    /// Time has passed.
    pub fn set_now(&mut self, now: u64) {
        self.now = now;
    }

    /// The simulation's time.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Runs `f` with the kernel and a port.
    pub fn enter<R>(&mut self, f: impl FnOnce(&mut Kernel, &mut Port<'_>) -> R) -> R {
        let mut port = Port {
            now: Instant::from_micros(self.now - self.started),
            memory: &mut self.ram,
            interrupts: &mut self.line,
            hardware: &mut NoHardware,
        };
        f(&mut self.kernel, &mut port)
    }

    /// Whether the port should have, or be making, a connection.
    pub fn wants_link(&self) -> bool {
        self.kernel.wants_link()
    }

    /// When the kernel needs a timeout, in the simulation's time.
    pub fn next_timeout(&self) -> Option<u64> {
        self.kernel.next_timeout().map(|at| self.started + at.as_micros())
    }

    /// An input that cannot fail.
    ///
    /// # Panics
    /// If it fails nevertheless.
    pub fn link(&mut self, input: LinkInput<'_>) {
        self.enter(|kernel, port| kernel.handle(port, input))
            .expect("only received bytes can be a violation");
    }

    /// One call, its arguments in the scratch memory used since [`Self::fresh`].
    pub fn call(&mut self, call: Call, args: &[u32]) -> Status {
        let mut all = [0; 4];
        all[..args.len()].copy_from_slice(args);
        match self.enter(|kernel, port| kernel.call(port, call.slot(), all)) {
            Outcome::Status(status) => status,
            other => panic!("{} does {other:?}", call.name()),
        }
    }

    /// Forgets what the last calls left in scratch memory.
    pub fn fresh(&mut self) {
        self.free = SCRATCH;
    }

    /// Puts bytes in scratch memory.
    pub fn put(&mut self, bytes: &[u8]) -> u32 {
        let at = self.free.next_multiple_of(8);
        self.free = at + bytes.len() as u32;
        assert!(self.free <= SCRATCH_END, "an application uses too much scratch memory");
        self.set(at, bytes);
        at
    }

    /// Room for `count` bytes.
    pub fn room(&mut self, count: usize) -> u32 {
        self.put(&vec![0xee; count])
    }

    /// Text to be read.
    pub fn string(&mut self, bytes: &[u8]) -> SizedString {
        SizedString { data: self.put(bytes), length: bytes.len() as u32 }
    }

    /// Room for text.
    pub fn string_room(&mut self, size: u32) -> SizedStringBuffer {
        SizedStringBuffer { data: self.room(size as usize), size, length: self.room(4) }
    }

    /// What was put there.
    pub fn string_in(&self, buffer: SizedStringBuffer) -> Vec<u8> {
        self.bytes(buffer.data, self.u32(buffer.length) as usize)
    }

    /// A number in memory.
    pub fn u32(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    /// Bytes in memory.
    pub fn bytes(&self, at: u32, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.ram.read(at, &mut bytes).expect("an application reads its own memory");
        bytes
    }

    /// The same, of a known size.
    pub fn array<const N: usize>(&self, at: u32) -> [u8; N] {
        self.bytes(at, N).try_into().expect("as many as asked for")
    }

    /// What the application itself writes.
    pub fn set(&mut self, at: u32, bytes: &[u8]) {
        self.ram.write(at, bytes).expect("an application writes its own memory");
    }
}
