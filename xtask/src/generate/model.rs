//! The binary interface as read from `docs/spec/abi.toml`, joined with the texts of `abi-docs.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::workspace;

/// The whole interface.
pub(super) struct Model {
    pub facts: Facts,
    pub texts: Texts,
}

/// `docs/spec/abi.toml`: names, numbers, layouts, slots.
#[derive(Deserialize)]
pub(super) struct Facts {
    pub memory: Memory,
    #[serde(rename = "enum")]
    pub enums: Vec<Enumeration>,
    #[serde(rename = "struct")]
    pub structs: Vec<Structure>,
    #[serde(rename = "call")]
    pub calls: Vec<Call>,
}

/// What the application owns, and where the calls are entered.
#[derive(Deserialize)]
pub(super) struct Memory {
    pub application_flash: Region,
    pub application_ram: Region,
    pub entry_page: u32,
    pub retired_slots: Vec<u32>,
    pub unassigned_slots: Vec<u32>,
}

#[derive(Deserialize)]
pub(super) struct Region {
    pub start: u32,
    pub length: u32,
}

#[derive(Deserialize)]
pub(super) struct Enumeration {
    pub name: String,
    pub size: u32,
    pub values: toml::Table,
}

impl Enumeration {
    /// The values in the file's order, which is ascending.
    pub(super) fn values(&self) -> impl Iterator<Item = (&str, u32)> {
        self.values.iter().map(|(name, value)| {
            let value = value.as_integer().and_then(|value| u32::try_from(value).ok());
            (name.as_str(), value.expect("every enum value in abi.toml is a u32"))
        })
    }

    /// What every value's name starts with: `MvStatus` has `MV_STATUS_`.
    pub(super) fn prefix(&self) -> String {
        format!("MV_{}_", self.name.trim_start_matches("Mv").to_uppercase())
    }
}

#[derive(Deserialize)]
pub(super) struct Structure {
    pub name: String,
    pub size: u32,
    pub align: u32,
    #[serde(default)]
    pub versioned: u32,
    pub fields: Vec<Field>,
}

#[derive(Deserialize)]
pub(super) struct Field {
    pub name: String,
    #[serde(rename = "type")]
    pub ctype: String,
    pub offset: u32,
    pub size: u32,
}

impl Field {
    /// The name of the structure held by value, if it is one.
    pub(super) fn nested(&self) -> Option<&str> {
        let name = self.ctype.strip_prefix("struct ")?;
        (!name.contains('*')).then_some(name)
    }

    /// Whether the field is an address in application memory.
    pub(super) fn is_pointer(&self) -> bool {
        self.ctype.ends_with('*')
    }
}

#[derive(Deserialize)]
pub(super) struct Call {
    pub name: String,
    pub slot: u32,
    pub params: Vec<Parameter>,
    pub documented_errors: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Parameter {
    pub name: String,
    #[serde(rename = "type")]
    pub ctype: String,
}

/// `docs/spec/abi-docs.toml`: what each item means, in our own words.
#[derive(Deserialize)]
pub(super) struct Texts {
    #[serde(rename = "topic")]
    pub topics: Vec<Topic>,
    pub handle: toml::Table,
    #[serde(rename = "enum")]
    enums: BTreeMap<String, Described>,
    #[serde(rename = "struct")]
    structs: BTreeMap<String, Described>,
    #[serde(rename = "call")]
    calls: BTreeMap<String, Described>,
}

/// A part of the interface that belongs together: one Rust file, one section of the header.
#[derive(Deserialize)]
pub(super) struct Topic {
    pub name: String,
    pub title: String,
    pub doc: String,
    #[serde(default)]
    pub types: Vec<String>,
    #[serde(default)]
    pub calls: Vec<String>,
}

/// One thing's text and the texts of its parts.
#[derive(Deserialize)]
pub(super) struct Described {
    pub doc: String,
    /// A value's, field's or parameter's text by name.
    #[serde(default)]
    of: BTreeMap<String, String>,
    /// For a call: what a status means here, where that is more than its general meaning.
    #[serde(default)]
    errors: BTreeMap<String, String>,
}

impl Model {
    /// Reads both files and checks that they describe the same items.
    pub(super) fn read() -> Result<Self, String> {
        let text = |path| workspace::read(path);
        Self::parse(&text("docs/spec/abi.toml")?, &text("docs/spec/abi-docs.toml")?)
    }

    /// The model in the texts of the two pages.
    pub(super) fn parse(facts: &str, texts: &str) -> Result<Self, String> {
        let facts = toml::from_str(facts).map_err(|error| format!("abi.toml: {error}"))?;
        let texts = toml::from_str(texts).map_err(|error| format!("abi-docs.toml: {error}"))?;
        let model = Self { facts, texts };
        model.complete()?;
        Ok(model)
    }

    pub(super) fn enumeration(&self, name: &str) -> Option<&Enumeration> {
        self.facts.enums.iter().find(|item| item.name == name)
    }

    pub(super) fn structure(&self, name: &str) -> Option<&Structure> {
        self.facts.structs.iter().find(|item| item.name == name)
    }

    pub(super) fn call(&self, name: &str) -> Option<&Call> {
        self.facts.calls.iter().find(|item| item.name == name)
    }

    pub(super) fn enum_doc(&self, name: &str) -> &str {
        &self.texts.enums[name].doc
    }

    pub(super) fn value_doc(&self, item: &Enumeration, value: &str) -> &str {
        &self.texts.enums[&item.name].of[value.trim_start_matches(&item.prefix())]
    }

    pub(super) fn struct_doc(&self, name: &str) -> &str {
        &self.texts.structs[name].doc
    }

    pub(super) fn field_doc(&self, item: &Structure, field: &str) -> &str {
        if item.versioned > 0 && field == "version" {
            return "The structure's version: 1, or the call answers `UNSUPPORTEDSTRUCTUREVERSION`.";
        }
        &self.texts.structs[&item.name].of[field]
    }

    pub(super) fn call_doc(&self, name: &str) -> &str {
        &self.texts.calls[name].doc
    }

    pub(super) fn parameter_doc(&self, call: &Call, parameter: &str) -> &str {
        &self.texts.calls[&call.name].of[parameter]
    }

    /// What a status says when this call answers it: the call's own text, or the status's general one.
    pub(super) fn error_doc(&self, call: &Call, status: &str) -> &str {
        let own = self.texts.calls[&call.name].errors.get(status);
        own.unwrap_or(&self.texts.enums["MvStatus"].of[status])
    }

    /// Refuses a thing without text, a text without a thing, and a thing in no topic or in two.
    fn complete(&self) -> Result<(), String> {
        let mut faults = Vec::new();
        self.check_texts(&mut faults);
        self.check_topics(&mut faults);
        if faults.is_empty() { Ok(()) } else { Err(format!("abi-docs.toml:\n  {}", faults.join("\n  "))) }
    }

    fn check_texts(&self, faults: &mut Vec<String>) {
        let enums = self.facts.enums.iter().map(|item| {
            let prefix = item.prefix();
            let parts = item.values().map(|(name, _)| name.trim_start_matches(&prefix).to_owned());
            (item.name.clone(), parts.collect())
        });
        compare("enum", &enums.collect::<Vec<_>>(), &self.texts.enums, faults);
        let structs = self.facts.structs.iter().map(|item| {
            let described = item.fields.iter().filter(|field| item.versioned == 0 || field.name != "version");
            (item.name.clone(), described.map(|field| field.name.clone()).collect())
        });
        compare("struct", &structs.collect::<Vec<_>>(), &self.texts.structs, faults);
        let calls = self.facts.calls.iter().map(|item| {
            (item.name.clone(), item.params.iter().map(|parameter| parameter.name.clone()).collect())
        });
        compare("call", &calls.collect::<Vec<_>>(), &self.texts.calls, faults);
        self.check_errors(faults);
    }

    fn check_errors(&self, faults: &mut Vec<String>) {
        for call in &self.facts.calls {
            let Some(described) = self.texts.calls.get(&call.name) else { continue };
            for status in described.errors.keys().filter(|name| !call.documented_errors.contains(name)) {
                faults.push(format!("call {}: describes {status}, which it does not document", call.name));
            }
        }
    }

    fn check_topics(&self, faults: &mut Vec<String>) {
        let types = self.texts.topics.iter().flat_map(|topic| &topic.types);
        let calls = self.texts.topics.iter().flat_map(|topic| &topic.calls);
        let mut listed: Vec<&String> = types.chain(calls).collect();
        listed.sort();
        let mut named: Vec<&String> = self.facts.enums.iter().map(|item| &item.name).collect();
        named.extend(self.facts.structs.iter().map(|item| &item.name));
        named.extend(self.facts.calls.iter().map(|item| &item.name));
        named.sort();
        if listed != named {
            let lacking: Vec<_> = named.iter().filter(|name| !listed.contains(name)).collect();
            let strange: Vec<_> = listed.iter().filter(|name| !named.contains(name)).collect();
            faults.push(format!("topics must name all once; lacking {lacking:?}, unknown {strange:?}"));
        }
    }
}

fn compare(
    kind: &str,
    things: &[(String, Vec<String>)],
    texts: &BTreeMap<String, Described>,
    faults: &mut Vec<String>,
) {
    for (name, parts) in things {
        let Some(described) = texts.get(name) else {
            faults.push(format!("{kind} {name}: no text"));
            continue;
        };
        let lacking = parts.iter().filter(|part| !described.of.contains_key(*part));
        faults.extend(lacking.map(|part| format!("{kind} {name}: no text for {part}")));
        let strange = described.of.keys().filter(|part| !parts.contains(part));
        faults.extend(strange.map(|part| format!("{kind} {name}: has no {part}")));
    }
    let known = |name: &&String| !things.iter().any(|(thing, _)| thing == *name);
    faults.extend(texts.keys().filter(known).map(|name| format!("{kind} {name}: not in abi.toml")));
}
