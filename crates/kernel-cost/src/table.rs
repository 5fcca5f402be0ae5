//! The figures, with their limits.

use crate::processor::{Count, Program};
use crate::scenario::{Measured, PAYLOADS};

/// Instructions of a frequent call, without those that copy.
const MAX_CALL: u64 = 250;
/// Bytes of the kernel's state, with 4 channels and 32 notification centres.
const MAX_STATE: usize = 24 << 10;
/// Bytes of the kernel's code and constants.
const MAX_CODE: usize = 64 << 10;
/// Functions shown of a call that is over its limit.
const MAX_FUNCTIONS: usize = 8;

/// Prints all figures; returns those that exceed their limits.
pub(crate) fn print(program: &Program, measurements: &[Measured]) -> Vec<String> {
    let mut violations = Vec::new();
    println!("{:<36} {:>6} {:>8} {:>6} {:>9} {:>6}", "call", "own", "copying", "all", "per byte", "stack");
    for measured in measurements {
        print_line(measured);
        let own = measured.counts[0].own();
        if measured.is_call && own > MAX_CALL {
            println!("    more than {MAX_CALL}:");
            print_functions(&measured.counts[0]);
            violations.push(format!("{}: {own} instructions of at most {MAX_CALL}", measured.name));
        }
    }
    println!("\nstate {} bytes of at most {MAX_STATE}, none of them in flash", program.state);
    println!("code  {} bytes of at most {MAX_CODE}, {} of them constants", program.code, program.constants);
    if program.state > MAX_STATE {
        violations.push(format!("state: {} bytes of at most {MAX_STATE}", program.state));
    }
    if program.code > MAX_CODE {
        violations.push(format!("code: {} bytes of at most {MAX_CODE}", program.code));
    }
    violations
}

fn print_line(measured: &Measured) {
    let Count { all, copying, stack, .. } = &measured.counts[0];
    let own = measured.counts[0].own();
    let per_byte = measured.counts.get(1).map_or_else(String::new, |more| {
        let hundredths = (more.all - all) * 100 / (PAYLOADS[1] - PAYLOADS[0]) as u64;
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    });
    println!("{:<36} {own:>6} {copying:>8} {all:>6} {per_byte:>9} {stack:>6}", measured.name);
}

/// Prints the functions that take most of the instructions of a call.
fn print_functions(count: &Count) {
    let mut functions: Vec<(&String, &u64)> = count.by_function.iter().collect();
    functions.sort_by_key(|(_, instructions)| std::cmp::Reverse(**instructions));
    for (function, instructions) in functions.into_iter().take(MAX_FUNCTIONS) {
        println!("    {instructions:>6} {function}");
    }
}
