//! What the control registers set: which parts are on, the format of a character on the line, and how long it takes.

use crate::memory_map::CLOCK_HZ;

pub(super) const UE: u32 = 1;
pub(super) const RE: u32 = 1 << 2;
pub(super) const TE: u32 = 1 << 3;
pub(super) const PS: u32 = 1 << 9;
pub(super) const PCE: u32 = 1 << 10;
pub(super) const WAKE: u32 = 1 << 11;
const M0: u32 = 1 << 12;
pub(super) const MME: u32 = 1 << 13;
const OVER8: u32 = 1 << 15;
const M1: u32 = 1 << 28;
pub(super) const FIFOEN: u32 = 1 << 29;
/// CR2: an address has seven bits, rather than four.
pub(super) const ADDM7: u32 = 1 << 4;
const STOP_AT: u32 = 12;
pub(super) const ABREN: u32 = 1 << 20;
pub(super) const RTOEN: u32 = 1 << 23;
const ADD_AT: u32 = 24;

/// Characters that fit in a FIFO.
pub(super) const FIFO: usize = 8;
/// Characters at each threshold of a FIFO, by the field in CR3.
const THRESHOLDS: [usize; 8] = [1, 2, 4, 6, 7, 8, 8, 8];

/// The least divider: 16 periods of the clock a bit, 8 with OVER8. The manual forbids less; here less counts as this.
const LEAST_DIVIDER: u32 = 16;
/// The same for LPUART1, whose divider counts 256ths.
const LEAST_LOW_POWER_DIVIDER: u32 = 0x300;
/// What PRESC divides the clock by.
const PRESCALERS: [u64; 16] = [1, 2, 4, 6, 8, 10, 12, 16, 32, 64, 128, 256, 256, 256, 256, 256];

/// A port's settings.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// It is LPUART1, which has a baud rate register of its own kind and no receiver timeout.
    pub low_power: bool,
    /// Frequency of its clock in hertz.
    pub clock_hz: u32,
    /// CR1 to CR3.
    pub control: [u32; 3],
    /// BRR.
    pub baud: u32,
    /// RTOR.
    pub timeout: u32,
    /// PRESC.
    pub prescaler: u32,
}

impl Settings {
    pub(super) fn new(low_power: bool, clock_hz: u32) -> Self {
        Self { low_power, clock_hz, control: [0; 3], baud: 0, timeout: 0, prescaler: 0 }
    }

    /// Whether the port and a part of it (RE, TE, or 0 for the port alone) are on.
    pub(super) fn is_on(&self, part: u32) -> bool {
        self.control[0] & (UE | part) == UE | part
    }

    pub(super) fn has_fifo(&self) -> bool {
        self.control[0] & FIFOEN != 0
    }

    /// Characters that fit on either side, beside the one being moved on the line.
    pub(super) fn capacity(&self) -> usize {
        if self.has_fifo() { FIFO } else { 1 }
    }

    /// Characters at the threshold whose field in CR3 begins at bit `at`.
    pub(super) fn threshold(&self, at: u32) -> usize {
        THRESHOLDS[(self.control[2] >> at & 7) as usize]
    }

    /// Whether the receiver timeout is on.
    pub(super) fn has_timeout(&self) -> bool {
        self.control[1] & RTOEN != 0 && !self.low_power
    }

    /// CR2.ADD: the address, or the character to match.
    pub(super) fn address(&self) -> u8 {
        (self.control[1] >> ADD_AT) as u8
    }

    /// Cycles of the processor that a character takes on the line, with its start, parity and stop bits.
    pub(super) fn frame_cycles(&self) -> u64 {
        let half_stop_bits = [2, 1, 4, 3][(self.control[1] >> STOP_AT & 3) as usize];
        self.cycles(2 * (1 + u64::from(self.word_bits())) + half_stop_bits)
    }

    /// Cycles of the processor that the receiver timeout takes.
    pub(super) fn timeout_cycles(&self) -> u64 {
        self.cycles(2 * u64::from(self.timeout & 0x00FF_FFFF))
    }

    /// Bits of a character with its parity bit.
    fn word_bits(&self) -> u32 {
        match (self.control[0] & M1 != 0, self.control[0] & M0 != 0) {
            (false, false) => 8,
            (false, true) => 9,
            (true, _) => 7,
        }
    }

    /// Cycles of the processor in this many half bits, rounded up.
    fn cycles(&self, half_bits: u64) -> u64 {
        // In 256ths of a period of the clock that the prescaler gives.
        let bit = u64::from(if self.low_power {
            self.baud.max(LEAST_LOW_POWER_DIVIDER)
        } else if self.control[0] & OVER8 != 0 {
            // The lowest three bits are those of the divider, moved one to the right.
            let divider = self.baud & 0xFFF0 | (self.baud & 7) << 1;
            divider.max(LEAST_DIVIDER) * 128
        } else {
            self.baud.max(LEAST_DIVIDER) * 256
        });
        let prescaler = PRESCALERS[(self.prescaler & 0xF) as usize];
        let periods = u128::from(half_bits * bit) * u128::from(prescaler) * u128::from(CLOCK_HZ);
        let cycles = periods.div_ceil(512 * u128::from(self.clock_hz.max(1)));
        u64::try_from(cycles).unwrap_or(u64::MAX).max(1)
    }

    fn has_parity(&self) -> bool {
        self.control[0] & PCE != 0
    }

    /// Bits of data in a character.
    fn data_bits(&self) -> u32 {
        self.word_bits() - u32::from(self.has_parity())
    }

    /// What RDR reads as when `byte` was sent by an end with the same settings: its parity bit is above the data.
    pub(super) fn received(&self, byte: u8) -> u16 {
        let bits = self.data_bits();
        let data = u16::from(byte) & ((1 << bits) - 1);
        let odd = self.control[0] & PS != 0;
        let parity = (data.count_ones() % 2 == 1) != odd;
        data | u16::from(self.has_parity() && parity) << bits
    }

    /// The byte the other end receives of what was written to TDR, without a ninth data bit.
    pub(super) fn sent(&self, word: u16) -> u8 {
        (word & ((1 << self.data_bits()) - 1)) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(control: u32, baud: u32) -> Settings {
        Settings { control: [control, 0, 0], baud, ..Settings::new(false, CLOCK_HZ) }
    }

    /// Shows D213: RM0456's formulas for BRR.
    #[test]
    fn a_character_takes_its_bits_at_the_baud_rate() {
        let frame = |control, baud| settings(control, baud).frame_cycles();
        assert_eq!(frame(0, 1389), 13_890, "115200, 8N1");
        assert_eq!(frame(M0 | PCE, 1389), 11 * 1389, "8 bits and parity");
        assert_eq!(frame(M1, 1389), 9 * 1389, "7 bits");
        assert_eq!(frame(OVER8, 0x0AD5), 10 * 0x0ADA / 2, "USARTDIV is 0xADA, for two samples a bit");
        assert_eq!(frame(0, 0), 160, "a divider that is too small counts as 16");
        let two_stops = Settings { control: [0, 2 << STOP_AT, 0], ..settings(0, 100) };
        assert_eq!(two_stops.frame_cycles(), 1100);
        let half_a_stop = Settings { control: [0, 1 << STOP_AT, 0], ..settings(0, 100) };
        assert_eq!(half_a_stop.frame_cycles(), 950);
    }

    #[test]
    fn the_clock_and_its_prescaler_stretch_a_bit() {
        for (prescaler, factor) in [(0, 1), (1, 2), (3, 6), (7, 16), (11, 256), (15, 256)] {
            let settings = Settings { prescaler, ..settings(0, 100) };
            assert_eq!(settings.frame_cycles(), 1000 * factor, "{prescaler}");
        }
        let slow = Settings { clock_hz: 16_000_000, ..settings(0, 100) };
        assert_eq!(slow.frame_cycles(), 10_000);
    }

    /// Shows D213: LPUART1's divider is in 256ths.
    #[test]
    fn the_low_power_port_has_its_own_formula() {
        // 256 * 160 MHz / 115200 = 355556.
        let settings = Settings { baud: 355_556, ..Settings::new(true, CLOCK_HZ) };
        assert_eq!(settings.frame_cycles(), 13_889);
        // 9600 from a crystal of 32768 Hz: 256 * 32768 / 9600 = 874.
        let crystal = Settings { baud: 874, ..Settings::new(true, 32_768) };
        assert_eq!(crystal.frame_cycles(), 166_703);
    }

    #[test]
    fn the_longest_times_do_not_overflow() {
        let longest = Settings {
            control: [M0, 2 << STOP_AT, 0],
            prescaler: 15,
            timeout: u32::MAX,
            ..Settings { baud: 0xF_FFFF, ..Settings::new(true, 32_768) }
        };
        assert!(longest.frame_cycles() > u64::from(CLOCK_HZ));
        assert!(longest.timeout_cycles() > longest.frame_cycles());
    }

    #[test]
    fn parity_is_above_the_data() {
        for (control, byte, expected) in [
            (0, 0xFF, 0xFF),
            (PCE, 0x41, 0x41),
            (PCE, 0x43, 0xC3),
            (PCE | PS, 0x41, 0xC1),
            (M0 | PCE, 0x80, 0x180),
            (M0, 0xFF, 0xFF),
            (M1, 0xFF, 0x7F),
            (M1 | PCE, 0x41, 0x41),
        ] {
            assert_eq!(settings(control, 0).received(byte), expected, "{control:#x} {byte:#x}");
        }
        assert_eq!(settings(PCE, 0).sent(0xC3), 0x43);
        assert_eq!(settings(M0, 0).sent(0x1FF), 0xFF);
    }
}
