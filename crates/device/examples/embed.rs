//! Embeds a virtual device in a program of one's own: no thread, no socket, no cloud, and as fast as the host allows.
//!
//! ```sh
//! cargo run --release -p device --example embed                         # a committed sample, for two seconds of its time
//! cargo run --release -p device --example embed -- application.elf 10   # another image, ten seconds
//! ```
//!
//! The program is the machine's driver: it advances guest time from timeout to timeout with `sansio::drive` and prints
//! the events. The image runs as a factory test, because then its log goes to the program instead of to a cloud.

use std::error::Error;
use std::path::Path;

use device::Input;
use device::entropy::Seed;
use device::events::{DeviceEvent, PinFilter};
use device::identity::DeviceId;
use device::image::Image;
use device::machine::{Machine, Provisioning, RestartPolicy, Settings};
use device::memory_map::CLOCK_HZ;
use sansio::{StateMachine, drive};

/// Posts notifications to itself and logs what it receives.
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/samples/interrupts/interrupts.elf");

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let image = arguments.next().unwrap_or_else(|| SAMPLE.to_owned());
    let seconds = arguments.next().map_or(Ok(2), |text| text.parse())?;
    run(Path::new(&image), seconds, |line| println!("{line}"))
}

/// Runs the image at `path` for `seconds` of guest time and hands each line of output to `print`.
fn run(path: &Path, seconds: u64, mut print: impl FnMut(String)) -> Result<(), Box<dyn Error>> {
    let mut machine = machine(Image::load(path)?);
    let end = seconds * u64::from(CLOCK_HZ);
    // An input from outside: the board's button, PC13, is not pressed.
    let mut input = Input::Pin { pin: "PC13".parse()?, level: false };
    let mut now = machine.now();
    while now < end {
        let mut lines = Vec::new();
        let accepted = drive(&mut machine, now, input, &mut |event| lines.extend(line(&event)));
        accepted.map_err(|error| format!("the machine refused an input: {error:?}"))?;
        let micros = now / u64::from(CLOCK_HZ / 1_000_000);
        lines.into_iter().for_each(|line| print(format!("{:>10.6} {line}", micros as f64 / 1e6)));
        // Without a timeout the application waits for an input that never comes.
        let Some(at) = StateMachine::next_timeout(&machine) else { break };
        (now, input) = (at, Machine::TIMEOUT);
    }
    Ok(())
}

/// A device with nothing wired to it. The same seed makes the same run.
fn machine(image: Image) -> Machine {
    let settings = Settings {
        device_id: DeviceId::parse("UV00000000000000000000000000000001").expect("it has the form of an id"),
        image,
        entropy: Seed::of_text("embed").entropy(),
        restart: RestartPolicy::default(),
        trace: false,
        attachments: Vec::new(),
    };
    let mut machine =
        Machine::with_provisioning(settings, Provisioning { factory_test: true, ..Provisioning::default() });
    machine.report_pins(PinFilter::All);
    machine
}

/// The line for an event that this program shows.
fn line(event: &DeviceEvent) -> Option<String> {
    match event {
        DeviceEvent::TestLog { text } => Some(format!("log: {}", String::from_utf8_lossy(text))),
        DeviceEvent::Serial { port, bytes } => {
            Some(format!("serial {port}: {}", String::from_utf8_lossy(bytes).trim_end()))
        }
        DeviceEvent::Led { on } => Some(format!("LED {}", if *on { "on" } else { "off" })),
        DeviceEvent::Pin { pin, level } => Some(format!("{pin} = {}", u8::from(*level))),
        DeviceEvent::Faulted { fault, .. } => Some(format!("fault: {fault}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_runs_without_a_cloud_and_its_log_is_printed() {
        let mut lines = Vec::new();
        run(Path::new(SAMPLE), 2, |line| lines.push(line)).expect("a committed image");
        assert!(lines.iter().any(|line| line.contains("log: ")), "{lines:#?}");
        let mut again = Vec::new();
        run(Path::new(SAMPLE), 2, |line| again.push(line)).expect("a committed image");
        assert_eq!(lines, again, "the same seed and the same inputs");
    }
}
