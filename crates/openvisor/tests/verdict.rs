//! How `run` and `device` end in CI: exit codes, conditions, JUnit reports.

mod support;

use std::path::Path;
use std::time::Duration;

use support::fixtures::{CloudProcess, DEBUGGED, SAMPLE, provision, text};
use support::{Processes, within};

const LIMIT: Duration = Duration::from_mins(1);

/// Logs from the start, and without end.
const LOGGING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/samples/logging/logging.elf");

/// What openvisor ends with: exit code, standard output, standard error.
fn ended(processes: &Processes, words: &[&str]) -> (i32, String, String) {
    let process = processes.openvisor(words);
    (process.code(), process.out.text(), process.err.text())
}

/// Shows D260.
#[test]
fn a_run_whose_application_crashed_fails_and_says_so_even_when_quiet() {
    within(LIMIT, |processes| {
        let (code, _, err) = ended(processes, &["run", DEBUGGED, "--quiet", "--device-seconds", "1.5"]);
        assert_eq!(code, 5, "{err}");
        assert!(err.contains("application crashed: "), "{err}");
        assert!(err.contains("read_word at sdk/tests/apps/debugged/main.c:"), "{err}");
        assert!(!err.contains("application starts"), "{err}");
        assert!(err.contains("the application crashed 2 times, first: "), "{err}");
        let allowed = ["run", DEBUGGED, "--device-seconds", "0.5", "--allow-crashes"];
        assert_eq!(ended(processes, &allowed).0, 0);
    });
}

/// Shows D260.
#[test]
fn a_device_whose_application_crashed_fails_and_so_does_its_replay() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("cloud");
        CloudProcess::start(processes, &data, "127.0.0.1:0").process.kill();
        let identity = provision(processes, &data, folder.path(), "device", &[]);
        let file = folder.path().join("crash.ovrec");
        let words = ["device", DEBUGGED, "--cloud", "127.0.0.1:1", "--data", text(&identity)];
        let more = ["--record", text(&file), "--device-seconds", "0.5"];
        let (code, out, err) = ended(processes, &[&words[..], &more].concat());
        assert_eq!(code, 5, "{out}{err}");
        assert!(err.contains("error: the application crashed: "), "{err}");
        let (code, out, err) = ended(processes, &["device", DEBUGGED, "--replay", text(&file)]);
        assert_eq!(code, 5, "{err}");
        assert!(out.contains("replayed exactly"), "{out}");
        let allowed = ["device", DEBUGGED, "--replay", text(&file), "--allow-crashes"];
        assert_eq!(ended(processes, &allowed).0, 0);
    });
}

/// Shows D261.
#[test]
fn a_run_ends_when_a_line_appears() {
    within(LIMIT, |processes| {
        let until = |pattern: &str, more: &[&str]| {
            let words = ["run", SAMPLE, "--until", pattern, "--quiet"];
            ended(processes, &[&words[..], more].concat())
        };
        let (code, out, err) = until("^network: connect(ed)$", &[]);
        assert_eq!(code, 0, "{err}");
        assert!(out.contains("network: connected"), "{out}");
        let (code, _, err) = until("never logged", &["--timeout", "2"]);
        assert_eq!(code, 6, "{err}");
        assert!(err.contains("no line matched --until never logged within 2 s (--timeout)"), "{err}");
        let (code, _, err) = until("never logged", &["--device-seconds", "1"]);
        assert_eq!(code, 6, "{err}");
        assert!(err.contains("within 1 s of the device's clock"), "{err}");
        let (code, _, err) = until("never logged", &["--fail-on", "^network: conn"]);
        assert_eq!(code, 1, "{err}");
        assert!(err.contains("a line matches --fail-on ^network: conn: network: connect"), "{err}");
        assert_eq!(until("(", &[]).0, 2);
    });
}

/// Its cloud cannot be reached, and would have its log.
///
/// Shows D343.
#[test]
fn a_device_alone_sees_the_lines_that_its_application_logs_and_so_does_its_replay() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("cloud");
        CloudProcess::start(processes, &data, "127.0.0.1:0").process.kill();
        let identity = provision(processes, &data, folder.path(), "device", &[]);
        let [file, junit] = ["log.ovrec", "report.xml"].map(|name| folder.path().join(name));
        let words =
            ["device", LOGGING, "--cloud", "127.0.0.1:1", "--data", text(&identity), "--timeout", "30"];
        let until = ["--until", "^logging: the next line is empty$"];
        let more = ["--record", text(&file), "--junit", text(&junit)];
        let (code, out, err) = ended(processes, &[&words[..], &until, &more].concat());
        assert_eq!(code, 0, "{out}{err}");
        assert!(report(&junit).contains("logging: the next line is empty\n"), "{}", report(&junit));
        assert!(!out.contains("next line"), "{out}");
        let (code, out, err) =
            ended(processes, &[&words[..], &["--until", "never", "--fail-on", "the next line"]].concat());
        assert_eq!(code, 1, "{out}{err}");
        let replay = ["device", LOGGING, "--replay", text(&file)];
        assert_eq!(ended(processes, &[&replay[..], &until].concat()).0, 0);
        assert_eq!(ended(processes, &[&replay[..], &["--until", "never logged"]].concat()).0, 6);
    });
}

/// Shows D261.
#[test]
fn the_devices_own_time_ends_a_run_whatever_the_time_scale() {
    within(LIMIT, |processes| {
        let start = std::time::Instant::now();
        let words = ["run", LOGGING, "--device-seconds", "300", "--time-scale", "1000", "--timeout", "50"];
        let (code, _, err) = ended(processes, &words);
        assert_eq!(code, 0, "{err}");
        assert!(err.contains("the time of --device-seconds is over"), "{err}");
        assert!(start.elapsed() < Duration::from_secs(50));
    });
}

fn report(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    roxmltree::Document::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    text
}

/// Shows D262.
#[test]
fn a_junit_report_has_the_result_the_backtrace_and_the_log() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.xml");
        let more = ["--junit", text(&path)];
        ended(processes, &[&["run", SAMPLE, "--until", "network: connected"][..], &more].concat());
        let passed = report(&path);
        assert!(passed.contains("tests=\"1\" failures=\"0\" errors=\"0\""), "{passed}");
        assert!(passed.contains("name=\"mqtt.elf\" classname=\"openvisor.run\""), "{passed}");
        assert!(passed.contains("network: connected\n"), "{passed}");
        ended(processes, &[&["run", DEBUGGED, "--until", "never logged"][..], &more].concat());
        let crashed = report(&path);
        assert!(crashed.contains("tests=\"1\" failures=\"1\" errors=\"0\""), "{crashed}");
        assert!(crashed.contains("<failure type=\"crash\" message=\"the application crashed: "), "{crashed}");
        assert!(crashed.contains("read_word at sdk/tests/apps/debugged/main.c:"), "{crashed}");
        ended(processes, &[&["run", "/nowhere.elf"][..], &more].concat());
        assert!(report(&path).contains("<error type=\"invalid input\""));
        let nowhere = ["run", SAMPLE, "--junit", "/nowhere/report.xml"];
        assert_eq!(ended(processes, &nowhere).0, 2);
    });
}

/// Shows D140, D263.
#[test]
fn a_run_is_recorded_and_replayed_with_a_trace() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let [file, trace] = ["run.ovrec", "trace.txt"].map(|name| folder.path().join(name));
        let words = ["run", SAMPLE, "--until", "network: connected", "--quiet"];
        let more = ["--record", text(&file), "--deterministic", "any text"];
        let (code, logged, err) = ended(processes, &[&words[..], &more].concat());
        assert_eq!(code, 0, "{err}");
        let words = ["run", SAMPLE, "--replay", text(&file), "--trace", text(&trace)];
        let (code, out, err) = ended(processes, &words);
        assert_eq!(code, 0, "{err}");
        assert!(err.contains("replayed exactly"), "{err}");
        assert_eq!(out, logged);
        let calls = std::fs::read_to_string(&trace).unwrap();
        assert!(calls.contains("mvRequestNetwork(params={version=1,"), "{calls}");
        assert!(!calls.contains("lost"), "{calls}");
        for (option, value) in [("--config", "a=b"), ("--time-scale", "2"), ("--allow", "10.0.0.0/8")] {
            let (code, _, err) = ended(processes, &["run", SAMPLE, "--replay", text(&file), option, value]);
            assert_eq!(code, 2, "{err}");
            assert!(err.contains(&format!("{option} has no effect in a replay")), "{err}");
        }
    });
}

/// Shows D140, D260, D261.
#[test]
fn a_crash_of_a_run_is_replayed_from_its_recording() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let [file, trace] = ["crash.ovrec", "trace.json"].map(|name| folder.path().join(name));
        let words = ["run", DEBUGGED, "--until", "never logged", "--record", text(&file)];
        assert_eq!(ended(processes, &words).0, 5);
        let replay = ["run", DEBUGGED, "--replay", text(&file), "--quiet", "--trace", text(&trace)];
        let (code, _, err) = ended(processes, &replay);
        assert_eq!(code, 5, "{err}");
        assert!(err.contains("read_word at sdk/tests/apps/debugged/main.c:"), "{err}");
        let events: serde_json::Value = serde_json::from_slice(&std::fs::read(&trace).unwrap()).unwrap();
        assert!(events.to_string().contains("mvNoOp"), "{events}");
        let (code, _, err) =
            ended(processes, &["run", DEBUGGED, "--replay", text(&file), "--fail-on", "round"]);
        assert!(code == 1 || code == 5, "{err}");
        let until = ["run", DEBUGGED, "--replay", text(&file), "--allow-crashes", "--until", "never logged"];
        let (code, _, err) = ended(processes, &until);
        assert_eq!(code, 6, "{err}");
        assert!(err.contains("no line matched --until never logged in the recording"), "{err}");
    });
}

#[test]
fn a_reader_that_has_seen_enough_ends_demo_run_and_device_quietly() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("cloud");
        CloudProcess::start(processes, &data, "127.0.0.1:0").process.kill();
        let identity = provision(processes, &data, folder.path(), "device", &[]);
        let device = format!("device {SAMPLE} --cloud 127.0.0.1:1 --data {}", text(&identity));
        for words in ["demo", &format!("run {SAMPLE} --quiet"), &device] {
            let openvisor = env!("CARGO_BIN_EXE_openvisor");
            let script = format!("set -o pipefail; {openvisor} {words} | head -n 1");
            let shell = processes.tool("bash", ["-c", &script]);
            assert_eq!(shell.code(), 0, "{words}: {}", shell.err.text());
            assert_eq!(shell.err.text(), "", "{words}");
        }
    });
}
