//! The 23LC512, 64 KiB of RAM on an SPI bus (data sheet DS25155), and a wire from out to in.

use crate::peripherals::spi::SpiDevice;

const READ: u8 = 0x03;
const WRITE: u8 = 0x02;
const READ_MODE: u8 = 0x05;
const WRITE_MODE: u8 = 0x01;
const SIZE: usize = 1 << 16;
const PAGE: u16 = 32;
/// The mode register's bits. Page mode: an access wraps within its page. Neither bit, byte mode: the address stays.
/// Sequential mode: an access wraps at the end of the memory.
const PAGED: u8 = 0x80;
const SEQUENTIAL: u8 = 0x40;

/// The memory.
pub struct SerialRam {
    bytes: Box<[u8]>,
    mode: u8,
    command: Option<u8>,
    address: u16,
    /// Bytes of the command so far.
    at: usize,
    selected: bool,
}

impl Default for SerialRam {
    fn default() -> Self {
        Self {
            bytes: vec![0; SIZE].into(),
            mode: SEQUENTIAL,
            command: None,
            address: 0,
            at: 0,
            selected: false,
        }
    }
}

impl SerialRam {
    fn move_on(&mut self) {
        match self.mode & (PAGED | SEQUENTIAL) {
            SEQUENTIAL => self.address = self.address.wrapping_add(1),
            PAGED => self.address = self.address & !(PAGE - 1) | self.address.wrapping_add(1) & (PAGE - 1),
            _ => {}
        }
    }

    fn data(&mut self, command: u8, byte: u8) -> u8 {
        let cell = &mut self.bytes[usize::from(self.address)];
        let answer = match command {
            READ => *cell,
            WRITE => {
                *cell = byte;
                0
            }
            _ => return 0,
        };
        self.move_on();
        answer
    }
}

impl SpiDevice for SerialRam {
    fn exchange(&mut self, frame: u32) -> u32 {
        if !self.selected {
            return 0;
        }
        let byte = frame as u8;
        self.at += 1;
        let answer = match (self.command, self.at) {
            (None, _) => {
                self.command = Some(byte);
                0
            }
            (Some(READ_MODE), _) => self.mode,
            (Some(WRITE_MODE), 2) => {
                self.mode = byte;
                0
            }
            // The address follows the command, its high byte first.
            (Some(READ | WRITE), 2 | 3) => {
                self.address = self.address << 8 | u16::from(byte);
                0
            }
            (Some(command), _) => self.data(command, byte),
        };
        answer.into()
    }

    fn select(&mut self, selected: bool) {
        self.selected = selected;
        // An edge of chip select in either direction ends the command.
        (self.command, self.at) = (None, 0);
    }
}

/// A wire from output to input: what is sent is received.
pub struct Loopback;

impl SpiDevice for Loopback {
    fn exchange(&mut self, frame: u32) -> u32 {
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(ram: &mut SerialRam, bytes: &[u8]) -> Vec<u8> {
        ram.select(true);
        let answers = bytes.iter().map(|byte| ram.exchange(u32::from(*byte)) as u8).collect();
        ram.select(false);
        answers
    }

    #[test]
    fn what_is_written_is_read() {
        let mut ram = SerialRam::default();
        command(&mut ram, &[2, 0x12, 0x34, 0xAB, 0xCD]);
        assert_eq!(command(&mut ram, &[3, 0x12, 0x34, 0, 0, 0]), [0, 0, 0, 0xAB, 0xCD, 0]);
    }

    #[test]
    fn its_mode_says_where_the_next_byte_is() {
        for (mode, expected) in [(0x40, [1, 2, 3]), (0x80, [1, 9, 9]), (0x00, [1, 1, 1])] {
            let mut ram = SerialRam::default();
            command(&mut ram, &[2, 0, 0, 9, 9]);
            command(&mut ram, &[2, 0, 31, 1, 2, 3]);
            command(&mut ram, &[1, mode]);
            assert_eq!(command(&mut ram, &[5, 0])[1], mode);
            assert_eq!(command(&mut ram, &[3, 0, 31, 0, 0, 0])[3..], expected, "{mode:#x}");
        }
    }

    #[test]
    fn not_selected_it_is_silent() {
        let mut ram = SerialRam::default();
        assert_eq!(ram.exchange(5), 0);
        assert_eq!(ram.command, None);
    }
}
