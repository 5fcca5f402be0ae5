//! An encoding as a string: `0` and `1` are fixed bits, a letter is a bit of the field of that name, spaces are
//! ignored.
//!
//! A letter's bits, from left to right, are the field's value. A pattern has 16 or 32 bits.

use crate::rng::Rng;

/// The values of an encoding's fields, by letter.
#[derive(Clone, Debug)]
pub struct Fields {
    values: [u32; 128],
}

impl Fields {
    /// Random values for the fields of `pattern`.
    pub fn random(pattern: &str, rng: &mut Rng) -> Self {
        let mut fields = Self { values: [0; 128] };
        for letter in letters(pattern) {
            let (at, width) = (letter as usize, width(pattern, letter));
            fields.values[at] = rng.bits() & ((1u64 << width) - 1) as u32;
        }
        fields
    }

    /// The value of field `letter`; zero if there is none.
    pub fn of(&self, letter: char) -> u32 {
        self.values[letter as usize & 127]
    }

    /// Changes a field; bits that do not fit are ignored when it is encoded.
    pub fn set(&mut self, letter: char, value: u32) {
        self.values[letter as usize & 127] = value;
    }

    /// The instruction.
    pub fn encode(&self, pattern: &str) -> Vec<u16> {
        let mut left = [0u32; 128];
        letters(pattern).for_each(|letter| left[letter as usize] = width(pattern, letter));
        let mut word = 0u32;
        for symbol in symbols(pattern) {
            let bit = match symbol {
                '0' => 0,
                '1' => 1,
                letter => {
                    left[letter as usize] -= 1;
                    self.of(letter) >> left[letter as usize] & 1
                }
            };
            word = word << 1 | bit;
        }
        match symbols(pattern).count() {
            16 => vec![word as u16],
            32 => vec![(word >> 16) as u16, word as u16],
            bits => panic!("a pattern of {bits} bits: {pattern}"),
        }
    }
}

/// How many bits field `letter` has.
pub fn width(pattern: &str, letter: char) -> u32 {
    symbols(pattern).filter(|&symbol| symbol == letter).count() as u32
}

fn symbols(pattern: &str) -> impl Iterator<Item = char> {
    pattern.chars().filter(|symbol| *symbol != ' ')
}

/// The letters of a pattern's fields, each once for every bit.
fn letters(pattern: &str) -> impl Iterator<Item = char> {
    symbols(pattern).filter(char::is_ascii_alphabetic)
}
