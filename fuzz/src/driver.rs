//! The driver for a stable toolchain: replays the corpus and mutates it, the same each time for the same seed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Target;

/// Longest input, bytes.
const LONGEST: usize = 4096;

/// An input that broke a promise.
#[derive(Debug)]
pub struct Found {
    /// The input.
    pub input: Vec<u8>,
    /// What was said.
    pub what: String,
}

/// Numbers from a seed (xorshift64*).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }
}

/// The folder of a target's corpus.
pub fn corpus_folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// A target's committed inputs, in the order of their names.
pub fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = corpus_folder(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a file of the corpus")).collect()
}

/// Every input of the corpus, then mutations: so many, or for so long.
pub fn drive(target: &Target, seed: u64, tries: u32, limit: Duration) -> Result<u32, Box<Found>> {
    let inputs = corpus(target);
    assert!(!inputs.is_empty(), "{} has no corpus", target.name);
    inputs.iter().try_for_each(|input| attempt(target, input))?;
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let started = Instant::now();
    let mut done = 0;
    while done < tries && started.elapsed() < limit {
        attempt(target, &mutated(&inputs, &mut chance))?;
        done += 1;
    }
    Ok(done)
}

fn attempt(target: &Target, input: &[u8]) -> Result<(), Box<Found>> {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Box::new(Found { input: input.to_vec(), what: text.unwrap_or_default() })
    })
}

fn mutated(inputs: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut input = inputs[chance.below(inputs.len())].clone();
    for _ in 0..=chance.below(8) {
        let at = chance.below(input.len() + 1);
        match chance.below(7) {
            0 => input.truncate(at),
            1 => input.insert(at, chance.below(256) as u8),
            2 => drop(input.get_mut(at).map(|byte| *byte = chance.below(256) as u8)),
            3 => drop(input.get_mut(at).map(|byte| *byte ^= 1 << chance.below(8))),
            4 => {
                let other = &inputs[chance.below(inputs.len())];
                let from = chance.below(other.len() + 1);
                let until = from + chance.below(other.len() - from + 1);
                input.splice(at..at, other[from..until].iter().copied());
            }
            5 => {
                let until = at + chance.below(input.len() - at + 1);
                let run = input[at..until].to_vec();
                input.splice(at..at, run);
            }
            _ => {
                let until = at + chance.below((input.len() - at).min(32) + 1);
                input.drain(at..until);
            }
        }
    }
    input.truncate(LONGEST);
    input
}
