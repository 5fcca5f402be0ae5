//! Handles and chance.
//!
//! A handle is a number an application can neither guess the next of nor meet twice (D06). Which kind of thing it names
//! is known by the table it is looked up in: each kind looks in its own only, so a handle of another kind is not found.

/// Gives out handles: a secret permutation of 1, 2, 3 …, so none comes twice before all 2³² − 1 have been given.
pub(crate) struct Handles {
    keys: [u32; 4],
    issued: u32,
}

impl Handles {
    /// An order that must not be used: it is not secret.
    pub(crate) const UNKEYED: Self = Self { keys: [0; 4], issued: 0 };

    /// A new order of handles.
    pub(crate) fn new(chance: &mut Chance) -> Self {
        Self { keys: core::array::from_fn(|_| chance.word()), issued: 0 }
    }

    /// A handle never given before, and not 0 (N08).
    pub(crate) fn issue(&mut self) -> u32 {
        loop {
            self.issued = self.issued.wrapping_add(1);
            let handle = self.permuted(self.issued);
            if handle != 0 {
                return handle;
            }
        }
    }

    /// Four Feistel rounds over the two halves: a bijection whatever the round function is.
    fn permuted(&self, number: u32) -> u32 {
        let (mut left, mut right) = (number >> 16, number & 0xffff);
        for key in self.keys {
            (left, right) = (right, left ^ (mixed(right ^ key) & 0xffff));
        }
        left << 16 | right
    }
}

/// Spreads every bit over the whole word.
fn mixed(mut word: u32) -> u32 {
    word = (word ^ word >> 16).wrapping_mul(0x7feb_352d);
    word = (word ^ word >> 15).wrapping_mul(0x846c_a68b);
    word ^ word >> 16
}

/// A source of numbers that look like chance, from a seed that is chance. Not for secrets of anybody but the
/// application itself: it orders handles and spreads reconnections.
pub(crate) struct Chance {
    state: [u32; 4],
}

impl Chance {
    /// A source that must not be used: it was given no chance.
    pub(crate) const UNSEEDED: Self = Self { state: [0; 4] };

    /// A source started from the seed.
    pub(crate) fn new(seed: &[u8; 16]) -> Self {
        let word = |at: usize| u32::from_le_bytes([seed[at], seed[at + 1], seed[at + 2], seed[at + 3]]);
        // An all-zero state would stay zero for ever.
        Self { state: [word(0), word(4), word(8), word(12) | 1] }
    }

    /// The next 32 bits (xoshiro128).
    pub(crate) fn word(&mut self) -> u32 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(7).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 9), d.rotate_left(11)];
        result
    }

    /// A number below `bound`, or 0 if that is 0. The tiny unevenness does not matter to pauses.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (u64::from(self.word()) * bound.min(u64::from(u32::MAX))) >> 32
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::HashSet;

    use super::{Chance, Handles};

    /// Shows D06, N06, N08.
    #[test]
    fn a_hundred_thousand_handles_are_all_different_and_none_is_zero() {
        let mut handles = Handles::new(&mut Chance::new(&[7; 16]));
        let mut seen = HashSet::new();
        for _ in 0..100_000 {
            let handle = handles.issue();
            assert_ne!(handle, 0);
            assert!(seen.insert(handle));
        }
    }

    /// Shows N09.
    #[test]
    fn another_start_gives_other_handles() {
        let first = |seed| Handles::new(&mut Chance::new(&[seed; 16])).issue();
        assert_ne!(first(1), first(2));
    }

    #[test]
    fn chance_stays_below_its_bound() {
        let mut chance = Chance::new(&[0; 16]);
        assert_eq!(chance.below(0), 0);
        assert!((0..1000).all(|_| chance.below(10) < 10));
    }
}
