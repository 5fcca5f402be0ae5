//! A kernel and a model of the port around it, as one core.

use abi::memory::APPLICATION_RAM_START;
use abi::strings::{SizedString, SizedStringBuffer};
use abi::{Call, Status};
use kernel::{Boot, Interrupts, Kernel, LinkInput, Memory as _, Outcome, Port, Violation};
use kernel_testport::board::TestBoard;
use kernel_testport::memory::AppMemory;
use sansio::{Instant, StateMachine};

/// Bytes of the application's RAM that the simulation uses; it has no flash, because its applications have no code.
const RAM: usize = 0x1_6000;
/// Bytes in flight beyond which the port writes no more, as a socket's buffer would be full.
const BACKLOG: usize = 8192;
/// Scratch memory: arguments of one call after another.
const SCRATCH: u32 = APPLICATION_RAM_START;
const SCRATCH_END: u32 = SCRATCH + 0x6000;

/// One line of an interrupt controller.
#[derive(Debug, Default)]
pub struct Line {
    /// Whether the application uses interrupts; otherwise it polls.
    pub enabled: bool,
    /// Pended, and its handler has not run since.
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

/// A kernel from one start to the next, with its memory and its transport.
///
/// As a [`StateMachine`] it is the link side of a device: an output is what the port writes to the transport at once.
/// The application's system calls are [`KernelHost::call`]; what follows from one is polled like what follows from an
/// input.
pub struct KernelHost {
    kernel: Kernel,
    ram: AppMemory,
    /// The one line in use.
    pub line: Line,
    /// When it started, in the simulation's time.
    started: Instant,
    /// The simulation's time.
    now: Instant,
    /// The first free byte of scratch memory.
    free: u32,
    /// Bytes the transport has not delivered yet.
    in_flight: usize,
    /// Bytes the port writes at once.
    write_size: usize,
}

impl KernelHost {
    /// A device that starts now.
    pub fn new(boot: &Boot, now: Instant) -> Self {
        Self {
            kernel: Kernel::new(boot),
            ram: AppMemory::with_sizes(0, RAM),
            line: Line::default(),
            started: now,
            now,
            free: SCRATCH,
            in_flight: 0,
            write_size: 1500,
        }
    }

    /// Time has passed.
    pub fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    /// The simulation's time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The state of the transport: the bytes it has not delivered yet, and how many it takes at once.
    pub fn set_transport(&mut self, in_flight: usize, write_size: usize) {
        (self.in_flight, self.write_size) = (in_flight, write_size);
    }

    /// Runs `f` with the kernel and a port.
    pub fn with_kernel<R>(&mut self, f: impl FnOnce(&mut Kernel, &mut Port<'_>) -> R) -> R {
        let mut port = Port {
            // A device's clock starts with the device.
            now: Instant::ZERO + self.now.duration_since(self.started),
            memory: &mut self.ram,
            interrupts: &mut self.line,
            hardware: &mut TestBoard::bare(),
        };
        f(&mut self.kernel, &mut port)
    }

    /// Whether the port should have, or be making, a connection.
    pub fn wants_link(&self) -> bool {
        self.kernel.wants_link()
    }

    /// One call, its arguments in the scratch memory used since [`Self::reset_scratch`].
    pub fn call(&mut self, call: Call, args: &[u32]) -> Status {
        let mut all = [0; 4];
        all[..args.len()].copy_from_slice(args);
        match self.with_kernel(|kernel, port| kernel.call(port, call.slot(), all)) {
            Outcome::Status(status) => status,
            other => panic!("{} does {other:?}", call.name()),
        }
    }

    /// Frees the scratch memory of earlier calls.
    pub fn reset_scratch(&mut self) {
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

    /// Scratch memory for `count` bytes of output.
    pub fn allocate(&mut self, count: usize) -> u32 {
        self.put(&vec![0xee; count])
    }

    /// A text argument.
    pub fn string(&mut self, bytes: &[u8]) -> SizedString {
        SizedString { data: self.put(bytes), length: bytes.len() as u32 }
    }

    /// Scratch memory for text.
    pub fn string_buffer(&mut self, size: u32) -> SizedStringBuffer {
        SizedStringBuffer { data: self.allocate(size as usize), size, length: self.allocate(4) }
    }

    /// The text that was written there.
    pub fn read_string(&self, buffer: SizedStringBuffer) -> Vec<u8> {
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

impl StateMachine for KernelHost {
    type Time = Instant;
    type Input<'a> = LinkInput<'a>;
    type Output = Vec<u8>;
    type Error = Violation;

    const TIMEOUT: LinkInput<'static> = LinkInput::Timeout;

    fn handle(&mut self, now: Instant, input: LinkInput<'_>) -> Result<(), Violation> {
        self.set_now(now);
        self.with_kernel(|kernel, port| kernel.handle(port, input))
    }

    fn poll(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.set_now(now);
        if self.in_flight > BACKLOG {
            return None;
        }
        let mut out = vec![0; self.write_size];
        let count = self.with_kernel(|kernel, port| kernel.transmit(port, &mut out));
        out.truncate(count);
        self.in_flight += count;
        (count > 0).then_some(out)
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.kernel.next_timeout().map(|at| self.started + at.duration_since(Instant::ZERO))
    }
}
