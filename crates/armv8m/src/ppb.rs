//! The private peripheral bus, 0xE0000000 to 0xE00FFFFF: the registers of NVIC, SCB, SysTick, MPU, FPU and DWT by
//! address.

use crate::bus::Width;
use crate::fault::Event;
use crate::state::Core;

const STIR: u32 = 0xE000_EF00;
const DWT_CTRL: u32 = 0xE000_1000;
const DWT_CYCCNT: u32 = 0xE000_1004;
/// DWT_CTRL.CYCCNTENA.
const CYCCNTENA: u32 = 1 << 0;
/// DWT_CTRL without comparators: NOTRCPKT, NOEXTTRIG, NOPRFCNT.
const DWT_FEATURES: u32 = 0x0D00_0000;

/// The cycle counter of the Data Watchpoint and Trace unit.
#[derive(Clone, Debug, Default)]
pub(crate) struct CycleCounter {
    /// DWT_CTRL.CYCCNTENA, which reads back even if DEMCR.TRCENA is clear.
    enabled: bool,
    /// CYCCNTENA and TRCENA are both set.
    running: bool,
    /// The difference to the cycle count while it runs, else its value.
    offset: u32,
}

impl Core {
    /// Reads from the private peripheral bus. An unprivileged read is a bus fault.
    pub(crate) fn read_ppb_register(
        &mut self,
        address: u32,
        width: Width,
        privileged: bool,
    ) -> Result<u32, Event> {
        if !privileged {
            return Err(Event::precise_bus_fault(address));
        }
        let word = self.read_ppb_word(address & !3);
        Ok(match width {
            Width::Word => word,
            Width::Half => word >> (address % 4 * 8) & 0xFFFF,
            Width::Byte => word >> (address % 4 * 8) & 0xFF,
        })
    }

    /// Writes to the private peripheral bus. An unprivileged write is a bus fault, except to STIR with
    /// CCR.USERSETMPEND.
    ///
    /// Only priorities and CFSR, whose bytes are registers of their own, are architecturally byte-accessible.
    pub(crate) fn write_ppb_register(
        &mut self,
        address: u32,
        width: Width,
        value: u32,
        privileged: bool,
    ) -> Result<(), Event> {
        let allowed = privileged || (address == STIR && self.scb.unprivileged_may_pend());
        if !allowed {
            return Err(Event::precise_bus_fault(address));
        }
        match (width, address) {
            (Width::Word, _) => self.write_ppb_word(address, value),
            (_, 0xE000_E400..=0xE000_E5EF | 0xE000_ED18..=0xE000_ED23) => {
                self.write_priority_bytes(address, width, value);
            }
            (_, 0xE000_ED28..=0xE000_ED2B) => {
                // The other bytes are written as zeros, which clear nothing.
                self.write_ppb_word(address & !3, value << (address % 4 * 8));
            }
            _ => self.write_narrow(address, width, value),
        }
        // The write may have pended or unmasked an exception.
        self.request_service();
        Ok(())
    }

    /// A narrow write to a register that is defined for words only: the other bytes keep their values.
    fn write_narrow(&mut self, address: u32, width: Width, value: u32) {
        let mask = if width == Width::Byte { 0xFF } else { 0xFFFF };
        let at = address % 4 * 8;
        let old = self.read_ppb_word(address & !3);
        self.write_ppb_word(address & !3, old & !(mask << at) | (value & mask) << at);
    }

    /// Writes priority bytes by address: SHPR1 to SHPR3, which begin with exception 4, or NVIC_IPRn. Exceptions 7 to 10
    /// and 13 do not exist in a processor without security.
    fn write_priority_bytes(&mut self, address: u32, width: Width, value: u32) {
        let first = match address {
            0xE000_ED18.. => address - 0xE000_ED14,
            _ => address - 0xE000_E400 + 16,
        };
        for (number, byte) in (first as u16..).zip(value.to_le_bytes()).take(width.bytes() as usize) {
            if !matches!(number, 7..=10 | 13) {
                self.nvic.set_priority_byte(number, byte);
            }
        }
        self.update_priority();
    }

    fn read_ppb_word(&mut self, address: u32) -> u32 {
        match address {
            DWT_CTRL => DWT_FEATURES | u32::from(self.cycle_counter.enabled),
            DWT_CYCCNT => self.cyccnt(),
            // ICTR.INTLINESNUM: groups of 32 lines, less one.
            0xE000_E004 => u32::from(self.nvic.interrupts().div_ceil(32)).saturating_sub(1),
            0xE000_E010..=0xE000_E01C => {
                // SysTick counts lazily, so it has to catch up with this cycle before it is read or written.
                self.advance_systick();
                self.systick.read(address - 0xE000_E010)
            }
            0xE000_E100..=0xE000_E5EC => self.nvic.read(address - 0xE000_E100),
            0xE000_ED00..=0xE000_EFFC => self.read_scb(address),
            _ => 0,
        }
    }

    fn write_ppb_word(&mut self, address: u32, value: u32) {
        match address {
            DWT_CTRL => {
                self.cycle_counter.enabled = value & CYCCNTENA != 0;
                self.update_cyccnt();
            }
            DWT_CYCCNT => self.set_cyccnt(value),
            0xE000_E010..=0xE000_E01C => {
                self.advance_systick();
                self.systick.write(address - 0xE000_E010, value, self.cycles);
            }
            0xE000_E400..=0xE000_E5EC => self.write_priority_bytes(address, Width::Word, value),
            0xE000_E100..=0xE000_E3FC => self.nvic.write(address - 0xE000_E100, value),
            0xE000_ED00..=0xE000_EFFC => self.write_scb(address, value),
            _ => {}
        }
    }

    /// DWT_CYCCNT: counts cycles while DWT_CTRL and DEMCR enable it (D217: software sets these in either order).
    fn cyccnt(&self) -> u32 {
        let counter = &self.cycle_counter;
        if counter.running { (self.cycles as u32).wrapping_add(counter.offset) } else { counter.offset }
    }

    fn set_cyccnt(&mut self, value: u32) {
        let base = if self.cycle_counter.running { self.cycles as u32 } else { 0 };
        self.cycle_counter.offset = value.wrapping_sub(base);
    }

    /// Starts or stops the counter after a change of CYCCNTENA or TRCENA. It keeps its value.
    pub(crate) fn update_cyccnt(&mut self) {
        // Read in the old state and written in the new one, so that it keeps its value.
        let value = self.cyccnt();
        self.cycle_counter.running = self.cycle_counter.enabled && self.scb.trace_enabled();
        self.set_cyccnt(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Cpu};

    const DEMCR: u32 = 0xE000_EDFC;
    const TRCENA: u32 = 1 << 24;

    fn cpu() -> Cpu {
        Cpu::new(Config::default(), vec![0; 64].into())
    }

    fn write(cpu: &mut Cpu, address: u32, value: u32) {
        cpu.core.write_ppb_register(address, Width::Word, value, true).expect("a register");
    }

    fn read(cpu: &mut Cpu, address: u32) -> u32 {
        cpu.core.read_ppb_register(address, Width::Word, true).expect("a register")
    }

    /// Shows D217.
    #[test]
    fn cyccnt_counts_while_both_of_its_enables_are_set_in_any_order() {
        for first in [(DWT_CTRL, CYCCNTENA), (DEMCR, TRCENA)] {
            let second = if first.0 == DEMCR { (DWT_CTRL, CYCCNTENA) } else { (DEMCR, TRCENA) };
            let mut cpu = cpu();
            write(&mut cpu, first.0, first.1);
            cpu.skip_cycles(100);
            assert_eq!(read(&mut cpu, DWT_CYCCNT), 0, "one of them is missing");
            write(&mut cpu, second.0, second.1);
            cpu.skip_cycles(100);
            assert_eq!(read(&mut cpu, DWT_CYCCNT), 100);
            write(&mut cpu, second.0, 0);
            cpu.skip_cycles(100);
            assert_eq!(read(&mut cpu, DWT_CYCCNT), 100, "stopped, it keeps its value");
            write(&mut cpu, second.0, second.1);
            cpu.skip_cycles(1);
            assert_eq!(read(&mut cpu, DWT_CYCCNT), 101);
        }
    }

    /// Shows D217: CYCCNTENA reads as it was written, also without TRCENA.
    #[test]
    fn cyccntena_reads_back_without_trcena() {
        let mut cpu = cpu();
        write(&mut cpu, DWT_CTRL, CYCCNTENA);
        assert_eq!(read(&mut cpu, DWT_CTRL), DWT_FEATURES | CYCCNTENA);
    }
}
