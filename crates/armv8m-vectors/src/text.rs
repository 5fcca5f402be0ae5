//! The format of the recorded files: text with one case per line, so that a change is readable in a diff.
//!
//! `= name` starts the cases of a form. Then `index code [word=value…] > [word=value…]`: the code's blocks, what
//! differs from the state that form and index generate, and what the case changed, or `!` and CFSR if it faulted; all
//! numbers are hexadecimal. A block is halfwords joined by dots, at [`CODE`] or after `@address:`; `#address:` is data.
//! Words are `r0`–`re`, `s0`–`s1f`, `f` (APSR's upper half), `x` (FPSCR) and `m0`–`m43` (the windows' words).

use std::fmt::Write as _;

use crate::case::{Block, Case, Outcome, Recorded};
use crate::state::{CODE, StateWord};

/// Writes the cases of a file.
pub fn write(recorded: &[Recorded]) -> String {
    let mut text = String::new();
    let mut form = "";
    for one in recorded {
        if one.case.form != form {
            form = &one.case.form;
            let _ = writeln!(text, "= {form}");
        }
        let _ = writeln!(text, "{}", line(one));
    }
    text
}

/// The line of a case.
pub fn line(one: &Recorded) -> String {
    let blocks: Vec<String> = one.case.blocks.iter().map(block).collect();
    let mut line = format!("{:x} {}", one.case.index, blocks.join(","));
    one.case.set.iter().for_each(|part| line += &assignment(*part));
    line += " >";
    match &one.outcome {
        Outcome::Changes(changes) => changes.iter().for_each(|part| line += &assignment(*part)),
        Outcome::Fault(status) => {
            let _ = write!(line, " !{status:x}");
        }
    }
    line
}

fn block(block: &Block) -> String {
    let halfwords: Vec<String> = block.halfwords.iter().map(|half| format!("{half:04x}")).collect();
    let prefix = match (block.is_code, block.address) {
        (true, CODE) => String::new(),
        (true, address) => format!("@{address:x}:"),
        (false, address) => format!("#{address:x}:"),
    };
    prefix + &halfwords.join(".")
}

fn assignment((word, value): (StateWord, u32)) -> String {
    match word {
        StateWord::R(n) => format!(" r{n:x}={value:x}"),
        StateWord::S(n) => format!(" s{n:x}={value:x}"),
        StateWord::Apsr => format!(" f={:x}", value >> 16),
        StateWord::Fpscr => format!(" x={value:x}"),
        StateWord::Memory(n) => format!(" m{n:x}={value:x}"),
    }
}

/// Reads a file.
///
/// # Errors
/// The number of the first line that is not in this format, and the line.
pub fn read(text: &str) -> Result<Vec<Recorded>, String> {
    let mut form = "";
    let mut recorded = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(name) = line.strip_prefix("= ") {
            form = name;
            continue;
        }
        let one = read_line(form, line).ok_or_else(|| format!("line {}: {line}", number + 1))?;
        recorded.push(one);
    }
    Ok(recorded)
}

fn read_line(form: &str, line: &str) -> Option<Recorded> {
    let (before, after) = line.split_once(" >")?;
    let mut words = before.split(' ');
    let index = u32::from_str_radix(words.next()?, 16).ok()?;
    let blocks = words.next()?.split(',').map(read_block).collect::<Option<Vec<_>>>()?;
    let set = words.map(read_assignment).collect::<Option<Vec<_>>>()?;
    Some(Recorded { case: Case { form: form.to_owned(), index, blocks, set }, outcome: read_outcome(after)? })
}

fn read_outcome(text: &str) -> Option<Outcome> {
    if let Some(status) = text.strip_prefix(" !") {
        return u32::from_str_radix(status, 16).ok().map(Outcome::Fault);
    }
    let changes = text.split_whitespace().map(read_assignment);
    changes.collect::<Option<Vec<_>>>().map(Outcome::Changes)
}

fn read_block(word: &str) -> Option<Block> {
    let is_code = !word.starts_with('#');
    let (address, halfwords) = match word.split_once(':') {
        Some((prefix, rest)) => (u32::from_str_radix(prefix.get(1..)?, 16).ok()?, rest),
        None => (CODE, word),
    };
    let halfwords = halfwords.split('.').map(|half| u16::from_str_radix(half, 16).ok());
    Some(Block { address, halfwords: halfwords.collect::<Option<Vec<_>>>()?, is_code })
}

fn read_assignment(word: &str) -> Option<(StateWord, u32)> {
    let (name, value) = word.split_once('=')?;
    let value = u32::from_str_radix(value, 16).ok()?;
    let number = |limit: u8| u8::from_str_radix(&name[1..], 16).ok().filter(|n| *n < limit);
    match name.chars().next()? {
        'r' => Some((StateWord::R(number(15)?), value)),
        's' => Some((StateWord::S(number(32)?), value)),
        'f' => Some((StateWord::Apsr, value << 16)),
        'x' => Some((StateWord::Fpscr, value)),
        'm' => Some((StateWord::Memory(number(68)?), value)),
        _ => None,
    }
}
