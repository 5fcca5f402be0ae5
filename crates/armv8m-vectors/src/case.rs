//! One test: code, and the state it runs in.

use crate::encode;
use crate::rng::Rng;
use crate::state::{CODE, EXIT, Place, State};

/// Halfwords at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Address of the first.
    pub address: u32,
    /// The halfwords, without the branch to [`EXIT`] that follows code.
    pub halfwords: Vec<u16>,
    /// Code is followed by a branch to [`EXIT`], data by nothing.
    pub is_code: bool,
}

impl Block {
    /// What is in memory.
    pub fn contents(&self) -> Vec<u16> {
        let mut contents = self.halfwords.clone();
        if self.is_code {
            let end = self.address.wrapping_add(2 * contents.len() as u32);
            contents.extend(encode::branch(end, EXIT));
        }
        contents
    }
}

/// One test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The form it was made from.
    pub form: String,
    /// Which of the form's cases it is; with the form's name, the seed of its state.
    pub index: u32,
    /// What is put into memory; the first block is where it starts.
    pub blocks: Vec<Block>,
    /// What differs from the random state.
    pub set: Vec<(Place, u32)>,
}

impl Case {
    /// The state the case starts in.
    pub fn before(&self) -> State {
        let mut state = State::random(&mut Rng::of_case(&self.form, self.index));
        for &(place, value) in &self.set {
            state.set(place, value);
        }
        state
    }

    /// Where it starts.
    pub fn start(&self) -> u32 {
        self.blocks.first().map_or(CODE, |block| block.address)
    }
}

/// A case and what the reference processor made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The test.
    pub case: Case,
    /// What it came to.
    pub outcome: Outcome,
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ran to its end, and this is different afterwards.
    Changes(Vec<(Place, u32)>),
    /// It faulted, with this in CFSR.
    Fault(u32),
}

impl Recorded {
    /// The state the case must end in; `None` if it must fault.
    pub fn after(&self) -> Option<State> {
        let Outcome::Changes(changes) = &self.outcome else { return None };
        let mut state = self.case.before();
        for &(place, value) in changes {
            state.set(place, value);
        }
        Some(state)
    }
}
