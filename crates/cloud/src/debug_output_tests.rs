//! No type that contains a secret prints it with `{:?}`: one careless log line or error message would publish it.

use std::fs;
use std::path::Path;

use relay::{LookupKey, Value};

use crate::authority::Authority;
use crate::cloud_config::Config;
use crate::data::{DataError, DataFolder};
use crate::events::{Event, EventKind};
use crate::files::{PRIVATE_FILE, write_new};
use crate::id::DeviceId;
use crate::provisioning::NewDevice;
use crate::store::{ConfigItem, LogLine, NewItem, Store, StoreError};
use crate::store_url::{StoreUrl, StoreUrlError};

const SECRET: &str = "s3cret-of-the-test";

/// Types of this crate that contain secrets, which must not derive `Debug`: they implement it by hand, or not at all.
const SECRET_TYPES: [&str; 17] = [
    "Authority",
    "BrokerEvent",
    "ConfigItem",
    "DeviceStream",
    "EventKind",
    "Identity",
    "LogLine",
    "NewItem",
    "P521Key",
    "Pipe",
    "Seal",
    "SecretKey",
    "ServerCertificate",
    "Store",
    "StoreUrl",
    "Tls",
    "Trust",
];

/// The forms in which bytes could appear in debug output: text, escaped text, a list of numbers, hexadecimal digits.
fn forms(secret: &[u8]) -> Vec<String> {
    let numbers = format!("{secret:?}");
    vec![
        String::from_utf8_lossy(secret).into_owned(),
        secret.escape_ascii().to_string(),
        numbers.trim_matches(['[', ']']).to_owned(),
        hexadecimal(secret),
    ]
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[track_caller]
pub(crate) fn assert_hidden(printed: &str, secret: &[u8]) {
    for form in forms(secret) {
        assert!(!printed.contains(&form), "{form} is in {printed}");
    }
}

fn store_url() -> StoreUrl {
    format!("postgres://user:{SECRET}@localhost:1/fleet?password={SECRET}").parse().expect("a store")
}

#[test]
fn configuration_and_items_hide_passwords_and_values() {
    let config = Config { store: Some(store_url()), ..Config::local("data", ([127, 0, 0, 1], 0).into()) };
    let (key, value) = ("key".to_owned(), SECRET.to_owned());
    let item = NewItem { device_scope: true, secret: true, key: key.clone(), value: value.clone() };
    let items = [item];
    let device = NewDevice { account: None, name: Some("kettle"), items: &items, out: Path::new("out") };
    for printed in [
        format!("{config:?} {config:#?}"),
        format!("{:?} {}", store_url(), store_url()),
        format!("{:?}", format!("postgres:{SECRET}").parse::<StoreUrl>()),
        format!("{:?}", StoreUrlError::Form),
        format!("{device:?}"),
        format!("{:?}", ConfigItem { key, value, updated: 1 }),
        format!("{:?}", Value::Found(SECRET.into())),
        format!("{:?}", LookupKey { device_scope: true, secret: true, key: b"key".to_vec() }),
    ] {
        assert_hidden(&printed, SECRET.as_bytes());
    }
}

#[test]
fn logs_and_events_hide_what_applications_log() {
    let (device, text) = (DeviceId::random(), SECRET.as_bytes().to_vec());
    let line = LogLine { device, boot: 1, sequence: 1, clock: 1, received: 1, text: text.clone() };
    assert_hidden(&format!("{line:?}"), SECRET.as_bytes());
    let kind = EventKind::Log { sequence: 1, clock: 1, text };
    assert_hidden(&format!("{:?}", Event { device, at: 1, kind }), SECRET.as_bytes());
}

#[test]
fn identities_hide_private_keys() {
    let authority = Authority::generate();
    let identity = authority.issue_device(DeviceId::random());
    let line = identity.key.lines().nth(1).expect("a line of the key");
    assert_hidden(&format!("{identity:?}"), line.as_bytes());
    let server = authority.issue_server(&["localhost".to_owned()]).expect("a host");
    assert_hidden(&format!("{:?}", server.key), &server.key.secret_der()[..24]);
}

#[tokio::test]
async fn keys_and_errors_of_the_store_hide_secrets() {
    let directory = tempfile::tempdir().expect("a folder");
    let folder = DataFolder::open(directory.path()).expect("made");
    let key = folder.secret_key().expect("a key");
    assert_hidden(&format!("{key:?} {folder:?}"), key.bytes());
    let refused = Store::open_at(&folder, Some(&store_url())).await.err().expect("nothing listens there");
    assert!(matches!(refused, StoreError::Unreachable { .. }), "{refused}");
    assert_hidden(&format!("{refused:?} {refused}"), SECRET.as_bytes());
    let path = directory.path().join("store.url");
    write_new(&path, format!("mysql://user:{SECRET}@host/").as_bytes(), PRIVATE_FILE).expect("written");
    let damaged = folder.store().expect_err("no store");
    assert!(matches!(damaged, DataError::Damaged(..)), "{damaged}");
    assert_hidden(&format!("{damaged:?} {damaged}"), SECRET.as_bytes());
}

/// Every source file below a folder.
fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(fs::read_to_string(path).expect("text"));
        }
    }
}

#[test]
fn no_type_with_secrets_derives_debug() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let lines: Vec<&str> = files.iter().flat_map(|file| file.lines()).collect();
    for name in SECRET_TYPES {
        let is_definition = |line: &str| {
            let words: Vec<_> = line.split([' ', '(', '<', ';', '{']).collect();
            words.windows(2).any(|pair| matches!(pair[0], "struct" | "enum") && pair[1] == name)
        };
        let definitions: Vec<_> = (0..lines.len())
            .filter(|index| is_definition(lines[*index]) && !lines[*index].contains("//"))
            .collect();
        assert!(!definitions.is_empty(), "there is no {name}: keep the list in step with the code");
        for index in definitions {
            let attributes =
                lines[..index].iter().rev().take_while(|line| line.trim().starts_with(['#', '/']));
            let derives =
                attributes.filter(|line| line.contains("derive(") && line.contains("Debug")).count();
            assert_eq!(derives, 0, "{name} derives Debug");
        }
    }
}
