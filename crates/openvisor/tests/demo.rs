//! `openvisor demo`: the whole platform in one process.

mod support;

use std::time::{Duration, Instant};

use support::within;

const LIMIT: Duration = Duration::from_mins(2);

/// Shows M01, M61, M81.
#[test]
fn the_demo_shows_a_message_each_way_and_succeeds() {
    within(LIMIT, |processes| {
        let demo = processes.openvisor(["demo", "--seconds", "15"]);
        assert_eq!(demo.code(), 0, "{}", demo.err.text());
        let text = demo.out.text();
        for line in
            ["listening", "connecting to 127.0.0.1", "led on", "LED on", "echo ", "LED off", "went both ways"]
        {
            assert!(text.contains(line), "no {line:?} in:\n{text}");
        }
        let last = text.lines().last().unwrap();
        assert!(last.starts_with("Messages went both ways: ") && last.contains(" out, first at "), "{last}");
        assert!(last.chars().count() <= 80, "{last}");
        assert!(!text.contains('\x1b'), "colour where no terminal reads");
    });
}

#[test]
fn every_line_of_the_demos_json_is_an_object_and_the_last_is_the_summary() {
    within(LIMIT, |processes| {
        let demo = processes.openvisor(["demo", "--seconds", "10", "--json"]);
        assert_eq!(demo.code(), 0, "{}", demo.err.text());
        let text = demo.out.text();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (summary, events) = lines.split_last().unwrap();
        assert!(events.iter().all(|event| event["at_ms"].is_u64() && event["text"].is_string()));
        for source in ["app", "device", "link", "cloud", "broker", "demo"] {
            assert!(events.iter().any(|event| event["source"] == source), "nothing from {source}");
        }
        assert!(summary["readings"].as_u64().unwrap() > 0, "{summary}");
    });
}

#[test]
fn ctrl_c_ends_the_demo_with_success_once_it_has_shown_both_ways() {
    within(LIMIT, |processes| {
        let demo = processes.openvisor(["demo"]);
        demo.out.expect("LED off");
        let signalled = Instant::now();
        demo.signal("INT");
        assert_eq!(demo.code(), 0, "{}", demo.err.text());
        assert!(signalled.elapsed() < Duration::from_secs(10));
    });
}

#[test]
fn a_demo_that_ends_too_early_reports_what_is_missing() {
    within(LIMIT, |processes| {
        let demo = processes.openvisor(["demo", "--seconds", "0.01"]);
        assert_eq!(demo.code(), 1);
        assert!(
            demo.err.text().contains("no message went from the application to the broker"),
            "{}",
            demo.err.text()
        );
    });
}

#[test]
fn a_demo_whose_reader_is_gone_ends() {
    within(LIMIT, |processes| {
        let script = format!("{} demo | head -n 3", env!("CARGO_BIN_EXE_openvisor"));
        let pipeline = processes.tool("sh", ["-c", &script]);
        pipeline.wait();
        assert_eq!(pipeline.out.count(), 3);
    });
}

#[test]
fn a_demo_with_a_data_folder_can_be_shown_again_by_the_same_device() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let ids = [(); 2].map(|()| {
            let demo = processes.openvisor(["demo", "--seconds", "6", "--data", data.to_str().unwrap()]);
            assert_eq!(demo.code(), 0, "{}", demo.err.text());
            demo.out.expect("id UV").split_whitespace().last().unwrap().to_owned()
        });
        assert_eq!(ids[0], ids[1]);
    });
}
