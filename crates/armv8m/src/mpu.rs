//! The memory protection unit (PMSAv8) and the memory map's never-execute regions.

use std::ops::Range;

use crate::fault::{Event, Fault, cfsr};
use crate::state::Core;

const REGIONS: usize = 8;
const ENABLE: u32 = 1 << 0;
const HFNMIENA: u32 = 1 << 1;
const PRIVDEFENA: u32 = 1 << 2;
/// RBAR.XN, RBAR.AP and RLAR.EN.
const XN: u32 = 1 << 0;
const READ_ONLY: u32 = 1 << 2;
const ANY_PRIVILEGE: u32 = 1 << 1;
const REGION_ENABLE: u32 = 1 << 0;
const GRANULE: u32 = 32;

#[derive(Clone, Copy, Debug, Default)]
struct Region {
    rbar: u32,
    rlar: u32,
}

impl Region {
    fn enabled(self) -> bool {
        self.rlar & REGION_ENABLE != 0
    }
    fn first(self) -> u32 {
        self.rbar & !(GRANULE - 1)
    }
    /// Inclusive; the low bits of RLAR are flags, which the granule covers.
    fn last(self) -> u32 {
        self.rlar | (GRANULE - 1)
    }
    fn contains(self, address: u32) -> bool {
        self.enabled() && self.first() <= address && address <= self.last()
    }
}

/// The permissions of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub read: bool,
    pub write: bool,
    pub execute: bool,
    /// The matching region, if exactly one matches.
    pub region: Option<u8>,
}

impl Access {
    const NONE: Self = Self { read: false, write: false, execute: false, region: None };
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Mpu {
    control: u32,
    number: u32,
    regions: [Region; REGIONS],
    mair: [u32; 2],
}

impl Mpu {
    pub(crate) fn enabled(&self) -> bool {
        self.control & ENABLE != 0
    }

    /// The permissions of `address`; `negative` says that the execution priority is negative (see MPU_CTRL.HFNMIENA).
    /// An address in more than one region has none (PMSAv8: overlapping regions fault).
    pub(crate) fn access(&self, address: u32, privileged: bool, negative: bool) -> Access {
        // The MPU does not apply to the private peripheral bus.
        let private = matches!(address, 0xE000_0000..0xE010_0000);
        if !self.enabled() || private || (negative && self.control & HFNMIENA == 0) {
            return default_map(address);
        }
        let mut hits = self.regions.iter().enumerate().filter(|(_, r)| r.contains(address));
        match (hits.next(), hits.next()) {
            (Some((index, region)), None) => region_access(index, *region, address, privileged),
            (None, _) if privileged && self.control & PRIVDEFENA != 0 => default_map(address),
            _ => Access::NONE,
        }
    }

    /// The part of `span` around `address` with the same permissions.
    pub(crate) fn uniform(&self, address: u32, span: Range<u32>) -> Range<u32> {
        // A region up to the end of the address space ends at 0 here, which cuts nothing.
        let edges =
            self.regions.iter().filter(|r| r.enabled()).flat_map(|r| [r.first(), r.last().wrapping_add(1)]);
        edges.fold(span, |span, edge| {
            if edge <= address { span.start.max(edge)..span.end } else { span.start..span.end.min(edge) }
        })
    }

    /// Reads the register at `offset` from 0xE000ED90.
    pub(crate) fn read(&self, offset: u32) -> u32 {
        match offset {
            // MPU_TYPE, MPU_CTRL, MPU_RNR, MPU_RBAR and MPU_RLAR with three aliases, MPU_MAIR0, MPU_MAIR1.
            0x00 => (REGIONS as u32) << 8,
            0x04 => self.control,
            0x08 => self.number,
            0x0C..0x2C if offset & 4 != 0 => self.regions[self.alias(offset - 0x0C)].rbar,
            0x0C..0x2C => self.regions[self.alias(offset - 0x0C)].rlar,
            0x30 => self.mair[0],
            0x34 => self.mair[1],
            _ => 0,
        }
    }

    /// Writes the register at `offset` from 0xE000ED90.
    pub(crate) fn write(&mut self, offset: u32, value: u32) {
        match offset {
            0x04 => self.control = value & (ENABLE | HFNMIENA | PRIVDEFENA),
            0x08 => self.number = value & (REGIONS as u32 - 1),
            0x0C..0x2C => {
                let region = &mut self.regions[self.alias(offset - 0x0C)];
                *(if offset & 4 != 0 { &mut region.rbar } else { &mut region.rlar }) = value;
            }
            0x30 => self.mair[0] = value,
            0x34 => self.mair[1] = value,
            _ => {}
        }
    }

    /// The region behind RBAR/RLAR and their aliases: the first pair is MPU_RNR itself, the others replace its low
    /// bits.
    fn alias(&self, offset: u32) -> usize {
        let alias = offset / 8;
        (if alias == 0 { self.number } else { self.number & !3 | alias }) as usize
    }
}

fn region_access(index: usize, region: Region, address: u32, privileged: bool) -> Access {
    let read = privileged || region.rbar & ANY_PRIVILEGE != 0;
    let write = read && region.rbar & READ_ONLY == 0;
    // A region can take away the permission to execute, but not give it to a Device address.
    let execute = read && region.rbar & XN == 0 && default_map(address).execute;
    Access { read, write, execute, region: Some(index as u8) }
}

/// The default memory map: everything may be read and written; Device and system regions are never executable.
fn default_map(address: u32) -> Access {
    // Peripherals at 0x40000000, Device at 0xA0000000, system from 0xE0000000 (Arm ARM: system address map).
    let execute = !matches!(address >> 29, 2 | 5 | 6 | 7);
    Access { read: true, write: true, execute, region: None }
}

impl Core {
    fn access(&self, address: u32, privileged: bool) -> Access {
        self.mpu.access(address, privileged, self.execution_priority < 0)
    }

    /// Checks that running code may fetch from `address`. Returns the part of `span` around it for which that is true.
    pub(crate) fn fetch_window(&self, address: u32, span: Range<u32>) -> Result<Range<u32>, Event> {
        if !self.access(address, self.privileged()).execute {
            return Err(Event::Fault(Fault::memory(cfsr::IACCVIOL, 0)));
        }
        Ok(if self.mpu.enabled() { self.mpu.uniform(address, span) } else { span })
    }

    /// Checks one data access of up to four bytes.
    pub(crate) fn mpu_check(
        &self,
        address: u32,
        bytes: u32,
        privileged: bool,
        write: bool,
    ) -> Result<(), Event> {
        if !self.mpu.enabled() {
            return Ok(());
        }
        // Regions are larger than an access, so its first and last byte decide.
        for end in [address, address.wrapping_add(bytes - 1)] {
            let access = self.access(end, privileged);
            if !(if write { access.write } else { access.read }) {
                return Err(Event::data_violation(address));
            }
        }
        Ok(())
    }

    /// Checks a longer access, word by word.
    pub(crate) fn mpu_check_span(
        &self,
        address: u32,
        bytes: u32,
        privileged: bool,
        write: bool,
    ) -> Result<(), Event> {
        if !self.mpu.enabled() {
            return Ok(());
        }
        (0..bytes.div_ceil(4))
            .try_for_each(|word| self.mpu_check(address.wrapping_add(word * 4), 4, privileged, write))
    }

    /// The TT instruction's result (Arm ARM: TT_RESP, without security): region, MRVALID, R and RW.
    pub(crate) fn test_target(&self, address: u32, unprivileged: bool) -> u32 {
        let access = self.access(address, self.privileged() && !unprivileged);
        let region = access.region.map_or(0, |r| u32::from(r) | 1 << 16);
        region | u32::from(access.read) << 18 | u32::from(access.write) << 19
    }
}
