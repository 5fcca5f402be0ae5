//! Randomness, all of it from the operating system.

use std::fmt::Write as _;

use ring::rand::{SecureRandom, SystemRandom};

/// Fills an array with random bytes.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the operating system provides random bytes");
    bytes
}

/// 128 random bits as 32 lower-case hexadecimal digits.
pub(crate) fn hex_digits() -> String {
    bytes::<16>().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string");
        text
    })
}
