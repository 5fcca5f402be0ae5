//! Where a device's random words come from: the host, or a seed, which gives the same words every time.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ring::digest::{Context, SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

/// Where a machine's random words come from. They cannot be predicted without the seed.
pub type EntropySource = Arc<dyn Fn() -> u32 + Send + Sync>;

/// What a sequence of random words is derived from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl fmt::Debug for Seed {
    /// Handles follow from the seed, so it is not printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(…)")
    }
}

impl Seed {
    /// A random seed.
    pub fn random() -> Self {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).expect("the system gives random bytes");
        Self(seed)
    }

    /// The seed for `text`, which may be any text.
    pub fn of_text(text: &str) -> Self {
        Self(digest(&SHA256, text.as_bytes()).as_ref().try_into().expect("SHA-256 is 32 bytes long"))
    }

    /// The words that follow from this seed: SHA-256 of the seed and a counter.
    pub fn entropy(self) -> EntropySource {
        let words = Mutex::new(Words { seed: self, block: 0, left: Vec::new() });
        Arc::new(move || words.lock().unwrap_or_else(PoisonError::into_inner).next())
    }
}

struct Words {
    seed: Seed,
    /// Number of the next block of words.
    block: u64,
    /// What is left of the last one, backwards.
    left: Vec<u32>,
}

impl Words {
    fn next(&mut self) -> u32 {
        if let Some(word) = self.left.pop() {
            return word;
        }
        let mut context = Context::new(&SHA256);
        context.update(&self.seed.0);
        context.update(&self.block.to_le_bytes());
        self.block += 1;
        let block = context.finish();
        let words = block.as_ref().chunks_exact(4).rev();
        self.left = words.map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect();
        self.left.pop().expect("a block is eight words")
    }
}

/// The host's random numbers.
pub fn system_entropy() -> EntropySource {
    let random = SystemRandom::new();
    Arc::new(move || {
        let mut word = [0; 4];
        random.fill(&mut word).expect("the system gives random bytes");
        u32::from_le_bytes(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(seed: Seed) -> Vec<u32> {
        let entropy = seed.entropy();
        (0..20).map(|_| entropy()).collect()
    }

    #[test]
    fn a_seed_gives_the_same_words_every_time_and_no_other_seed_does() {
        assert_eq!(words(Seed::of_text("7")), words(Seed::of_text("7")));
        assert_ne!(words(Seed::of_text("7")), words(Seed::of_text("8")));
        assert_ne!(words(Seed::random()), words(Seed::random()));
    }

    #[test]
    fn the_words_of_a_seed_are_those_of_the_format() {
        // printf 1 | sha256sum, and SHA-256 of that with eight zero bytes after it, by other tools.
        assert_eq!(Seed::of_text("1").0[..4], [0x6B, 0x86, 0xB2, 0x73]);
        assert_eq!(words(Seed::of_text("1"))[0].to_le_bytes(), FIRST_WORD);
    }

    const FIRST_WORD: [u8; 4] = [0xF5, 0x34, 0x52, 0x7E];
}
