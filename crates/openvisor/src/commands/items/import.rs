//! `openvisor configs import`: many entries at once.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use ::cloud::store::{NewItem, Scope};
use serde_json::{Value, json};

use super::arguments::ImportArguments;
use crate::operate::cloud_data::CloudData;
use crate::operate::settings;
use crate::output::exit::Failure;
use crate::output::print::print_result;

/// Longest input in bytes: it is held in memory, and written in one transaction.
const MAX_INPUT: u64 = 64 << 20;

/// One line of the input.
struct Entry {
    number: usize,
    /// Id or name of the device; `None`: the account's.
    device: Option<String>,
    key: String,
    value: String,
}

/// Checks the whole input before it opens the folder, and sets all entries or none.
pub(super) async fn run(import: &ImportArguments) -> Result<(), Failure> {
    let name =
        if import.file == Path::new("-") { "standard input".into() } else { import.file.to_string_lossy() };
    let entries = parse(&name, &read(&name, &import.file)?)?;
    let options = &import.scope;
    let cloud = CloudData::open(&options.cloud.folder, options.cloud.account.as_deref()).await?;
    let mut scopes: HashMap<Option<String>, Scope> = HashMap::new();
    let mut items = Vec::with_capacity(entries.len());
    for Entry { number, device, key, value } in entries {
        let device = options.device.clone().or(device);
        let scope = match scopes.get(&device) {
            Some(scope) => *scope,
            None => {
                cloud
                    .scope(device.as_deref())
                    .await
                    .map_err(|error| error.context(&format!("{name}, line {number}")))?
                    .0
            }
        };
        scopes.insert(device, scope);
        items.push((scope, NewItem { device_scope: scope != Scope::Account, secret: false, key, value }));
    }
    let is_new = cloud.store().set_items(&items).await?;
    cloud.close().await;
    let new = is_new.iter().filter(|is_new| **is_new).count();
    let changed = is_new.len() - new;
    print_result(
        options.cloud.json,
        || format!("set {new} and changed {changed} entries of {}", owners(scopes.len())),
        || json!({ "new": new, "changed": changed, "owners": scopes.len() }),
    );
    Ok(())
}

fn owners(count: usize) -> String {
    if count == 1 { "one owner".to_owned() } else { format!("{count} owners") }
}

fn read(name: &str, path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(MAX_INPUT + 1).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(MAX_INPUT + 1).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::bad_input(format!("cannot read {name}: {error}")))?;
    if text.len() as u64 > MAX_INPUT {
        let max = MAX_INPUT >> 20;
        return Err(
            Failure::bad_input(format!("{name} has more than {max} MiB")).hint("import it in several parts")
        );
    }
    Ok(text)
}

fn parse(name: &str, text: &str) -> Result<Vec<Entry>, Failure> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(index, line)| parse_line(&format!("{name}, line {}", index + 1), index + 1, line)).collect()
}

fn parse_line(place: &str, number: usize, line: &str) -> Result<Entry, Failure> {
    let wrong = |what: &str| {
        Failure::bad_input(format!("{place}: {what}"))
            .hint(r#"a line is for example {"key":"broker-host","value":"192.0.2.7","device":"kitchen"}"#)
    };
    let object: Value = serde_json::from_str(line).map_err(|_| wrong("not a JSON object"))?;
    let field = |field: &str| object.get(field).and_then(Value::as_str).map(str::to_owned);
    let key = field("key").ok_or_else(|| wrong("no text field `key`"))?;
    let value = field("value").ok_or_else(|| wrong("no text field `value`"))?;
    let device = match object.get("device") {
        None | Some(Value::Null) => None,
        Some(Value::String(device)) => Some(device.clone()),
        Some(_) => return Err(wrong("the field `device` is neither text nor null")),
    };
    settings::check_key(place, &key)?;
    settings::check_value(place, &key, &value)?;
    Ok(Entry { number, device, key, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D320.
    #[test]
    fn every_wrong_line_is_named() {
        let good = r#"{"key":"a","value":"1"}"#;
        assert_eq!(parse("f", &format!("{good}\n\n{good}\n")).map(|entries| entries.len()).ok(), Some(2));
        for wrong in [
            "x",
            "[]",
            r#"{"key":"a"}"#,
            r#"{"value":"a"}"#,
            r#"{"key":"","value":"1"}"#,
            r#"{"key":"a","value":1}"#,
            r#"{"key":"a","value":"1","device":7}"#,
        ] {
            let error = parse("f", &format!("{good}\n{wrong}\n")).err().expect("refused").to_string();
            assert!(error.contains("f, line 2"), "{error}");
        }
    }
}
