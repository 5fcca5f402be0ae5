//! Fuzzing on a stable toolchain: runs the corpus and mutations of it, the same each time for the same seed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use test_rng::Rng;

use crate::Target;

/// Bytes of the longest input.
const MAX_INPUT: usize = 4096;

/// An input for which a check fails.
#[derive(Debug)]
pub struct Finding {
    /// The input.
    pub input: Vec<u8>,
    /// The failed check.
    pub message: String,
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

/// Runs every input of the corpus, then at most `tries` mutations or as many as fit into `limit`. Returns how many.
pub fn run(target: &Target, seed: u64, tries: u32, limit: Duration) -> Result<u32, Box<Finding>> {
    let inputs = corpus(target);
    assert!(!inputs.is_empty(), "{} has no corpus", target.name);
    inputs.iter().try_for_each(|input| attempt(target, input))?;
    let mut rng = Rng::new(seed);
    let started = Instant::now();
    let mut done = 0;
    while done < tries && started.elapsed() < limit {
        attempt(target, &mutated(&inputs, &mut rng))?;
        done += 1;
    }
    Ok(done)
}

fn attempt(target: &Target, input: &[u8]) -> Result<(), Box<Finding>> {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Box::new(Finding { input: input.to_vec(), message: text.unwrap_or_default() })
    })
}

/// A number in `0..bound`, and 0 for an empty range.
fn below(rng: &mut Rng, bound: usize) -> usize {
    rng.below(bound.max(1) as u64) as usize
}

fn mutated(inputs: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut input = inputs[below(rng, inputs.len())].clone();
    for _ in 0..=below(rng, 8) {
        let at = below(rng, input.len() + 1);
        match below(rng, 7) {
            0 => input.truncate(at),
            1 => input.insert(at, below(rng, 256) as u8),
            2 => drop(input.get_mut(at).map(|byte| *byte = below(rng, 256) as u8)),
            3 => drop(input.get_mut(at).map(|byte| *byte ^= 1 << below(rng, 8))),
            4 => {
                let other = &inputs[below(rng, inputs.len())];
                let from = below(rng, other.len() + 1);
                let until = from + below(rng, other.len() - from + 1);
                input.splice(at..at, other[from..until].iter().copied());
            }
            5 => {
                let until = at + below(rng, input.len() - at + 1);
                let run = input[at..until].to_vec();
                input.splice(at..at, run);
            }
            _ => {
                let until = at + below(rng, (input.len() - at).min(32) + 1);
                input.drain(at..until);
            }
        }
    }
    input.truncate(MAX_INPUT);
    input
}
