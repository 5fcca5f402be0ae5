//! The HT16K33, a driver of 16 by 8 LEDs (data sheet of Holtek), with an 8 by 8 matrix or four digits of seven
//! segments. What is lit is reported whenever it changes. Keys are not modelled.

use super::Parts;
use crate::events::{BoardEvent, Picture};
use crate::peripherals::Context;
use crate::peripherals::i2c::Target;

/// Commands, by their higher four bits; data pointers are below.
const OSCILLATOR: u8 = 0x20;
const DISPLAY: u8 = 0x80;
const DIMMING: u8 = 0xE0;
/// The lowest bit of the first two.
const ON: u8 = 1;

/// The driver and what it lights.
#[derive(Debug)]
pub struct Ht16k33 {
    bus: u8,
    address: u8,
    /// A byte is eight LEDs of one row; rows follow each other in pairs.
    memory: [u8; 16],
    pointer: u8,
    pointed: bool,
    oscillator: bool,
    display: bool,
    dimming: u8,
    reported: Option<Picture>,
}

impl Ht16k33 {
    /// A driver after power-on: nothing is lit.
    pub fn new(parts: &Parts) -> Self {
        Self {
            bus: parts.bus,
            address: parts.address,
            memory: [0; 16],
            pointer: 0,
            pointed: false,
            oscillator: false,
            display: false,
            dimming: 15,
            reported: None,
        }
    }

    fn command(&mut self, byte: u8) {
        match byte & 0xF0 {
            0 => self.pointer = byte,
            OSCILLATOR => self.oscillator = byte & ON != 0,
            DISPLAY => self.display = byte & ON != 0,
            DIMMING => self.dimming = byte & 0xF,
            _ => {}
        }
    }

    fn picture(&self) -> Picture {
        let lit = self.oscillator && self.display;
        Picture { rows: if lit { self.memory } else { [0; 16] } }
    }
}

impl Target for Ht16k33 {
    fn address(&self) -> u8 {
        self.address
    }

    fn start(&mut self, _read: bool, _context: &mut Context<'_>) {
        self.pointed = false;
    }

    fn write(&mut self, byte: u8, _context: &mut Context<'_>) -> bool {
        if self.pointed {
            self.memory[usize::from(self.pointer)] = byte;
            self.pointer = (self.pointer + 1) % 16;
        } else {
            self.command(byte);
            self.pointed = true;
        }
        true
    }

    fn read(&mut self, _context: &mut Context<'_>) -> u8 {
        let byte = self.memory[usize::from(self.pointer)];
        self.pointer = (self.pointer + 1) % 16;
        byte
    }

    /// Only a whole transfer is shown: no picture half drawn.
    fn stop(&mut self, context: &mut Context<'_>) {
        let picture = self.picture();
        let dark = Picture { rows: [0; 16] };
        if *self.reported.as_ref().unwrap_or(&dark) != picture {
            self.reported = Some(picture);
            context.events.push(BoardEvent::Display { bus: self.bus, address: self.address, picture });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Wired;
    use crate::events::BoardEvent;

    fn lit(wired: &mut Wired) -> Vec<[u8; 16]> {
        let outputs = wired.outputs().into_iter();
        outputs
            .map(|output| match output {
                BoardEvent::Display { bus: 1, address: 0x71, picture } => picture.rows,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn what_is_lit_is_reported_when_it_changes_and_while_it_is_on() {
        let mut wired = Wired::new("ht16k33@0x71");
        wired.write(&[0x00, 0xFF, 0x00, 0x81]);
        assert_eq!(lit(&mut wired), Vec::<[u8; 16]>::new(), "off");
        wired.write(&[0x21]);
        wired.write(&[0x81]);
        let mut rows = [0; 16];
        (rows[0], rows[2]) = (0xFF, 0x81);
        assert_eq!(lit(&mut wired), [rows]);
        wired.write(&[0x02, 0x81]);
        wired.write(&[0xEF]);
        assert_eq!(lit(&mut wired), Vec::<[u8; 16]>::new(), "the same");
        wired.write(&[0x0F, 0x01, 0x02]);
        (rows[15], rows[0]) = (1, 2);
        assert_eq!(lit(&mut wired), [rows], "the pointer goes round");
        wired.write(&[0x80]);
        assert_eq!(lit(&mut wired), [[0; 16]], "dark");
    }

    #[test]
    fn its_memory_reads_back() {
        let mut wired = Wired::new("ht16k33@0x71");
        wired.write(&[0x04, 7, 8]);
        assert_eq!(wired.read(&[0x04], 2), [7, 8]);
    }
}
