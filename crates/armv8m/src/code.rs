//! The cache of decoded instructions: an entry for each halfword of every page of flash and RAM that has been executed.
//!
//! Writes to RAM that contains decoded code invalidate it (`guard`). A page has two entries for each halfword, because
//! the same 16-bit instruction sets the flags outside an IT block and leaves them alone inside.

use std::ops::Range;

use crate::cpu_config::Config;
use crate::decode::{self, DecodeContext};
use crate::memory::Memory;
use crate::op::{Inst, Op};

/// Bytes of code one page covers.
pub(crate) const PAGE: u32 = 2048;
/// Entries of a page.
const ENTRIES: usize = PAGE as usize / 2;
/// How far beyond a page the last byte of a write may lie that changes an instruction of the page: a 32-bit instruction
/// in the page's last halfword ends two bytes beyond it, and a word written to its last byte three bytes further.
const REACH: usize = 5;

/// The decoded instructions of one page.
pub(crate) struct Page {
    plain: Box<[Inst; ENTRIES]>,
    /// The same addresses as decoded inside IT blocks, where most 16-bit instructions leave the flags alone.
    conditional: Box<[Inst; ENTRIES]>,
}

impl Page {
    fn new() -> Self {
        let blank = || Box::new([Inst::UNDECODED; ENTRIES]);
        Self { plain: blank(), conditional: blank() }
    }
    /// The entry for `offset` bytes into the page.
    #[inline(always)]
    pub(crate) fn at(&self, offset: u32) -> &Inst {
        &self.plain[(offset >> 1) as usize % ENTRIES]
    }
    fn invalidate_entry(&mut self, offset: u32) {
        let index = (offset >> 1) as usize % ENTRIES;
        self.plain[index] = Inst::UNDECODED;
        self.conditional[index] = Inst::UNDECODED;
    }
    /// The entry for `offset` bytes into the page, inside an IT block.
    #[inline(always)]
    pub(crate) fn conditional_at(&self, offset: u32) -> &Inst {
        &self.conditional[(offset >> 1) as usize % ENTRIES]
    }
}

/// One memory that code may run from.
struct Region {
    base: u32,
    length: u32,
    pages: Vec<Option<Page>>,
}

impl Region {
    fn new(base: u32, length: usize) -> Self {
        let pages = length.div_ceil(PAGE as usize);
        Self { base, length: length as u32, pages: std::iter::repeat_with(|| None).take(pages).collect() }
    }
    /// The page index of `address` and the addresses that page covers.
    fn locate(&self, address: u32) -> Option<(usize, Range<u32>)> {
        let offset = address.wrapping_sub(self.base);
        if offset >= self.length {
            return None;
        }
        let start = offset - offset % PAGE;
        let end = (start + PAGE).min(self.length);
        Some(((offset / PAGE) as usize, self.base + start..self.base.wrapping_add(end)))
    }
    /// Invalidates every instruction of which a byte lies in `stale`. A 32-bit one may start two bytes before it.
    fn invalidate_range(&mut self, stale: &Range<u32>) {
        let offset = |address: u32| address.saturating_sub(self.base).min(self.length);
        let (first, last) = (offset(stale.start.saturating_sub(2)) & !1, offset(stale.end));
        for at in (first..last).step_by(2) {
            if let Some(Some(page)) = self.pages.get_mut((at / PAGE) as usize) {
                page.invalidate_entry(at % PAGE);
            }
        }
    }
    fn invalidate(&mut self) {
        self.pages.iter_mut().for_each(|page| *page = None);
    }
}

/// The page of an address, and the addresses the page covers.
#[derive(Clone)]
pub(crate) struct Location {
    in_ram: bool,
    page: usize,
    pub span: Range<u32>,
}

pub(crate) struct Code {
    /// Addresses of a debugger's breakpoints.
    breakpoints: Vec<u32>,
    /// Those that are lifted for a trial run.
    suspended: Vec<u32>,
    flash: Region,
    ram: Region,
    executed: Executed,
}

/// Which halfwords of flash began an instruction that was executed: each is decoded when it is first executed, which is
/// where this is noted, so that execution itself costs nothing more.
#[derive(Default)]
struct Executed {
    /// A bit each, as far as code has been executed.
    halfwords: Vec<u64>,
}

impl Executed {
    /// Notes the halfword with this number.
    fn note(&mut self, number: u32) {
        let (word, bit) = ((number / 64) as usize, number % 64);
        if word >= self.halfwords.len() {
            self.halfwords.resize(word + 1, 0);
        }
        self.halfwords[word] |= 1 << bit;
    }

    fn contains(&self, number: u32) -> bool {
        self.halfwords.get((number / 64) as usize).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }
}

impl Code {
    pub(crate) fn new(config: &Config, flash_size: usize) -> Self {
        Self {
            breakpoints: Vec::new(),
            suspended: Vec::new(),
            flash: Region::new(config.flash_base, flash_size),
            ram: Region::new(config.ram_base, config.ram_size),
            executed: Executed::default(),
        }
    }

    /// Whether the instruction at `address` of flash was ever executed. One that its condition skipped was.
    pub(crate) fn was_executed(&self, address: u32) -> bool {
        let offset = address.wrapping_sub(self.flash.base);
        offset < self.flash.length && self.executed.contains(offset / 2)
    }

    /// The page of `address`, if it is in flash or RAM.
    pub(crate) fn locate(&self, address: u32) -> Option<Location> {
        if let Some((page, span)) = self.flash.locate(address) {
            return Some(Location { in_ram: false, page, span });
        }
        self.ram.locate(address).map(|(page, span)| Location { in_ram: true, page, span })
    }

    /// The decoded page of a location, if anything in it was decoded.
    #[inline]
    pub(crate) fn page(&self, location: &Location) -> Option<&Page> {
        let region = if location.in_ram { &self.ram } else { &self.flash };
        region.pages.get(location.page)?.as_ref()
    }

    /// Decodes the instruction at `address`; false if it does not fit into memory.
    pub(crate) fn decode(
        &mut self,
        location: &Location,
        memory: &mut Memory,
        address: u32,
        in_it: bool,
    ) -> bool {
        let Some(mut inst) = decode_at(memory, address, in_it) else { return false };
        if self.has_breakpoint(address) {
            inst = Inst::of(Op::Halt);
        }
        if !location.in_ram {
            self.executed.note(address.wrapping_sub(self.flash.base) / 2);
        }
        let region = if location.in_ram { &mut self.ram } else { &mut self.flash };
        let Some(slot) = region.pages.get_mut(location.page) else { return false };
        let page = slot.get_or_insert_with(Page::new);
        let entries = if in_it { &mut page.conditional } else { &mut page.plain };
        entries[(address.wrapping_sub(location.span.start) >> 1) as usize % ENTRIES] = inst;
        if location.in_ram {
            guard(memory, &location.span);
        }
        true
    }

    /// Discards what was decoded from `stale`, a part of RAM.
    pub(crate) fn invalidate_range(&mut self, stale: &Range<u32>) {
        self.ram.invalidate_range(stale);
    }

    pub(crate) fn has_breakpoint(&self, address: u32) -> bool {
        self.breakpoints.contains(&address)
    }

    /// The instruction at `address` is decoded as a halt from now on; false if it is already.
    pub(crate) fn insert_breakpoint(&mut self, address: u32) -> bool {
        if self.has_breakpoint(address) {
            return false;
        }
        self.breakpoints.push(address);
        self.invalidate_at(address);
        true
    }

    pub(crate) fn remove_breakpoint(&mut self, address: u32) -> bool {
        let Some(at) = self.breakpoints.iter().position(|one| *one == address) else { return false };
        self.breakpoints.swap_remove(at);
        self.invalidate_at(address);
        true
    }

    /// Lifts all breakpoints until [`Code::resume_breakpoints`].
    pub(crate) fn suspend_breakpoints(&mut self) {
        self.suspended = std::mem::take(&mut self.breakpoints);
        for at in 0..self.suspended.len() {
            self.invalidate_at(self.suspended[at]);
        }
    }

    /// Sets the breakpoints again that were lifted.
    pub(crate) fn resume_breakpoints(&mut self) {
        for address in std::mem::take(&mut self.suspended) {
            self.insert_breakpoint(address);
        }
    }

    pub(crate) fn clear_breakpoints(&mut self) {
        for address in std::mem::take(&mut self.breakpoints) {
            self.invalidate_at(address);
        }
    }

    fn invalidate_at(&mut self, address: u32) {
        let stale = address..address.saturating_add(2);
        self.flash.invalidate_range(&stale);
        self.ram.invalidate_range(&stale);
    }

    pub(crate) fn invalidate(&mut self) {
        self.flash.invalidate();
        self.ram.invalidate();
    }
}

/// Extends the part of RAM in which writes are checked for decoded code. It is one range and only grows, which keeps
/// the check in `Memory::write_data` cheap: code in RAM is rare.
fn guard(memory: &mut Memory, span: &Range<u32>) {
    let start = (span.start - memory.ram_base) as usize;
    let end = start + PAGE as usize + REACH;
    if memory.code_len == 0 {
        (memory.code_start, memory.code_len) = (start, end - start);
        return;
    }
    let old_end = memory.code_start + memory.code_len;
    memory.code_start = memory.code_start.min(start);
    memory.code_len = old_end.max(end) - memory.code_start;
}

fn decode_at(memory: &Memory, address: u32, in_it: bool) -> Option<Inst> {
    let first = u16::from_le_bytes(memory.read(address)?);
    let second =
        if decode::is_wide(first) { u16::from_le_bytes(memory.read(address.wrapping_add(2))?) } else { 0 };
    let inst = decode::decode(DecodeContext { address, in_it }, first, second);
    Some(fold_literal(memory, inst))
}

/// Turns the load of a literal in flash into a move: flash cannot change, and until the MPU is enabled nothing can
/// forbid the read (see `Core::folded_literals_stale`).
fn fold_literal(memory: &Memory, inst: Inst) -> Inst {
    let in_flash = inst.imm.wrapping_sub(memory.flash_base) < memory.flash.len() as u32;
    if inst.op != Op::LdrLit || !memory.fold_literals || !in_flash || inst.imm & 3 != 0 {
        return inst;
    }
    match memory.read(inst.imm) {
        Some(bytes) => Inst { op: Op::MovImm, imm: u32::from_le_bytes(bytes), ..inst },
        None => inst,
    }
}
