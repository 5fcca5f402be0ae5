//! GPDMA1: sixteen channels that move data between memory and peripherals, in single blocks or linked lists.
//!
//! What a channel moves is moved at once, one data item at a time and the channels in turn, as fast as requests come:
//! [`crate::board::Board::transfer`] does it, since it takes memory and peripherals together. Repeated blocks (2D
//! addressing), triggers and the peripheral's own flow control are not modelled.

use super::{Context, Lines, Peripheral, RegisterWrite, Requests};

/// First register.
pub const BASE: u32 = 0x4002_0000;
/// Bytes of address space.
pub const SIZE: u32 = 0x1000;
/// Number of channels.
pub const CHANNELS: usize = 16;

const MISR: u32 = 0x0C;
/// Registers of channel 0, and how far those of the next one are.
const FIRST: u32 = 0x50;
const STEP: u32 = 0x80;

/// Offsets in a channel.
const CLBAR: u32 = 0x00;
const CFCR: u32 = 0x0C;
const CSR: u32 = 0x10;
const CCR: u32 = 0x14;
const CTR1: u32 = 0x40;
const CTR2: u32 = 0x44;
const CBR1: u32 = 0x48;
const CSAR: u32 = 0x4C;
const CDAR: u32 = 0x50;
const CTR3: u32 = 0x54;
const CBR2: u32 = 0x58;
const CLLR: u32 = 0x7C;

const EN: u32 = 1;
const RESET: u32 = 1 << 1;
const SUSP: u32 = 1 << 2;
const CCR_WRITABLE: u32 = 0x00C3_7F05;

const IDLEF: u32 = 1;
const TCF: u32 = 1 << 8;
const HTF: u32 = 1 << 9;
const DTEF: u32 = 1 << 10;
const ULEF: u32 = 1 << 11;
const SUSPF: u32 = 1 << 13;
/// Flags that can be cleared, and whose enables are the same bits of CCR.
const FLAGS: u32 = 0x7F00;

/// CTR1: widths as powers of two, whether addresses move on, and what becomes of unequal widths.
const SINC: u32 = 1 << 3;
const DINC: u32 = 1 << 19;
const DEST_WIDTH_AT: u32 = 16;
const PACKING: u32 = 1 << 12;
/// CTR2: the request, and that none is needed.
const REQSEL: u32 = 0x7F;
const SWREQ: u32 = 1 << 9;
const TCEM_AT: u32 = 30;
/// Events are raised at the end of the last block only.
const TCEM_CHANNEL: u32 = 3;
/// CBR1: bytes of the block still to be read.
const BNDT: u32 = 0xFFFF;
/// CLLR: which registers the next item of the list contains, in order, and its address.
const UPDATES: [(u32, u32); 8] =
    [(31, CTR1), (30, CTR2), (29, CBR1), (28, CSAR), (27, CDAR), (26, CTR3), (25, CBR2), (16, CLLR)];
const LINK_ADDRESS: u32 = 0xFFFC;
/// Two registers only some channels have.
const TWO_DIMENSIONS: std::ops::Range<usize> = 12..16;

/// Interrupt line of a channel. There are two blocks of lines: 29 to 36, and 80 to 87.
const fn line(channel: usize) -> u16 {
    if channel < 8 { 29 + channel as u16 } else { 72 + channel as u16 }
}

/// One thing to be done for a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Move a data item: read `reads` times `source_bytes`, write `writes` times `destination_bytes`.
    Move {
        /// The channel.
        channel: usize,
        /// Where from.
        source: u32,
        /// Bytes of one access there: 1, 2 or 4.
        source_bytes: u32,
        /// The address after each of them is the next, or the same again.
        source_moves: bool,
        /// How many.
        reads: u32,
        /// Where to.
        destination: u32,
        /// Bytes of one access there.
        destination_bytes: u32,
        /// The address moves on.
        destination_moves: bool,
        /// How many.
        writes: u32,
    },
    /// Read the next item of the list, this many words.
    Link {
        /// The channel.
        channel: usize,
        /// Address of the item.
        address: u32,
        /// Number of words.
        words: u32,
    },
}

/// One channel.
#[derive(Debug, Clone, Copy, Default)]
struct Channel {
    list: u32,
    flags: u32,
    control: u32,
    transfer: [u32; 2],
    block: u32,
    /// Bytes of the block at its start, to know its half.
    whole: u32,
    source: u32,
    destination: u32,
    unmodelled: [u32; 2],
    link: u32,
    /// The block is over and the next item of the list is due.
    linking: bool,
}

impl Channel {
    fn is_active(&self) -> bool {
        self.control & (EN | SUSP) == EN
    }

    fn is_due(&self, requests: Requests) -> bool {
        let software = self.transfer[1] & SWREQ != 0;
        self.is_active() && (self.linking || software || requests.has((self.transfer[1] & REQSEL) as u8))
    }

    fn read(&self, offset: u32) -> u32 {
        match offset {
            CLBAR => self.list,
            CSR => self.flags | if self.is_active() { 0 } else { IDLEF },
            CCR => self.control,
            CTR1 | CTR2 => self.transfer[(offset - CTR1) as usize / 4],
            CBR1 => self.block,
            CSAR => self.source,
            CDAR => self.destination,
            CTR3 | CBR2 => self.unmodelled[(offset - CTR3) as usize / 4],
            CLLR => self.link,
            _ => 0,
        }
    }

    fn write(&mut self, offset: u32, write: RegisterWrite) {
        match offset {
            CLBAR => self.list = write.apply_to(self.list, 0xFFFF_0000),
            CFCR => self.flags &= !(write.ones() & FLAGS),
            CCR => self.control(write),
            CTR1 | CTR2 => {
                let word = &mut self.transfer[(offset - CTR1) as usize / 4];
                *word = write.apply_to(*word, u32::MAX);
            }
            CBR1 => {
                self.block = write.apply_to(self.block, u32::MAX);
                self.whole = self.block & BNDT;
            }
            CSAR => self.source = write.apply_to(self.source, u32::MAX),
            CDAR => self.destination = write.apply_to(self.destination, u32::MAX),
            CTR3 | CBR2 => {
                let word = &mut self.unmodelled[(offset - CTR3) as usize / 4];
                *word = write.apply_to(*word, u32::MAX);
            }
            CLLR => self.link = write.apply_to(self.link, u32::MAX),
            _ => {}
        }
    }

    fn control(&mut self, write: RegisterWrite) {
        if write.ones() & RESET != 0 {
            self.control &= !(EN | SUSP);
            (self.flags, self.linking) = (0, false);
            return;
        }
        let was = self.control;
        self.control = write.apply_to(was, CCR_WRITABLE);
        // Only the end of a transfer, a suspension or a reset disables a channel.
        self.control |= was & EN;
        if self.control & (EN | SUSP) == EN | SUSP {
            self.flags |= SUSPF;
        }
        if self.control & !was & EN != 0 {
            // A channel started with an empty block begins with its list.
            self.linking = self.block & BNDT == 0;
        }
    }

    fn step(&self, channel: usize) -> Step {
        if self.linking {
            let words = UPDATES.iter().filter(|update| self.updates(channel, **update)).count() as u32;
            return Step::Link { channel, address: self.list | self.link & LINK_ADDRESS, words };
        }
        let control = self.transfer[0];
        // Code 3 is reserved.
        let bytes = |code: u32| 1 << (code & 3).min(2);
        let (source_bytes, destination_bytes) = (bytes(control), bytes(control >> DEST_WIDTH_AT));
        let packed = control & PACKING != 0;
        let item = source_bytes.max(destination_bytes);
        let times = |one: u32| if packed { item / one } else { 1 };
        Step::Move {
            channel,
            source: self.source,
            source_bytes,
            source_moves: control & SINC != 0,
            // At the end of a block there may be less to read than an item holds.
            reads: times(source_bytes).min(((self.block & BNDT) / source_bytes).max(1)),
            destination: self.destination,
            destination_bytes,
            destination_moves: control & DINC != 0,
            writes: times(destination_bytes),
        }
    }

    fn updates(&self, channel: usize, (bit, register): (u32, u32)) -> bool {
        let exists = !matches!(register, CTR3 | CBR2) || TWO_DIMENSIONS.contains(&channel);
        exists && self.link >> bit & 1 == 1
    }

    /// A data item was moved.
    fn moved(&mut self, read: u32, source: u32, destination: u32) {
        (self.source, self.destination) = (source, destination);
        let before = self.block & BNDT;
        let left = before.saturating_sub(read);
        self.block = self.block & !BNDT | left;
        // With TCEM 3 only the last block of a list raises events.
        let raises = self.transfer[1] >> TCEM_AT != TCEM_CHANNEL || self.link == 0;
        let half = self.whole / 2;
        // Once: for the item that crosses the middle.
        if raises && left <= half && before > half {
            self.flags |= HTF;
        }
        if left == 0 {
            self.flags |= if raises { TCF } else { 0 };
            self.end_block();
        }
    }

    fn end_block(&mut self) {
        if self.link == 0 {
            self.control &= !EN;
        } else {
            self.linking = true;
        }
    }

    fn linked(&mut self, channel: usize, words: &[u32]) {
        let mut words = words.iter();
        let link = self.link;
        // A list without a link of its own ends with this item.
        self.link = 0;
        // Registers that the link does not name keep their values (RM0456, linked lists).
        for (bit, register) in UPDATES {
            let update = Self { link, ..*self }.updates(channel, (bit, register));
            if let Some(word) = update.then(|| words.next()).flatten() {
                self.write(register, RegisterWrite::word(*word));
            }
        }
        self.linking = false;
        if self.block & BNDT == 0 {
            self.end_block();
        }
    }

    fn fail(&mut self, flag: u32) {
        self.flags |= flag;
        self.control &= !EN;
        self.linking = false;
    }

    fn interrupts(&self) -> bool {
        self.flags & self.control & FLAGS != 0
    }
}

/// The controller.
#[derive(Debug, Default)]
pub struct Dma {
    channels: [Channel; CHANNELS],
    /// Security, privilege, lock: without function here.
    unmodelled: [u32; 3],
    /// The channel whose turn it is next.
    turn: usize,
}

impl Dma {
    /// What to do next, given the active requests.
    pub fn next(&mut self, requests: Requests) -> Option<Step> {
        let order = (0..CHANNELS).map(|step| (self.turn + step) % CHANNELS);
        let channel = order.into_iter().find(|channel| self.channels[*channel].is_due(requests))?;
        // The next search begins behind this channel, so that none starves.
        self.turn = (channel + 1) % CHANNELS;
        Some(self.channels[channel].step(channel))
    }

    /// Whether [`Dma::next`] would find something to do.
    pub fn is_due(&self, requests: Requests) -> bool {
        self.channels.iter().any(|channel| channel.is_due(requests))
    }

    /// A data item of `channel` was moved: `read` bytes of it, and the addresses are now these.
    pub fn moved(&mut self, channel: usize, read: u32, source: u32, destination: u32) {
        self.channels[channel].moved(read, source, destination);
    }

    /// The next item of a list was read.
    pub fn linked(&mut self, channel: usize, words: &[u32]) {
        self.channels[channel].linked(channel, words);
    }

    /// There is nothing at the source or the destination.
    pub fn data_failed(&mut self, channel: usize) {
        self.channels[channel].fail(DTEF);
    }

    /// Nothing is where the next item of a list should be.
    pub fn link_failed(&mut self, channel: usize) {
        self.channels[channel].fail(ULEF);
    }
}

/// A channel and the offset of a register in it.
fn channel_register(offset: u32) -> Option<(usize, u32)> {
    let from_first = offset.checked_sub(FIRST)?;
    let channel = (from_first / STEP) as usize;
    (channel < CHANNELS).then_some((channel, from_first % STEP))
}

impl Peripheral for Dma {
    fn read(&mut self, offset: u32, _context: &mut Context<'_>) -> u32 {
        match offset {
            0..MISR => self.unmodelled[offset as usize / 4],
            MISR => {
                let channels = self.channels.iter().enumerate();
                channels.fold(0, |all, (number, channel)| all | u32::from(channel.interrupts()) << number)
            }
            _ => channel_register(offset)
                .map_or(0, |(channel, register)| self.channels[channel].read(register)),
        }
    }

    fn write(&mut self, offset: u32, write: RegisterWrite, _context: &mut Context<'_>) {
        match (offset, channel_register(offset)) {
            (0..MISR, _) => {
                let word = &mut self.unmodelled[offset as usize / 4];
                *word = write.apply_to(*word, 0xFFFF);
            }
            (_, Some((channel, register))) => self.channels[channel].write(register, write),
            _ => {}
        }
    }

    fn interrupts(&self, lines: &mut Lines) {
        for (number, channel) in self.channels.iter().enumerate() {
            lines.set(line(number), channel.interrupts());
        }
    }

    fn dma(&mut self) -> Option<&mut Dma> {
        Some(self)
    }

    fn reset(&mut self, _context: &mut Context<'_>) {
        *self = Self::default();
    }
}
