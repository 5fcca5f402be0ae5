//! Many devices and entries at once, and devices of several accounts.

use serde_json::{Value, json};

use super::support::fixtures::text;
use super::support::within;
use super::{BAD_INPUT, Fixture, LIMIT, SUCCESS};

/// Shows D320.
#[test]
fn twenty_devices_are_created_and_configured_with_three_commands() {
    within(LIMIT, |processes| {
        let fixture = Fixture::new(processes);
        let out = fixture.folder.path().join("devices");
        let provision = ["provision", "--out", text(&out), "--name", "sensor", "--count", "3"];
        let made = fixture.objects(processes, &provision);
        assert_eq!(made.len(), 3);
        assert_eq!(made[1]["name"], "sensor-0002");
        assert_eq!(made[1]["folder"], text(&out.join("sensor-0002")));
        assert!(made[1]["account"].as_str().unwrap().starts_with("AC"));
        assert!(out.join("sensor-0003").exists());
        assert!(fixture.objects(processes, &provision).is_empty(), "all exist already");

        let set = ["configs", "set", "host=a.example", "port=-1", "--device", "sensor-0001"];
        assert_eq!(fixture.objects(processes, &set).len(), 2);
        let listed = fixture.run_ok(processes, &["configs", "list", "--device", "sensor-0001", "--json"]);
        let copy = fixture.file("settings.jsonl", listed.as_bytes());
        let import = ["configs", "import", copy.trim_start_matches('@'), "--device", "sensor-0002"];
        assert_eq!(
            fixture.objects(processes, &import),
            [json!({ "v": 1, "new": 2, "changed": 0, "owners": 1 })]
        );
        let get = ["configs", "get", "port", "--device", "sensor-0002"];
        assert_eq!(fixture.run_ok(processes, &get), "-1\n");
    });
}

/// Shows D320.
#[test]
fn an_import_with_a_wrong_line_sets_nothing() {
    within(LIMIT, |processes| {
        let fixture = Fixture::new(processes);
        let lines =
            b"{\"key\":\"a\",\"value\":\"1\"}\n{\"key\":\"b\",\"value\":\"2\",\"device\":\"pantry\"}\n";
        let file = fixture.file("settings.jsonl", lines);
        let (code, _, err) = fixture.run(processes, &["configs", "import", file.trim_start_matches('@')]);
        assert_eq!(code, BAD_INPUT);
        assert!(err.contains("line 2: there is no device `pantry`"), "{err}");
        assert!(fixture.objects(processes, &["configs", "list"]).is_empty());
    });
}

/// Shows D320.
#[test]
fn the_data_folder_may_be_named_by_a_variable() {
    within(LIMIT, |processes| {
        let fixture = Fixture::new(processes);
        let variables = [("OPENVISOR_DATA", text(&fixture.data))];
        let listed = processes.openvisor_with(&variables, &["devices", "list"]);
        assert_eq!(listed.code(), SUCCESS, "{}", listed.err.text());
        assert!(listed.out.text().contains("kitchen"));
        let renamed = processes.openvisor_with(&variables, &["devices", "rename", "kitchen", "pantry"]);
        assert_eq!(renamed.code(), SUCCESS, "{}", renamed.err.text());
        assert_eq!(fixture.objects(processes, &["devices", "show", "pantry"])[0]["name"], "pantry");
    });
}

/// Shows D322.
#[test]
fn a_device_of_another_account_is_not_called_missing() {
    within(LIMIT, |processes| {
        let fixture = Fixture::new(processes);
        fixture.run_ok(processes, &["accounts", "add", "plant-2"]);
        let out = fixture.folder.path().join("press");
        let press = ["provision", "--account", "plant-2", "--name", "press", "--out", text(&out)];
        let id = fixture.run_ok(processes, &press);
        for name in ["press", id.trim()] {
            let (code, _, err) = fixture.run(processes, &["devices", "show", name]);
            assert_eq!(code, BAD_INPUT);
            assert!(err.contains("belongs to the account `plant-2`"), "{err}");
            assert!(err.contains("--account plant-2"), "{err}");
        }
        let (_, _, err) = fixture.run(processes, &["devices", "show", "missing"]);
        assert!(err.contains("there is no device `missing`, in any account"), "{err}");
        let all = fixture.objects(processes, &["devices", "list", "--all-accounts"]);
        let names: Vec<&Value> = all.iter().map(|device| &device["name"]).collect();
        assert_eq!(names, ["kitchen", "press"]);
        assert_ne!(all[0]["account"], all[1]["account"]);
        let table = fixture.run_ok(processes, &["devices", "list", "--all-accounts"]);
        assert!(table.lines().any(|line| line.contains("press") && line.ends_with("plant-2")), "{table}");
    });
}

/// Shows D321.
#[test]
fn a_stream_of_a_log_says_that_logging_is_off() {
    within(LIMIT, |processes| {
        let fixture = Fixture::new(processes);
        fixture.run_ok(processes, &["devices", "logging", "kitchen", "off"]);
        for words in
            [&["logs", "stream", "kitchen", "--no-follow"], &["logs", "stream", "--all", "--no-follow"]]
        {
            let (code, out, err) = fixture.run(processes, words);
            assert_eq!((code, out.as_str()), (SUCCESS, ""));
            assert!(err.contains("logging of kitchen") && err.contains("is off"), "{err}");
            let events = fixture.objects(processes, words);
            assert_eq!(
                (&events[0]["event"], &events[0]["logging"]),
                (&"logging_switched".into(), &false.into())
            );
        }
    });
}
