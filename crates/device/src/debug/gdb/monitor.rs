//! `monitor`: commands that the debugger passes on. Development environments send some of these by themselves, in the
//! syntax of the debug probes they are made for.

use super::replay::NO_RESET;
use crate::machine::{DebuggerInput, Machine};
use crate::memory_map::CYCLES_PER_MICRO;
use crate::recording::RecordedMachine;

const HELP: &str = "\
monitor reset [halt]   restart the application; it is halted at its first instruction
monitor halt           halt the application
monitor fault          the last fault of the application, its registers and backtrace
monitor status         the device's time, its pace, power and link
monitor help           show this list
";

/// Executes `command` and returns its output.
pub(super) fn answer(machine: &mut RecordedMachine, command: &str) -> String {
    let words: Vec<&str> = command.split_whitespace().collect();
    match words[..] {
        [] | ["help"] => HELP.to_owned(),
        ["reset", ..] | ["system_reset"] if machine.machine().has_passive_debugger() => {
            format!("{NO_RESET}\n")
        }
        ["reset", ..] | ["system_reset"] => {
            machine.control(DebuggerInput::Reset);
            "The application is halted at its first instruction.\n".to_owned()
        }
        ["halt" | "stop"] => {
            machine.control(DebuggerInput::Halt);
            "The application is halted.\n".to_owned()
        }
        ["go" | "resume" | "cont" | "continue"] => "Resume the application by `continue`.\n".to_owned(),
        ["status" | "info" | "version"] => status(machine.machine()) + &pace(machine),
        ["fault"] => fault(machine.machine()),
        ["arm", "semihosting", ..] | ["semihosting", ..] => {
            "Semihosting is not supported: an application logs by mvServerLog.\n".to_owned()
        }
        // Settings of debug probes, which do not exist here.
        [
            "speed" | "adapter" | "swd" | "tpiu" | "itm" | "swo" | "SWO" | "exitonclose" | "gdb" | "rtos",
            ..,
        ] => String::new(),
        _ => format!("unknown command: {}\n{HELP}", text::escape(command)),
    }
}

fn status(machine: &Machine) -> String {
    let power = if machine.is_off() { "in deep sleep" } else { "on" };
    let link = if machine.wants_link() { "requested" } else { "not requested" };
    let micros = machine.now() / CYCLES_PER_MICRO;
    format!(
        "openvisor {}: power {power}, link {link}, guest time {}.{:06} s\n",
        env!("CARGO_PKG_VERSION"),
        micros / 1_000_000,
        micros % 1_000_000
    )
}

/// How fast the device's time went while it last ran, and why it was slow.
fn pace(machine: &RecordedMachine) -> String {
    if machine.machine().has_passive_debugger() {
        return "A replay: it runs as fast as it goes, and cannot be changed.\n".to_owned();
    }
    let Some((pace, scale)) = machine.pace() else { return String::new() };
    let cause = match machine.machine().polled_call() {
        _ if !pace.is_below(scale) => String::new(),
        Some(call) => format!(": the application calls {} in a loop", call.name()),
        None => ": this machine is too slow for the application".to_owned(),
    };
    format!("device time runs at {pace} of real time{cause}\n")
}

fn fault(machine: &Machine) -> String {
    match machine.last_crash() {
        Some(crash) => crash.to_string(),
        None => "The application has not faulted.\n".to_owned(),
    }
}
