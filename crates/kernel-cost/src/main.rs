//! `kernel-cost PROGRAM [--check]`: runs the kernel's firmware on the emulated processor, and prints what it costs.
//!
//! Instructions are counted one by one and attributed to the function they belong to. Those of functions that only move
//! bytes (`memcpy` and the like) are what a call copies; the rest is what it costs.
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
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, flags @ ..] = &arguments[..] else {
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
    let violations = table::print(&program, &scenario::run(&program));
    for violation in &violations {
        println!("over its limit: {violation}");
    }
    if is_check && !violations.is_empty() {
        std::process::ExitCode::FAILURE
    } else {
        std::process::ExitCode::SUCCESS
    }
}

#[cfg(target_os = "none")]
fn main() {}
