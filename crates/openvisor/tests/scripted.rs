//! `openvisor test`: applications against scripts. Everything in these tests happens in guest time.

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use support::within;

const LIMIT: Duration = Duration::from_mins(2);
const MQTT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/samples/mqtt/mqtt.test.toml");
const HTTP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/samples/http/http.test.toml");
/// Logs its inputs: levels of PC13, taps of an accelerometer, lines at serial port 2.
const INPUTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/tests/apps/inputs/inputs.elf");
/// Logs five rounds, then reads where there is no memory.
const CRASHING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/tests/apps/debugged/debugged.elf");

/// Exit code, standard output, standard error.
struct Result {
    code: i32,
    out: String,
    err: String,
}

/// Runs `openvisor test` with these arguments, to its end.
fn test(arguments: &[&str]) -> Result {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let (send, receive) = std::sync::mpsc::channel();
    within(LIMIT, move |processes| {
        let process = processes.openvisor(std::iter::once("test".to_owned()).chain(arguments));
        let code = process.code();
        let _ = send.send(Result { code, out: process.out.text(), err: process.err.text() });
    });
    receive.recv().expect("a result")
}

/// A script for an image, in a folder of its own.
fn script(folder: &Path, image: &str, rest: &str) -> PathBuf {
    let path = folder.join("script.toml");
    std::fs::write(&path, format!("[application]\nimage = '{image}'\n{rest}")).expect("written");
    path
}

/// Runs a script for an image.
fn test_script(image: &str, rest: &str, options: &[&str]) -> Result {
    let folder = tempfile::tempdir().expect("a folder");
    let path = script(folder.path(), image, rest);
    test(&[&[path.to_str().expect("text")], options].concat())
}

/// Shows D270.
#[test]
fn the_samples_pass_their_scripts_with_the_same_device_times_each_time() {
    let first = test(&[MQTT, HTTP, "--verbose"]);
    assert_eq!(first.code, 0, "{}{}", first.out, first.err);
    assert!(first.out.ends_with("13 passed, 0 failed, 0 skipped\n"), "{}", first.out);
    assert!(first.out.contains("publishes home/readings/echo, QoS"), "{}", first.out);
    let second = test(&[MQTT, HTTP, "--verbose"]);
    assert_eq!(first.out, second.out);
}

/// Shows D271.
#[test]
fn a_failed_step_says_what_was_expected_and_what_was_seen_instead_and_the_rest_is_skipped() {
    let folder = tempfile::tempdir().expect("a folder");
    let junit = folder.path().join("junit.xml");
    let steps = "[[step]]\nexpect = { log = 'round 1' }\n[[step]]\nname = 'a <seventh>'\nexpect = { log = \
                 'round 7' }\nwithin = '20ms'\n[[step]]\nwait = '1s'\n";
    let options = ["--json", "--junit", junit.to_str().expect("text")];
    let failed = test_script(CRASHING, &format!("allow-crashes = true\n{steps}"), &options);
    assert_eq!(failed.code, 1, "{}{}", failed.out, failed.err);
    let steps: Vec<serde_json::Value> =
        failed.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let results: Vec<_> = steps.iter().filter_map(|step| step["result"].as_str()).collect();
    assert_eq!(results, ["passed", "failed", "skipped"]);
    let text = steps[1]["text"].as_str().expect("text");
    assert!(text.starts_with("expected a log line with /round 7/ within 0.02 s, until 0."), "{text}");
    assert!(text.contains("each log line that was seen in this step:") && text.contains("round 3"), "{text}");
    assert!(failed.err.contains("a <seventh> failed"), "{}", failed.err);
    let xml = std::fs::read_to_string(junit).expect("a report");
    let parsed = roxmltree::Document::parse(&xml).expect("well-formed XML");
    let suite = parsed.descendants().find(|node| node.has_tag_name("testsuite")).expect("a suite");
    let count = |name: &str| suite.attribute(name).expect("a count").to_owned();
    assert_eq!((count("tests"), count("failures"), count("skipped")), ("3".into(), "1".into(), "1".into()));
}

/// Shows D271.
#[test]
fn a_crash_fails_the_step_that_does_not_expect_it_and_no_other() {
    let unexpected = test_script(CRASHING, "[[step]]\nexpect = { log = 'never' }\n", &[]);
    assert_eq!(unexpected.code, 1);
    assert!(unexpected.out.contains("the application crashed, which this step does not expect"));
    assert!(unexpected.out.contains("main"), "with a backtrace: {}", unexpected.out);
    // What it logged before reaches the cloud once the link is up.
    let steps = "[[step]]\nexpect = { crash = '0x60000000' }\n[[step]]\nexpect = { log = 'round 4' }\n";
    let expected = test_script(CRASHING, steps, &[]);
    assert_eq!(expected.code, 0, "{}{}", expected.out, expected.err);
    let other = test_script(CRASHING, "[[step]]\nexpect = { crash = 'stack overflow' }\n", &[]);
    assert!(other.code == 1 && other.out.contains("crashed otherwise"), "{}", other.out);
}

/// Shows D270.
#[test]
fn pins_serial_ports_and_sensors_get_their_inputs() {
    let steps = "[wiring]\ni2c = ['1:lis3dh@0x19,int1=PB11']\n\
                 [[step]]\nwait = '100ms'\ndo = { input = 'PC13=1' }\nexpect = { log = 'PC13 1' }\n\
                 [[step]]\nwait = '100ms'\ndo = { input = 'serial:2=hello\\n' }\nexpect = { log = 'line hello' }\n\
                 [[step]]\nwait = '100ms'\ndo = { input = 'i2c:1@0x19:tap=z' }\nexpect = { log = 'tap' }\n";
    let passed = test_script(INPUTS, steps, &["--verbose"]);
    assert_eq!(passed.code, 0, "{}{}", passed.out, passed.err);
}

/// Shows D271.
#[test]
fn coverage_lists_the_lines_that_were_executed_and_those_that_were_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("coverage.info");
    let to = to.to_str().expect("text");
    let steps = "[[step]]\nexpect = { crash = '' }\n";
    let run = test_script(CRASHING, steps, &["--coverage", to]);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    assert!(run.out.contains(" lines executed\n"), "{}", run.out);
    let text = std::fs::read_to_string(to).expect("a report");
    let start = text.find("debugged/main.c\n").expect("the application's file");
    let file = &text[start..start + text[start..].find("end_of_record").expect("an end")];
    // `doubled` runs before the crash in `read_word`; nothing after the read does.
    let source = include_str!("../../../sdk/tests/apps/debugged/main.c");
    let line = |part: &str| 1 + source.lines().position(|line| line.contains(part)).expect("in the source");
    assert!(file.contains(&format!("DA:{},1\n", line("total += value"))), "{file}");
    let all: usize = file.matches("DA:").count();
    assert!(file.contains(&format!("LF:{all}\n")) && file.contains(",0\n"), "{file}");
    // The end of `main`, into which its return statement is compiled.
    assert!(file.contains(&format!("DA:{},0\n", line("return (int)result") + 1)), "{file}");
    let without_lines = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/samples/mqtt/mqtt.bin");
    let refused = test_script(without_lines, steps, &["--coverage", to]);
    assert!(refused.code == 2 && refused.err.contains("no line table"), "{}", refused.err);
}

/// Shows D271.
#[test]
fn a_script_that_is_not_valid_is_refused_with_its_line_before_anything_runs() {
    let bad = test_script(CRASHING, "[[step]]\nexpect = { logs = 'x' }\n", &[]);
    assert_eq!((bad.code, bad.out.as_str()), (2, ""));
    assert!(bad.err.contains("script.toml: line 4: ") && bad.err.contains("`log`"), "{}", bad.err);
    let missing = test(&["/nowhere/script.toml"]);
    assert!(missing.code == 2 && missing.err.contains("/nowhere/script.toml"), "{}", missing.err);
}
