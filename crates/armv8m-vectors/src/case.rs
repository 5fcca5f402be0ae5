//! A test case: code, and the state it is executed in.

use crate::encode;
use crate::rng::Rng;
use crate::state::{CODE, EXIT, State, StateWord};

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
    /// The halfwords in memory, with the branch to [`EXIT`].
    pub fn contents(&self) -> Vec<u16> {
        let mut contents = self.halfwords.clone();
        if self.is_code {
            let end = self.address.wrapping_add(2 * contents.len() as u32);
            contents.extend(encode::branch(end, EXIT));
        }
        contents
    }
}

/// A test case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The form it was generated from.
    pub form: String,
    /// Its number among the form's cases; with the form's name, the seed of its state.
    pub index: u32,
    /// What is loaded into memory; execution starts with the first block.
    pub blocks: Vec<Block>,
    /// The differences from the random state.
    pub set: Vec<(StateWord, u32)>,
}

impl Case {
    /// The state the case starts in.
    pub fn before(&self) -> State {
        let mut state = State::random(&mut Rng::of_case(&self.form, self.index));
        for &(word, value) in &self.set {
            state.set(word, value);
        }
        state
    }

    /// The address where it starts.
    pub fn start(&self) -> u32 {
        self.blocks.first().map_or(CODE, |block| block.address)
    }
}

/// A case with the reference processor's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The case.
    pub case: Case,
    /// Its result.
    pub outcome: Outcome,
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ran to its end and changed these words.
    Changes(Vec<(StateWord, u32)>),
    /// It faulted, with this in CFSR.
    Fault(u32),
}

impl Recorded {
    /// The state in which the case has to end; `None` if it has to fault.
    pub fn after(&self) -> Option<State> {
        let Outcome::Changes(changes) = &self.outcome else { return None };
        let mut state = self.case.before();
        for &(word, value) in changes {
            state.set(word, value);
        }
        Some(state)
    }
}
