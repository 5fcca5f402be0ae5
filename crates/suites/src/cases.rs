//! Mosquitto's cases, as its JSON files have them.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use crate::notation;

/// One case: what is sent, what has to come back, and whether the connection is to end.
#[derive(Debug)]
pub(crate) struct Case {
    /// File, group and name.
    pub name: String,
    /// MQTT's protocol level: 3, 4 or 5.
    pub version: u8,
    /// Whether a valid CONNECT comes first.
    pub connect: bool,
    /// Client cases: whether it is answered with a CONNACK.
    pub connack: bool,
    /// Client cases: what the client is to do once connected.
    pub command: Option<String>,
    pub expect_disconnect: bool,
    pub steps: Vec<Step>,
}

/// One step of a case. *Sending* is what the suite's side does.
#[derive(Debug)]
pub(crate) enum Step {
    Send(Vec<u8>),
    Receive(Vec<u8>),
    /// Another client publishes.
    Publish {
        topic: String,
        payload: String,
        qos: u8,
        retain: bool,
    },
}

/// What a group or a case may say of itself; a case's own word counts.
#[derive(Clone, Deserialize)]
struct Settings {
    ver: Option<u8>,
    connect: Option<bool>,
    connack: Option<bool>,
    command: Option<String>,
    expect_disconnect: Option<bool>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(rename = "group")]
    name: String,
    #[serde(default)]
    disable: bool,
    #[serde(flatten)]
    settings: Settings,
    /// What comes first in each of its cases.
    #[serde(default, rename = "group_msgs")]
    preamble: Vec<Message>,
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    name: String,
    #[serde(flatten)]
    settings: Settings,
    msgs: Vec<Message>,
}

#[derive(Clone, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Message {
    Send {
        payload: String,
    },
    Recv {
        payload: String,
    },
    ExternalPublish {
        topic: String,
        payload: String,
        qos: u8,
        #[serde(default)]
        retain: bool,
    },
}

/// Reads every JSON file of a folder, in the order of their names; `only` keeps the cases whose name contains it.
pub(crate) fn load(folder: &Path, only: Option<&str>) -> Result<Vec<Case>, String> {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| format!("{}: {error}; --path must be a checkout of the suite", folder.display()))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let mut cases = Vec::new();
    let mut names = HashMap::new();
    for file in files {
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let found = read(&stem, &text, &mut names).map_err(|error| format!("{}: {error}", file.display()))?;
        cases.extend(found);
    }
    cases.retain(|case| only.is_none_or(|text| case.name.contains(text)));
    if cases.is_empty() { Err(format!("{}: no cases", folder.display())) } else { Ok(cases) }
}

fn read(stem: &str, text: &str, names: &mut HashMap<String, usize>) -> Result<Vec<Case>, String> {
    let groups: Vec<Group> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut cases = Vec::new();
    for group in groups.into_iter().filter(|group| !group.disable) {
        for test in &group.tests {
            let name = name(stem, &group.name, &test.name, names);
            cases.push(case(name, &group, test)?);
        }
    }
    Ok(cases)
}

/// Some names are used twice; the second of them becomes `… #2`.
fn name(stem: &str, group: &str, test: &str, names: &mut HashMap<String, usize>) -> String {
    let words = [stem, group, test].map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let name = words.join(" / ");
    let count = names.entry(name.clone()).or_default();
    *count += 1;
    if *count == 1 { name } else { format!("{name} #{count}") }
}

fn case(name: String, group: &Group, test: &Test) -> Result<Case, String> {
    let (own, common) = (&test.settings, &group.settings);
    let messages = group.preamble.iter().chain(&test.msgs);
    let steps = messages.map(step).collect::<Result<_, _>>().map_err(|error| format!("{name}: {error}"))?;
    Ok(Case {
        name,
        version: own.ver.or(common.ver).unwrap_or(4),
        connect: own.connect.or(common.connect).unwrap_or(true),
        connack: own.connack.or(common.connack).unwrap_or(true),
        command: own.command.clone().or_else(|| common.command.clone()),
        expect_disconnect: own.expect_disconnect.or(common.expect_disconnect).unwrap_or(true),
        steps,
    })
}

fn step(message: &Message) -> Result<Step, String> {
    Ok(match message.clone() {
        Message::Send { payload } => Step::Send(notation::bytes(&payload)?),
        Message::Recv { payload } => Step::Receive(notation::bytes(&payload)?),
        Message::ExternalPublish { topic, payload, qos, retain } => {
            Step::Publish { topic, payload, qos, retain }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_takes_from_its_group_what_it_does_not_say_itself() {
        let text = r#"[{ "group": "v5.0   G", "ver": 5, "connect": false, "command": "publish-1",
            "group_msgs": [{ "type": "recv", "payload": "20 r0" }],
            "tests": [
                { "name": "one", "msgs": [{ "type": "send", "payload": "C0 r0" }] },
                { "name": "one", "ver": 4, "connect": true, "expect_disconnect": false, "msgs": [
                    { "type": "external_publish", "topic": "t", "payload": "p", "qos": 1 }] }
            ] },
            { "group": "off", "disable": true, "tests": [{ "name": "x", "msgs": [] }] }]"#;
        let cases = read("F", text, &mut HashMap::new()).unwrap();
        let names: Vec<_> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names, ["F / v5.0 G / one", "F / v5.0 G / one #2"]);
        assert_eq!((cases[0].version, cases[0].connect, cases[0].expect_disconnect), (5, false, true));
        assert_eq!((cases[1].version, cases[1].connect, cases[1].expect_disconnect), (4, true, false));
        assert_eq!((cases[0].connack, cases[1].command.as_deref()), (true, Some("publish-1")));
        assert!(matches!(&cases[0].steps[..], [Step::Receive(first), Step::Send(_)] if first == &[0x20, 0]));
    }

    #[test]
    fn an_unknown_kind_of_step_is_an_error_not_a_step_left_out() {
        let text = r#"[{ "group": "G", "tests": [{ "name": "n", "msgs": [{ "type": "sleep" }] }] }]"#;
        assert!(read("F", text, &mut HashMap::new()).is_err());
    }
}
