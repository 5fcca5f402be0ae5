//! `openvisor test`: applications against scripts. Everything in these tests happens in guest time.

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use support::fixtures::make_certificates;
use support::within;

const LIMIT: Duration = Duration::from_mins(2);
const MQTT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/samples/mqtt/mqtt.test.toml");
const HTTP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/samples/http/http.test.toml");
/// Logs its inputs: levels of PC13, taps of an accelerometer, lines at serial port 2.
const INPUTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/tests/apps/inputs/inputs.elf");
const MQTT_IMAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/samples/mqtt/mqtt.elf");
/// Makes the mistake that a line at serial port 2 names.
const MISTAKEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/tests/apps/mistaken/mistaken.elf");
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
    let start = "a <seventh> failed\nexpected a log line with /round 7/ within 0.02 s, until 0.";
    assert!(text.starts_with(start), "{text}");
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

/// The scripts in docs/testing.md.
fn documented() -> Vec<String> {
    let page = include_str!("../../../docs/testing.md");
    let blocks = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.map(str::to_owned).collect()
}

/// Shows D346, D348: links, brokers, certificates, web servers, power, serial ports and displays, as documented.
#[test]
fn the_documented_scripts_pass_with_the_same_device_times_each_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    make_certificates(folder.path());
    for (from, to) in [("server.pem", "other.pem"), ("server.key", "other.key")] {
        std::fs::rename(path(from), path(to)).expect("renamed");
    }
    make_certificates(folder.path());
    let sdk = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk");
    std::os::unix::fs::symlink(sdk, path("sdk")).expect("a link");
    let mut scripts = Vec::new();
    for (number, script) in documented().iter().enumerate() {
        assert!(script.contains("[application]"), "a complete script: {script}");
        let to = path(&format!("{number}.toml"));
        std::fs::write(&to, script).expect("written");
        scripts.push(to.to_str().expect("text").to_owned());
    }
    assert!(scripts.len() >= 7, "{}", scripts.len());
    let mut options: Vec<&str> = scripts.iter().map(String::as_str).collect();
    options.push("--verbose");
    let first = test(&options);
    assert_eq!(first.code, 0, "{}{}", first.out, first.err);
    assert_eq!(test(&options).out, first.out);
}

/// Shows D346.
#[test]
fn coverage_is_the_same_each_time_and_counts_through_a_loss_of_power() {
    let folder = tempfile::tempdir().expect("a folder");
    let steps = "[[step]]\nexpect = { log = 'round 1' }\n[[step]]\ndo = 'power-off'\n[[step]]\nwait = '1s'\n\
                 do = 'power-on'\nexpect = { log = 'round 1' }\n";
    let report = |name: &str| {
        let to = folder.path().join(name);
        let options = ["--coverage", to.to_str().expect("text")];
        let run = test_script(CRASHING, &format!("allow-crashes = true\n{steps}"), &options);
        assert_eq!(run.code, 0, "{}{}", run.out, run.err);
        let text = std::fs::read_to_string(to).expect("a report");
        assert!(text.contains(",1\n"), "{text}");
        text
    };
    assert_eq!(report("one"), report("two"));
}

/// Shows D271: the application is busy, and its step would take a day of device time.
#[test]
fn an_interrupted_test_ends_at_once_and_writes_the_results_so_far() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().expect("a folder");
        let junit = folder.path().join("junit.xml");
        let steps = "[wiring]\ni2c = ['1:lis3dh@0x19,int1=PB11']\n[[step]]\nname = 'one'\nwait = '10ms'\n\
                     [[step]]\nname = 'two'\nwait = '24h'\n[[step]]\nname = 'three'\nwait = '1s'\n";
        let path = script(folder.path(), INPUTS, steps);
        let words = ["test", path.to_str().expect("text"), "--junit", junit.to_str().expect("text")];
        let run = processes.openvisor(words);
        run.out.expect("one");
        run.signal("INT");
        assert_eq!(run.code(), 1, "{}", run.err.text());
        assert!(run.err.text().contains("interrupted"), "{}", run.err.text());
        let xml = std::fs::read_to_string(junit).expect("a report");
        let parsed = roxmltree::Document::parse(&xml).expect("well-formed XML");
        let cases = parsed.descendants().filter(|node| node.has_tag_name("testcase")).map(|case| {
            let mut results = case.children().filter(roxmltree::Node::is_element);
            let result = results.find(|child| !child.has_tag_name("system-out"));
            let result = result.map_or("passed", |result| result.tag_name().name());
            (case.attribute("name").expect("a name"), result)
        });
        let cases: Vec<_> = cases.collect();
        assert_eq!(cases, [("one", "passed"), ("two", "failure"), ("three", "skipped")]);
        let entries = std::fs::read_dir(folder.path()).expect("a folder").flatten();
        assert_eq!(entries.count(), 2, "the script and the report");
    });
}

/// Shows D345, D347: what an engineer who makes these mistakes reads, on the timeline or in the report of a crash.
#[test]
fn each_common_mistake_is_named() {
    let sample = |config: &str, event: &str| {
        let config = format!("[config]\nbroker-host = 'b.test'\n{config}\n[broker]\nport = 1883\n");
        (MQTT_IMAGE, format!("{config}[[step]]\nexpect = {{ event = '{event}' }}\n"))
    };
    let mistake = |line: &str, expect: &str| {
        let wiring = "[wiring]\ni2c = ['1:ht16k33@0x70']\n";
        let step = format!("[[step]]\ndo = {{ input = 'serial:2={line}\\n' }}\nexpect = {{ {expect} }}\n");
        (MISTAKEN, format!("{wiring}{step}"))
    };
    // "-----BEGIN"
    let pem = "2d2d2d2d2d424547494e";
    let port = "broker-port = '1883'";
    let cases = [
        sample(
            &format!("{port}\nbroker-ca = '{pem}'"),
            "connection to broker failed: the CA certificate is not DER .it looks like PEM.$",
        ),
        sample("broker-port = '1884'", "TCP connection refused; nothing listens on this port$"),
        sample("", "not set: broker-port .device config., .*, password .device secret.,"),
        sample(
            &format!("{port}\npublish-topic = 'ux/#'"),
            "publish refused: topic .ux/#.: a topic to publish to has no wildcards$",
        ),
        mistake(
            "line",
            "event = 'line 51 has been pending for 1 s and is not enabled in the NVIC .NVIC_ISER1 bit 19.$'",
        ),
        mistake("handle", "event = 'mvCloseNotifications refused, INVALIDHANDLE: .* was not set by a call'"),
        mistake("pointer", "crash = 'through a null pointer'"),
        mistake("function", "crash = 'call through a null function pointer'"),
        mistake("return", "crash = 'main returned'"),
    ];
    for (image, script) in cases {
        let run = test_script(image, &script, &["--verbose"]);
        assert_eq!(run.code, 0, "{script}{}{}", run.out, run.err);
    }
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
