//! `kernel-cost PROGRAM [--check]`: runs the kernel's own program on our processor, and prints what it costs.
//!
//! Instructions are counted one by one and laid at the door of the function they belong to. Those of the functions that
//! only move bytes (`memcpy` and its like) are what a call copies; the rest is what it costs.
//!
//! Terms are defined in `docs/glossary.md`.

#[cfg(not(target_os = "none"))]
mod processor;
#[cfg(not(target_os = "none"))]
mod scenario;
#[cfg(not(target_os = "none"))]
mod table;

#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [program, flags @ ..] = &words[..] else {
        eprintln!("usage: kernel-cost PROGRAM [--check]");
        return std::process::ExitCode::from(2);
    };
    let is_check = flags.iter().any(|flag| flag == "--check");
    let program = match processor::Program::load(program) {
        Ok(program) => program,
        Err(message) => {
            eprintln!("kernel-cost: {message}");
            return std::process::ExitCode::from(2);
        }
    };
    let objections = table::print(&program, &scenario::run(&program));
    for objection in &objections {
        println!("over its limit: {objection}");
    }
    if is_check && !objections.is_empty() {
        std::process::ExitCode::FAILURE
    } else {
        std::process::ExitCode::SUCCESS
    }
}

#[cfg(target_os = "none")]
fn main() {}
