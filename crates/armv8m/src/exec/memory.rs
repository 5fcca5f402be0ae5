//! Loads and stores other than the common forms, which are executed in the dispatch itself.

use crate::bus::{Bus, Width};
use crate::fault::Event;
use crate::op::{Inst, Op, kind, mode};
use crate::state::Core;

/// The address of an access and the base register's new value, if it is written back.
struct Addressing {
    address: u32,
    writeback: Option<u32>,
}

/// The width of an access of this kind.
fn width(what: u8) -> Width {
    match what {
        kind::BYTE | kind::SIGNED_BYTE => Width::Byte,
        kind::HALF | kind::SIGNED_HALF => Width::Half,
        _ => Width::Word,
    }
}

impl Core {
    fn addressing(&self, i: &Inst) -> Result<Addressing, Event> {
        let base = self.reg(i.n);
        let moved = base.wrapping_add(i.imm);
        let access = match i.s {
            mode::OFFSET => Addressing { address: moved, writeback: None },
            mode::PRE => Addressing { address: moved, writeback: Some(moved) },
            mode::POST => Addressing { address: base, writeback: Some(moved) },
            mode::REGISTER => {
                Addressing { address: base.wrapping_add(self.reg(i.m) << (i.k & 31)), writeback: None }
            }
            _ => Addressing { address: i.imm, writeback: None },
        };
        // Before the access, which must not be made if SP would pass its limit.
        match access.writeback {
            Some(sp) if i.n == 13 => self.check_limit(sp)?,
            _ => {}
        }
        Ok(access)
    }

    fn write_back(&mut self, i: &Inst, access: &Addressing) {
        if let Some(value) = access.writeback {
            self.set_reg_or_sp(i.n, value);
        }
    }

    /// LDRT, STRT and variants are an immediate offset with `k` set. They access memory as unprivileged code does.
    fn unprivileged_access(i: &Inst) -> bool {
        i.s == mode::OFFSET && i.k != 0
    }

    fn read_as(&mut self, bus: &mut dyn Bus, i: &Inst, address: u32) -> Result<u32, Event> {
        let value = if Self::unprivileged_access(i) {
            self.read_slow(bus, address, width(i.a), false)?
        } else {
            match width(i.a) {
                Width::Byte => self.read_byte(bus, address)?,
                Width::Half => self.read_half(bus, address)?,
                Width::Word => self.read_word(bus, address)?,
            }
        };
        Ok(match i.a {
            kind::SIGNED_BYTE => value as i8 as u32,
            kind::SIGNED_HALF => value as i16 as u32,
            _ => value,
        })
    }

    #[inline(never)]
    pub(super) fn load(&mut self, bus: &mut dyn Bus, i: &Inst) -> Result<(), Event> {
        let access = self.addressing(i)?;
        // A load of PC has to be aligned; otherwise it is UNPREDICTABLE.
        if i.d == 15 && access.address & 3 != 0 {
            return Err(Event::UNALIGNED);
        }
        let value = self.read_as(bus, i, access.address)?;
        // After the read, so that a fault leaves the base as it was; before a branch, which may be an exception return
        // that unstacks from the new SP.
        self.write_back(i, &access);
        if i.d == 15 {
            return self.branch_exchange(value);
        }
        self.set_reg_or_sp(i.d, value);
        Ok(())
    }

    #[inline(never)]
    pub(super) fn store(&mut self, bus: &mut dyn Bus, i: &Inst) -> Result<(), Event> {
        let access = self.addressing(i)?;
        let value = self.reg(i.d);
        match width(i.a) {
            _ if Self::unprivileged_access(i) => {
                self.write_slow(bus, access.address, width(i.a), value, false)?;
            }
            Width::Byte => self.write_byte(bus, access.address, value)?,
            Width::Half => self.write_half(bus, access.address, value)?,
            Width::Word => self.write_word(bus, access.address, value)?,
        }
        // After the write, so that the instruction can be restarted if that faults.
        self.write_back(i, &access);
        Ok(())
    }

    #[inline(never)]
    pub(super) fn load_dual(&mut self, bus: &mut dyn Bus, i: &Inst) -> Result<(), Event> {
        let access = self.addressing(i)?;
        require_aligned(access.address, 4)?;
        // Both reads come first: the second one may fault, and the base may be a destination.
        let low = self.read_word(bus, access.address)?;
        let high = self.read_word(bus, access.address.wrapping_add(4))?;
        self.write_back(i, &access);
        self.set_reg(i.d, low);
        self.set_reg(i.a, high);
        Ok(())
    }

    #[inline(never)]
    pub(super) fn store_dual(&mut self, bus: &mut dyn Bus, i: &Inst) -> Result<(), Event> {
        let access = self.addressing(i)?;
        require_aligned(access.address, 4)?;
        self.write_word(bus, access.address, self.reg(i.d))?;
        self.write_word(bus, access.address.wrapping_add(4), self.reg(i.a))?;
        self.write_back(i, &access);
        Ok(())
    }

    /// The registers of `list` that remain to be transferred, and the bytes that were transferred before an interrupt
    /// (ICI).
    fn remaining(&mut self, list: u32) -> (u32, u32) {
        // ICI is the first register that is still to be transferred; 0 means that nothing was interrupted.
        let from = std::mem::take(&mut self.ici);
        let rest = list & !((1 << from) - 1);
        (rest, (list & !rest).count_ones() * 4)
    }

    /// Reads the words of `list` from `address` up into `values`, by register number. The registers are written only
    /// when all reads have succeeded, so that a fault leaves them unchanged.
    fn read_list(
        &mut self,
        bus: &mut dyn Bus,
        mut address: u32,
        mut list: u32,
        values: &mut [u32; 16],
    ) -> Result<(), Event> {
        require_aligned(address, 4)?;
        while list != 0 {
            let register = list.trailing_zeros();
            values[register as usize & 15] = self.read_word(bus, address)?;
            address = address.wrapping_add(4);
            // Clears the lowest bit that is set: registers go to ascending addresses.
            list &= list - 1;
        }
        Ok(())
    }

    fn write_list(&mut self, bus: &mut dyn Bus, mut address: u32, mut list: u32) -> Result<(), Event> {
        require_aligned(address, 4)?;
        while list != 0 {
            let register = list.trailing_zeros();
            self.write_word(bus, address, self.r[register as usize & 15])?;
            address = address.wrapping_add(4);
            list &= list - 1;
        }
        Ok(())
    }

    /// Writes the loaded words to their registers. PC is last, since branching to it may be an exception return, which
    /// needs the others.
    fn commit_list(&mut self, mut list: u32, values: &[u32; 16]) -> Result<(), Event> {
        let branches = list & 1 << 15 != 0;
        list &= 0x7FFF;
        while list != 0 {
            let register = list.trailing_zeros() as usize & 15;
            self.r[register] = values[register];
            list &= list - 1;
        }
        if branches { self.branch_exchange(values[15]) } else { Ok(()) }
    }

    #[inline(never)]
    pub(super) fn load_multiple(&mut self, bus: &mut dyn Bus, i: &Inst) -> Result<(), Event> {
        let base = self.reg(i.n);
        let length = i.imm.count_ones() * 4;
        let (start, end) = spans(base, length, i.a != 0);
        // Only a new value of SP is checked, and before any access.
        if i.n == 13 && i.s != 0 {
            self.check_limit(end)?;
        }
        let (rest, done) = self.remaining(i.imm);
        let mut values = [0; 16];
        self.read_list(bus, start.wrapping_add(done), rest, &mut values)?;
        if i.s != 0 {
            self.set_reg_or_sp(i.n, end);
        }
        self.commit_list(rest, &values)
    }

    #[inline(never)]
    pub(super) fn store_multiple(&mut self, bus: &mut dyn Bus, i: &Inst) -> Result<(), Event> {
        let base = self.reg(i.n);
        let (start, end) = spans(base, i.imm.count_ones() * 4, i.a != 0);
        if i.n == 13 && i.s != 0 {
            self.check_limit(end)?;
        }
        let (rest, done) = self.remaining(i.imm);
        self.write_list(bus, start.wrapping_add(done), rest)?;
        if i.s != 0 {
            self.set_reg_or_sp(i.n, end);
        }
        Ok(())
    }

    #[inline(never)]
    pub(super) fn push(&mut self, bus: &mut dyn Bus, i: &Inst) -> Result<(), Event> {
        let sp = self.r[13].wrapping_sub(i.imm.count_ones() * 4);
        // Before the first store: nothing may be written below the limit.
        self.check_limit(sp)?;
        let (rest, done) = self.remaining(i.imm);
        self.write_list(bus, sp.wrapping_add(done), rest)?;
        // Last, so that after a fault PUSH can be restarted.
        self.r[13] = sp;
        Ok(())
    }

    #[inline(never)]
    pub(super) fn pop(&mut self, bus: &mut dyn Bus, i: &Inst) -> Result<(), Event> {
        let sp = self.r[13];
        let end = sp.wrapping_add(i.imm.count_ones() * 4);
        self.check_limit(end)?;
        let (rest, done) = self.remaining(i.imm);
        let mut values = [0; 16];
        self.read_list(bus, sp.wrapping_add(done), rest, &mut values)?;
        // Before the registers: a loaded PC may be an exception return, which unstacks from the new SP.
        self.r[13] = end;
        self.commit_list(rest, &values)
    }

    /// Load-acquire, store-release and exclusives, which fault when unaligned. Ordering needs nothing: there is one
    /// processor and every access is in program order.
    #[inline(never)]
    pub(super) fn ordered(&mut self, bus: &mut dyn Bus, i: &Inst) -> Result<(), Event> {
        let address = self.reg(i.n).wrapping_add(i.imm);
        require_aligned(address, width(i.a).bytes())?;
        match i.op {
            Op::LoadOrdered => self.read_ordered(bus, i, address),
            Op::StoreOrdered => self.write_ordered(bus, i.a, address, self.reg(i.d)),
            Op::LoadExclusive => {
                self.monitor = Some(address);
                self.read_ordered(bus, i, address)
            }
            _ => self.store_exclusive(bus, i, address),
        }
    }

    fn read_ordered(&mut self, bus: &mut dyn Bus, i: &Inst, address: u32) -> Result<(), Event> {
        let value = match width(i.a) {
            Width::Byte => self.read_byte(bus, address)?,
            Width::Half => self.read_half(bus, address)?,
            Width::Word => self.read_word(bus, address)?,
        };
        self.set_reg(i.d, value);
        Ok(())
    }

    fn write_ordered(&mut self, bus: &mut dyn Bus, what: u8, address: u32, value: u32) -> Result<(), Event> {
        match width(what) {
            Width::Byte => self.write_byte(bus, address, value),
            Width::Half => self.write_half(bus, address, value),
            Width::Word => self.write_word(bus, address, value),
        }
    }

    /// Stores only if the local monitor has tagged the address; the status register is 0 if it stored, else 1.
    fn store_exclusive(&mut self, bus: &mut dyn Bus, i: &Inst, address: u32) -> Result<(), Event> {
        // An implementation may tag a larger granule, but code can rely on the exact address only.
        let tagged = self.monitor == Some(address);
        if tagged {
            self.write_ordered(bus, i.a, address, self.reg(i.m))?;
        }
        // Any store-exclusive leaves the monitor open, also one that did not store (Arm ARM: local monitor).
        self.monitor = None;
        self.set_reg(i.d, u32::from(!tagged));
        Ok(())
    }
}

/// The lowest address of a load or store multiple, and the base register's new value.
fn spans(base: u32, length: u32, descending: bool) -> (u32, u32) {
    if descending {
        let start = base.wrapping_sub(length);
        (start, start)
    } else {
        (base, base.wrapping_add(length))
    }
}

/// Accesses that fault when unaligned even with CCR.UNALIGN_TRP clear (Arm ARM: MemA).
pub(super) fn require_aligned(address: u32, bytes: u32) -> Result<(), Event> {
    if address & (bytes - 1) == 0 { Ok(()) } else { Err(Event::UNALIGNED) }
}
