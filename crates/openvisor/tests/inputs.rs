//! Pins, serial lines and taps that reach an application from options and from a script, at times of the device.

mod support;

use std::time::Duration;

use support::fixtures::text;
use support::within;

const LIMIT: Duration = Duration::from_mins(1);
/// Logs what reaches it: PC13, lines at USART2, and taps of an accelerometer wired to PB11.
const INPUTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/tests/apps/inputs/inputs.elf");

/// Shows D216.
#[test]
fn what_options_and_a_script_say_reaches_the_application_in_the_order_of_its_times() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        std::fs::write(
            &script,
            "# TIME TARGET=VALUE\n500ms serial:2=from a script\\n\n100ms serial:2=early\\n\n",
        )
        .unwrap();
        let words = ["run", INPUTS, "--i2c", "1:lis3dh@0x19,int1=PB11", "--pin", "PC13=1@200ms,0@300ms"];
        let more = ["--input", "i2c:1@0x19:tap=z@400ms", "--inputs", text(&script)];
        let run = processes.openvisor(words.iter().chain(&more));
        run.out.expect("line from a script");
        run.signal("INT");
        assert_eq!(run.code(), 0, "{}", run.err.text());
        let expected = "line early\nPC13 1\nPC13 0\ntap 1\ntap 0\nline from a script\n";
        assert_eq!(run.out.text(), expected);
    });
}

/// Shows D216.
#[test]
fn an_input_that_reaches_nothing_is_refused_before_anything_starts() {
    within(LIMIT, |processes| {
        for (option, value, expected) in [
            ("--pin", "PZ1=0@5s", "error: --pin: PZ1 is not a pin, such as PF3\n"),
            ("--input", "i2c:1@0x19:tap=z@1s", "nothing is wired to address 0x19 of I2C1"),
            (
                "--serial-overrun",
                "9",
                "error: --serial-overrun: 9 is not a serial port; expected 1 to 5 or lp1\n",
            ),
        ] {
            let run = processes.openvisor(["run", INPUTS, option, value]);
            assert_eq!(run.code(), 2, "{option}");
            assert!(run.err.text().contains(expected), "{}", run.err.text());
        }
    });
}
