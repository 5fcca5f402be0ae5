//! One instruction encoding, and how random cases of it are made.

use crate::case::Case;
use crate::pattern::{Fields, width};
use crate::plan::Plan;
use crate::rng::Rng;

/// Letters that are core registers where their field has four bits: R13 and R15 are UNPREDICTABLE there.
const REGISTERS: &str = "dnmatulh";
/// The letter of a base register: R15 means something else there, R13 is as good as any.
const BASE: char = 'N';

/// An encoding.
pub struct Form {
    /// Its name in the recorded files.
    pub name: &'static str,
    /// Its bits (see [`crate::pattern`]); empty if the plan makes all the code.
    pub pattern: &'static str,
    keep: fn(&Fields) -> bool,
    plan: Option<fn(&mut Plan)>,
    cases: Option<u32>,
}

/// Forms of one kind: a recorded file.
pub struct Family {
    /// The file's name without `.txt`.
    pub name: &'static str,
    /// What is in it.
    pub forms: &'static [&'static [Form]],
    /// What its cases come to: faults, or changes.
    pub faults: bool,
    /// How many cases a form has that does not say so itself.
    pub cases: u32,
}

impl Form {
    /// An instruction that works with random fields in any state.
    pub const fn new(name: &'static str, pattern: &'static str) -> Self {
        Self { name, pattern, keep: |_| true, plan: None, cases: None }
    }

    /// A sequence that `plan` makes.
    pub const fn sequence(name: &'static str, plan: fn(&mut Plan)) -> Self {
        Self { name, pattern: "", keep: |_| true, plan: Some(plan), cases: None }
    }

    /// Leaves out field values that are UNPREDICTABLE, or another form's.
    pub const fn keep(self, keep: fn(&Fields) -> bool) -> Self {
        Self { keep, ..self }
    }

    /// Prepares registers and memory for each case.
    pub const fn plan(self, plan: fn(&mut Plan)) -> Self {
        Self { plan: Some(plan), ..self }
    }

    /// Has this many cases, whatever its family has.
    pub const fn cases(self, cases: u32) -> Self {
        Self { cases: Some(cases), ..self }
    }

    /// How many cases it has in `family`.
    pub fn count(&self, family: &Family) -> u32 {
        self.cases.unwrap_or(family.cases)
    }

    /// Whether it needs nothing prepared, so that it can stand in any sequence.
    pub fn is_plain(&self) -> bool {
        self.plan.is_none()
    }

    /// Random field values that the form allows.
    pub fn fields(&self, rng: &mut Rng) -> Fields {
        for _ in 0..100_000 {
            let fields = Fields::random(self.pattern, rng);
            if registers_are_usual(self.pattern, &fields) && (self.keep)(&fields) {
                return fields;
            }
        }
        panic!("{} allows no fields", self.name)
    }

    /// The instruction with random fields.
    pub fn instruction(&self, rng: &mut Rng) -> Vec<u16> {
        self.fields(rng).encode(self.pattern)
    }

    /// Case number `index`.
    pub fn case(&self, index: u32) -> Case {
        let mut plan = Plan::new(self.name, self.pattern, index);
        plan.fields = self.fields(&mut plan.rng);
        if let Some(prepare) = self.plan {
            prepare(&mut plan);
        }
        plan.case()
    }
}

fn registers_are_usual(pattern: &str, fields: &Fields) -> bool {
    let usual = |letter| width(pattern, letter) != 4 || !matches!(fields.of(letter), 13 | 15);
    REGISTERS.chars().all(usual) && fields.of(BASE) != 15
}
