//! Reset and clock control. The application may not touch it: it peeks and pokes through the kernel, which holds
//! [`Rcc`]. A direct access reads zero and writes nothing, as of every peripheral that is secure only; every image
//! built with the vendor's hardware library makes one such read at its start.

use super::usart::LPUART1;
use crate::memory_map::CLOCK_HZ;

/// First register.
pub const BASE: u32 = 0x4602_0C00;

/// Number of registers: 0x000 to 0x0FC.
const WORDS: usize = 64;

/// Registers that select the clocks of the serial ports.
const CCIPR1: usize = 0xE0;
const CCIPR3: usize = 0xE8;
/// Frequencies of the oscillators that can be selected, in hertz.
const HSI16_HZ: u32 = 16_000_000;
const LSE_HZ: u32 = 32_768;
const MSIK_HZ: u32 = 4_000_000;

/// Reset values the application can observe; the clock tree agrees with 160 MHz on every bus, so that a driver that
/// computes its divider from the registers gets the right one (D72).
const RESET: [(u32, u32); 10] = [
    (0x00, 0x0300_0500), // CR: HSI16 and PLL1 on and ready
    (0x08, 0x4400_0000), // ICSCR1
    (0x1C, 0x0000_000F), // CFGR1: PLL1 selected and in use as system clock
    (0x20, 0x0000_0000), // CFGR2: AHB, APB1 and APB2 not divided
    (0x24, 0x0000_0000), // CFGR3: APB3 not divided
    (0x28, 0x0004_0002), // PLL1CFGR: source HSI16, not divided; output R on
    (0x34, 0x0100_0013), // PLL1DIVR: times 20, R divided by 2
    (0x38, 0x0000_0000), // PLL1FRACR
    (0x88, 0xC800_0000), // AHB1ENR: FLASH, backup RAM and SRAM1 clocked
    (0xF4, 0x0C00_4400), // CSR: reset by pin and power
];

/// Registers the application may change: resets, clock gates in run and sleep mode, kernel clock selections.
const WRITABLE: [core::ops::RangeInclusive<u32>; 2] = [0x60..=0xCC, 0xE0..=0xE8];

/// One bit that resets one peripheral.
struct ResetBit {
    register: u32,
    bit: u32,
    base: u32,
}

/// Reset bits of the peripherals modelled here.
const RESET_BITS: [ResetBit; 34] = [
    reset_bit(0x60, 0, 0x4002_0000),  // GPDMA1
    reset_bit(0x60, 12, 0x4002_3000), // CRC
    reset_bit(0x64, 0, 0x4202_0000),  // GPIOA
    reset_bit(0x64, 1, 0x4202_0400),  // GPIOB
    reset_bit(0x64, 2, 0x4202_0800),  // GPIOC
    reset_bit(0x64, 3, 0x4202_0C00),  // GPIOD
    reset_bit(0x64, 4, 0x4202_1000),  // GPIOE
    reset_bit(0x64, 5, 0x4202_1400),  // GPIOF
    reset_bit(0x64, 6, 0x4202_1800),  // GPIOG
    reset_bit(0x64, 7, 0x4202_1C00),  // GPIOH
    reset_bit(0x64, 8, 0x4202_2000),  // GPIOI
    reset_bit(0x64, 18, 0x420C_0800), // RNG
    reset_bit(0x74, 0, 0x4000_0000),  // TIM2
    reset_bit(0x74, 1, 0x4000_0400),  // TIM3
    reset_bit(0x74, 2, 0x4000_0800),  // TIM4
    reset_bit(0x74, 3, 0x4000_0C00),  // TIM5
    reset_bit(0x74, 4, 0x4000_1000),  // TIM6
    reset_bit(0x74, 5, 0x4000_1400),  // TIM7
    reset_bit(0x74, 14, 0x4000_3800), // SPI2
    reset_bit(0x74, 17, 0x4000_4400), // USART2
    reset_bit(0x74, 18, 0x4000_4800), // USART3
    reset_bit(0x74, 19, 0x4000_4C00), // UART4
    reset_bit(0x74, 20, 0x4000_5000), // UART5
    reset_bit(0x74, 21, 0x4000_5400), // I2C1
    reset_bit(0x74, 22, 0x4000_5800), // I2C2
    reset_bit(0x7C, 11, 0x4001_2C00), // TIM1
    reset_bit(0x7C, 12, 0x4001_3000), // SPI1
    reset_bit(0x7C, 13, 0x4001_3400), // TIM8
    reset_bit(0x7C, 14, 0x4001_3800), // USART1
    reset_bit(0x7C, 16, 0x4001_4000), // TIM15
    reset_bit(0x7C, 17, 0x4001_4400), // TIM16
    reset_bit(0x7C, 18, 0x4001_4800), // TIM17
    reset_bit(0x80, 5, 0x4600_2000),  // SPI3
    reset_bit(0x80, 6, 0x4600_2400),  // LPUART1
];

const fn reset_bit(register: u32, bit: u32, base: u32) -> ResetBit {
    ResetBit { register, bit, base }
}

/// The registers, as the kernel reaches them for the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rcc {
    words: [u32; WORDS],
}

impl Default for Rcc {
    fn default() -> Self {
        let mut words = [0; WORDS];
        for (offset, value) in RESET {
            words[offset as usize / 4] = value;
        }
        Self { words }
    }
}

impl Rcc {
    /// Whether `address` is a register here, aligned or not.
    pub fn owns(address: u32) -> bool {
        (BASE..BASE + 4 * WORDS as u32).contains(&address)
    }

    /// Frequency in hertz of the clock by which the serial port with number `port` counts its bits, as CCIPR1 and, for
    /// LPUART1, CCIPR3 select it.
    pub fn serial_clock_hz(&self, port: u8) -> u32 {
        let (register, at, mask) = match port {
            LPUART1 => (CCIPR3, 0, 7),
            _ => (CCIPR1, 2 * (u32::from(port) - 1), 3),
        };
        match self.words[register / 4] >> at & mask {
            2 => HSI16_HZ,
            3 => LSE_HZ,
            4 => MSIK_HZ,
            // The bus clock or the system clock, which are the same here (D72).
            _ => CLOCK_HZ,
        }
    }

    /// The register at `address`; `None` if there is none.
    pub fn peek(&self, address: u32) -> Option<u32> {
        self.words.get(index(address)?).copied()
    }

    /// Assigns the bits in `mask` from `xor`, and inverts the others that are set in `xor`. Bits the application
    /// may not change are not changed. `None` if there is no such register, otherwise the peripherals now in reset.
    pub fn poke(&mut self, address: u32, mask: u32, xor: u32) -> Option<Vec<u32>> {
        let word = self.words.get_mut(index(address)?)?;
        let offset = address - BASE;
        if WRITABLE.iter().any(|range| range.contains(&offset)) {
            *word = (*word & !mask) ^ xor;
        }
        Some(peripherals_in_reset(offset, *word))
    }
}

fn peripherals_in_reset(register: u32, word: u32) -> Vec<u32> {
    let is_in_reset = |bit: &&ResetBit| bit.register == register && word >> bit.bit & 1 == 1;
    RESET_BITS.iter().filter(is_in_reset).map(|bit| bit.base).collect()
}

fn index(address: u32) -> Option<usize> {
    let offset = address.checked_sub(BASE)?;
    offset.is_multiple_of(4).then_some(offset as usize / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D72.
    #[test]
    fn the_clock_registers_say_160_mhz() {
        let rcc = Rcc::default();
        for (address, value) in [
            (0x4602_0C1C, 0x0F),
            (0x4602_0C20, 0),
            (0x4602_0C24, 0),
            (0x4602_0C28, 0x0004_0002),
            (0x4602_0C34, 0x0100_0013),
            (0x4602_0C38, 0),
        ] {
            assert_eq!(rcc.peek(address), Some(value), "{address:#x}");
        }
        // HSI16 / 1 * (N + 1) / (R + 1), the way the manual computes the system clock.
        let (n, r) = (0x13 + 1, 0x01 + 1);
        assert_eq!(16_000_000 * n / r, crate::memory_map::CLOCK_HZ);
    }

    #[test]
    fn a_poke_assigns_where_the_mask_is_set_and_inverts_elsewhere() {
        let mut rcc = Rcc::default();
        rcc.poke(0x4602_0C9C, u32::MAX, 0b1100).expect("APB1ENR1");
        rcc.poke(0x4602_0C9C, 0b0110, 0b1010).expect("APB1ENR1");
        assert_eq!(rcc.peek(0x4602_0C9C), Some(0b0010));
    }

    #[test]
    fn a_poke_of_the_clock_tree_changes_nothing() {
        let mut rcc = Rcc::default();
        assert!(rcc.poke(0x4602_0C1C, u32::MAX, 0).is_some());
        assert_eq!(rcc, Rcc::default());
    }

    #[test]
    fn addresses_that_are_no_register_are_refused() {
        let mut rcc = Rcc::default();
        for address in [0, 0x4602_0BFC, 0x4602_0C02, 0x4602_0D00, 0x5602_0C1C, u32::MAX] {
            assert_eq!(rcc.peek(address), None, "{address:#x}");
            assert_eq!(rcc.poke(address, 0, 1), None, "{address:#x}");
        }
    }

    #[test]
    fn a_serial_port_has_the_clock_that_is_selected_for_it() {
        let mut rcc = Rcc::default();
        assert_eq!((rcc.serial_clock_hz(2), rcc.serial_clock_hz(LPUART1)), (CLOCK_HZ, CLOCK_HZ));
        rcc.poke(0x4602_0CE0, 0xC, 2 << 2);
        rcc.poke(0x4602_0CE8, 7, 4);
        let clocks = [1, 2, 3, LPUART1].map(|port| rcc.serial_clock_hz(port));
        assert_eq!(clocks, [CLOCK_HZ, 16_000_000, CLOCK_HZ, 4_000_000]);
        rcc.poke(0x4602_0CE0, 0x300, 3 << 8);
        assert_eq!(rcc.serial_clock_hz(5), 32_768);
    }

    #[test]
    fn a_reset_bit_names_its_peripheral_while_it_is_set() {
        let mut rcc = Rcc::default();
        assert_eq!(rcc.poke(0x4602_0C74, 1 << 4, 1 << 4), Some(vec![0x4000_1000]));
        assert_eq!(rcc.poke(0x4602_0C74, 1 << 4, 0), Some(vec![]));
    }
}
