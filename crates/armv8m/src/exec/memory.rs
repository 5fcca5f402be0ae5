//! Loads and stores beyond the plain ones.

use crate::bus::{Bus, Width};
use crate::fault::Event;
use crate::op::{Inst, Op, kind, mode};
use crate::state::Core;

/// Where an access goes and what its base register becomes.
struct Place {
    address: u32,
    writeback: Option<u32>,
}

/// The width of an access by its kind.
fn width(what: u8) -> Width {
    match what {
        kind::BYTE | kind::SIGNED_BYTE => Width::Byte,
        kind::HALF | kind::SIGNED_HALF => Width::Half,
        _ => Width::Word,
    }
}

impl Core {
    fn place(&self, i: &Inst) -> Result<Place, Event> {
        let base = self.reg(i.n);
        let moved = base.wrapping_add(i.imm);
        let place = match i.s {
            mode::OFFSET => Place { address: moved, writeback: None },
            mode::PRE => Place { address: moved, writeback: Some(moved) },
            mode::POST => Place { address: base, writeback: Some(moved) },
            mode::REGISTER => {
                Place { address: base.wrapping_add(self.reg(i.m) << (i.k & 31)), writeback: None }
            }
            _ => Place { address: i.imm, writeback: None },
        };
        match place.writeback {
            Some(sp) if i.n == 13 => self.check_limit(sp)?,
            _ => {}
        }
        Ok(place)
    }

    fn write_back(&mut self, i: &Inst, place: &Place) {
        if let Some(value) = place.writeback {
            self.set_any(i.n, value);
        }
    }

    /// LDRT and its kin: an immediate offset with `k` set.
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
        let place = self.place(i)?;
        if i.d == 15 && place.address & 3 != 0 {
            return Err(Event::UNALIGNED);
        }
        let value = self.read_as(bus, i, place.address)?;
        self.write_back(i, &place);
        if i.d == 15 {
            return self.branch_exchange(value);
        }
        self.set_any(i.d, value);
        Ok(())
    }

    #[inline(never)]
    pub(super) fn store(&mut self, bus: &mut dyn Bus, i: &Inst) -> Result<(), Event> {
        let place = self.place(i)?;
        let value = self.reg(i.d);
        match width(i.a) {
            _ if Self::unprivileged_access(i) => {
                self.write_slow(bus, place.address, width(i.a), value, false)?;
            }
            Width::Byte => self.write_byte(bus, place.address, value)?,
            Width::Half => self.write_half(bus, place.address, value)?,
            Width::Word => self.write_word(bus, place.address, value)?,
        }
        self.write_back(i, &place);
        Ok(())
    }

    #[inline(never)]
    pub(super) fn load_dual(&mut self, bus: &mut dyn Bus, i: &Inst) -> Result<(), Event> {
        let place = self.place(i)?;
        require_aligned(place.address, 4)?;
        let low = self.read_word(bus, place.address)?;
        let high = self.read_word(bus, place.address.wrapping_add(4))?;
        self.write_back(i, &place);
        self.set_reg(i.d, low);
        self.set_reg(i.a, high);
        Ok(())
    }

    #[inline(never)]
    pub(super) fn store_dual(&mut self, bus: &mut dyn Bus, i: &Inst) -> Result<(), Event> {
        let place = self.place(i)?;
        require_aligned(place.address, 4)?;
        self.write_word(bus, place.address, self.reg(i.d))?;
        self.write_word(bus, place.address.wrapping_add(4), self.reg(i.a))?;
        self.write_back(i, &place);
        Ok(())
    }

    /// The registers of `list` still to move, and how many words of it have been moved already (ICI).
    fn remaining(&mut self, list: u32) -> (u32, u32) {
        let from = std::mem::take(&mut self.ici);
        let rest = list & !((1 << from) - 1);
        (rest, (list & !rest).count_ones() * 4)
    }

    /// Reads the words of `list` from `address` up into `values`, by register number.
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

    /// Puts loaded words into their registers; PC, if there, last of all.
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
        if i.n == 13 && i.s != 0 {
            self.check_limit(end)?;
        }
        let (rest, done) = self.remaining(i.imm);
        let mut values = [0; 16];
        self.read_list(bus, start.wrapping_add(done), rest, &mut values)?;
        if i.s != 0 {
            self.set_any(i.n, end);
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
            self.set_any(i.n, end);
        }
        Ok(())
    }

    #[inline(never)]
    pub(super) fn push(&mut self, bus: &mut dyn Bus, i: &Inst) -> Result<(), Event> {
        let sp = self.r[13].wrapping_sub(i.imm.count_ones() * 4);
        self.check_limit(sp)?;
        let (rest, done) = self.remaining(i.imm);
        self.write_list(bus, sp.wrapping_add(done), rest)?;
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
        self.r[13] = end;
        self.commit_list(rest, &values)
    }

    /// Load-acquire, store-release and the exclusives: always aligned.
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

    /// Stores only if the monitor still holds the address; the status register says whether it did (0 for yes).
    fn store_exclusive(&mut self, bus: &mut dyn Bus, i: &Inst, address: u32) -> Result<(), Event> {
        let held = self.monitor == Some(address);
        if held {
            self.write_ordered(bus, i.a, address, self.reg(i.m))?;
        }
        self.monitor = None;
        self.set_reg(i.d, u32::from(!held));
        Ok(())
    }
}

/// The lowest address a load or store multiple touches, and what the base becomes.
fn spans(base: u32, length: u32, descending: bool) -> (u32, u32) {
    if descending {
        let start = base.wrapping_sub(length);
        (start, start)
    } else {
        (base, base.wrapping_add(length))
    }
}

/// These accesses fault when misaligned whatever CCR says.
pub(super) fn require_aligned(address: u32, bytes: u32) -> Result<(), Event> {
    if address & (bytes - 1) == 0 { Ok(()) } else { Err(Event::UNALIGNED) }
}
