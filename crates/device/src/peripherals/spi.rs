//! SPI controllers, with what is wired to them. A frame is exchanged the moment there is one to send and room for the
//! one that is received; with nothing wired the line from the other side reads zero. Only the controller's side
//! (master) is modelled, without CRC and without timing.

use std::collections::VecDeque;

use armv8m::Cycles;

use super::{BoardSignal, Context, Lines, Peripheral, RegisterWrite, Requests};

/// What differs between the controllers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Name in the reference manual.
    pub name: &'static str,
    /// First register.
    pub base: u32,
    /// Interrupt line.
    pub line: u16,
    /// Number, as in its name.
    pub number: u8,
    /// Bytes each of its FIFOs holds.
    pub fifo: usize,
    /// Its request to be read; the one to be written is the next.
    pub receive_request: u8,
}

/// The controllers of the STM32U585.
pub const BUSES: [Kind; 3] = [
    Kind { name: "SPI2", base: 0x4000_3800, line: 60, number: 2, fifo: 16, receive_request: 8 },
    Kind { name: "SPI1", base: 0x4001_3000, line: 59, number: 1, fifo: 16, receive_request: 6 },
    Kind { name: "SPI3", base: 0x4600_2000, line: 99, number: 3, fifo: 8, receive_request: 10 },
];

/// Something wired to a controller.
pub trait SpiDevice: Send {
    /// Exchanges a frame while it is selected: takes the one sent and returns the one received.
    fn exchange(&mut self, frame: u32) -> u32;
    /// Its chip select changes.
    fn select(&mut self, _selected: bool) {}
}

const CR1: u32 = 0x00;
const CR2: u32 = 0x04;
const CFG1: u32 = 0x08;
const CFG2: u32 = 0x0C;
const IER: u32 = 0x10;
const SR: u32 = 0x14;
const IFCR: u32 = 0x18;
const AUTOCR: u32 = 0x1C;
const TXDR: u32 = 0x20;
const RXDR: u32 = 0x30;
const CRCPOLY: u32 = 0x40;
const UDRDR: u32 = 0x4C;

const SPE: u32 = 1;
const MASRX: u32 = 1 << 8;
const CSTART: u32 = 1 << 9;
const CSUSP: u32 = 1 << 10;
const HDDIR: u32 = 1 << 11;
const CR1_WRITABLE: u32 = 0x1_FF01;
const TSIZE: u32 = 0xFFFF;
/// CFG1: frame size less one, frames in a packet less one, direct memory access.
const DSIZE: u32 = 0x1F;
const FTHLV_AT: u32 = 5;
const RXDMAEN: u32 = 1 << 14;
const TXDMAEN: u32 = 1 << 15;
/// CFG2: direction of frames, and chip select.
const COMM_AT: u32 = 17;
const MASTER: u32 = 1 << 22;
const SSOE: u32 = 1 << 29;

const RXP: u32 = 1;
const TXP: u32 = 1 << 1;
const DXP: u32 = 1 << 2;
const EOT: u32 = 1 << 3;
const TXTF: u32 = 1 << 4;
const OVR: u32 = 1 << 6;
const SUSP: u32 = 1 << 11;
const TXC: u32 = 1 << 12;
const RXPLVL_AT: u32 = 13;
const RXWNE: u32 = 1 << 15;
const CTSIZE_AT: u32 = 16;
const CLEARABLE: u32 = 0x0BF8;

/// Cycles for which a full receive FIFO delays the next frame before frames are lost. Frames take no time here, so
/// without it a program that reads in time on a board would be too late.
const FULL_FIFO_DELAY: Cycles = 10_000;

/// One controller and what is wired to it.
pub struct Spi {
    kind: Kind,
    control: u32,
    size: u32,
    config: [u32; 2],
    interrupts: u32,
    unmodelled: [u32; 3],
    /// EOT, TXTF, OVR, SUSP.
    flags: u32,
    /// Frames of the transfer that were written to the FIFO, and that were sent, of those in `size`.
    loaded: u32,
    sent_frames: u32,
    sending: VecDeque<u32>,
    received: VecDeque<u32>,
    /// The receive FIFO is full: until this cycle frames wait for the application to read.
    full_until: Option<Cycles>,
    device: Option<Box<dyn SpiDevice>>,
    /// A pin selects the device; else the controller's own signal does.
    by_pin: bool,
}

impl Spi {
    /// A controller after reset, with what is wired to it; `by_pin` if a pin of the application's choice selects it.
    pub fn new(kind: &Kind, device: Option<Box<dyn SpiDevice>>, by_pin: bool) -> Self {
        Self {
            kind: *kind,
            control: 0,
            size: 0,
            config: [0x0007_0007, 0],
            interrupts: 0,
            unmodelled: [0, 0x107, 0],
            flags: 0,
            loaded: 0,
            sent_frames: 0,
            sending: VecDeque::new(),
            received: VecDeque::new(),
            full_until: None,
            device,
            by_pin,
        }
    }

    /// Bits of a frame.
    fn bits(&self) -> u32 {
        (self.config[0] & DSIZE) + 1
    }

    /// Bytes a frame takes in a FIFO.
    fn frame_bytes(&self) -> u32 {
        match self.bits() {
            0..=8 => 1,
            9..=16 => 2,
            _ => 4,
        }
    }

    fn packet(&self) -> usize {
        (self.config[0] >> FTHLV_AT & 0xF) as usize + 1
    }

    /// Frames that fit in a FIFO.
    fn capacity(&self) -> usize {
        self.kind.fifo / self.frame_bytes() as usize
    }

    fn is_on(&self) -> bool {
        self.control & SPE != 0
    }

    /// Whether frames are received, and whether they are sent: full duplex, send only, receive only, half duplex.
    fn directions(&self) -> (bool, bool) {
        match self.config[1] >> COMM_AT & 3 {
            0 => (true, true),
            1 => (false, true),
            2 => (true, false),
            _ => (self.control & HDDIR == 0, self.control & HDDIR != 0),
        }
    }

    fn frames(&self) -> Option<u32> {
        let size = self.size & TSIZE;
        (size != 0).then_some(size)
    }

    fn room_to_send(&self) -> bool {
        let more = self.frames().is_none_or(|frames| self.loaded < frames);
        self.is_on() && self.directions().1 && more && self.sending.len() + self.packet() <= self.capacity()
    }

    fn status(&self) -> u32 {
        let flag = |set: bool, flag: u32| if set { flag } else { 0 };
        let (whole, word) = (self.received.len() >= self.packet(), 4 / self.frame_bytes() as usize);
        let left = self.received.len() % word;
        let over = self.frames().is_none_or(|frames| self.sent_frames >= frames) && self.sending.is_empty();
        flag(whole, RXP)
            | flag(self.room_to_send(), TXP)
            | flag(whole && self.room_to_send(), DXP)
            | self.flags
            | flag(over, TXC)
            | (left as u32) << RXPLVL_AT
            | flag(self.received.len() >= word, RXWNE)
            | self.frames().map_or(0, |frames| frames - self.sent_frames.min(frames)) << CTSIZE_AT
    }

    fn write_control(&mut self, write: RegisterWrite, now: Cycles) {
        let was = self.control;
        self.control = write.apply_to(was, CR1_WRITABLE);
        if self.control & SPE == 0 {
            self.control &= !(CSTART | CSUSP);
            // Switching the controller off flushes both FIFOs (RM0456, SPI_CR1.SPE).
            self.sending.clear();
            self.received.clear();
            (self.flags, self.loaded, self.sent_frames) = (0, 0, 0);
        } else if self.control & CSUSP != 0 {
            self.control &= !(CSTART | CSUSP);
            self.flags |= SUSP;
        }
        // With SSOE the controller selects for as long as it is on.
        if !self.by_pin && (was ^ self.control) & SPE != 0 && self.config[1] & SSOE != 0 {
            self.select(self.control & SPE != 0);
        }
        self.proceed(now);
    }

    fn select(&mut self, selected: bool) {
        if let Some(device) = &mut self.device {
            device.select(selected);
        }
    }

    /// Exchanges frames as far as there are some to send and room for those that come.
    fn proceed(&mut self, now: Cycles) {
        self.exchange(now, false);
    }

    /// The same; `lossy` if the FIFO has not been read for so long that received frames are lost.
    fn exchange(&mut self, now: Cycles, lossy: bool) {
        self.full_until = None;
        let (receives, sends) = self.directions();
        while self.control & (SPE | CSTART) == SPE | CSTART && self.config[1] & MASTER != 0 {
            let full = receives && self.received.len() >= self.capacity();
            if full && !lossy {
                // A controller that waits by itself loses nothing, however long it takes.
                self.full_until = (!self.waits_for_reader()).then_some(now + FULL_FIFO_DELAY);
                break;
            }
            if self.frames().is_some_and(|frames| self.sent_frames >= frames) {
                break;
            }
            // A transfer that only receives sends zeros.
            let sent = if sends { self.sending.pop_front() } else { Some(0) };
            let Some(sent) = sent else { break };
            let answer = self.device.as_mut().map_or(0, |device| device.exchange(sent));
            if full {
                self.flags |= OVR;
            } else if receives {
                self.received.push_back(answer & u32::MAX >> (32 - self.bits()));
            }
            self.sent_frames += 1;
            self.end_if_over();
        }
    }

    /// A controller that only receives, or has MASRX set, stops its clock while the receive FIFO is full; any other
    /// loses frames.
    fn waits_for_reader(&self) -> bool {
        self.control & MASRX != 0 || !self.directions().1
    }

    fn end_if_over(&mut self) {
        if self.frames() == Some(self.sent_frames) {
            self.flags |= EOT | TXTF;
            self.control &= !CSTART;
        }
    }

    /// Frames in a write of `bytes`: one, or as many as fit.
    fn put(&mut self, value: u32, bytes: u32, now: Cycles) {
        let size = self.frame_bytes();
        for part in 0..(bytes / size).max(1) {
            if !self.is_on() || self.sending.len() >= self.capacity() {
                break;
            }
            let frame = value >> (8 * size * part) & u32::MAX >> (32 - self.bits());
            self.sending.push_back(frame);
            self.loaded += 1;
        }
        if self.frames().is_some_and(|frames| self.loaded >= frames) {
            self.flags |= TXTF;
        }
        self.proceed(now);
    }

    fn take(&mut self, bytes: u32, now: Cycles) -> u32 {
        let size = self.frame_bytes();
        let mut value = 0;
        for part in 0..(bytes / size).max(1) {
            value |= self.received.pop_front().unwrap_or(0) << (8 * size * part);
        }
        self.proceed(now);
        value
    }
}

impl Peripheral for Spi {
    fn read(&mut self, offset: u32, context: &mut Context<'_>) -> u32 {
        match offset {
            CR1 => self.control,
            CR2 => self.size,
            CFG1 | CFG2 => self.config[(offset - CFG1) as usize / 4],
            IER => self.interrupts,
            SR => self.status(),
            AUTOCR => self.unmodelled[0],
            RXDR => self.take(context.bytes, context.now),
            CRCPOLY => self.unmodelled[1],
            UDRDR => self.unmodelled[2],
            _ => 0,
        }
    }

    fn has_read_effect(&self, offset: u32) -> bool {
        offset == RXDR
    }

    fn write(&mut self, offset: u32, write: RegisterWrite, context: &mut Context<'_>) {
        match offset {
            CR1 => self.write_control(write, context.now),
            // These can be changed while the controller is off only.
            CR2 if !self.is_on() => self.size = write.apply_to(self.size, TSIZE),
            // CFG1 also while it is on, because its DMA enables may be set then.
            CFG1 | CFG2 if !self.is_on() || offset == CFG1 => {
                let word = &mut self.config[(offset - CFG1) as usize / 4];
                *word = write.apply_to(*word, u32::MAX);
            }
            IER => self.interrupts = write.apply_to(self.interrupts, 0x3FF),
            IFCR => self.flags &= !(write.ones() & CLEARABLE),
            AUTOCR => self.unmodelled[0] = write.apply_to(self.unmodelled[0], u32::MAX),
            // A narrow write arrives in its byte lanes; frames start at the lowest.
            TXDR => self.put(write.ones() >> write.mask.trailing_zeros(), context.bytes, context.now),
            CRCPOLY => self.unmodelled[1] = write.apply_to(self.unmodelled[1], u32::MAX),
            UDRDR => self.unmodelled[2] = write.apply_to(self.unmodelled[2], u32::MAX),
            _ => {}
        }
    }

    fn interrupts(&self, lines: &mut Lines) {
        lines.set(self.kind.line, self.status() & self.interrupts != 0);
    }

    fn requests(&self, requests: &mut Requests) {
        let (receive, config) = (self.kind.receive_request, self.config[0]);
        requests.set(receive, config & RXDMAEN != 0 && self.status() & RXP != 0);
        requests.set(receive + 1, config & TXDMAEN != 0 && self.room_to_send());
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        if self.full_until.is_some_and(|at| at <= context.now) {
            self.exchange(context.now, true);
        }
    }

    fn next_event(&self) -> Option<Cycles> {
        self.full_until
    }

    fn signal(&mut self, signal: &BoardSignal<'_>, _now: Cycles) -> bool {
        let BoardSignal::Select { selected } = *signal else { return false };
        self.select(selected);
        true
    }

    fn reset(&mut self, _context: &mut Context<'_>) {
        *self = Self::new(&self.kind, self.device.take(), self.by_pin);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use super::*;

    const SPI1: u32 = 0x4001_3000;
    const STATUS: u32 = SPI1 + SR;

    /// Returns each frame's complement.
    struct Complement;

    impl SpiDevice for Complement {
        fn exchange(&mut self, frame: u32) -> u32 {
            !frame
        }
    }

    /// A controller of the board, set up for `frames` of `bits`, on and started.
    fn bench(bits: u32, frames: u32, config: u32) -> Bench {
        let spi = Spi::new(&BUSES[1], Some(Box::new(Complement)), false);
        let mut bench = Bench::new(SPI1, Box::new(spi));
        bench.write(SPI1 + CFG1, (bits - 1) | config);
        bench.write(SPI1 + CFG2, MASTER);
        bench.write(SPI1 + CR2, frames);
        bench.write(SPI1, SPE);
        bench.write(SPI1, SPE | CSTART);
        bench
    }

    #[test]
    fn frames_go_out_and_come_back_until_the_last() {
        let mut bench = bench(8, 3, 0);
        for (byte, left) in [(0x01u32, 2), (0x80, 1), (0xFF, 0)] {
            assert_eq!(bench.read(STATUS) & TXP, TXP);
            bench.write_bytes(SPI1 + TXDR, 1, byte);
            assert_eq!(bench.read(STATUS) & RXP, RXP);
            assert_eq!(bench.read(STATUS) >> 16, left);
            assert_eq!(bench.read_bytes(SPI1 + RXDR, 1), !byte & 0xFF);
        }
        assert_eq!(bench.read(STATUS) & (EOT | TXTF | TXC | TXP | RXP), EOT | TXTF | TXC);
        bench.write(SPI1 + IFCR, EOT | TXTF);
        assert_eq!(bench.read(STATUS) & (EOT | TXTF), 0);
        assert_eq!(bench.read(SPI1) & CSTART, 0, "it is over");
    }

    #[test]
    fn a_wide_access_carries_several_frames() {
        let mut bench = bench(8, 4, 0);
        bench.write(SPI1 + TXDR, 0x4433_2211);
        assert_eq!(bench.read(STATUS) & RXWNE, RXWNE);
        assert_eq!(bench.read(SPI1 + RXDR), !0x4433_2211);
        let mut bench = self::bench(16, 2, 0);
        bench.write(SPI1 + TXDR, 0x2222_1111);
        assert_eq!(bench.read_bytes(SPI1 + RXDR, 2), 0xEEEE);
        assert_eq!(bench.read_bytes(SPI1 + RXDR, 2), 0xDDDD);
    }

    #[test]
    fn what_is_received_and_not_read_is_lost_and_reported() {
        let mut bench = bench(8, 20, 0);
        (0..16).for_each(|byte| bench.write_bytes(SPI1 + TXDR, 1, byte));
        assert_eq!(bench.read(STATUS) & OVR, 0);
        (16..20).for_each(|byte| bench.write_bytes(SPI1 + TXDR, 1, byte));
        assert_eq!(bench.read(STATUS) & (OVR | EOT), 0, "a reader has some time");
        bench.now = FULL_FIFO_DELAY;
        assert_eq!(bench.read(STATUS) & (OVR | EOT), OVR | EOT);
    }

    #[test]
    fn it_can_wait_for_its_reader_instead() {
        let mut bench = bench(8, 100, 0);
        bench.write(SPI1, SPE | CSTART | MASRX);
        for byte in 0..32 {
            assert_eq!(bench.read(STATUS) & TXP, TXP, "{byte}");
            bench.write_bytes(SPI1 + TXDR, 1, byte);
        }
        assert_eq!(bench.read(STATUS) & TXP, 0, "both queues are full");
        assert_eq!(bench.read_bytes(SPI1 + RXDR, 1), 0xFF);
        assert_eq!(bench.read(STATUS) & TXP, TXP);
    }

    #[test]
    fn sending_only_keeps_nothing_and_receiving_only_needs_nothing() {
        let mut bench = bench(8, 2, 0);
        bench.write(SPI1, 0);
        bench.write(SPI1 + CFG2, MASTER | 1 << COMM_AT);
        bench.write(SPI1, SPE | CSTART);
        bench.write_bytes(SPI1 + TXDR, 2, 0x1234);
        assert_eq!(bench.read(STATUS) & (RXP | EOT), EOT);
        bench.write(SPI1, 0);
        bench.write(SPI1 + CFG2, MASTER | 2 << COMM_AT);
        bench.write(SPI1, SPE | CSTART);
        assert_eq!(bench.read(STATUS) & (RXP | EOT | TXP), RXP | EOT);
        assert_eq!(bench.read_bytes(SPI1 + RXDR, 2), 0xFFFF);
    }

    #[test]
    fn interrupts_and_requests_follow_their_enables() {
        let mut bench = bench(8, 2, 0);
        assert!(!bench.level(59));
        bench.write(SPI1 + IER, EOT);
        bench.write_bytes(SPI1 + TXDR, 2, 0);
        assert!(bench.level(59));
        let mut bench = self::bench(8, 2, TXDMAEN | RXDMAEN);
        assert_eq!((bench.requests(6), bench.requests(7)), (false, true));
        bench.write_bytes(SPI1 + TXDR, 2, 0);
        assert_eq!((bench.requests(6), bench.requests(7)), (true, false));
    }

    #[test]
    fn off_or_no_master_it_does_nothing() {
        let mut bench = bench(8, 0, 0);
        bench.write(SPI1, 0);
        bench.write_bytes(SPI1 + TXDR, 1, 1);
        assert_eq!(bench.read(STATUS) & (RXP | TXP), 0);
    }
}
