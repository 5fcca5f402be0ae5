//! All forms, a table for each encoding group. What is UNPREDICTABLE is in the Arm ARM's description of each
//! instruction.

mod branch;
mod directed;
mod dsp;
mod exclusive;
mod faults;
mod float;
mod float_memory;
mod it;
mod memory;
mod multiple;
mod multiply;
mod narrow;
mod narrow_memory;
mod sequences;
mod system;
mod wide;

use crate::form::{Family, Form};

/// All recorded families.
pub const FAMILIES: &[Family] = &[
    Family { name: "narrow", forms: &[narrow::FORMS, narrow::STACK], faults: false, cases: 100 },
    Family {
        name: "wide",
        forms: &[wide::IMMEDIATE, wide::SHIFTED, wide::REGISTER, wide::STACK],
        faults: false,
        cases: 100,
    },
    Family { name: "multiply", forms: &[multiply::FORMS], faults: false, cases: 150 },
    Family { name: "dsp", forms: &[dsp::FORMS, dsp::PARALLEL], faults: false, cases: 150 },
    Family { name: "it", forms: &[it::FORMS], faults: false, cases: 500 },
    Family {
        name: "memory",
        forms: &[narrow_memory::FORMS, memory::FORMS, memory::LITERALS, memory::PC],
        faults: false,
        cases: 100,
    },
    Family { name: "multiple", forms: &[multiple::FORMS], faults: false, cases: 150 },
    Family { name: "exclusive", forms: &[exclusive::FORMS], faults: false, cases: 100 },
    Family { name: "branch", forms: &[branch::FORMS], faults: false, cases: 150 },
    Family { name: "system", forms: &[system::FORMS], faults: false, cases: 60 },
    Family { name: "float", forms: &[float::ARITHMETIC, float::MINMAX], faults: false, cases: 500 },
    Family { name: "convert", forms: &[float::CONVERT], faults: false, cases: 300 },
    Family { name: "float_move", forms: &[float::MOVE, float_memory::FORMS], faults: false, cases: 120 },
    Family { name: "directed", forms: &[directed::INTEGER], faults: false, cases: 48 },
    Family {
        name: "directed_float",
        forms: &[directed::FLOAT, directed::CONVERT],
        faults: false,
        cases: 300,
    },
    Family {
        name: "faults",
        forms: &[faults::ALIGNMENT, faults::STATE, faults::UNDEFINED],
        faults: true,
        cases: 30,
    },
    Family { name: "sequences", forms: &[sequences::FORMS], faults: false, cases: 700 },
];

/// Tables whose plain forms can be used anywhere in a sequence of integer instructions.
const INTEGER: &[&[Form]] = &[
    narrow::FORMS,
    wide::IMMEDIATE,
    wide::SHIFTED,
    wide::REGISTER,
    multiply::FORMS,
    dsp::FORMS,
    dsp::PARALLEL,
];
