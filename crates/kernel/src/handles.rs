//! Allocation of handles.
//!
//! A handle is a number whose successor an application cannot guess and which it never meets twice (D06), so that code
//! which uses a stale handle or computes one fails at once. The handle does not encode what it names: each table looks
//! up its own handles only, so a handle of another kind is simply not found.

use crate::rng::Rng;

/// Allocates handles: a secret permutation of 1, 2, 3 …, so none repeats before all 2³² − 1 have been used.
pub(crate) struct HandleAllocator {
    keys: [u32; 4],
    allocated: u32,
}

impl HandleAllocator {
    /// An allocator before the device's start. Its order is not secret, so it must not be used.
    pub(crate) const UNKEYED: Self = Self { keys: [0; 4], allocated: 0 };

    /// An allocator with an order of its own, so that the handles of an earlier start are void (N09).
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self { keys: core::array::from_fn(|_| rng.next_u32()), allocated: 0 }
    }

    /// A handle never allocated before, and not 0, which never names anything (N08).
    pub(crate) fn allocate(&mut self) -> u32 {
        loop {
            self.allocated = self.allocated.wrapping_add(1);
            let handle = self.permute(self.allocated);
            if handle != 0 {
                return handle;
            }
        }
    }

    /// Four Feistel rounds over the two halves: a bijection whatever the round function is.
    fn permute(&self, number: u32) -> u32 {
        let (mut left, mut right) = (number >> 16, number & 0xffff);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & 0xffff));
        }
        left << 16 | right
    }
}

/// Spreads every bit over the whole word.
fn mix(mut word: u32) -> u32 {
    word = (word ^ word >> 16).wrapping_mul(0x7feb_352d);
    word = (word ^ word >> 15).wrapping_mul(0x846c_a68b);
    word ^ word >> 16
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::HashSet;

    use super::HandleAllocator;
    use crate::rng::Rng;

    /// Shows D06, N06, N08.
    #[test]
    fn a_hundred_thousand_handles_are_all_different_and_none_is_zero() {
        let mut handles = HandleAllocator::new(&mut Rng::new(&[7; 16]));
        let mut seen = HashSet::new();
        for _ in 0..100_000 {
            let handle = handles.allocate();
            assert_ne!(handle, 0);
            assert!(seen.insert(handle));
        }
    }

    /// Shows N09.
    #[test]
    fn another_start_gives_other_handles() {
        let first = |seed| HandleAllocator::new(&mut Rng::new(&[seed; 16])).allocate();
        assert_ne!(first(1), first(2));
    }
}
