//! docs/json-events.md and docs/json-schema/events-v1.json, made from the comments and types of the events and from
//! their examples.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::{Event, VERSION, examples};

/// With this variable the test writes the files instead of comparing them.
const WRITE: &str = "OPENVISOR_WRITE_DOCS";

/// Shows D335: what is documented is what is written.
#[test]
fn the_page_and_the_schema_of_the_events_are_up_to_date() {
    for (path, content) in
        [("docs/json-events.md", page()), ("docs/json-schema/events-v1.json", schema_text())]
    {
        let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path);
        if std::env::var_os(WRITE).is_some() {
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("created");
            std::fs::write(&file, &content).expect("written");
        }
        let present = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            present == content,
            "{path} is stale: {WRITE}=1 cargo test -p openvisor --lib the_page_and_the_schema"
        );
    }
}

/// Shows D335.
#[test]
fn every_event_has_an_example_with_every_field_and_no_undocumented_one() {
    let variants = variants();
    let events: BTreeSet<_> = variants.iter().map(name).collect();
    let examples: Vec<Value> =
        examples::lines().iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let shown: BTreeSet<_> = examples.iter().map(|line| line["event"].as_str().expect("text")).collect();
    assert_eq!(events, shown);
    assert_eq!(examples.len(), shown.len(), "one each");
    let common = ["v", "at_ms", "source", "device", "text"];
    for variant in &variants {
        let example = examples.iter().find(|line| line["event"] == name(variant)).expect("an example");
        let documented = variant["properties"].as_object().expect("fields");
        let undocumented =
            example.as_object().expect("an object").keys().filter(|field| !documented.contains_key(*field));
        assert!(undocumented.clone().all(|field| common.contains(&field.as_str())), "{example}");
        for field in documented.keys() {
            assert!(
                documented[field]["const"].is_string() || !description(&documented[field]).is_empty(),
                "{field}"
            );
        }
    }
}

/// The schema of each event, in the order of the enum.
fn variants() -> Vec<Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<Event>();
    schema.as_value()["oneOf"].as_array().expect("one schema for each event").clone()
}

fn name(variant: &Value) -> &str {
    variant["properties"]["event"]["const"].as_str().expect("a name")
}

/// A comment as one line.
fn description(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ")
}

fn schema_text() -> String {
    let variants: Vec<Value> = variants()
        .into_iter()
        .map(|mut variant| {
            one_line_descriptions(&mut variant);
            variant
        })
        .collect();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Openvisor events, version 1",
        "description": "Generated from crates/openvisor/src/output/event.rs. Fields and events may be added.",
        "type": "object",
        "properties": {
            "v": { "const": VERSION, "description": "Version of the interface." },
            "at_ms": {
                "type": "integer", "minimum": 0,
                "description": "Milliseconds since the start; of the device's time in a replay and in `openvisor test`.",
            },
            "source": { "type": "string", "description": "What the event comes from." },
            "device": { "type": "string", "description": "Id of the device, where there are several." },
            "text": { "type": "string", "description": "What the text output has, with newlines between its lines." },
            "script": { "type": "string", "description": "The script (`openvisor test`)." },
            "device_time_us": { "type": "integer", "minimum": 0, "description": "Device time (`openvisor test`)." },
        },
        "required": ["v", "event", "source", "text"],
        "oneOf": variants,
    });
    serde_json::to_string_pretty(&schema).expect("JSON") + "\n"
}

fn one_line_descriptions(schema: &mut Value) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
    match schema {
        Value::Object(fields) => fields.values_mut().for_each(one_line_descriptions),
        Value::Array(items) => items.iter_mut().for_each(one_line_descriptions),
        _ => {}
    }
}

fn page() -> String {
    let mut page = String::from(
        "# Events\n\nGenerated from `crates/openvisor/src/output/event.rs`. The fields that every line has, the words, \
         and what may change are in [`json.md`](json.md); the\nsame as a JSON Schema is in \
         [`json-schema/events-v1.json`](json-schema/events-v1.json).\n",
    );
    let lines = examples::lines();
    for variant in variants() {
        let event = name(&variant).to_owned();
        let _ = write!(page, "\n## `{event}`\n\n{}\n", wrapped(&description(&variant)));
        let fields = fields(&variant, "");
        if !fields.is_empty() {
            let _ = write!(page, "\n| field | type | meaning |\n|---|---|---|\n{fields}");
        }
        let start = format!("{{\"v\":1,\"event\":\"{event}\",");
        let example = lines.iter().find(|line| line.starts_with(&start)).expect("an example");
        let _ = write!(page, "\n```json\n{example}\n```\n");
    }
    page
}

/// The rows of a table; those of an inner object below it.
fn fields(schema: &Value, outer: &str) -> String {
    let mut rows = String::new();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (field, inner) in schema["properties"].as_object().into_iter().flatten() {
        if field == "event" && outer.is_empty() {
            continue;
        }
        let optional = if required.contains(&json!(field)) || kind(inner).contains("null") {
            ""
        } else {
            ", may be absent"
        };
        let _ = writeln!(rows, "| `{outer}{field}` | {}{optional} | {} |", kind(inner), description(inner));
        rows += &fields(inner, &format!("{outer}{field}."));
        rows += &fields(&inner["items"], &format!("{outer}{field}[]."));
    }
    rows
}

/// A type in words.
fn kind(schema: &Value) -> String {
    let word = |word: &str| match word {
        "integer" | "number" => "number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "array" => format!("list of {}", plural(&kind(&schema["items"]))),
        "object" => "object".to_owned(),
        "null" => "null".to_owned(),
        _ if schema["pattern"].is_string() => "text, `0x` and 8 digits".to_owned(),
        _ => "text".to_owned(),
    };
    match (&schema["type"], schema["anyOf"].as_array()) {
        (Value::String(name), _) => word(name),
        (Value::Array(names), _) => {
            names.iter().filter_map(Value::as_str).map(word).collect::<Vec<_>>().join(" or ")
        }
        (_, Some(all)) => all.iter().map(kind).collect::<Vec<_>>().join(" or "),
        _ => "text".to_owned(),
    }
}

fn plural(kind: &str) -> String {
    match kind {
        "number" => "numbers".to_owned(),
        "object" => "objects".to_owned(),
        "text" => "texts".to_owned(),
        other => other.replacen("text", "texts", 1),
    }
}

/// At most 160 columns.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("a line");
        if line.len() + 1 + word.len() > 160 {
            lines.push(word.to_owned());
        } else if line.is_empty() {
            line.push_str(word);
        } else {
            *line = format!("{line} {word}");
        }
    }
    lines.join("\n")
}
