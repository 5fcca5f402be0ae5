//! A program in C tries the peripherals by their registers (`sdk/tests/apps/peripherals`), with things wired to them.

use std::path::Path;
use std::sync::Arc;

use device::events::DeviceEvent;
use device::identity::DeviceId;
use device::image::Image;
use device::machine::{Input, Machine, RestartPolicy, RunResult, Settings};
use device::wiring::Attachment;

const IMAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/tests/apps/peripherals/peripherals.elf");
const MILLISECOND: u64 = 160_000;
/// Guest time by which it is over.
const LIMIT: u64 = 1000 * MILLISECOND;
/// The port it reports on, and the one with an answering peer.
const REPORTS: u8 = 3;
const ASKS: u8 = 2;

fn machine() -> Machine {
    let attachments = vec![
        Attachment::i2c("1:mcp9808@0x18,temperature=25.25").expect("a wiring"),
        Attachment::spi("1:23lc512,cs=PA4").expect("a wiring"),
    ];
    Machine::new(Settings {
        device_id: DeviceId::parse("UV0123456789abcdef0123456789abcdef").expect("an id"),
        image: Image::load(Path::new(IMAGE)).expect("an image"),
        entropy: Arc::new(|| 1),
        restart: RestartPolicy::default(),
        trace: false,
        attachments,
    })
}

/// The peer's answer to `line`.
fn answer(line: &[u8]) -> &[u8] {
    let Some(text) = line.strip_prefix(b"say ") else {
        assert_eq!(line, b"ping");
        return b"pong";
    };
    text
}

/// The program's report until its end.
fn report_of(mut machine: Machine) -> String {
    let (mut report, mut asked) = (String::new(), Vec::new());
    while !report.ends_with("end\n") {
        assert!(machine.now() < LIMIT, "it did not come to its end:\n{report}");
        if machine.run(MILLISECOND) == RunResult::Idle {
            machine.pass_time(machine.now() + MILLISECOND);
        }
        for event in machine.take_events() {
            match event {
                DeviceEvent::Serial { port: REPORTS, bytes } => report += &String::from_utf8_lossy(&bytes),
                DeviceEvent::Serial { port: ASKS, bytes } => {
                    asked.extend(bytes);
                    if let Some(line) = asked.strip_suffix(b"\n") {
                        machine
                            .handle(&Input::Serial { port: ASKS, bytes: answer(line).into() })
                            .expect("room");
                        asked.clear();
                    }
                }
                DeviceEvent::Started { .. } => {}
                other => panic!("{other:?}\n{report}"),
            }
        }
    }
    report
}

#[test]
fn a_program_finds_the_peripherals_as_the_manual_has_them() {
    let report = report_of(machine());
    let lines: Vec<&str> = report.lines().collect();
    assert_eq!(lines.len(), 21, "{report}");
    let bad: Vec<&&str> = lines[..20].iter().filter(|line| !line.ends_with(": good")).collect();
    assert!(bad.is_empty(), "{bad:?}");
}
