//! Traces as commands write them: repetitions, selections, replays.

mod support;

use std::path::Path;
use std::time::Duration;

use support::fixtures::text;
use support::{Processes, within};

const LIMIT: Duration = Duration::from_mins(1);

/// Polls the time, the network's status and its channel.
const POLLING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/samples/polling/polling.elf");

/// What openvisor ends with: exit code and standard error.
fn ended(processes: &Processes, words: &[&str]) -> (i32, String) {
    let process = processes.openvisor(words);
    (process.code(), process.err.text())
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a trace")
}

/// Shows D263, D330.
#[test]
fn the_trace_of_an_application_that_polls_is_short_and_a_replay_writes_the_same() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let [record, live, replayed, all, json] =
            ["run.ovrec", "live.txt", "replayed.txt", "all.txt", "live.json"]
                .map(|name| folder.path().join(name));
        let run = ["run", POLLING, "--quiet", "--device-seconds", "3"];
        let traces = ["--trace", text(&live), "--trace", text(&json), "--record", text(&record)];
        let (code, err) = ended(processes, &[&run[..], &traces].concat());
        assert_eq!(code, 0, "{err}");
        let replay = ["run", POLLING, "--quiet", "--replay", text(&record)];
        let (code, err) = ended(processes, &[&replay[..], &["--trace", text(&replayed)]].concat());
        assert_eq!(code, 0, "{err}");
        let (live, replayed) = (read(&live), read(&replayed));
        assert_eq!(live, replayed);
        assert!(live.contains(" times in "), "{live}");
        let (code, err) = ended(processes, &[&replay[..], &["--trace", text(&all), "--trace-all"]].concat());
        assert_eq!(code, 0, "{err}");
        let all = read(&all);
        assert!(!all.contains(" times in "));
        assert!(all.lines().count() > 4 * live.lines().count(), "{live}");
        // What has an effect is in both, word for word.
        let effects = |trace: &str| -> Vec<String> {
            let is_effect = |line: &&str| line.contains("mvServerLog(") || line.contains("notification: ");
            trace.lines().filter(is_effect).map(str::to_owned).collect()
        };
        assert_eq!(effects(&all), effects(&live));
        assert!(effects(&live).len() > 10, "{live}");
        let events: serde_json::Value = serde_json::from_str(&read(&json)).expect("JSON, to its end");
        let events = events["traceEvents"].as_array().expect("a list").clone();
        assert!(events.iter().any(|event| event["args"]["repeated"][0]["count"].is_u64()));
    });
}

/// Shows D331.
#[test]
fn a_trace_has_only_what_is_selected_and_unknown_names_are_refused() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let trace = folder.path().join("trace.txt");
        let run = ["run", POLLING, "--quiet", "--device-seconds", "1", "--trace", text(&trace)];
        let (code, err) = ended(processes, &[&run[..], &["--trace-only", "mvServer*,link"]].concat());
        assert_eq!(code, 0, "{err}");
        let lines = read(&trace);
        assert!(lines.contains("mvServerLog(") && lines.contains("link         "), "{lines}");
        let is_selected = |line: &str| line.contains("  application  mvServer") || line.contains("  link  ");
        assert!(lines.lines().all(is_selected), "{lines}");
        let (code, err) = ended(processes, &[&run[..], &["--trace-only", "mvGetMicrosecond"]].concat());
        assert_eq!(code, 2, "{err}");
        assert!(err.contains("did you mean mvGetMicroseconds?"), "{err}");
        let (code, err) = ended(processes, &["run", POLLING, "--trace-only", "link"]);
        assert!(code == 2 && err.contains("--trace <FILE>"), "{err}");
    });
}
