//! Embeds a virtual device in a program of one's own: no thread, no socket, no cloud, and as fast as the host allows.
//!
//! ```sh
//! cargo run --release -p device --example embed                         # a committed image, for two seconds
//! cargo run --release -p device --example embed -- application.elf 10   # another image, for ten seconds
//! ```
//!
//! The program is the machine's driver: it advances guest time from timeout to timeout with `sansio::drive`, plays what
//! is connected to the board, and prints the lines of serial ports and the changes of pins.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::path::Path;

use device::Input;
use device::entropy::Seed;
use device::events::{DeviceEvent, PinFilter};
use device::identity::DeviceId;
use device::image::Image;
use device::machine::{Machine, RestartPolicy, Settings};
use device::memory_map::CLOCK_HZ;
use device::wiring::Attachment;
use sansio::{StateMachine, drive};

/// Tries the board's peripherals and reports on serial port 3. On port 2 it expects a peer that answers.
const IMAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/tests/apps/peripherals/peripherals.elf");

/// The port with the peer.
const PEER: u8 = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let image = arguments.next().unwrap_or_else(|| IMAGE.to_owned());
    let seconds = arguments.next().map_or(Ok(2), |text| text.parse())?;
    run(Path::new(&image), seconds, |line| println!("{line}"))
}

/// Runs the image at `path` for `seconds` of guest time and hands each line of output to `print`.
fn run(path: &Path, seconds: u64, mut print: impl FnMut(String)) -> Result<(), Box<dyn Error>> {
    let mut machine = machine(Image::load(path)?)?;
    let mut inputs = VecDeque::new();
    let mut serial = BTreeMap::<u8, Vec<u8>>::new();
    let (mut now, end) = (machine.now(), seconds * u64::from(CLOCK_HZ));
    while now < end {
        let mut events = Vec::new();
        let input = inputs.pop_front().unwrap_or(Machine::TIMEOUT);
        // A line of a serial port without room is the one input that may be refused here; the bytes are lost.
        let _ = drive(&mut machine, now, input, &mut |event| events.push(event));
        let micros = machine.now() / u64::from(CLOCK_HZ / 1_000_000);
        for line in events.into_iter().flat_map(|event| lines(event, &mut serial, &mut inputs)) {
            print(format!("{}.{:06} {line}", micros / 1_000_000, micros % 1_000_000));
        }
        // Without a timeout the application waits for an input that never comes.
        let Some(at) = StateMachine::next_timeout(&machine) else { break };
        now = if inputs.is_empty() { at } else { machine.now() };
    }
    Ok(())
}

/// A device with a temperature sensor and a serial RAM. The same seed makes the same run.
fn machine(image: Image) -> Result<Machine, Box<dyn Error>> {
    let mut machine = Machine::new(Settings {
        device_id: DeviceId::parse("UV00000000000000000000000000000001").expect("it has the form of an id"),
        image,
        entropy: Seed::of_text("embed").entropy(),
        restart: RestartPolicy::default(),
        trace: false,
        attachments: vec![
            Attachment::i2c("1:mcp9808@0x18,temperature=25.25")?,
            Attachment::spi("1:23lc512,cs=PA4")?,
        ],
    });
    machine.report_pins(PinFilter::All);
    Ok(machine)
}

/// The lines to print for an event. What the peer answers goes to `inputs`.
fn lines(
    event: DeviceEvent,
    serial: &mut BTreeMap<u8, Vec<u8>>,
    inputs: &mut VecDeque<Input<'static>>,
) -> Vec<String> {
    match event {
        DeviceEvent::Serial { port, bytes } => {
            let received = serial.entry(port).or_default();
            received.extend(bytes);
            let Some(end) = received.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
            let whole: Vec<u8> = received.drain(..=end).collect();
            let text = String::from_utf8_lossy(&whole).into_owned();
            if port == PEER {
                inputs.extend(text.lines().map(|line| Input::Serial { port, bytes: answer(line).into() }));
            }
            text.lines().map(|line| format!("serial {port}: {line}")).collect()
        }
        DeviceEvent::Led { on } => vec![format!("LED {}", if on { "on" } else { "off" })],
        DeviceEvent::Pin { pin, level } => vec![format!("{pin} = {}", u8::from(level))],
        DeviceEvent::Faulted { fault, .. } => vec![format!("fault: {fault}")],
        _ => Vec::new(),
    }
}

/// The peer repeats what it has to say, and answers everything else alike.
fn answer(line: &str) -> Vec<u8> {
    line.strip_prefix("say ").unwrap_or("pong").as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_runs_without_a_cloud_and_the_same_seed_makes_the_same_run() {
        let printed = || {
            let mut lines = Vec::new();
            run(Path::new(IMAGE), 2, |line| lines.push(line)).expect("a committed image");
            lines
        };
        let lines = printed();
        let shows = |part: &str| lines.iter().any(|line| line.contains(part));
        assert!(shows("serial 3: ") && shows(": good") && shows("serial 3: end"), "{lines:#?}");
        assert!(shows(" = 1"), "changes of pins: {lines:#?}");
        assert_eq!(lines, printed());
    }
}
