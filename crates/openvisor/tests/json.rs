//! What `--json` and the structured log write, compared with docs/json.md and the JSON Schema of the events.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use support::fixtures::{provision, text};
use support::{Processes, within};

const LIMIT: Duration = Duration::from_mins(3);
const PAGE: &str = include_str!("../../../docs/json.md");
const SCHEMA: &str = include_str!("../../../docs/json-schema/events-v1.json");
/// Moves pins, writes to a serial port, has calls refused and restarts.
const REPORTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/tests/apps/reported/reported.elf");
/// Logs five rounds, then reads where there is no memory.
const CRASHING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/tests/apps/debugged/debugged.elf");
const HTTP_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/samples/http/http.test.toml");
const MQTT_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/samples/mqtt/mqtt.test.toml");
const LOGGING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/samples/logging/logging.elf");

/// Whether a value is as a schema says. The keywords are those that the schema of the events uses; the library for all
/// of them would bring 35 crates.
fn is_valid(schema: &Value, value: &Value) -> bool {
    let Some(keywords) = schema.as_object() else { return schema == true };
    keywords.iter().all(|(keyword, rule)| match keyword.as_str() {
        "const" => rule == value,
        "type" => match rule {
            Value::Array(types) => types.iter().any(|name| is_of(name, value)),
            name => is_of(name, value),
        },
        "required" => {
            rule.as_array().expect("a list").iter().all(|name| value.get(name.as_str().unwrap()).is_some())
        }
        "properties" => rule
            .as_object()
            .expect("an object")
            .iter()
            .all(|(name, rule)| value.get(name).is_none_or(|inner| is_valid(rule, inner))),
        "items" => value.as_array().into_iter().flatten().all(|item| is_valid(rule, item)),
        "oneOf" => rule.as_array().expect("a list").iter().filter(|rule| is_valid(rule, value)).count() == 1,
        "anyOf" => rule.as_array().expect("a list").iter().any(|rule| is_valid(rule, value)),
        "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().expect("a number")),
        "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().expect("a number")),
        "minItems" => {
            value.as_array().is_none_or(|list| list.len() as u64 >= rule.as_u64().expect("a number"))
        }
        "maxItems" => {
            value.as_array().is_none_or(|list| list.len() as u64 <= rule.as_u64().expect("a number"))
        }
        "pattern" => {
            assert_eq!(rule, "^0x[0-9a-f]{8}$", "another pattern");
            value.as_str().is_none_or(|text| text.len() == 10 && text.starts_with("0x"))
        }
        "$schema" | "title" | "description" | "format" => true,
        other => panic!("the keyword {other} is not known here"),
    })
}

fn is_of(name: &Value, value: &Value) -> bool {
    match name.as_str().expect("a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_u64() || value.is_i64(),
        _ => value.is_number(),
    }
}

/// The lines as events, each valid.
fn events(lines: &str) -> Vec<Value> {
    let schema: Value = serde_json::from_str(SCHEMA).expect("a schema");
    let parse = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no object: {line}"));
        assert!(is_valid(&schema, &event), "not as documented: {line}");
        event
    };
    lines.lines().map(parse).collect()
}

fn find<'e>(events: &'e [Value], name: &str) -> &'e Value {
    events.iter().find(|event| event["event"] == name).unwrap_or_else(|| panic!("no {name} in {events:#?}"))
}

/// Shows D335: an undocumented event, field of the wrong type, or missing field is found.
#[test]
fn the_schema_accepts_only_what_is_documented() {
    let schema: Value = serde_json::from_str(SCHEMA).expect("a schema");
    let line = |text: &str| is_valid(&schema, &serde_json::from_str::<Value>(text).expect("JSON"));
    assert!(line(r#"{"v":1,"event":"led_changed","source":"device","text":"LED on","on":true,"later":1}"#));
    for wrong in [
        r#"{"v":1,"event":"led_changed","source":"device","text":"LED on","on":1}"#,
        r#"{"v":1,"event":"led_changed","source":"device","text":"LED on"}"#,
        r#"{"v":1,"event":"led_changed","source":"device","on":true}"#,
        r#"{"v":1,"event":"other","source":"device","text":"LED on"}"#,
        r#"{"v":2,"event":"led_changed","source":"device","text":"LED on","on":true}"#,
    ] {
        assert!(!line(wrong), "{wrong}");
    }
}

/// Shows D335, D337.
#[test]
fn everything_that_run_reports_is_documented_and_the_last_line_is_the_verdict() {
    within(LIMIT, |processes| {
        let run = processes.openvisor(["run", CRASHING, "--json", "--seconds", "3"]);
        assert_eq!(run.code(), 5, "{}", run.err.text());
        let events = events(&run.err.text());
        assert_eq!(find(&events, "device_id")["id"].as_str().map(str::len), Some(34));
        let report = find(&events, "crash_report");
        assert_eq!(report["cfsr"]["bits"], serde_json::json!(["PRECISERR", "BFARVALID"]));
        assert_eq!(report["bfar"], "0x60000000");
        assert_eq!(report["registers"].as_array().map(Vec::len), Some(16));
        assert_eq!(report["backtrace"][1]["function"], "fail");
        assert!(find(&events, "app_log")["text"].as_str().is_some_and(|text| text.starts_with("round ")));
        assert!(run.out.text().contains("round "), "the log is on standard output as always");
        let [.., ended, error] = &events[..] else { panic!("{events:?}") };
        assert_eq!((&ended["event"], &ended["result"]), (&"run_ended".into(), &"crashed".into()));
        assert_eq!(ended["exit_code"], 5);
        assert!(ended["crashes"].as_u64().is_some_and(|crashes| crashes > 0), "{ended}");
        assert_eq!((&error["event"], &error["exit_code"]), (&"error".into(), &5.into()));
        assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("--allow-crashes")), "{error}");
    });
}

/// Shows D335.
#[test]
fn a_run_of_pins_ports_and_refusals_is_documented_and_a_success_says_so() {
    within(LIMIT, |processes| {
        let words = ["run", REPORTED, "--json", "--show", "PB11", "--until", "and a prompt"];
        let run = processes.openvisor(words);
        assert_eq!(run.code(), 0, "{}", run.err.text());
        let events = events(&run.err.text());
        let refused = find(&events, "call_refused");
        assert!(
            refused["status_code"].is_u64()
                && refused["call"].as_str().is_some_and(|call| call.starts_with("mv"))
        );
        assert_eq!(find(&events, "pin_changed")["pin"], "PB11");
        assert_eq!(find(&events, "serial_line")["line"], "a line");
        let ended = events.last().expect("events");
        assert_eq!((&ended["event"], &ended["result"]), (&"run_ended".into(), &"success".into()));
        assert_eq!(ended["detail"], Value::Null);
    });
}

/// Shows D335: channels, messages and requests have their numbers and lengths.
#[test]
fn the_demo_and_test_scripts_are_documented_line_by_line() {
    within(LIMIT, |processes| {
        let demo = processes.openvisor(["demo", "--seconds", "10", "--json"]);
        assert_eq!(demo.code(), 0, "{}", demo.err.text());
        let events = events(&demo.out.text());
        let channels: Vec<_> = events.iter().filter(|event| event["event"] == "channel_opened").collect();
        let mqtt = channels.iter().find(|event| event["kind"] == "mqtt").expect("an MQTT channel");
        let sent = find(&events, "message_to_broker");
        assert_eq!(sent["channel"], mqtt["channel"]);
        assert!(sent["bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{sent}");
        assert!(events.iter().all(|event| event["text"].is_string()), "`jq -r .text` yields no null");
        let last = events.last().expect("events");
        assert_eq!((&last["event"], &last["passed"]), (&"demo_summary".into(), &true.into()));
        let test = processes.openvisor(["test", MQTT_SCRIPT, HTTP_SCRIPT, "--json", "--verbose"]);
        assert_eq!(test.code(), 0, "{}", test.err.text());
        let events = self::events(&test.out.text());
        assert!(find(&events, "http_requested")["answered"].is_boolean());
        let script = find(&events, "broker_message")["script"].as_str().expect("a name");
        assert!(Path::new(script).extension().is_some_and(|extension| extension == "toml"), "{script}");
        let last = events.last().expect("events");
        assert_eq!((&last["event"], &last["failed"]), (&"script_summary".into(), &0.into()));
    });
}

/// Shows D335.
#[test]
fn a_fleet_and_a_log_stream_are_documented_line_by_line() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("fleet");
        let words = ["fleet", LOGGING, "--count", "2", "--seconds", "3", "--data", text(&data), "--json"];
        let fleet = processes.openvisor(words);
        assert_eq!(fleet.code(), 0, "{}", fleet.err.text());
        let events = events(&fleet.out.text());
        assert!(find(&events, "fleet_progress")["publishes_per_second"].is_number());
        assert_eq!(events.last().expect("events")["ever_connected"], 2);
        let cloud = data.join("cloud");
        let words = ["logs", "stream", "--all", "--data", text(&cloud), "--no-follow", "--json"];
        let logs = processes.openvisor(words);
        assert_eq!(logs.code(), 0, "{}", logs.err.text());
        let events = self::events(&logs.out.text());
        let line = find(&events, "app_log");
        assert!(
            line["device"].is_string() && line["clock_us"].is_u64() && line["received"].is_string(),
            "{line}"
        );
    });
}

/// The fields that docs/json.md lists for a command.
fn documented(command: &str) -> BTreeSet<String> {
    let row = PAGE.lines().find(|line| {
        let commands = line.strip_prefix("| ").and_then(|line| line.split_once(" | "));
        commands.is_some_and(|(commands, _)| commands.contains(&format!("`{command}`")))
    });
    let row = row.unwrap_or_else(|| panic!("{command} is not in docs/json.md"));
    let fields = row.split(" | ").nth(1).expect("fields");
    if let Some(more) = fields.strip_prefix("as `devices list`, and ") {
        return documented("devices list").into_iter().chain(words(more)).collect();
    }
    words(fields)
}

/// What is between back-quotes, outside parentheses and before a semicolon.
fn words(cell: &str) -> BTreeSet<String> {
    let mut depth = 0_i32;
    let outside: String = cell
        .split(';')
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|character| {
            depth += i32::from(*character == '(');
            let is_outside = depth == 0;
            depth -= i32::from(*character == ')');
            is_outside
        })
        .collect();
    outside.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Runs a command and compares the fields of each line.
fn check(processes: &Processes, data: &Path, command: &str, more: &[&str]) {
    let words = command.split(' ').chain(more.iter().copied()).chain(["--json", "--data", text(data)]);
    let process = processes.openvisor(words);
    assert_eq!(process.code(), 0, "{command}: {}", process.err.text());
    let lines = process.out.text();
    assert!(!lines.is_empty(), "{command}");
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let mut fields: BTreeSet<_> = line.as_object().expect("an object").keys().cloned().collect();
        assert!(fields.remove("v") && line["v"] == 1, "{line}");
        assert_eq!(fields, documented(command), "{command}: {line}");
    }
}

/// Shows D335.
#[test]
fn the_results_of_every_command_have_the_documented_fields() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("cloud");
        provision(processes, &data, folder.path(), "device", &["--name", "kitchen"].map(str::to_owned));
        let lines = folder.path().join("lines");
        std::fs::write(&lines, r#"{"key":"c","value":"1"}"#).unwrap();
        let other = folder.path().join("other");
        let of_device = ["--device", "kitchen"];
        for (command, more) in [
            ("accounts add", &["spare"] as &[&str]),
            ("accounts list", &[]),
            ("accounts rename", &["spare", "other"]),
            ("accounts remove", &["other"]),
            ("provision", &["--out", text(&other), "--name", "hall"]),
            ("devices list", &[]),
            ("devices show", &["kitchen"]),
            ("devices rename", &["kitchen", "kitchen"]),
            ("devices logging", &["kitchen", "off"]),
            ("configs set", &["a", "1"]),
            ("configs get", &["a"]),
            ("configs list", &[]),
            ("configs import", &[text(&lines)]),
            ("configs remove", &["a"]),
            ("secrets set", &[&["s", "1"][..], &of_device].concat()),
            ("secrets list", &of_device),
            ("secrets remove", &[&["s"][..], &of_device].concat()),
            ("devices revoke", &["kitchen", "--yes"]),
        ] {
            check(processes, &data, command, more);
        }
        let app = folder.path().join("app");
        let new = processes.openvisor(["new", text(&app), "--lang", "c", "--json"]);
        assert_eq!(new.code(), 0, "{}", new.err.text());
        let created: Value = serde_json::from_str(&new.out.text()).expect("JSON");
        let fields: BTreeSet<_> = created.as_object().expect("an object").keys().cloned().collect();
        assert_eq!(fields, documented("new").into_iter().chain(["v".into()]).collect());
    });
}

/// Shows D337.
#[test]
fn a_command_that_fails_says_so_in_an_object() {
    within(LIMIT, |processes| {
        let failed = processes.openvisor(["devices", "list", "--data", "/nowhere/at/all", "--json"]);
        assert_eq!(failed.code(), 2);
        assert_eq!(failed.out.text(), "");
        let events = events(&failed.err.text());
        let error = find(&events, "error");
        assert_eq!(
            (&error["result"], &error["exit_code"], events.len()),
            (&"bad_input".into(), &2.into(), 1)
        );
    });
}

/// Shows D336: every line of the log has a name, and the page lists it.
#[test]
fn every_line_of_the_log_has_a_documented_name_and_no_value_of_a_type_in_rust() {
    let mut found = BTreeSet::new();
    for folder in ["../cloud/src", "src"] {
        each_source(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut |path, source| {
            for level in ["error", "warn", "info", "debug", "trace"] {
                for call in source.split(&format!("tracing::{level}!(")).skip(1) {
                    let name =
                        call.trim_start().strip_prefix("name: \"").and_then(|rest| rest.split('"').next());
                    let name = name
                        .unwrap_or_else(|| panic!("{}: a line without a name: {call:.60}", path.display()));
                    let end = call.find(");").unwrap_or(call.len());
                    assert!(
                        !call[..end].contains(", ?"),
                        "{}: {name} has a value as Rust prints it",
                        path.display()
                    );
                    found.insert(name.to_owned());
                }
            }
        });
    }
    assert!(found.len() > 30, "{found:?}");
    for name in found {
        assert!(PAGE.contains(&format!("`{name}`")), "{name} is not in docs/json.md");
    }
}

/// Calls `look` with each source file, without its tests.
fn each_source(folder: &Path, look: &mut dyn FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            each_source(&path, look);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).expect("text");
            look(&path, source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default());
        }
    }
}
