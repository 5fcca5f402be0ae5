//! The kernel's pseudo-random numbers, from the seed in [`Boot`](crate::Boot).

/// A pseudo-random number generator (xoshiro128++). It orders handles and spreads reconnections; it keeps no secret
/// from anybody but the application itself, so it need not be cryptographic.
pub(crate) struct Rng {
    state: [u32; 4],
}

impl Rng {
    /// A generator before the device's start. Its state is all zero, so it must not be used.
    pub(crate) const UNSEEDED: Self = Self { state: [0; 4] };

    /// A generator for this seed.
    pub(crate) fn new(seed: &[u8; 16]) -> Self {
        let word = |at: usize| u32::from_le_bytes([seed[at], seed[at + 1], seed[at + 2], seed[at + 3]]);
        // An all-zero state would stay zero for ever.
        Self { state: [word(0), word(4), word(8), word(12) | 1] }
    }

    /// The next 32 bits.
    pub(crate) fn next_u32(&mut self) -> u32 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(7).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 9), d.rotate_left(11)];
        result
    }

    /// A number below `bound`, or 0 if that is 0. It is slightly biased, which does not matter to pauses.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (u64::from(self.next_u32()) * bound.min(u64::from(u32::MAX))) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut rng = Rng::new(&[0; 16]);
        assert_eq!(rng.below(0), 0);
        assert!((0..1000).all(|_| rng.below(10) < 10));
    }
}
