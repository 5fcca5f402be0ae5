//! What `openvisor run` shows of an application, and where.

mod support;

use std::time::Duration;

use support::{Processes, within};

const LIMIT: Duration = Duration::from_mins(2);

/// A program that moves pins, writes to a serial port, has calls refused and restarts; as a factory test it passes.
const REPORTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/tests/apps/reported/reported.elf");

/// A program that does not end as a factory test.
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/samples/logging/logging.elf");

fn lines_with(text: &str, part: &str) -> usize {
    text.lines().filter(|line| line.contains(part)).count()
}

/// Shows D222, D223, D224, D225.
#[test]
fn refusals_restarts_pins_and_serial_lines_are_on_the_timeline_and_the_log_alone_on_standard_output() {
    within(LIMIT, |processes| {
        let run = processes.openvisor(["run", REPORTED, "--show", "PB11"]);
        for part in [
            "mvTestLoggingInit(",
            "pin PB11 is high",
            "pin PB11 is low",
            "serial port 2: a line",
            "serial port 2: and a prompt> ",
        ] {
            run.err.expect(part);
        }
        let refused = run.err.expect("mvOpenChannel refused, ");
        assert!(refused.contains("INVALIDBUFFERALIGNMENT: receive_buffer 0x2"), "{refused}");
        assert!(
            refused.contains("01 is not a multiple of 512; the size of receive_buffer, 16 bytes,"),
            "{refused}"
        );
        let (restarts, _) = run.err.expect_after(0, "application restarts: it called mvRestart");
        let (starts, _) = run.err.expect_after(restarts, "application starts: cold boot");
        run.err.expect_after(starts, "serial port 2: a line");
        run.signal("INT");
        assert_eq!(run.code(), 0, "{}", run.err.text());
        let (out, err) = (run.out.text(), run.err.text());
        assert!(out.lines().all(|line| line == "this is a line of the log"), "{out}");
        assert_eq!(lines_with(&err, "mvOpenChannel refused"), 1, "{err}");
        assert_eq!(lines_with(&err, "mvTestLoggingInit("), 1, "{err}");
        assert_eq!(lines_with(&err, "application crashed"), 0, "a restart is no crash: {err}");
    });
}

/// Shows D224: pins are shown to those who ask.
#[test]
fn pins_are_not_shown_unless_they_are_selected() {
    within(LIMIT, |processes| {
        let run = processes.openvisor(["run", REPORTED]);
        run.err.expect("serial port 2: a line");
        run.signal("INT");
        assert_eq!(run.code(), 0);
        assert_eq!(lines_with(&run.err.text(), "pin PB11"), 0, "{}", run.err.text());
        let refused = processes.openvisor(["run", REPORTED, "--show", "PZ9"]);
        assert_eq!(refused.code(), 2);
        assert!(refused.err.text().contains("must be led, pins, none, or a pin such as PB11"));
    });
}

/// Shows D107.
#[test]
fn a_factory_test_logs_here_and_its_result_is_the_exit_code() {
    within(LIMIT, |processes: &Processes| {
        let run = processes.openvisor(["run", REPORTED, "--factory-test"]);
        assert_eq!(run.code(), 0, "{}", run.err.text());
        assert_eq!(run.out.text(), "the test logs this\n");
        assert!(run.err.text().contains("factory test passed"), "{}", run.err.text());
        let run = processes.openvisor(["run", SAMPLE, "--factory-test", "--seconds", "1"]);
        assert_eq!(run.code(), 1, "{}", run.err.text());
        let text = run.err.text();
        assert!(text.contains("the factory test was stopped before it called mvTestingComplete"), "{text}");
    });
}

/// A program that fetches a setting from each of the four stores.
const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/samples/config/config.elf");

/// Shows D221.
#[test]
fn settings_that_are_missing_are_named_and_values_are_not() {
    within(LIMIT, |processes| {
        let run = processes.openvisor(["run", CONFIG, "--config", "greeting=marked-value"]);
        let fetched = run.err.expect("settings found");
        let expected = "1 of 4 settings found; not set: interval (account config), password (device secret), api-token (account secret)";
        assert!(fetched.ends_with(expected), "{fetched}");
        run.signal("INT");
        assert_eq!(run.code(), 0);
        assert!(!run.err.text().contains("marked-value"), "{}", run.err.text());
    });
}
