//! The figures, each beside its limit.

use crate::processor::{Count, Program};
use crate::scenario::{Measured, PAYLOADS};

/// Instructions of an everyday call, beside what it copies.
const CALL: u64 = 250;
/// Bytes of the kernel's state, with 4 channels and 32 notification centres.
const STATE: usize = 24 << 10;
/// Bytes of the kernel's code and constants.
const CODE: usize = 64 << 10;
/// Functions shown of a call that is over its limit.
const SHOWN: usize = 8;

/// Prints everything; what is over its limit comes back in words.
pub(crate) fn print(program: &Program, day: &[Measured]) -> Vec<String> {
    let mut objections = Vec::new();
    println!("{:<36} {:>6} {:>8} {:>6} {:>9} {:>6}", "call", "own", "copying", "all", "per byte", "stack");
    for measured in day {
        line(measured);
        let own = measured.counts[0].own();
        if measured.is_call && own > CALL {
            println!("    over the {CALL} it may have:");
            culprits(&measured.counts[0]);
            objections.push(format!("{}: {own} instructions of at most {CALL}", measured.name));
        }
    }
    println!("\nstate {} bytes of at most {STATE}, none of them in flash", program.state);
    println!("code  {} bytes of at most {CODE}, {} of them constants", program.code, program.constants);
    if program.state > STATE {
        objections.push(format!("state: {} bytes of at most {STATE}", program.state));
    }
    if program.code > CODE {
        objections.push(format!("code: {} bytes of at most {CODE}", program.code));
    }
    objections
}

fn line(measured: &Measured) {
    let Count { all, copying, stack, .. } = &measured.counts[0];
    let own = measured.counts[0].own();
    let per_byte = measured.counts.get(1).map_or_else(String::new, |more| {
        let hundredths = (more.all - all) * 100 / (PAYLOADS[1] - PAYLOADS[0]) as u64;
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    });
    println!("{:<36} {own:>6} {copying:>8} {all:>6} {per_byte:>9} {stack:>6}", measured.name);
}

/// Where the instructions of a call go.
fn culprits(count: &Count) {
    let mut functions: Vec<(&String, &u64)> = count.by_function.iter().collect();
    functions.sort_by_key(|(_, instructions)| std::cmp::Reverse(**instructions));
    for (function, instructions) in functions.into_iter().take(SHOWN) {
        println!("    {instructions:>6} {function}");
    }
}
